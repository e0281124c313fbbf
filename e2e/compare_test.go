package e2e

import (
	"fmt"
	"strings"
	"testing"

	"github.com/nodevitals/nodevitals/e2e/compare"
)

// parts are those of a summary that are compared one by one, by the start of their paths.
var parts = map[string]string{"node": "node.", "pods": "pods["}

// eachAgent runs a test for the answers of every agent: that which asks all sources of names, and those that ask one.
func eachAgent(t *testing.T, test func(*testing.T, *agent)) {
	for _, a := range agents {
		t.Run(a.name, func(t *testing.T) { test(t, a) })
	}
}

func TestSummaryHasTheKubeletsPaths(t *testing.T) {
	e := needObservation(t).summary
	eachAgent(t, func(t *testing.T, a *agent) {
		for part, prefix := range parts {
			t.Run(part, func(t *testing.T) {
				var kubelet []compare.Document
				for _, document := range e.theirs(a) {
					kubelet = append(kubelet, document.Only(prefix))
				}
				report(t, compare.Excuse(compare.Paths(kubelet, e.ours[a].Only(prefix)), e.deviations(a)))
			})
		}
	})
}

func TestSummaryHasTheKubeletsValues(t *testing.T) {
	e := needObservation(t).summary
	eachAgent(t, func(t *testing.T, a *agent) {
		for part, prefix := range parts {
			t.Run(part, func(t *testing.T) {
				reportValues(t, compare.Values(e.theirs(a), e.ours[a].Only(prefix), e.rules()), e.deviations(a))
			})
		}
	})
}

// eachMetricsAnswer runs a test for every agent's answer on each endpoint of metrics.
func eachMetricsAnswer(t *testing.T, test func(*testing.T, *endpoint, *agent)) {
	o := needObservation(t)
	eachAgent(t, func(t *testing.T, a *agent) {
		for _, e := range []*endpoint{&o.cadvisor, &o.resource} {
			t.Run(e.path, func(t *testing.T) { test(t, e, a) })
		}
	})
}

func TestMetricsHaveTheKubeletsFamilies(t *testing.T) {
	eachMetricsAnswer(t, func(t *testing.T, e *endpoint, a *agent) {
		report(t, compare.Excuse(compare.Families(e.first, e.ours[a]), e.deviations(a)))
	})
}

func TestMetricsHaveTheKubeletsLabels(t *testing.T) {
	eachMetricsAnswer(t, func(t *testing.T, e *endpoint, a *agent) {
		report(t, compare.Excuse(compare.Paths(e.theirs(a), e.ours[a].Document), e.deviations(a)))
	})
}

func TestMetricsHaveTheKubeletsValues(t *testing.T) {
	eachMetricsAnswer(t, func(t *testing.T, e *endpoint, a *agent) {
		reportValues(t, compare.Values(e.theirs(a), e.ours[a].Document, e.rules()), e.deviations(a))
	})
}

func TestDeviationsAreDocumented(t *testing.T) {
	var deviations []compare.Deviation
	for _, path := range []string{summaryPath, cadvisorPath, resourcePath} {
		for _, a := range agents {
			deviations = append(deviations, (&endpoint{path: path}).deviations(a)...)
		}
	}
	missing, err := compare.Undocumented("../docs/fidelity.md", deviations)
	if err != nil {
		t.Fatal(err)
	}
	if len(missing) > 0 {
		t.Errorf("docs/fidelity.md has no row for %v", missing)
	}
}

func reportValues(t *testing.T, got compare.Compared, deviations []compare.Deviation) {
	t.Helper()
	report(t, compare.Excuse(got.Differences, deviations))
	t.Logf("%d figures lie between the kubelet's", got.Held)
	if got.Held == 0 {
		t.Error("no figure could be held against the kubelet's")
	}
	if len(got.Unbounded) > 0 {
		t.Logf("%d figures had no older or no newer sample of the kubelet's: %s", len(got.Unbounded), someOf(got.Unbounded))
	}
	if len(got.Unbounded) > got.Held {
		t.Errorf("of more figures than could be held, %d, the kubelet gave no samples around ours", len(got.Unbounded))
	}
}

// report fails for every difference that is not meant, and tells of the deviations that were met.
func report(t *testing.T, differences []compare.Difference) {
	t.Helper()
	if met := compare.Met(differences); len(met) > 0 {
		t.Logf("deviations met:\n\t%s", strings.Join(met, "\n\t"))
	}
	var lines []string
	aside := map[string]int{}
	for _, d := range compare.Unexcused(differences) {
		if reason := setAside(d); reason != "" {
			aside[reason]++
			continue
		}
		lines = append(lines, d.String())
	}
	for reason, count := range aside {
		t.Logf("%d differences are set aside: %s", count, reason)
	}
	if len(lines) > 0 {
		t.Errorf("%d differences from the kubelet: %s", len(lines), someOf(lines))
	}
}

// someOf keeps a failure readable. The answers themselves are beside the logs.
func someOf(lines []string) string {
	const most = 60
	if len(lines) > most {
		lines = append(lines[:most:most], fmt.Sprintf("and %d more", len(lines)-most))
	}
	return "\n\t" + strings.Join(lines, "\n\t")
}
