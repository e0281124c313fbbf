package exporter

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/nodevitals/nodevitals/snapshot"
	"github.com/nodevitals/nodevitals/summary"
)

// extraSnapshot is the small node with what additional families show.
func extraSnapshot() *snapshot.Snapshot {
	s := smallSnapshot()
	at := s.Readings[0].Time
	pod := &s.Pods[0]
	pod.OOMKills, pod.EphemeralStorageLimit = snapshot.Some(3), snapshot.Some(2<<30)
	pod.Logs = snapshot.Usage{Time: at, Bytes: snapshot.Some(4096), Inodes: snapshot.Some(1)}
	pod.EtcHosts = snapshot.Usage{Time: at, Bytes: snapshot.Some(4096), Inodes: snapshot.Some(1)}
	pod.Containers[0].Logs = snapshot.Usage{Time: at, Bytes: snapshot.Some(8192), Inodes: snapshot.Some(2)}
	pod.Containers[0].EphemeralStorageLimit = snapshot.Some(1 << 30)
	volume := snapshot.Volume{
		Time: at, Capacity: snapshot.Some(100 << 30), Available: snapshot.Some(35 << 30), Used: snapshot.Some(1 << 20),
		Inodes: snapshot.Some(1000), InodesFree: snapshot.Some(900), InodesUsed: snapshot.Some(5),
	}
	cache, memory, claim := volume, volume, volume
	cache.Name, cache.Ephemeral, cache.SizeLimit = "cache", true, snapshot.Some(64<<20)
	memory.Name = "memory"
	claim.Name, claim.Claim, claim.ClaimNamespace = "data", "data-web-0", "default"
	pod.Volumes = []snapshot.Volume{cache, claim, memory}
	return s
}

func onlySets(t *testing.T, words ...string) *Series {
	t.Helper()
	o := SeriesOptions{Extra: words}
	for _, set := range ExtraSets {
		for _, word := range words {
			if word == set.Word || word == allSets {
				o.Allow = append(o.Allow, names(set.families)...)
			}
		}
	}
	return mustSeries(t, o)
}

func TestExtraSetsGolden(t *testing.T) {
	var r Renderer
	for file, format := range map[string]Format{"cadvisor-extra.txt": Text, "cadvisor-extra.openmetrics": OpenMetrics} {
		got := r.Cadvisor(extraSnapshot(), Options{Groups: snapshot.All, Format: format, Timestamps: true, Now: fixedNow(), Series: onlySets(t, "all")})
		path := filepath.Join("testdata", file)
		if *update {
			if err := os.WriteFile(path, got, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), string(got)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", path, diff)
		}
		parse(t, got, format)
	}
}

// Each set is read with its own groups alone.
func TestExtraSetsReadWhatTheyShow(t *testing.T) {
	for word, want := range map[string]snapshot.Groups{
		"ephemeral-storage": snapshot.Layers | snapshot.Volumes, "volumes": snapshot.Volumes, "memory": snapshot.Memory, "oom": snapshot.Memory,
		"resources": snapshot.Limits,
	} {
		src := &source{s: extraSnapshot()}
		get(NewCadvisorHandler(src, HandlerOptions{Groups: snapshot.All, Series: onlySets(t, word)}), "/metrics/cadvisor", "")
		if src.wanted != want {
			t.Errorf("%s: the source was asked for %s, want %s", word, src.wanted, want)
		}
	}
}

// cgroupWith returns what one family shows of a cgroup with a spec and fields; "" if there is no row.
func cgroupWith(t *testing.T, name string, kind snapshot.CgroupKind, spec snapshot.Spec, fields map[snapshot.Field]uint64) string {
	t.Helper()
	c := snapshot.Cgroup{Identity: &snapshot.Identity{ID: "/kubepods/pod1/c1", Kind: kind}, Spec: &spec}
	for f, n := range fields {
		c.Set(f, n)
	}
	var r Renderer
	show := mustSeries(t, SeriesOptions{Extra: []string{"all"}, Allow: []string{name}})
	got := parse(t, r.Cadvisor(&snapshot.Snapshot{Groups: snapshot.All, Cgroups: []snapshot.Cgroup{c}}, Options{Groups: snapshot.All, Series: show}), Text)
	for _, sample := range got.samples {
		return fmt.Sprint(sample.value)
	}
	return ""
}

