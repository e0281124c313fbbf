package docs

import (
	"regexp"
	"strings"
	"testing"
)

// own is the language of the blocks whose lines are nodevitals' own.
const own = "nodevitals"

var verb = regexp.MustCompile(`%[-+#0]*[0-9.*]*[a-zA-Z]`)

// sayings are the texts of the source, as patterns of what they look like when they are said.
type sayings struct {
	patterns []*regexp.Regexp
	texts    []string
	// judged are the lines that were asked for.
	judged map[string]bool
}

func readSayings(t *testing.T) sayings {
	t.Helper()
	s := sayings{texts: readSources(t).texts, judged: make(map[string]bool)}
	for _, text := range s.texts {
		text = strings.TrimSuffix(text, "\n")
		if strings.TrimSpace(verb.ReplaceAllString(text, "")) == "" {
			continue // it would match anything
		}
		parts := verb.Split(text, -1)
		for i := range parts {
			parts[i] = regexp.QuoteMeta(parts[i])
		}
		s.patterns = append(s.patterns, regexp.MustCompile("^"+strings.Join(parts, "(.+?)")+"$"))
	}
	return s
}

var (
	// value is what a verb stands for: a word, an address, a path, or a list of such.
	value = regexp.MustCompile(`^(\S+|[^ ,]+((, | and )[^ ,]+)+)$`)
	// system are the words of others that a line may have.
	system = regexp.MustCompile(`^(Too Many Requests|Service Unavailable)$|^((open|stat|read) \S+: )?(no such file or directory|address already in use|permission denied)$`)
)

// say tells whether the agent can say a line: whether it is a text of its source, with a value, or another such text, for each verb.
func (s sayings) say(line string) bool {
	if judged, ok := s.judged[line]; ok {
		return judged
	}
	s.judged[line] = s.judge(line)
	return s.judged[line]
}

func (s sayings) judge(line string) bool {
	for _, p := range s.patterns {
		found := p.FindStringSubmatch(line)
		if found == nil {
			continue
		}
		all := true
		for _, part := range found[1:] {
			// The text that is the line itself, for a verb alone, was left out: so each part is shorter.
			all = all && (value.MatchString(part) || system.MatchString(part) || len(part) < len(line) && s.say(part))
		}
		if all {
			return true
		}
	}
	return false
}

// have tells whether the source has a piece of a line, in which "…" stands for what a reader need not know.
func (s sayings) have(piece string) bool {
	for part := range strings.SplitSeq(piece, "…") {
		part = strings.TrimSpace(part)
		found := part == ""
		for _, text := range s.texts {
			found = found || strings.Contains(text, part)
		}
		if !found {
			return false
		}
	}
	return true
}

// Every line that a page quotes as nodevitals' own is one that it can say, and so is what stands in a table in backquotes after "log:".
func TestQuotedLines(t *testing.T) {
	says := readSayings(t)
	quoted := 0
	for _, p := range pages(t) {
		for _, b := range p.blocks {
			if b.language != own {
				continue
			}
			for i, line := range b.lines {
				quoted++
				if !says.say(strings.TrimPrefix(line, "nodevitals: ")) {
					t.Errorf("%s: nodevitals never says %q", p.at(b.at+i), line)
				}
			}
		}
		for i, line := range p.prose {
			cell, ok := strings.CutPrefix(line, "| log: ")
			if !ok {
				continue
			}
			cell, _, _ = strings.Cut(cell, " |")
			for _, piece := range code.FindAllString(cell, -1) {
				quoted++
				if !says.have(strings.Trim(piece, "`")) {
					t.Errorf("%s: no text of the source has %s", p.at(i+1), piece)
				}
			}
		}
	}
	if quoted < 30 {
		t.Errorf("only %d quoted lines were found", quoted)
	}
}

// Every line that the agent logs at info or above has a row in the table of lines, by a piece of its message.
func TestLinesAreListed(t *testing.T) {
	var rows []string
	for _, line := range readPage(t, "docs/operations.md").prose {
		if cell, ok := strings.CutPrefix(line, "| log: "); ok {
			cell, _, _ = strings.Cut(cell, " |")
			rows = append(rows, code.FindAllString(cell, -1)...)
		}
	}
	messages := readSources(t).messages
	for _, message := range messages {
		listed := false
		for _, row := range rows {
			all := true
			for part := range strings.SplitSeq(strings.Trim(row, "`"), "…") {
				all = all && strings.Contains(message, strings.TrimSpace(part))
			}
			listed = listed || all
		}
		if !listed {
			t.Errorf("docs/operations.md has no row for the line %q", message)
		}
	}
	if len(messages) < 30 {
		t.Errorf("only %d messages were found", len(messages))
	}
}

// The reasons for which files are read are those of the reader in the kernel.
func TestQuotedReasons(t *testing.T) {
	says := readSayings(t)
	reasons, inTable := 0, false
	for i, line := range readPage(t, "docs/troubleshooting.md").prose {
		if strings.HasPrefix(line, "| `because` |") {
			inTable = true
			continue
		}
		if inTable = inTable && strings.HasPrefix(line, "|"); !inTable || !strings.HasPrefix(line, "| `") {
			continue
		}
		reasons++
		if reason := strings.Trim(code.FindString(line), "`"); !says.say(reason) && !says.have(reason) {
			t.Errorf("docs/troubleshooting.md:%d: the reader in the kernel never says %q", i+1, reason)
		}
	}
	if reasons < 5 {
		t.Errorf("only %d reasons were found", reasons)
	}
}
