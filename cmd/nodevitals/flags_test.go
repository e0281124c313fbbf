package main

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/spf13/pflag"
)

// documentedFlags returns the defaults of the tables of flags in a document, by flag. A table of flags is one whose head is
// "| flag | default | meaning |".
func documentedFlags(t *testing.T, path string) map[string]string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	flags, inTable := make(map[string]string), false
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		if line == "| flag | default | meaning |" {
			inTable = true
			continue
		}
		if !strings.HasPrefix(line, "|") {
			inTable = false
		}
		cells := strings.Split(line, "|")
		if !inTable || len(cells) < 5 || strings.HasPrefix(line, "|---") {
			continue
		}
		name := strings.TrimSpace(cells[1])
		if _, twice := flags[name]; twice {
			t.Errorf("%s: %s has two rows", path, name)
		}
		flags[name] = strings.TrimSpace(cells[2])
	}
	return flags
}

// sameDefault tells whether a document says a flag's default. What a flag does without one its help says, as "(default: …)".
func sameDefault(flag *pflag.Flag, said string) bool {
	switch flag.DefValue {
	case "", "[]":
		return said == "" || strings.Contains(flag.Usage, "(default: "+said)
	}
	if want, err := time.ParseDuration(flag.DefValue); err == nil {
		got, err := time.ParseDuration(said)
		return err == nil && got == want
	}
	return said == flag.DefValue
}

// TestFlagsAreDocumented: the tables of docs/operations.md have the agent's flags, all of them and no other, with their defaults.
func TestFlagsAreDocumented(t *testing.T) {
	const path = "../../docs/operations.md"
	documented := documentedFlags(t, path)
	newRoot().Flags().VisitAll(func(flag *pflag.Flag) {
		name := "--" + flag.Name
		said, ok := documented[name]
		delete(documented, name)
		switch {
		case !ok:
			t.Errorf("%s: no row of %s", path, name)
		case !sameDefault(flag, said):
			t.Errorf("%s: the default of %s is %q there and %q here", path, name, said, flag.DefValue)
		}
	})
	for name := range documented {
		t.Errorf("%s: a row of %s, which is no flag", path, name)
	}
}