func TestUnreclaimableMemory(t *testing.T) {
	const usage, active, inactive, slab = snapshot.MemoryUsage, snapshot.MemoryActiveFile, snapshot.MemoryInactiveFile, snapshot.MemorySlabReclaimable
	type fields = map[snapshot.Field]uint64
	for _, test := range []struct {
		name   string
		fields fields
		want   string
	}{
		{"v2", fields{usage: 1000, active: 100, inactive: 200, slab: 50, snapshot.MemoryShmem: 300}, "650"},
		{"v1 has no slab", fields{usage: 1000, active: 100, inactive: 200}, "700"},
		{"read at different moments", fields{usage: 100, active: 90, inactive: 30, slab: 50}, "0"},
		{"no usage", fields{active: 100, inactive: 200}, ""},
		{"no lists", fields{usage: 1000}, ""},
	} {
		if got := cgroupWith(t, "container_memory_unreclaimable_bytes", snapshot.ContainerCgroup, snapshot.Spec{}, test.fields); got != test.want {
			t.Errorf("%s: got %q, want %q", test.name, got, test.want)
		}
	}
}

func TestLimitsFromCgroups(t *testing.T) {
	some, unlimited := snapshot.Some, snapshot.Some(snapshot.Unlimited)
	const cpuLimit, cpuRequest, limit, request, swap = "container_cpu_limit_cores", "container_cpu_request_cores",
		"container_memory_limit_bytes", "container_memory_request_bytes", "container_memory_swap_limit_bytes"
	for _, test := range []struct {
		family string
		spec   snapshot.Spec
		want   string
	}{
		{cpuLimit, snapshot.Spec{HasCPU: true, CPUQuota: some(150000), CPUPeriod: some(100000)}, "1.5"},
		{cpuLimit, snapshot.Spec{HasCPU: true, CPUQuota: some(1 << 44), CPUPeriod: some(1000)}, "1.7592186044416e+10"},
		{cpuLimit, snapshot.Spec{HasCPU: true, CPUPeriod: some(100000)}, ""},
		{cpuLimit, snapshot.Spec{HasCPU: true, CPUQuota: some(150000), CPUPeriod: some(0)}, ""},
		{cpuLimit, snapshot.Spec{HasCPU: true, CPUQuota: unlimited, CPUPeriod: some(1)}, ""},
		{cpuRequest, snapshot.Spec{HasCPU: true, CPUShares: some(256)}, "0.25"},
		{cpuRequest, snapshot.Spec{HasCPU: true, CPUShares: some(2)}, ""},
		{cpuRequest, snapshot.Spec{HasCPU: true, CPUShares: some(998), CPUWeight: some(39)}, ""},
		{"container_cpu_weight", snapshot.Spec{HasCPU: true, CPUShares: some(998), CPUWeight: some(39)}, "39"},
		{limit, snapshot.Spec{HasMemory: true, MemoryLimit: some(64 << 20)}, "6.7108864e+07"},
		{limit, snapshot.Spec{HasMemory: true, MemoryLimit: unlimited}, ""},
		{limit, snapshot.Spec{HasMemory: true, MemoryLimit: some(9223372036854771712)}, ""},
		{request, snapshot.Spec{HasMemory: true, MemoryReservation: some(1 << 20)}, "1.048576e+06"},
		{request, snapshot.Spec{HasMemory: true, MemoryReservation: some(0)}, ""},
		{swap, snapshot.Spec{HasMemory: true, MemoryLimit: some(100), SwapLimit: some(0)}, "0"},
		{swap, snapshot.Spec{HasMemory: true, MemoryLimit: some(100), SwapLimit: some(50)}, "50"},
		{swap, snapshot.Spec{HasMemory: true, SwapLimit: unlimited}, ""},
		{swap, snapshot.Spec{HasMemory: true, MemoryLimit: some(100), SwapLimit: some(150), SwapWithMemory: true}, "50"},
		{swap, snapshot.Spec{HasMemory: true, MemoryLimit: unlimited, SwapLimit: some(150), SwapWithMemory: true}, ""},
	} {
		if got := cgroupWith(t, test.family, snapshot.ContainerCgroup, test.spec, nil); got != test.want {
			t.Errorf("%s of %+v: got %q, want %q", test.family, test.spec, got, test.want)
		}
	}
	// Shares of a slice are no request, and what the root has is no limit.
	if got := cgroupWith(t, cpuRequest, snapshot.PlainCgroup, snapshot.Spec{HasCPU: true, CPUShares: some(1024)}, nil); got != "" {
		t.Errorf("request of a slice: got %q, want none", got)
	}
}

