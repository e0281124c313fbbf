package main

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/nodevitals/nodevitals/exporter"
	"github.com/nodevitals/nodevitals/snapshot"
)

// family is what queries may ask for.
type family struct {
	labels labelSet
	// needs is a word of what has to be set for it, and has to stand with whatever uses it; empty for what is there by default.
	needs string
}

// labelSet is a set of names of labels.
type labelSet map[string]bool

func setOf(names ...string) labelSet {
	set := labelSet{}
	for _, name := range names {
		set[name] = true
	}
	return set
}

func (l labelSet) with(other labelSet) labelSet {
	set := maps.Clone(l)
	maps.Copy(set, other)
	return set
}

func (l labelSet) names() []string { return slices.Sorted(maps.Keys(l)) }

// ofTarget are the labels that a scrape adds: job and instance always, the others as manifests and docs/integrations/prometheus.yml have it.
var ofTarget = setOf("job", "instance", "node", "metrics_path")

// ofPrometheus are series that Prometheus makes of each target.
var ofPrometheus = []string{"up", "scrape_duration_seconds"}

// catalogue is every family that nodevitals can serve, as its own tables have them: with the labels of the samples that its tests hold for
// text of /metrics/cadvisor, and with those that the collectors of /metrics describe.
func catalogue(t *testing.T) map[string]*family {
	t.Helper()
	families := map[string]*family{}
	readFamilies(t, families, "cadvisor.txt", func(string) string { return "" })
	readFamilies(t, families, "cadvisor-extra.txt", func(name string) string {
		for _, set := range exporter.ExtraSets {
			// A family that is not in the choice is an error.
			if _, err := exporter.NewSeries(exporter.SeriesOptions{Extra: []string{set.Word}, Allow: []string{name}}); err == nil {
				return "--extra-series=" + set.Word
			}
		}
		t.Errorf("%s is of no additional set", name)
		return ""
	})
	series, err := exporter.NewSeries(exporter.SeriesOptions{})
	if err != nil {
		t.Fatal(err)
	}
	status := func() exporter.SelfStatus { return exporter.SelfStatus{} }
	for _, described := range []struct {
		collector prometheus.Collector
		needs     string
	}{
		{exporter.NewSelfRegistry(exporter.Build{}, status), ""},
		{series, ""},
		{exporter.NewKubeletCollector(nil, exporter.KubeletOptions{Groups: snapshot.All, CgroupVersion: 2}), "--kubelet-series"},
	} {
		describe(t, families, described.collector, described.needs)
	}
	for _, name := range ofPrometheus {
		families[name] = &family{labels: ofTarget}
	}
	return families
}

var sampleLine = regexp.MustCompile(`^([a-z_][a-z0-9_]*)(?:\{(.*)\})? [^ ]+`)

// readFamilies takes names and labels from samples in text format.
func readFamilies(t *testing.T, families map[string]*family, file string, needs func(string) string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("../../exporter/testdata", file))
	if err != nil {
		t.Fatal(err)
	}
	before := len(families)
	for line := range strings.Lines(string(text)) {
		match := sampleLine.FindStringSubmatch(line)
		if match == nil {
			continue
		}
		one := families[match[1]]
		if one == nil {
			one = &family{labels: ofTarget, needs: needs(match[1])}
			families[match[1]] = one
		}
		for _, pair := range regexp.MustCompile(`([a-zA-Z_]\w*)="`).FindAllStringSubmatch(match[2], -1) {
			one.labels = one.labels.with(setOf(pair[1]))
		}
	}
	if len(families) < before+10 {
		t.Fatalf("%s has %d families only", file, len(families)-before)
	}
}

// describedFamily takes a description apart: client_golang shows it by its String alone.
var describedFamily = regexp.MustCompile(`fqName: "([^"]+)".*constLabels: \{([^}]*)\}, variableLabels: \{([^}]*)\}`)

func describe(t *testing.T, families map[string]*family, collector prometheus.Collector, needs string) {
	t.Helper()
	descs := make(chan *prometheus.Desc)
	go func() {
		collector.Describe(descs)
		close(descs)
	}()
	count := 0
	for desc := range descs {
		match := describedFamily.FindStringSubmatch(desc.String())
		if match == nil {
			t.Errorf("a description that is not understood: %s", desc)
			continue
		}
		one := &family{labels: ofTarget, needs: needs}
		for pair := range strings.SplitSeq(match[2], ",") {
			if name, _, ok := strings.Cut(pair, "="); ok {
				one.labels = one.labels.with(setOf(name))
			}
		}
		for name := range strings.SplitSeq(match[3], ",") {
			if name != "" {
				one.labels = one.labels.with(setOf(name))
			}
		}
		families[match[1]] = one
		count++
	}
	if count == 0 {
		t.Errorf("%T describes nothing", collector)
	}
}

// What the tests lean on is there, with labels.
func TestCatalogue(t *testing.T) {
	families := catalogue(t)
	for name, want := range map[string]string{
		"container_fs_usage_bytes":                  "device",
		"container_memory_failures_total":           "failure_type",
		"nodevitals_group_age_seconds":              "group",
		"nodevitals_build_info":                     "version",
		"nodevitals_cadvisor_series_left_out_total": "job",
		"kubelet_volume_stats_used_bytes":           "persistentvolumeclaim",
		"pod_oom_kills_total":                       "pod",
		"process_resident_memory_bytes":             "instance",
	} {
		if families[name] == nil || !families[name].labels[want] {
			t.Errorf("%s: got %+v, want a family with label %s", name, families[name], want)
		}
	}
	if got := fmt.Sprint(families["kube_pod_info"]); got != "<nil>" {
		t.Errorf("kube_pod_info is a family of ours: %s", got)
	}
}
