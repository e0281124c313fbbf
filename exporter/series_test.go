package exporter

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/nodevitals/nodevitals/snapshot"
)

func names(families []family) []string {
	all := make([]string, len(families))
	for i := range families {
		all[i] = families[i].name
	}
	return all
}

func TestFamiliesOfAChoice(t *testing.T) {
	full := names(cadvisorFamilies)
	extra := func(words ...string) []string {
		all := slices.Clone(full)
		for _, set := range ExtraSets {
			if slices.Contains(words, set.Word) || slices.Contains(words, "all") {
				all = append(all, names(set.families)...)
			}
		}
		slices.Sort(all)
		return all
	}
	matching := func(all []string, test func(string) bool) []string {
		return slices.DeleteFunc(slices.Clone(all), func(name string) bool { return !test(name) })
	}
	for _, test := range []struct {
		name string
		o    SeriesOptions
		want []string
	}{
		{"default", SeriesOptions{}, full},
		{"a set", SeriesOptions{Extra: []string{"oom"}}, extra("oom")},
		{"two sets", SeriesOptions{Extra: []string{"memory", "volumes", "memory"}}, extra("memory", "volumes")},
		{"all sets", SeriesOptions{Extra: []string{"all"}}, extra("all")},
		{
			"a set beside a profile",
			SeriesOptions{Profile: "minimal", Extra: []string{"oom"}, Allow: []string{"*oom*"}},
			[]string{"container_oom_events_total", "pod_oom_kills_total"},
		},
		{"one allowed", SeriesOptions{Allow: []string{"container_memory_rss"}}, []string{"container_memory_rss"}},
		{
			"a pattern allowed",
			SeriesOptions{Allow: []string{"container_memory_*"}},
			matching(full, func(name string) bool { return strings.HasPrefix(name, "container_memory_") }),
		},
		{
			"one denied",
			SeriesOptions{Deny: []string{"container_memory_rss"}},
			matching(full, func(name string) bool { return name != "container_memory_rss" }),
		},
		{"allowed and denied", SeriesOptions{Allow: []string{"container_network_*"}, Deny: []string{"*_total", "container_memory_rss"}}, nil},
		{
			"patterns at both",
			SeriesOptions{Allow: []string{"container_network_*"}, Deny: []string{"*_errors_total", "*packets*"}},
			[]string{"container_network_receive_bytes_total", "container_network_transmit_bytes_total"},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := NewSeries(test.o)
			if test.want == nil {
				if want := (*OptionError)(nil); !errors.As(err, &want) || want.Option != OptionDeny {
					t.Fatalf("nothing left: got %v, want an error about %s", err, OptionDeny)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, names(got.families)); diff != "" {
				t.Errorf("families (-want +got):\n%s", diff)
			}
		})
	}
}

func TestMistakesInAChoice(t *testing.T) {
	for _, test := range []struct {
		name, option string
		o            SeriesOptions
		want         []string
	}{
		{"profile", OptionProfile, SeriesOptions{Profile: "small"}, []string{"small", "full, kubernetes or minimal"}},
		{"set", OptionExtra, SeriesOptions{Extra: []string{"oom", "disk"}}, []string{"disk", "all, ephemeral-storage, volumes, memory, oom or resources"}},
		{"typo", OptionDeny, SeriesOptions{Deny: []string{"container_memory_rs"}}, []string{"container_memory_rs", "such as container_memory_rss"}},
		{"typo in the allowed", OptionAllow, SeriesOptions{Allow: []string{"container_cpu_seconds_total"}}, []string{"container_cpu_usage_seconds_total", "container_cpu_user_seconds_total"}},
		{"another endpoint's", OptionDeny, SeriesOptions{Deny: []string{"pod_swap_usage_bytes"}}, []string{"pod_swap_usage_bytes", "/metrics/cadvisor"}},
		{"no match", OptionDeny, SeriesOptions{Deny: []string{"kube_*"}}, []string{"kube_*", "pattern that matches"}},
		{"bad pattern", OptionDeny, SeriesOptions{Deny: []string{"container_[a"}}, []string{"container_[a", "pattern"}},
		{"empty", OptionAllow, SeriesOptions{Allow: []string{""}}, []string{`""`, "such as"}},
		{"of a set that is off", OptionAllow, SeriesOptions{Allow: []string{"pod_oom_kills_total"}}, []string{"pod_oom_kills_total", "set oom"}},
		{"outside of the profile", OptionAllow, SeriesOptions{Profile: "minimal", Allow: []string{"container_sockets"}}, []string{"container_sockets", "profile"}},
		{"label", OptionLabels, SeriesOptions{Labels: []string{"pod=drop"}}, []string{"pod=drop", "id, name or image"}},
		{"action", OptionLabels, SeriesOptions{Labels: []string{"id=hash"}}, []string{"id=hash", "keep", "drop"}},
		{"no action", OptionLabels, SeriesOptions{Labels: []string{"id"}}, []string{`"id"`, "keep"}},
		{"both", OptionLabels, SeriesOptions{Labels: []string{"id=drop", "id=keep"}}, []string{"id=keep", "not both"}},
		{"slices", OptionSlices, SeriesOptions{Slices: "some"}, []string{"some", "all, top or none"}},
		{"limit", OptionMaxSeries, SeriesOptions{MaxSeries: -1}, []string{"-1", "no limit"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := NewSeries(test.o)
			mistake := (*OptionError)(nil)
			if !errors.As(err, &mistake) || mistake.Option != test.option {
				t.Fatalf("got %v, want an error about %s", err, test.option)
			}
			for _, want := range test.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%q lacks %q", err, want)
				}
			}
		})
	}
}

