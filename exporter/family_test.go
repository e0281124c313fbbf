package exporter

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"

	"github.com/nodevitals/nodevitals/snapshot"
)

// kindNames are the types as the TYPE line has them.
var kindNames = map[kind]string{gauge: "gauge", counter: "counter"}

// TestFamiliesAreThoseOfTheKubelet reads what real kubelets had: "name type help", a line a family.
func TestFamiliesAreThoseOfTheKubelet(t *testing.T) {
	for _, test := range []struct {
		list     string
		families []family
	}{
		{"kubelet-1.37.2-cgroup-v1-cadvisor", cadvisorFamilies},
		{"kubelet-1.37.2-cgroup-v2-cadvisor", cadvisorFamilies},
		{"kubelet-1.37.2-cgroup-v1-resource", resourceFamilies},
		{"kubelet-1.37.2-cgroup-v2-resource", resourceFamilies},
	} {
		t.Run(test.list, func(t *testing.T) {
			text, err := os.ReadFile(filepath.Join("testdata", test.list+".families"))
			if err != nil {
				t.Fatal(err)
			}
			for line := range strings.Lines(string(text)) {
				name, rest, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
				kind, help, _ := strings.Cut(rest, " ")
				i := slices.IndexFunc(test.families, func(f family) bool { return f.name == name })
				if i < 0 {
					t.Errorf("no row for %s", name)
					continue
				}
				if f := test.families[i]; kindNames[f.kind] != kind || f.help != help {
					t.Errorf("%s is %s %q, want %s %q", name, kindNames[f.kind], f.help, kind, help)
				}
			}
		})
	}
}

func TestFamilyRows(t *testing.T) {
	// Names of cAdvisor's that have the suffix, or lack it, against the custom.
	odd := []string{"container_memory_failcnt", "container_fs_inodes_total"}

	all := mustSeries(t, SeriesOptions{Extra: []string{"all"}}).families
	for table, families := range map[string][]family{"cadvisor": cadvisorFamilies, "resource": resourceFamilies, "all": all} {
		for i, f := range families {
			if i > 0 && families[i-1].name >= f.name {
				t.Errorf("%s: %s stands after %s, want sorted and once each", table, f.name, families[i-1].name)
			}
			if f.help == "" {
				t.Errorf("%s: %s has no help", table, f.name)
			}
			suffixed := strings.HasSuffix(f.name, "_total")
			if want := (f.kind == counter) != slices.Contains(odd, f.name); suffixed != want {
				t.Errorf("%s: %s of type %s: ends in _total is %v, want %v", table, f.name, kindNames[f.kind], suffixed, want)
			}
			sources := 0
			for _, set := range []bool{f.node != nil, f.pod != nil, f.container != nil, f.cgroup != nil} {
				if set {
					sources++
				}
			}
			if sources > 1 || f.when != nil && sources > 0 && f.cgroup == nil {
				t.Errorf("%s: %s is of several of the node, pods, containers and cgroups at once", table, f.name)
			}
			if sources > 0 {
				continue
			}
			info := snapshot.Fields[f.field]
			if f.groups != info.Group {
				t.Errorf("%s: %s is gated by %s, its field %s by %s", table, f.name, f.groups, info.Name, info.Group)
			}
			if want := info.Kind == snapshot.Counter; (f.kind == counter) != want {
				t.Errorf("%s: %s is a %s, its field %s a counter is %v", table, f.name, kindNames[f.kind], info.Name, want)
			}
			if want := unitSuffix(info.Unit); !strings.Contains(f.name, want) {
				t.Errorf("%s: %s lacks %q, the unit of its field %s", table, f.name, want, info.Name)
			}
		}
	}
}

// unitSuffix is what a name must tell of its value's unit. Bytes have none: half of cAdvisor's names omit it.
func unitSuffix(u snapshot.Unit) string {
	if u == snapshot.Nanoseconds || u == snapshot.Microseconds {
		return "_seconds"
	}
	return ""
}

