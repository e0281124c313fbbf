package bench

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"testing"
	"text/tabwriter"
	"time"

	"github.com/google/cadvisor/lib/container"
	"github.com/google/cadvisor/lib/metrics"
	"github.com/google/cadvisor/lib/model"
	"github.com/klauspost/compress/gzip"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/expfmt"
	"golang.org/x/sys/unix"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"

	"github.com/nodevitals/nodevitals/collector"
	"github.com/nodevitals/nodevitals/collector/cgroup"
	"github.com/nodevitals/nodevitals/collector/cgrouptest"
	"github.com/nodevitals/nodevitals/collector/reference"
	"github.com/nodevitals/nodevitals/exporter"
	"github.com/nodevitals/nodevitals/snapshot"
	"github.com/nodevitals/nodevitals/summary"
)

func TestMain(m *testing.M) {
	if root := os.Getenv(tracedVariable); root != "" {
		if err := traced(root); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	cgrouptest.Main(m)
}

// rounds is how often each competitor has its turn. The median of the rounds is what counts.
const rounds = 15

// competitor is one row of the table.
type competitor struct {
	name string
	run  func()
	cpu  []time.Duration
	wall []time.Duration
	// allocations and bytes are the least of all rounds: the runtime allocates for itself now and then.
	allocations, bytes uint64
}

// cpuTime is the processor time of this process so far.
func cpuTime() time.Duration {
	var usage unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &usage); err != nil {
		panic(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

func (c *competitor) turn() {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	cpu, wall := cpuTime(), time.Now()
	c.run()
	c.wall = append(c.wall, time.Since(wall))
	c.cpu = append(c.cpu, cpuTime()-cpu)
	runtime.ReadMemStats(&after)
	allocations, bytes := after.Mallocs-before.Mallocs, after.TotalAlloc-before.TotalAlloc
	if len(c.cpu) == 1 {
		c.allocations, c.bytes = allocations, bytes
	}
	c.allocations, c.bytes = min(c.allocations, allocations), min(c.bytes, bytes)
}

func median(all []time.Duration) time.Duration {
	sorted := slices.Clone(all)
	slices.Sort(sorted)
	return sorted[len(sorted)/2]
}

// TestTable prints how much processor time each step takes over the same real cgroups, in turns in one run, as a ratio to the
// bare reads of the same files. It runs only for make bench (NODEVITALS_BENCH=number of cgroups): it measures, and judges
// nothing.
func TestTable(t *testing.T) {
	text := os.Getenv("NODEVITALS_BENCH")
	if text == "" {
		t.Skip("measures and judges nothing: make bench runs it")
	}
	count, err := strconv.Atoi(text)
	if err != nil {
		t.Fatalf("NODEVITALS_BENCH: %v", err)
	}
	klog.SetOutput(io.Discard)
	klog.LogToStderr(false)
	g := cgrouptest.New(t)
	g.Set(t, "1073741824", "memory.max", "memory.limit_in_bytes")
	ids := g.Children(t, count)
	for i := 0; i < len(ids); i += max(len(ids)/8, 1) {
		(&cgrouptest.Group{ID: ids[i], Hierarchy: g.Hierarchy}).Start(t, "memory", "1")
	}

	competitors := ours(t, ids)
	if g.Hierarchy.Version == cgroup.V2 {
		competitors = append(competitors, inKernel(t, ids)...)
	}
	competitors = append(competitors, theirs(t)...)
	debug.SetGCPercent(400)
	for range rounds {
		for _, c := range competitors {
			runtime.GC()
			c.turn()
		}
	}
	var out strings.Builder
	table := tabwriter.NewWriter(&out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(table, "step\tcpu ms\twall ms\t× bare reads\tallocations\tKiB\t\n")
	floor := median(competitors[0].cpu)
	for _, c := range competitors {
		fmt.Fprintf(table, "%s\t%.2f\t%.2f\t%.2f\t%d\t%d\t\n", c.name, float64(median(c.cpu).Microseconds())/1000,
			float64(median(c.wall).Microseconds())/1000, float64(median(c.cpu))/float64(floor), c.allocations, c.bytes>>10)
	}
	if err := table.Flush(); err != nil {
		t.Fatal(err)
	}
	fmt.Printf("%d cgroups and those of the host, cgroup v%d, median of %d turns\n%s", count, g.Hierarchy.Version, rounds, out.String())
	if path := os.Getenv("NODEVITALS_BENCH_STEPS"); path != "" {
		keep(t, path, count, competitors)
	}
}

// keep appends the rows to a file, as one line of JSON: e2e/bench shows them beside what it measures itself.
func keep(t *testing.T, path string, cgroups int, competitors []*competitor) {
	t.Helper()
	type spread struct {
		Median float64 `json:"median"`
		Low    float64 `json:"low"`
		High   float64 `json:"high"`
	}
	type step struct {
		Name        string `json:"name"`
		CPU         spread `json:"cpu"`
		Allocations uint64 `json:"allocations"`
		Bytes       uint64 `json:"bytes"`
	}
	milliseconds := func(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
	var steps []step
	for _, c := range competitors {
		cpu := spread{Median: milliseconds(median(c.cpu)), Low: milliseconds(slices.Min(c.cpu)), High: milliseconds(slices.Max(c.cpu))}
		steps = append(steps, step{Name: c.name, CPU: cpu, Allocations: c.allocations, Bytes: c.bytes})
	}
	line, err := json.Marshal(map[string]any{"cgroups": cgroups, "steps": steps})
	if err != nil {
		t.Fatal(err)
	}
	file, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := file.Write(append(line, '\n')); err != nil {
		t.Fatal(err)
	}
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
}

// sampling makes a collector, warm, with or without a walker.
func sampling(t *testing.T, ids []string, walker cgroup.Walker) (c *collector.Collector, take func(snapshot.Groups) *snapshot.Snapshot) {
	c, err := collector.New(collector.Options{
		HostRoot: "/", RootDir: "/var/lib/kubelet", SpecMaxAge: time.Hour, ProcessMaxAge: time.Hour, StorageMaxAge: time.Hour, Walker: walker,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	take = func(want snapshot.Groups) *snapshot.Snapshot {
		s, err := c.Snapshot(context.Background(), want)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	held := take(snapshot.All)
	for range 2 {
		held = take(snapshot.All)
	}
	if len(held.Cgroups) < len(ids) {
		t.Fatalf("the snapshot has %d cgroups, want at least %d", len(held.Cgroups), len(ids))
	}
	return c, take
}

// whole is an answer to /metrics/cadvisor: a pass, rendered and compressed.
func whole(t *testing.T, take func(snapshot.Groups) *snapshot.Snapshot) func() {
	var renderer exporter.Renderer
	zipped, err := gzip.NewWriterLevel(io.Discard, gzip.BestSpeed)
	if err != nil {
		t.Fatal(err)
	}
	return func() {
		zipped.Reset(io.Discard)
		taken := take(snapshot.All)
		defer taken.Done()
		if _, err := zipped.Write(renderer.Cadvisor(taken, exporter.Options{Groups: snapshot.All, Now: time.Now()})); err != nil {
			t.Fatal(err)
		}
		if err := zipped.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// inKernel are the steps of ours that are others with the reader in the kernel.
func inKernel(t *testing.T, ids []string) []*competitor {
	walker := cgrouptest.OpenWalker(t)
	c, take := sampling(t, ids, walker)
	if status := c.Status(); !status.Reader.Walking {
		t.Fatalf("the reader in the kernel is not in use: %v", status.Reader.WalkError)
	}
	t.Logf("the reader in the kernel keeps %d KiB of records", walker.Memory()>>10)
	return []*competitor{
		{name: "bpf: core pass", run: func() { take(corePass).Done() }},
		{name: "bpf: pass of every group", run: func() { take(snapshot.All).Done() }},
		{name: "bpf: pass for /metrics/resource", run: func() { take(resourcePass).Done() }},
		{name: "bpf: /metrics/cadvisor whole: pass, render, gzip", run: whole(t, take)},
	}
}

// ours are the bare reads and every step from them to bytes on the wire.
func ours(t *testing.T, ids []string) []*competitor {
	c, take := sampling(t, ids, nil)
	held := take(snapshot.All)
	var renderer exporter.Renderer
	cadvisorText := func(s *snapshot.Snapshot) []byte {
		return renderer.Cadvisor(s, exporter.Options{Groups: snapshot.All, Now: time.Now()})
	}
	return []*competitor{
		{name: "bare preads of the same files", run: func() { c.Floor() }},
		{name: "core pass", run: func() { take(corePass).Done() }},
		{name: "pass of every group", run: func() { take(snapshot.All).Done() }},
		{name: "pass for /metrics/resource", run: func() { take(resourcePass).Done() }},
		{name: "render /metrics/cadvisor", run: func() { cadvisorText(held) }},
		{name: "render /metrics/resource", run: func() {
			renderer.Resource(held, exporter.Options{Groups: snapshot.All, Now: time.Now()})
		}},
		{name: "render /stats/summary", run: func() {
			if _, err := summary.Encode(summary.Render(held, summary.Options{}, false)); err != nil {
				t.Fatal(err)
			}
		}},
		{name: "/metrics/cadvisor whole: pass, render, gzip", run: whole(t, take)},
	}
}

// provider hands cAdvisor's collector what its own handlers read.
type provider struct {
	infos map[string]*model.ContainerInfo
}

func (p *provider) GetRequestedContainersInfo(string, model.RequestOptions) (map[string]*model.ContainerInfo, error) {
	return p.infos, nil
}
func (p *provider) GetVersionInfo() (*model.VersionInfo, error) { return &model.VersionInfo{}, nil }
func (p *provider) GetMachineInfo() (*model.MachineInfo, error) { return &model.MachineInfo{}, nil }

// theirs are cAdvisor's handlers over all cgroups, with and without the limits, and its collector over what they gave.
func theirs(t *testing.T) []*competitor {
	hierarchy, err := cgroup.Detect("/")
	if err != nil {
		t.Fatal(err)
	}
	tree, err := cgroup.NewTree(hierarchy, cgroup.TreeOptions{MaxWatches: -1})
	if err != nil {
		t.Fatal(err)
	}
	defer tree.Close()
	tree.Update(time.Now())
	readers := make(map[string]*reference.Reader)
	for _, known := range tree.Cgroups() {
		if readers[known.Identity.ID], err = reference.NewReader(known.Identity.ID); err != nil {
			t.Fatal(err)
		}
	}
	given := &provider{infos: make(map[string]*model.ContainerInfo)}
	read := func() {
		for id, reader := range readers {
			stats, err := reader.Stats()
			if err != nil {
				continue // it refuses what it cannot read whole
			}
			info := given.infos[id]
			if info == nil {
				info = &model.ContainerInfo{ContainerReference: model.ContainerReference{Name: id}}
				given.infos[id] = info
			}
			info.Stats = []*model.ContainerStats{stats}
		}
	}
	read()
	specs := func() {
		for id, reader := range readers {
			spec, err := reader.Spec()
			if info := given.infos[id]; err == nil && info != nil {
				info.Spec = spec
			}
		}
	}
	specs()
	kubelet := container.MetricSet{
		container.CpuUsageMetrics: {}, container.MemoryUsageMetrics: {}, container.DiskIOMetrics: {}, container.DiskUsageMetrics: {},
		container.NetworkUsageMetrics: {}, container.AppMetrics: {}, container.ProcessMetrics: {}, container.OOMMetrics: {}, container.PressureMetrics: {},
	}
	labels := func(c *model.ContainerInfo) map[string]string {
		return map[string]string{"id": c.Name, "name": "", "image": "", "pod": "", "namespace": "", "container": ""}
	}
	registry := prometheus.NewRegistry()
	registry.MustRegister(metrics.NewPrometheusCollector(given, labels, kubelet, clock.RealClock{}, model.RequestOptions{}))
	return []*competitor{
		{name: "cAdvisor's handlers, same cgroups", run: read},
		{name: "cAdvisor's limits, same cgroups", run: specs},
		{name: "cAdvisor's collector and text", run: func() {
			families, _ := registry.Gather()
			for _, family := range families {
				if _, err := expfmt.MetricFamilyToText(io.Discard, family); err != nil {
					t.Fatal(err)
				}
			}
		}},
	}
}
