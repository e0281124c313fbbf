package exporter

import (
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/nodevitals/nodevitals/snapshot"
)

// resourceLines renders smallSnapshot after a change, without its node's rows.
func resourceLines(change func(*snapshot.Snapshot)) string {
	s := smallSnapshot()
	change(s)
	var r Renderer
	var b strings.Builder
	for _, line := range sampleLines(r.Resource(s, Options{Groups: snapshot.All})) {
		if strings.HasPrefix(line, "container_") || strings.HasPrefix(line, "pod_") {
			b.WriteString(line)
		}
	}
	return b.String()
}

// A kubelet prints the start as a float: the same one must come back from our decimal.
func TestStartIsExact(t *testing.T) {
	for _, test := range []struct {
		nanoseconds int64
		want        string
	}{
		{1795487904873314102, "1795487904.8733141"},
		{1795487911245753800, "1795487911.2457538"},
		{1795487904000000000, "1795487904"},
		{1000000000, "1"},
	} {
		got := resourceLines(func(s *snapshot.Snapshot) { s.Pods[0].Containers[0].Started = time.Unix(0, test.nanoseconds) })
		want := `container_start_time_seconds{container="app",namespace="default",pod="web"} ` + test.want + "\n"
		if !strings.Contains(got, want) {
			t.Errorf("want %s in:\n%s", want, got)
		}
	}
	for name, at := range map[string]time.Time{"unknown": {}, "1970": time.Unix(0, 999)} {
		if got := resourceLines(func(s *snapshot.Snapshot) { s.Pods[0].Containers[0].Started = at }); strings.Contains(got, "start_time") {
			t.Errorf("%s: got a start in:\n%s", name, got)
		}
	}
}

// metrics-server gives up a whole pod for one container without CPU time or memory.
func TestContainerWithoutSampleIsLeftOut(t *testing.T) {
	for name, change := range map[string]func(*snapshot.Container){
		"no cgroup": func(c *snapshot.Container) { c.Cgroup = nil },
		"no CPU":    func(c *snapshot.Container) { c.Cgroup.Clear(snapshot.CPUUsage) },
		"no memory": func(c *snapshot.Container) { c.Cgroup.Clear(snapshot.MemoryWorkingSet) },
	} {
		got := resourceLines(func(s *snapshot.Snapshot) { change(&s.Pods[0].Containers[0]) })
		if strings.Contains(got, "container_") || !strings.Contains(got, "pod_cpu_usage_seconds_total") {
			t.Errorf("%s: want the pod alone, got:\n%s", name, got)
		}
	}
}

func TestSwapLimit(t *testing.T) {
	for _, test := range []struct {
		name        string
		limit, used snapshot.Optional
		want        string
	}{
		{"limit", snapshot.Some(100), snapshot.Some(30), "100"},
		{"none allowed", snapshot.Some(0), snapshot.Some(0), "0"},
		{"used above the limit", snapshot.Some(100), snapshot.Some(130), "130"},
		{"just a limit", snapshot.Some(1 << 62), snapshot.Some(1), "4611686018427387904"},
		{"no limit", snapshot.Some(snapshot.Unlimited), snapshot.Some(30), ""},
		{"limit unknown", snapshot.Optional{}, snapshot.Some(30), ""},
		{"use unknown", snapshot.Some(100), snapshot.Optional{}, ""},
	} {
		got := resourceLines(func(s *snapshot.Snapshot) {
			c := s.Pods[0].Containers[0].Cgroup
			c.Spec.SwapLimit = test.limit
			c.Clear(snapshot.MemorySwap)
			if test.used.Present {
				c.Set(snapshot.MemorySwap, test.used.Value)
			}
		})
		_, value, found := strings.Cut(got, `container_swap_limit_bytes{container="app",namespace="default",pod="web"} `)
		value, _, _ = strings.Cut(value, " ")
		if found != (test.want != "") || value != test.want {
			t.Errorf("%s: got %q, want %q", test.name, value, test.want)
		}
	}
	if got := resourceLines(func(s *snapshot.Snapshot) { s.Pods[0].Containers[0].Cgroup.Spec = nil }); strings.Contains(got, "swap_limit") {
		t.Errorf("limits not read: got one in:\n%s", got)
	}
}

// A static pod that is being replaced is there twice under one name, and so is one of a StatefulSet on its node.
func TestOfPodsOfOneNameTheLastIsShown(t *testing.T) {
	old, young := time.Unix(1795480000, 0), time.Unix(1795480001, 0)
	for _, test := range []struct {
		name   string
		starts []time.Time
		want   int
	}{
		{"the second", []time.Time{old, young}, 1},
		{"the first", []time.Time{young, old}, 0},
		{"one of three", []time.Time{old, young, old}, 1},
		{"at once", []time.Time{old, old}, 1},
		{"start unknown", []time.Time{{}, {}}, 1},
		{"one start unknown", []time.Time{old, {}}, 0},
	} {
		s := &snapshot.Snapshot{Groups: snapshot.All, Cgroups: make([]snapshot.Cgroup, 1+len(test.starts))}
		s.Cgroups[0].Identity = &snapshot.Identity{ID: "/"}
		for i, at := range test.starts {
			c := &s.Cgroups[i+1]
			c.Identity = &snapshot.Identity{ID: fmt.Sprint("/", i)}
			c.Set(snapshot.CPUUsage, uint64(i+1)*1e9)
			c.Set(snapshot.MemoryWorkingSet, 1)
			s.Pods = append(s.Pods, snapshot.Pod{
				Name: "web", Namespace: "default", UID: fmt.Sprint(i), Started: at, Cgroup: c,
				Containers: []snapshot.Container{{Name: "app", Cgroup: c}},
			})
		}
		var r Renderer
		got := parse(t, r.Resource(s, Options{Groups: snapshot.All}), Text)
		for _, key := range []string{
			`pod_cpu_usage_seconds_total namespace="default" pod="web"`,
			`container_cpu_usage_seconds_total container="app" namespace="default" pod="web"`,
		} {
			if value := got.samples[key].value; value != float64(test.want+1) {
				t.Errorf("%s: %s is that of %v, want of %d", test.name, key, value-1, test.want)
			}
		}
	}
}

func TestResourceAsksForLimitsWithMemory(t *testing.T) {
	for _, test := range []struct {
		query        string
		on, want     snapshot.Groups
		has, lacking string
	}{
		{"", snapshot.All, snapshot.CPUUse | snapshot.MemoryUse | snapshot.Limits, "container_swap_limit_bytes", "container_spec"},
		{"?collect[]=memory", snapshot.All, snapshot.MemoryUse | snapshot.Limits, "container_swap_limit_bytes", "cpu"},
		{"?collect[]=cpu", snapshot.All, snapshot.CPUUse, "container_start_time_seconds", "memory"},
		{"?collect[]=io", snapshot.All, 0, "resource_scrape_error", "container_"},
		{"", snapshot.All &^ snapshot.Limits, snapshot.CPUUse | snapshot.MemoryUse, "container_swap_usage_bytes", "container_spec"},
	} {
		src := &source{s: smallSnapshot()}
		w := httptest.NewRecorder()
		NewResourceHandler(src, HandlerOptions{Groups: test.on}).ServeHTTP(w, httptest.NewRequest("GET", "/x"+test.query, nil))
		if body := w.Body.String(); src.wanted != test.want || !strings.Contains(body, test.has) || strings.Contains(body, test.lacking) {
			t.Errorf("%q: asked for %s, want %s, with %q and without %q:\n%s", test.query, src.wanted, test.want, test.has, test.lacking, body)
		}
	}
}
