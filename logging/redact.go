package logging

import (
	"bytes"
	"regexp"

	"go.uber.org/zap/buffer"
	"go.uber.org/zap/zapcore"
)

// redacted stands for what is not written.
const redacted = "[redacted]"

// secrets are texts that no line has, wherever they come from. They are looked for in a line as it is written, where a quote may have backslashes
// before it. What a pattern's groups caught is kept.
var secrets = []struct {
	pattern *regexp.Regexp
	instead string
}{
	// The header, in a dump of a request and in a map of headers: "Authorization: Bearer …", Authorization:[Bearer …].
	{regexp.MustCompile(`(?i)(authorization(?:\\*")?\s*[:=]\s*\[?(?:\\*")?(?:(?:bearer|basic|digest|negotiate)\s+)?)[^\s"\\\],]+`), "${1}" + redacted},
	// Its value alone. The word that follows is a secret, unless it is one of plain language: "a bearer token was …".
	{regexp.MustCompile(`(Bearer\s+)[A-Za-z0-9._~+/-]+=*`), "${1}" + redacted},
	{regexp.MustCompile(`(?i)(bearer\s+)[A-Za-z_~+/-]*[0-9.][A-Za-z0-9._~+/-]*[A-Za-z0-9_~+/-]=*`), "${1}" + redacted},
	// A JSON Web Token, as those of service accounts are.
	{regexp.MustCompile(`eyJ[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]*)?`), redacted},
	// In queries and in what else has keys and values: access_token=….
	{regexp.MustCompile(`(?i)((?:token|password|secret|api_?key)=(?:\\*")?)[^&\s"'\\#,;]+`), "${1}" + redacted},
	// In JSON: "token":"…".
	{regexp.MustCompile(`(?i)((?:token|password|secret|api_?key)\\*"\s*:\s*\[?\\*")[^"\\]+`), "${1}" + redacted},
	// In a URL before its host.
	{regexp.MustCompile(`(://[^/\s:@"]*:)[^/\s@"]+@`), "${1}" + redacted + "@"},
	// net/http quotes what a server sent unasked, which may be a part of a body.
	{regexp.MustCompile(`(on idle HTTP channel starting with ).*(; err=)`), "${1}" + redacted + "${2}"},
}

// secretKey is a key of JSON whose values are secrets.
var secretKey = regexp.MustCompile(`(?i)(?:token|password|secret|api_?key|authorization)$`)

// Redact returns a text as a line of the log would have it: without secrets. It is for what is told past the log.
func Redact(text string) string { return string(redact([]byte(text))) }

// redact returns a text without secrets; the same bytes if there were none.
func redact(text []byte) []byte {
	for _, secret := range secrets {
		if secret.pattern.Match(text) {
			text = secret.pattern.ReplaceAll(text, []byte(secret.instead))
		}
	}
	return text
}

// redactJSON does so with each string of a JSON text, so that it stays one: a pattern that is looked for in all of it could end beyond
// the quote that ends a string.
func redactJSON(text []byte) []byte {
	clean := make([]byte, 0, len(text))
	secret := false
	for {
		from := bytes.IndexByte(text, '"')
		if from < 0 {
			return append(clean, text...)
		}
		from++
		to := from
		for to < len(text) && text[to] != '"' {
			if text[to] == '\\' {
				to++
			}
			to++
		}
		if to >= len(text) { // no JSON, then
			return append(clean, redact(text)...)
		}
		word := text[from:to]
		clean = append(clean, text[:from]...)
		switch isKey := to+1 < len(text) && text[to+1] == ':'; {
		case isKey:
			secret = secretKey.Match(word)
			clean = append(clean, redact(word)...)
		case secret:
			clean = append(clean, redacted...)
		default:
			clean = append(clean, redact(word)...)
		}
		clean = append(clean, '"')
		text = text[to+1:]
	}
}

// redactor encodes lines without secrets. It looks at a line as it is written, since a secret may be in the message, in a field, in an error
// within one.
type redactor struct {
	zapcore.Encoder
	clean func(line []byte) []byte
}

// Clone implements [zapcore.Encoder].
func (r redactor) Clone() zapcore.Encoder { return redactor{r.Encoder.Clone(), r.clean} }

// EncodeEntry implements [zapcore.Encoder].
func (r redactor) EncodeEntry(entry zapcore.Entry, fields []zapcore.Field) (*buffer.Buffer, error) {
	line, err := r.Encoder.EncodeEntry(entry, fields)
	if err != nil {
		return nil, err
	}
	if clean := r.clean(line.Bytes()); !bytes.Equal(clean, line.Bytes()) {
		line.Reset()
		_, _ = line.Write(clean) // it never fails
	}
	return line, nil
}
