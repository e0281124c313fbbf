package logging

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"go.uber.org/zap"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
)

var (
	metaVersion = schema.GroupVersion{Version: "v1"}
	codecs      = serializer.NewCodecFactory(schemeOfStatus()).WithoutConversion()
)

// schemeOfStatus knows an API server's reason, as every client does.
func schemeOfStatus() *runtime.Scheme {
	scheme := runtime.NewScheme()
	meta.AddToGroupVersion(scheme, metaVersion)
	return scheme
}

const webToken = "eyJhbGciOiJSUzI1NiIsImtpZCI6Ij.eyJpc3MiOiJrdWJlcm5ldGVzL3NlcnZpY2VhY2NvdW50In0.R-s3cret-0f-jane_x"

// secretForms are the ways in which a text may have a secret.
var secretForms = []string{
	"Authorization: Bearer " + secret,
	"authorization: " + secret,
	fmt.Sprint(http.Header{"Authorization": {"Bearer " + secret}, "Accept": {"*/*"}}),
	`{"Authorization":["Basic ` + secret + `"]}`,
	fmt.Sprintf("%q", "Authorization: Basic "+secret),
	"curl -H 'Authorization: Bearer " + secret + "' https://x/",
	"request with Bearer " + secret + " failed",
	"request with bearer " + secret + " failed",
	"the token " + webToken + " is expired",
	`Get "https://x/api?access_token=` + secret + `&watch=1": dial tcp: refused`,
	(&url.Error{Op: "Get", URL: "https://x/?token=" + secret, Err: errors.New("refused")}).Error(),
	"https://jane:" + secret + "@example.org/",
	`{"spec":{"token":"` + secret + `"}}`,
	fmt.Sprintf("answer: %q", `{"spec":{"token": "`+secret+`"}}`),
	"client_secret=" + secret,
	"two\nlines token=" + secret + "\n" + webToken,
	`password="` + secret + `"`,
}

// TestSecretsAreNotWritten: wherever in a line a secret is, and however the line is written.
func TestSecretsAreNotWritten(t *testing.T) {
	for _, console := range []bool{false, true} {
		for _, form := range secretForms {
			out := &output{}
			log := New(Options{Level: zap.DebugLevel, Console: console, Out: out})
			for name, write := range map[string]func(){
				"message":     func() { log.Warn(form) },
				"string":      func() { log.Warn("m", zap.String("k", form)) },
				"error":       func() { log.Warn("m", zap.Error(fmt.Errorf("wrapped: %w", errors.New(form)))) },
				"bytes":       func() { log.Warn("m", zap.ByteString("k", []byte(form))) },
				"strings":     func() { log.Warn("m", zap.Strings("k", []string{form})) },
				"any":         func() { log.Warn("m", zap.Any("k", map[string]any{"a": []string{form}})) },
				"any headers": func() { log.Warn("m", zap.Any("k", map[string][]string{"X-Token": {secret}, "Form": {form}})) },
				"with":        func() { log.With(zap.String("k", form)).Warn("m") },
				"debug level": func() { log.Debug("m", zap.String("k", form)) },
			} {
				out.mutex.Lock()
				out.text.Reset()
				out.mutex.Unlock()
				log.limit.mutex.Lock()
				clear(log.limit.windows)
				log.limit.mutex.Unlock()
				write()
				if text := out.String(); strings.Contains(text, secret) || !strings.Contains(text, redacted) {
					t.Errorf("console %t, %s: %q came as %s", console, name, form, text)
				}
				if !console {
					out.lines(t)
				}
			}
		}
	}
}

// TestPlainWordsStay: what looks a little like a secret and is none.
func TestPlainWordsStay(t *testing.T) {
	for _, text := range []string{
		"a bearer token could not be reviewed, and was refused; the API server must answer, and let this agent create tokenreviews",
		"bearer token: the API server does not know it, or no longer",
		"bearer token: it is for none of the audiences [\"nodes\"]",
		"Authorization error (user=jane, verb=get)",
		"change --authorization-mode or --authentication-token-webhook-cache-ttl=2m",
		"listen on https://[::1]:10250/metrics: address already in use",
		"get https://10.0.0.1:6443/api/v1/pods?fieldSelector=spec.nodeName%3Dx: dial tcp 10.0.0.1:6443: connect: connection refused",
		"unix:///run/containerd/containerd.sock: no such file or directory",
	} {
		out := &output{}
		New(Options{Level: zap.InfoLevel, Out: out}).Warn("m", zap.String("k", text))
		if got := out.lines(t)[0]["k"]; got != text {
			t.Errorf("%q came as %q", text, got)
		}
	}
}

// FuzzRedact: a line stays one JSON object, whatever is taken out of it, and nothing of a bearer's token is left.
func FuzzRedact(f *testing.F) {
	for _, form := range secretForms {
		f.Add(form)
	}
	f.Add("Authorization: \\")
	f.Add("Authorization:\xff")
	f.Add("000000000000000000000000 AAAAA token=")
	f.Add(`token="\"` + "\x00\n;")
	f.Fuzz(func(t *testing.T, text string) {
		out := &output{}
		log := New(Options{Level: zap.InfoLevel, Out: out})
		log.Warn(text, zap.String("k", text), zap.Any("a", []string{text}), zap.String("header", "Authorization: Bearer "+secret))
		lines := out.lines(t)
		if len(lines) != 1 || strings.Contains(out.String(), "Bearer "+secret) {
			t.Errorf("%q: got %s", text, out)
		}
	})
}