// What was not measured has no row, and a sum counts what was.
func TestEphemeralStorageInPart(t *testing.T) {
	var r Renderer
	s := extraSnapshot()
	pod := &s.Pods[0]
	pod.Containers[0].WritableLayer, pod.EphemeralStorageLimit = snapshot.Usage{}, snapshot.Optional{}
	text := string(r.Cadvisor(s, Options{Groups: snapshot.All, Series: onlySets(t, "ephemeral-storage")}))
	for _, want := range []string{
		`pod_ephemeral_storage_used_bytes{namespace="default",pod="web"} 1064960`,
		`pod_ephemeral_storage_inodes_used{namespace="default",pod="web"} 9`,
		`container_ephemeral_storage_used_bytes{container="app",fs_type="logs",namespace="default",pod="web"} 8192`,
	} {
		if !strings.Contains(text, want+"\n") {
			t.Errorf("lacks %s:\n%s", want, text)
		}
	}
	for _, not := range []string{"rootfs\"", "pod_ephemeral_storage_limit_bytes", `volume_name="memory"`, `volume_name="data"`} {
		if strings.Contains(text, not) {
			t.Errorf("has %s:\n%s", not, text)
		}
	}
	pod.Containers[0].Logs, pod.Logs, pod.EtcHosts, pod.Volumes = snapshot.Usage{}, snapshot.Usage{}, snapshot.Usage{}, nil
	if text := string(r.Cadvisor(s, Options{Groups: snapshot.All, Series: onlySets(t, "ephemeral-storage")})); strings.Contains(text, "used") {
		t.Errorf("nothing was measured, but there is:\n%s", text)
	}
}

func TestExtraSetsAreDocumented(t *testing.T) {
	page, err := os.ReadFile("../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, set := range ExtraSets {
		if !strings.Contains(string(page), "`"+set.Word+"`") {
			t.Errorf("docs/operations.md lacks the set %s", set.Word)
		}
		for _, f := range set.families {
			if !strings.Contains(string(page), "| "+f.name) {
				t.Errorf("docs/operations.md has no row for %s", f.name)
			}
		}
	}
}

func TestPromtoolIsSilentOnExtraSets(t *testing.T) {
	var r Renderer
	if said := promtool(t, r.Cadvisor(extraSnapshot(), Options{Groups: snapshot.All, Series: onlySets(t, "all")})); len(said) > 0 {
		t.Errorf("promtool: %s", strings.Join(said, "\n"))
	}
}

// A pod's sum is what /stats/summary says of it.
func TestEphemeralStorageIsTheSummarys(t *testing.T) {
	var r Renderer
	show := onlySets(t, "ephemeral-storage")
	sums := 0
	for seed := range uint64(200) {
		g := generator{Rand: rand.New(rand.NewPCG(seed, 2)), s: extraSnapshot()}
		usage := func() (u snapshot.Usage) {
			if !g.often(4) {
				u = snapshot.Usage{Time: g.time(), Bytes: snapshot.Some(g.Uint64N(1 << 40)), Inodes: snapshot.Some(g.Uint64N(1 << 20))}
			}
			return u
		}
		pod := &g.s.Pods[0]
		pod.Logs, pod.EtcHosts, pod.Volumes = usage(), usage(), pod.Volumes[:g.IntN(4)]
		for i := range pod.Containers {
			pod.Containers[i].WritableLayer, pod.Containers[i].Logs = usage(), usage()
		}
		for i := range pod.Volumes {
			pod.Volumes[i].Ephemeral = g.often(2)
		}
		want := summary.Render(g.s, summary.Options{}, false).Pods[0].EphemeralStorage
		got := parse(t, r.Cadvisor(g.s, Options{Groups: snapshot.All, Series: show}), Text).samples
		for name, n := range map[string]*uint64{"used_bytes": want.UsedBytes, "inodes_used": want.InodesUsed} {
			sample, ok := got[`pod_ephemeral_storage_`+name+` namespace="default" pod="web"`]
			if ok != (n != nil) || ok && sample.value != float64(*n) {
				t.Errorf("seed %d: %s is there %v with %v, /stats/summary has %v", seed, name, ok, sample.value, n)
			}
			if ok {
				sums++
			}
		}
	}
	if sums < 300 {
		t.Errorf("%d sums in 200 nodes: the generator makes too little", sums)
	}
}