// TestEveryFieldIsExported sets one field at a time: a field that nobody prints is a row forgotten, or belongs here.
func TestEveryFieldIsExported(t *testing.T) {
	var r Renderer
	render := func(set func(*snapshot.Cgroup)) []byte {
		c := snapshot.Cgroup{Identity: &snapshot.Identity{ID: "/"}, Spec: &snapshot.Spec{CPUQuota: snapshot.Some(1)}}
		set(&c)
		s := &snapshot.Snapshot{Groups: snapshot.All, Cgroups: []snapshot.Cgroup{c}}
		show := mustSeries(t, SeriesOptions{Extra: []string{"all"}})
		return bytes.Clone(r.Cadvisor(s, Options{Groups: snapshot.All, Now: time.Unix(1, 0), Series: show}))
	}
	none := render(func(*snapshot.Cgroup) {})
	for f := range snapshot.FieldCount {
		name := snapshot.Fields[f].Name
		// Averages and rates are the Summary API's.
		want := !strings.Contains(name, "_avg") && f != snapshot.CPUNanoCores
		got := !bytes.Equal(none, render(func(c *snapshot.Cgroup) { c.Set(f, 12345) }))
		if got != want {
			t.Errorf("field %s is shown: %v, want %v", name, got, want)
		}
	}
}

// TestCollectLeavesOutFamilies renders with each group alone, wanted of all or held alone.
func TestCollectLeavesOutFamilies(t *testing.T) {
	var r Renderer
	for seed := range uint64(50) {
		s := randomSnapshot(seed)
		all := parse(t, r.Cadvisor(s, Options{Groups: snapshot.All}), Text)
		snapshot.All.Each(func(i int, name string) {
			group := snapshot.Groups(1 << i)
			got := parse(t, r.Cadvisor(s, Options{Groups: group}), Text)
			for key, sample := range got.samples {
				f := familyOf(t, sample.name)
				if f.groups != 0 && f.groups&group&s.Groups == 0 {
					t.Errorf("seed %d: collect[]=%s shows %s", seed, name, key)
				}
			}
			for key, sample := range all.samples {
				// A device's figure may come from either group of its family.
				if f := familyOf(t, sample.name); f.groups != 0 && f.groups != group {
					continue
				}
				if got.samples[key].value != sample.value {
					t.Errorf("seed %d: collect[]=%s lacks %s", seed, name, key)
				}
			}
		})
	}
}

func familyOf(t *testing.T, name string) family {
	t.Helper()
	i := slices.IndexFunc(cadvisorFamilies, func(f family) bool { return f.name == name })
	if i < 0 {
		t.Fatalf("no row for %s", name)
	}
	return cadvisorFamilies[i]
}

// TestLint allows what cAdvisor's names bring with them, and nothing else.
func TestLint(t *testing.T) {
	inherited := []string{
		`cadvisor_version_info: label names should be written in 'snake_case' not 'camelCase'`,
		`container_memory_failcnt: counter metrics should have "_total" suffix`,
		`container_fs_inodes_total: non-counter metrics should not have "_total" suffix`,
		`machine_dimm_count: non-histogram and non-summary metrics should not have "_count" suffix`,
	}
	var r Renderer
	s := smallSnapshot()
	for name, text := range map[string][]byte{
		"cadvisor": bytes.Clone(r.Cadvisor(s, Options{Groups: snapshot.All})),
		"resource": bytes.Clone(r.Resource(s, Options{Groups: snapshot.All})),
		"all":      bytes.Clone(r.Cadvisor(extraSnapshot(), Options{Groups: snapshot.All, Series: mustSeries(t, SeriesOptions{Extra: []string{"all"}})})),
	} {
		problems, err := promlint.New(bytes.NewReader(text)).Lint()
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		for _, p := range problems {
			if problem := p.Metric + ": " + p.Text; !slices.Contains(inherited, problem) {
				t.Errorf("%s: %s", name, problem)
			}
		}
	}
}
