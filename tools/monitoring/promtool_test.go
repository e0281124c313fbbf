package main

import (
	"context"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"
)

// findPromtool returns the path of Debian's promtool.
func findPromtool(t *testing.T) string {
	t.Helper()
	// scripts/setup.sh puts it there.
	program, err := filepath.Abs(filepath.Join(root, "build/tools/prometheus/promtool"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(program); err == nil {
		return program
	}
	if program, err = exec.LookPath("promtool"); err != nil {
		t.Skip("needs promtool of Debian's package prometheus: run scripts/setup.sh")
	}
	return program
}

// promtool runs it, and returns what it said.
func promtool(t *testing.T, program string, arguments ...string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	said, err := exec.CommandContext(ctx, program, arguments...).CombinedOutput()
	return string(said), err
}

// input is one series of a case, in promtool's notation.
type input struct {
	Series string `yaml:"series"`
	Values string `yaml:"values"`
}

// The form of promtool's unit tests, as far as it is used.
type unitTests struct {
	RuleFiles []string   `yaml:"rule_files"`
	Interval  string     `yaml:"evaluation_interval"`
	Tests     []unitTest `yaml:"tests"`
}

type unitTest struct {
	Name     string      `yaml:"name"`
	Interval string      `yaml:"interval"`
	Input    []input     `yaml:"input_series"`
	Alerts   []alertTest `yaml:"alert_rule_test"`
}

type alertTest struct {
	At       string     `yaml:"eval_time"`
	Name     string     `yaml:"alertname"`
	Expected []expected `yaml:"exp_alerts"`
}

type expected struct {
	Labels      map[string]string `yaml:"exp_labels"`
	Annotations map[string]string `yaml:"exp_annotations"`
}

// testOf is what promtool is to see: with fires, the alert, and none a minute before it has waited as long as it does; without, that it stays quiet.
func testOf(t *testing.T, a *alert, c *alertCase, fires bool) unitTest {
	t.Helper()
	one := unitTest{Name: a.name + " stays quiet", Interval: "1m", Input: c.quiet, Alerts: []alertTest{{At: atOf(c), Name: a.name}}}
	if fires {
		labels := map[string]string{"severity": string(a.severity)}
		maps.Copy(labels, c.labels)
		one.Name, one.Input = a.name+" fires", c.fires
		one.Alerts[0].Expected = []expected{{
			Labels:      labels,
			Annotations: map[string]string{"summary": c.summary, "description": c.description, "runbook_url": a.runbook()},
		}}
		if a.wait != "" {
			one.Alerts = append(one.Alerts, alertTest{At: minuteBefore(t, a.wait), Name: a.name})
		}
	}
	return one
}

// minuteBefore is a time of promtool's.
func minuteBefore(t *testing.T, wait string) string {
	t.Helper()
	duration, err := time.ParseDuration(wait)
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%dm", int(duration.Minutes())-1)
}

// lastMinute is when most cases are looked at: later than any alert waits, and windows are full.
const lastMinute = "40m"

func atOf(c *alertCase) string {
	if c.at != "" {
		return c.at
	}
	return lastMinute
}

// judge has promtool test the committed rules.
func judge(t *testing.T, tests []unitTest) (string, error) {
	t.Helper()
	rules, err := filepath.Abs(filepath.Join(root, chartRules))
	if err != nil {
		t.Fatal(err)
	}
	return judgeBy(t, rules, tests)
}

// judgeBy has promtool test the rules of a file.
func judgeBy(t *testing.T, rules string, tests []unitTest) (string, error) {
	t.Helper()
	program := findPromtool(t)
	text, err := yaml.Marshal(unitTests{RuleFiles: []string{rules}, Interval: "1m", Tests: tests})
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "tests.yaml")
	if err := os.WriteFile(path, text, 0o644); err != nil {
		t.Fatal(err)
	}
	return promtool(t, program, "test", "rules", path)
}

// Each alert has a case in which it fires, saying so in these words, and one in which it does not.
func TestAlerts(t *testing.T) {
	used := map[string]bool{}
	for _, group := range alertGroups {
		for _, a := range group.alerts {
			used[a.name] = true
			t.Run(a.name, func(t *testing.T) {
				c := cases[a.name]
				if c == nil {
					t.Fatal("it has no case in cases_test.go")
				}
				for _, fires := range []bool{true, false} {
					one := testOf(t, &a, c, fires)
					if said, err := judge(t, []unitTest{one}); err != nil {
						t.Errorf("%s: %v\n%s", one.Name, err, said)
					}
				}
			})
		}
	}
	for name := range cases {
		if !used[name] {
			t.Errorf("the cases have %s, which is no alert", name)
		}
	}
}

// A case that cannot fail is none: what makes an alert fire does not let it stay quiet, nor the other way round.
func TestAlertsAreJudged(t *testing.T) {
	a := &agentAlerts[2]
	c := cases[a.name]
	swapped := &alertCase{fires: c.quiet, quiet: c.fires, labels: c.labels, summary: c.summary, description: c.description}
	for _, fires := range []bool{true, false} {
		if said, err := judge(t, []unitTest{testOf(t, a, swapped, fires)}); err == nil || !strings.Contains(said, "FAILED") {
			t.Errorf("promtool passes the wrong case (fires: %t): %v\n%s", fires, err, said)
		}
	}
}

// Each case sees to it that the alert waits: what makes it fire holds from the beginning, so that rules that do not wait fail.
func TestWaitsAreJudged(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(root, chartRules))
	if err != nil {
		t.Fatal(err)
	}
	hasty := filepath.Join(t.TempDir(), "rules.yaml")
	if err := os.WriteFile(hasty, regexp.MustCompile(`(?m)^ +for: \S+\n`).ReplaceAll(text, nil), 0o644); err != nil {
		t.Fatal(err)
	}
	var tests []unitTest
	want := map[string]string{}
	for _, group := range alertGroups {
		for _, a := range group.alerts {
			if c := cases[a.name]; c != nil && a.wait != "" {
				tests = append(tests, testOf(t, &a, c, true))
				want[a.name] = fmt.Sprintf("alertname: %s, time: %s,", a.name, minuteBefore(t, a.wait))
			}
		}
	}
	said, err := judgeBy(t, hasty, tests)
	if err == nil {
		t.Error("promtool passes rules that do not wait")
	}
	for name, failure := range want {
		if !strings.Contains(said, failure) {
			t.Errorf("%s would not be found to fire too soon: promtool does not say %q", name, failure)
		}
	}
	if t.Failed() {
		t.Log(said)
	}
}

func TestPromtoolChecksRules(t *testing.T) {
	program := findPromtool(t)
	for _, path := range []string{chartRules, "manifests/testdata/mixin.yaml"} {
		if said, err := promtool(t, program, "check", "rules", "--lint=all", "--lint-fatal", filepath.Join(root, path)); err != nil {
			t.Errorf("promtool check rules %s: %v\n%s", path, err, said)
		}
	}
}