// Rows of a profile are families that there are, once each, with a reader, and with groups that they have.
func TestProfiles(t *testing.T) {
	for i := range profiles {
		seen := make(map[string]bool)
		for _, row := range profiles[i].rows {
			f := familyOf(t, row.name)
			if seen[row.name] || row.reader == "" || row.groups&^f.groups != 0 {
				t.Errorf("%s: %+v is there twice, has no reader, or groups that the family has not", profiles[i].word, row)
			}
			seen[row.name] = true
		}
	}
}

// What a profile leaves out is neither asked of the source nor shown, be it there by chance for somebody else.
func TestProfilesReadWhatTheyShow(t *testing.T) {
	for _, test := range []struct {
		profile, query string
		want           snapshot.Groups
		families       int
	}{
		{"full", "", snapshot.All &^ snapshot.Everywhere &^ snapshot.Volumes, 0},
		{"kubernetes", "", snapshot.CPU | snapshot.Memory | snapshot.Network | snapshot.IO | snapshot.Limits, len(kubernetesRows)},
		{"minimal", "", snapshot.CPU | snapshot.Memory | snapshot.Network | snapshot.Filesystems | snapshot.Layers | snapshot.Limits, len(minimalRows)},
		{"kubernetes", "?collect[]=memory", snapshot.Memory, 5},
		{"kubernetes", "?exclude[]=cpu", snapshot.Memory | snapshot.Network | snapshot.IO, len(kubernetesRows) - 3},
	} {
		t.Run(test.profile+test.query, func(t *testing.T) {
			src := &source{s: recordedNode(t, "v2")}
			h := NewCadvisorHandler(src, HandlerOptions{Groups: snapshot.All, Now: fixedNow, Series: mustSeries(t, SeriesOptions{Profile: test.profile})})
			w := get(h, "/metrics/cadvisor"+test.query, "")
			if w.Code != 200 || src.wanted != test.want {
				t.Errorf("status %d, the source was asked for %#x (%s), want 200 and %#x (%s)", w.Code, src.wanted, src.wanted, test.want, test.want)
			}
			got := parse(t, w.Body.Bytes(), Text)
			if test.families != 0 && len(got.kinds) != test.families {
				t.Errorf("%d families, want %d: %v", len(got.kinds), test.families, got.kinds)
			}
			for _, sample := range got.samples {
				if test.profile == "kubernetes" && strings.HasPrefix(sample.name, "container_fs_") && sample.labels["id"] == "/" {
					t.Errorf("has %s of /proc/diskstats, which nobody reads", sample.key())
				}
			}
		})
	}
}

func TestRenderAllocatesNothingPerCgroupWhateverIsChosen(t *testing.T) {
	for name, o := range map[string]SeriesOptions{
		"everything":    {Extra: []string{"all"}},
		"kubernetes":    {Profile: "kubernetes"},
		"without ids":   {Labels: []string{"id=drop", "name=drop", "image=drop"}, Slices: "none"},
		"within limits": {MaxSeries: 100},
	} {
		show := mustSeries(t, o)
		for _, s := range []*snapshot.Snapshot{nodeOf(10), nodeOf(1000)} {
			var r Renderer
			options := Options{Groups: snapshot.All, Now: time.Unix(1, 0), Series: show}
			if got := testing.AllocsPerRun(3, func() { r.Cadvisor(s, options) }); got != 0 {
				t.Errorf("%s, %d cgroups: %v allocations a render into used buffers, want 0", name, len(s.Cgroups), got)
			}
		}
	}
}
