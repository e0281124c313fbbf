package e2e

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nodevitals/nodevitals/e2e/cluster"
	"github.com/nodevitals/nodevitals/e2e/prometheus"
)

// emptyRecords are the recording rules that may give nothing.
var emptyRecords = map[string]lacking{
	"node:container_pressure_cpu_waiting_seconds_total:rate5m":                       noPressure,
	"node:container_pressure_memory_stalled_seconds_total:rate5m":                    noPressure,
	"node:container_pressure_io_stalled_seconds_total:rate5m":                        noPressure,
	"namespace_pod_container:container_pressure_memory_waiting_seconds_total:rate5m": noPressure,
}

// The rules are evaluated without an error, nothing is counted twice, no alert on an agent fires while all is well, and that on one that is down
// does when it is.
func TestRules(t *testing.T) {
	needCluster(t)
	needOnlyOnce(t)
	rules, _ := rulesOf(t, "charts/nodevitals/files/rules.yaml")
	// Nobody waits for ten minutes: only how long it has to hold is left out.
	w := startWatching(t, regexp.MustCompile(`(?m)^ +for: \S+\n`).ReplaceAllString(rules, ""))
	w.awaitHealthy(t)

	// What is scraped under two jobs is there once.
	const record = "namespace:container_memory_working_set_bytes:sum"
	const twice = record + ` / on (namespace) sum by (namespace) (container_memory_working_set_bytes{job="nodevitals",node="` + cluster.NodeName + `",container!=""})`
	w.awaitAnswers(t, []asked{{"all jobs", `count(up{metrics_path="/metrics/cadvisor"} == 1) == 3`}, {record, twice}}, nil)
	series, err := w.server.Query(t.Context(), twice, 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, one := range series {
		if got := one.Last().Value; got < 0.6 || got > 1.6 {
			t.Errorf("namespace %s has %.2f times the memory that it has under one job", one.Labels["namespace"], got)
		}
	}

	const alert = "NodevitalsDown"
	w.awaitQuiet(t, "nodevitals.agent", alert, "NodevitalsAbsent")
	if err := node.End(w.agent); err != nil {
		t.Fatal(err)
	}
	w.awaitState(t, alert, "firing")
	// Whom it is about is in its labels.
	firing, err := w.server.Query(t.Context(), fmt.Sprintf(`ALERTS{alertname=%q,alertstate="firing",node=%q,severity="warning"}`, alert, cluster.NodeName), 0)
	if err != nil || len(firing) == 0 {
		t.Errorf("no alert of node %s fires: %v, %v", cluster.NodeName, firing, err)
	}
	w.startAgent(t)
	w.awaitState(t, alert, "inactive")
}

// awaitState waits until an alert is so, once it was evaluated.
func (w *watching) awaitState(t *testing.T, alert, state string) {
	t.Helper()
	err := cluster.Await(t.Context(), 4*time.Minute, alert+" to be "+state, func(ctx context.Context) error {
		rules, err := w.server.Rules(ctx)
		if err != nil {
			return err
		}
		at := slices.IndexFunc(rules, func(rule prometheus.Rule) bool { return rule.Name == alert })
		if at < 0 {
			return cluster.Stop(errors.New("there is no such alert"))
		}
		if rules[at].Health != "ok" || rules[at].State != state {
			return fmt.Errorf("it is %s, its health %s %s", rules[at].State, rules[at].Health, rules[at].LastError)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// awaitQuiet waits until no alert of a group is active. Of these the group has at least those that are named.
func (w *watching) awaitQuiet(t *testing.T, group string, alerts ...string) {
	t.Helper()
	err := cluster.Await(t.Context(), 4*time.Minute, "all alerts of group "+group+" to be inactive", func(ctx context.Context) error {
		rules, err := w.server.Rules(ctx)
		if err != nil {
			return err
		}
		var there, active []string
		for _, rule := range rules {
			if rule.Group != group || rule.Type != "alerting" {
				continue
			}
			there = append(there, rule.Name)
			if rule.Health != "ok" || rule.State != "inactive" {
				active = append(active, fmt.Sprintf("%s is %s, its health %s %s", rule.Name, rule.State, rule.Health, rule.LastError))
			}
		}
		for _, name := range alerts {
			if !slices.Contains(there, name) {
				return cluster.Stop(fmt.Errorf("alert %s is not among %v", name, there))
			}
		}
		if len(active) > 0 {
			return errors.New(strings.Join(active, "; "))
		}
		t.Logf("%d alerts of group %s are inactive", len(there), group)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// emptyMixin are the mixin's recordings that may give nothing.
var emptyMixin = map[string]lacking{}

// Rules and queries like those of the kubernetes-mixin give data from nodevitals' series alone: docs/integrations/kubernetes-mixin.md.
func TestMixin(t *testing.T) {
	needCluster(t)
	needOnlyOnce(t)
	rules, recorded := rulesOf(t, "manifests/testdata/mixin.yaml")
	w := startWatching(t, rules)
	w.awaitHealthy(t)
	w.awaitAnswers(t, recorded, emptyMixin)
}
