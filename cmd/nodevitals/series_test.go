package main

import (
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/nodevitals/nodevitals/exporter"
)

func TestSeriesFlagsAreInTheHelp(t *testing.T) {
	got := command(t, "--help")
	_, group, found := strings.Cut(got.stdout, "Series of /metrics/cadvisor:")
	if !found {
		t.Fatalf("help has no group of series:\n%s", got.stdout)
	}
	group = strings.Join(strings.Fields(group), " ")
	for _, flag := range seriesFlagNames {
		if !strings.Contains(group, flag+" ") {
			t.Errorf("help lacks %s", flag)
		}
	}
	for _, set := range exporter.ExtraSets {
		if !strings.Contains(group, set.Word) {
			t.Errorf("help lacks the set %s", set.Word)
		}
	}
	if !strings.Contains(group, "--container-filesystems") {
		t.Error("help lacks --container-filesystems")
	}
}

// Each part of a choice has its flag, so that an error can name it.
func TestEachPartOfAChoiceHasAFlag(t *testing.T) {
	for part := range reflect.TypeFor[exporter.SeriesOptions]().Fields() {
		if seriesFlagNames[part.Name] == "" {
			t.Errorf("no flag sets %s", part.Name)
		}
	}
}

func TestMistakesInSeriesFlags(t *testing.T) {
	for _, test := range []struct {
		arg  string
		want []string
	}{
		{"--profile=small", []string{"--profile", `"small"`, "full, kubernetes or minimal"}},
		{"--extra-series=oom,disk", []string{"--extra-series", `"disk"`, "ephemeral-storage"}},
		{"--allow-families=container_memory_rs", []string{"--allow-families", "container_memory_rss"}},
		{"--deny-families=kube_*", []string{"--deny-families", "kube_*"}},
		{"--label-policy=pod=drop", []string{"--label-policy", "pod=drop"}},
		{"--slices=some", []string{"--slices", "all, top or none"}},
		{"--max-series=-1", []string{"--max-series", "-1"}},
	} {
		t.Run(test.arg, func(t *testing.T) {
			got := command(t, test.arg)
			if got.status != exitUsage || strings.Count(got.stderr, "\n") != 1 {
				t.Errorf("status %d, stderr %q, want %d and one line", got.status, got.stderr, exitUsage)
			}
			for _, want := range test.want {
				if !strings.Contains(got.stderr, want) {
					t.Errorf("stderr lacks %q: %s", want, got.stderr)
				}
			}
		})
	}
}

// The flags reach the running agent's answers.
func TestSeriesFlagsChooseTheAnswer(t *testing.T) {
	a := startAgent(t, 0, "--profile=minimal", "--extra-series=memory", "--slices=none", "--deny-families=container_oom_*,*_slab_*", "--max-series=4")
	_, text := get(t, a.readOnly+"/metrics/cadvisor", nil)
	var families []string
	for line := range strings.Lines(text) {
		if name, ok := strings.CutPrefix(line, "# TYPE "); ok {
			families = append(families, strings.Fields(name)[0])
		}
	}
	if !slices.Contains(families, "container_scrape_error") || len(families) > 4 || slices.Contains(families, "container_oom_events_total") {
		t.Errorf("families %v, want the few that fit", families)
	}
	if _, own := get(t, a.readOnly+"/metrics", nil); !strings.Contains(own, "nodevitals_cadvisor_series_left_out_total ") || strings.Contains(own, "nodevitals_cadvisor_series_left_out_total 0\n") {
		t.Error("/metrics does not count what was left out")
	}
}
