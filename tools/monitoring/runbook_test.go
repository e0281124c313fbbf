package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// part is what each section of docs/runbooks.md has, in this order.
var part = []string{"**Severity:** ", "**Meaning:** ", "**Look:** ", "**Mend:** "}

// Each alert has a section that says what it means, where to look and how to mend it, with the alert's own severity and needs; and each
// section has an alert.
func TestEachAlertHasItsRunbook(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(root, "docs/runbooks.md"))
	if err != nil {
		t.Fatal(err)
	}
	sections := map[string]string{}
	for _, section := range strings.Split("\n"+string(text), "\n### ")[1:] {
		name, body, _ := strings.Cut(section, "\n")
		body, _, _ = strings.Cut(body, "\n## ") // the next group's heading
		sections[name] = body
	}
	seen := map[string]bool{}
	for _, group := range alertGroups {
		for _, a := range group.alerts {
			if seen[a.name] {
				t.Errorf("two alerts are called %s", a.name)
			}
			seen[a.name] = true
			body, ok := sections[a.name]
			if !ok {
				t.Errorf("docs/runbooks.md has no section %s", a.name)
				continue
			}
			checkSection(t, &a, body)
		}
	}
	for name := range sections {
		if !seen[name] {
			t.Errorf("docs/runbooks.md has a section %s, which is no alert", name)
		}
	}
}

func checkSection(t *testing.T, a *alert, body string) {
	at := -1
	for _, one := range part {
		next := strings.Index(body, one)
		if next <= at {
			t.Errorf("%s: its section has no %q after the part before it", a.name, one)
			return
		}
		at = next
	}
	if want := part[0] + string(a.severity) + "\n"; !strings.Contains(body, want) {
		t.Errorf("%s: its section has no line %q", a.name, want)
	}
	if !strings.Contains(strings.Join(strings.Fields(body), " "), a.needs) {
		t.Errorf("%s: its section does not say: %s", a.name, a.needs)
	}
}

// What every alert says can be acted on.
func TestAlertsAreWhole(t *testing.T) {
	for _, group := range alertGroups {
		for _, a := range group.alerts {
			if !regexp.MustCompile(`^[A-Z][A-Za-z]+$`).MatchString(a.name) {
				t.Errorf("%q is no name of an alert", a.name)
			}
			if a.severity != info && a.severity != warning && a.severity != critical {
				t.Errorf("%s: severity %q", a.name, a.severity)
			}
			if _, err := time.ParseDuration(a.wait); a.wait != "" && err != nil {
				t.Errorf("%s: %v", a.name, err)
			}
			if a.summary == "" || strings.HasSuffix(a.summary, ".") || !strings.HasSuffix(a.description, ".") {
				t.Errorf("%s: the summary is a line without a full stop, the description sentences: %q, %q", a.name, a.summary, a.description)
			}
			// The time of the rule is also in the sentence; one of them would be forgotten.
			if minutes := regexp.MustCompile(`(?:For|for) (\d+) minutes`).FindStringSubmatch(a.description); minutes != nil && minutes[1]+"m" != a.wait {
				t.Errorf("%s waits %s, and its description says %s minutes", a.name, a.wait, minutes[1])
			}
		}
	}
}
