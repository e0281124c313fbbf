package exporter

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/nodevitals/nodevitals/snapshot"
)

// resourceTruth says, from the record alone and with a kubelet's arithmetic in floats, what /metrics/resource should show.
type resourceTruth struct {
	s       *snapshot.Snapshot
	groups  snapshot.Groups
	samples map[string]float64
}

func resourceOf(s *snapshot.Snapshot) map[string]float64 {
	r := resourceTruth{s, s.Groups, map[string]float64{"resource_scrape_error": 0}}
	r.of("node", &s.Cgroups[0], nil)
	latest := map[string]*snapshot.Pod{}
	for i := range s.Pods {
		pod := &s.Pods[i]
		if before := latest[pod.Name]; before == nil || !before.Started.After(pod.Started) {
			latest[pod.Name] = pod
		}
	}
	for _, pod := range latest {
		labels := map[string]string{"namespace": pod.Namespace, "pod": pod.Name}
		if pod.Cgroup != nil {
			r.of("pod", pod.Cgroup, labels)
		} else {
			r.of("pod", sumOfContainers(pod), labels)
		}
		for _, container := range pod.Containers {
			r.container(container, map[string]string{"container": container.Name, "namespace": pod.Namespace, "pod": pod.Name})
		}
	}
	return r.samples
}

func (r *resourceTruth) set(name string, labels map[string]string, value float64) {
	valid := map[string]string{}
	for key, text := range labels {
		valid[key] = strings.ToValidUTF8(text, "\uFFFD")
	}
	r.samples[sampleRead{name: name, labels: valid}.key()] = value
}

// of sets what a node, a pod and a container have in common.
func (r *resourceTruth) of(level string, c *snapshot.Cgroup, labels map[string]string) {
	if n, ok := c.Get(snapshot.CPUUsage); ok && r.groups.Has(snapshot.CPU) {
		r.set(level+"_cpu_usage_seconds_total", labels, float64(n)/1e9)
	}
	if !r.groups.Has(snapshot.Memory) {
		return
	}
	if n, ok := c.Get(snapshot.MemoryWorkingSet); ok {
		r.set(level+"_memory_working_set_bytes", labels, float64(n))
	}
	if n, ok := c.Get(snapshot.MemorySwap); ok {
		r.set(level+"_swap_usage_bytes", labels, float64(n))
	}
}

// sumOfContainers has only what all containers have.
func sumOfContainers(pod *snapshot.Pod) *snapshot.Cgroup {
	sum := &snapshot.Cgroup{}
	for _, f := range []snapshot.Field{snapshot.CPUUsage, snapshot.MemoryWorkingSet, snapshot.MemorySwap} {
		have, total := 0, uint64(0)
		for _, container := range pod.Containers {
			if container.Cgroup == nil {
				continue
			}
			if n, ok := container.Cgroup.Get(f); ok {
				have++
				total += n
			}
		}
		if have > 0 && have == len(pod.Containers) {
			sum.Set(f, total)
		}
	}
	return sum
}

func (r *resourceTruth) container(container snapshot.Container, labels map[string]string) {
	c := container.Cgroup
	if c == nil || r.groups&(snapshot.CPU|snapshot.Memory) == 0 {
		return
	}
	if _, ok := c.Get(snapshot.CPUUsage); !ok && r.groups.Has(snapshot.CPU) {
		return
	}
	if _, ok := c.Get(snapshot.MemoryWorkingSet); !ok && r.groups.Has(snapshot.Memory) {
		return
	}
	r.of("container", c, labels)
	if !container.Started.IsZero() {
		r.set("container_start_time_seconds", labels, float64(container.Started.UnixNano())/1e9)
	}
	used, ok := c.Get(snapshot.MemorySwap)
	if ok && r.groups.Has(snapshot.Memory) && c.Spec != nil && c.Spec.SwapLimit.Present && c.Spec.SwapLimit.Value <= 1<<62 {
		limit := c.Spec.SwapLimit.Value
		available := uint64(0)
		if limit > used {
			available = limit - used
		}
		r.set("container_swap_limit_bytes", labels, float64(available+used))
	}
}

// TestResourceShowsTheRecord compares every sample of random nodes with the record, both ways, value to the last bit.
func TestResourceShowsTheRecord(t *testing.T) {
	var r Renderer
	compared, doubled := 0, 0
	for seed := range uint64(snapshots) {
		s := randomSnapshot(seed)
		got := parse(t, r.Resource(s, Options{Groups: snapshot.All}), Text)
		values := map[string]float64{}
		for key, sample := range got.samples {
			values[key] = sample.value
			stampless := sample.name == "container_start_time_seconds" || sample.name == "resource_scrape_error"
			group := snapshot.Memory
			if strings.Contains(sample.name, "_cpu_") {
				group = snapshot.CPU
			}
			if sample.stamped == stampless || sample.stamped && sample.stamp != s.Time(group).UnixMilli() {
				t.Errorf("seed %d: %s has timestamp %v %d, want that of %s", seed, key, sample.stamped, sample.stamp, group)
			}
		}
		if diff := cmp.Diff(resourceOf(s), values); diff != "" {
			t.Fatalf("seed %d: samples (-record +printed):\n%s", seed, diff)
		}
		compared += len(values)
		for i := range s.Pods {
			if !isLatest(s.Pods, i) {
				doubled++
			}
		}
	}
	t.Logf("compared %d samples", compared)
	if compared < 5*snapshots || doubled == 0 {
		t.Errorf("compared %d samples of %d snapshots, %d pods of a name taken twice: the generator makes too little", compared, snapshots, doubled)
	}
}

func TestResourceOpenMetricsHasTheSameSamples(t *testing.T) {
	var r Renderer
	for seed := range uint64(3) {
		s := randomSnapshot(seed)
		want := parse(t, r.Resource(s, Options{Groups: snapshot.All}), Text)
		got := parse(t, r.Resource(s, Options{Groups: snapshot.All, Format: OpenMetrics}), OpenMetrics)
		if diff := cmp.Diff(want.samples, got.samples, cmp.AllowUnexported(sampleRead{})); diff != "" {
			t.Errorf("seed %d: samples (-text +OpenMetrics):\n%s", seed, diff)
		}
	}
}
