package bench

import (
	"context"
	"fmt"
	"maps"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/nodevitals/nodevitals/collector"
	"github.com/nodevitals/nodevitals/exporter"
	"github.com/nodevitals/nodevitals/snapshot"
)

// These tests fail when a pass comes to do more than it has to, which no time measured on a machine that others use could tell.

// recorded are the trees that they multiply, of both cgroup versions, with the number of files that a pass has to read of each cgroup.
var recorded = []struct {
	version string
	tree    string
	// core and resource are the files of the core groups, and of what /metrics/resource shows. Of v1 those of blkio are not among them:
	// no device is named in this tree's root; nor are those that stand still here: cpuacct.stat with the CPU time, memory.failcnt, as there is no
	// limit to hit, and memory.oom_control, as the host counts no kill.
	core, resource int
}{
	{"v1", "v1-6.18.44", 7, 3},
	{"v2", "v2-6.1.0", 11, 4},
}

// What passes read of cgroups that belong to no pod, as these do.
const (
	corePass     = snapshot.Core | snapshot.Everywhere
	resourcePass = snapshot.CPUUse | snapshot.MemoryUse | snapshot.Slices
)

// parts of the traced program.
const (
	outside = iota
	corePasses
	resourcePasses
	renderings
)

// measuredPasses is how many passes each part has.
const measuredPasses = 3

// tracedVariable holds the root of the host that the traced program reads.
const tracedVariable = "NODEVITALS_BENCH_TRACED"

// traced is what this binary does instead of tests when it is started to be traced: passes over a recorded host.
func traced(root string) error {
	c, err := openHost(root)
	if err != nil {
		return err
	}
	defer c.Close()
	take := func(want snapshot.Groups) (*snapshot.Snapshot, error) { return c.Snapshot(context.Background(), want) }
	for range 2 { // descriptors are opened, and the kernel's order of lines is learned
		if _, err := take(corePass | snapshot.Limits); err != nil {
			return err
		}
	}
	var last *snapshot.Snapshot
	for part, want := range map[int]snapshot.Groups{corePasses: corePass | snapshot.Limits, resourcePasses: resourcePass} {
		mark(part)
		for range measuredPasses {
			if last, err = take(want); err != nil {
				return err
			}
		}
		mark(outside)
	}
	mark(renderings)
	var renderer exporter.Renderer
	renderer.Cadvisor(last, exporter.Options{Groups: snapshot.All, Now: time.Now()})
	mark(outside)
	return nil
}

func openHost(root string) (*collector.Collector, error) {
	return collector.New(collector.Options{
		HostRoot: root, RootDir: "/var/lib/kubelet", NodeName: "node", SpecMaxAge: time.Hour, ProcessMaxAge: time.Hour, StorageMaxAge: time.Hour,
	})
}

// host makes a copy of a recorded tree with many cgroups, and returns its root.
func host(t *testing.T, tree string, cgroups int) string {
	t.Helper()
	root := t.TempDir()
	for _, from := range []string{"cgroup/testdata/" + tree, "machine/testdata/linux-6.18.44"} {
		if err := os.CopyFS(root, os.DirFS(filepath.Join("..", "collector", from))); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(root, "proc", "vmstat"), []byte("nr_free_pages 1\noom_kill 3\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	base := filepath.Join(root, "sys", "fs", "cgroup")
	mounts, err := filepath.Glob(filepath.Join(base, "*", "load.slice", "busy.service"))
	if err != nil {
		t.Fatal(err)
	}
	unified := len(mounts) == 0
	if unified {
		mounts = []string{filepath.Join(base, "load.slice", "busy.service")}
	}
	for _, mount := range mounts {
		for i := range cgroups {
			copied := filepath.Join(filepath.Dir(mount), fmt.Sprintf("copy-%d.service", i))
			if err := os.CopyFS(copied, os.DirFS(mount)); err != nil {
				t.Fatal(err)
			}
		}
	}
	if unified {
		// The root tells how many there are; a pass that does not find them all looks again.
		below := 0
		err := filepath.WalkDir(base, func(path string, entry os.DirEntry, err error) error {
			if err == nil && entry.IsDir() && path != base {
				below++
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		text := fmt.Sprintf("nr_descendants %d\nnr_dying_descendants 0\n", below)
		if err := os.WriteFile(filepath.Join(base, "cgroup.stat"), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

// calls traces passes over a host, and returns the file calls of each part.
func calls(t *testing.T, root string) map[int]map[string]int {
	t.Helper()
	command := exec.Command("/proc/self/exe")
	// No collection and no preemption, so that nothing but the passes is there to be counted.
	command.Env = append(os.Environ(), tracedVariable+"="+root, "GOGC=off", "GODEBUG=asyncpreemptoff=1", "GOMAXPROCS=1")
	return trace(t, command)
}

// A cgroup more must cost one pread for each of its files and nothing else; what a pass does besides must not grow.
func TestSystemCallsOfPasses(t *testing.T) {
	const few, many = 5, 45
	for _, one := range recorded {
		t.Run(one.version, func(t *testing.T) {
			less, more := calls(t, host(t, one.tree, few)), calls(t, host(t, one.tree, many))
			for part, files := range map[int]int{corePasses: one.core, resourcePasses: one.resource} {
				each := map[string]float64{}
				for name := range more[part] {
					if grown := more[part][name] - less[part][name]; grown != 0 {
						each[name] = float64(grown) / (many - few) / measuredPasses
					}
				}
				if want := map[string]float64{"pread64": float64(files)}; !maps.Equal(each, want) {
					t.Errorf("part %d: system calls for each cgroup and pass: got %v, want %v", part, each, want)
				}
				// The one read is of inotify's queue.
				steady := maps.Clone(less[part])
				delete(steady, "pread64")
				if want := map[string]int{"read": measuredPasses}; !maps.Equal(steady, want) {
					t.Errorf("part %d: system calls of %d passes besides pread64: got %v, want %v", part, measuredPasses, steady, want)
				}
			}
			if len(more[renderings]) > 0 {
				t.Errorf("system calls of a rendering: got %v, want none", more[renderings])
			}
		})
	}
}

// A pass over many cgroups must allocate no more often than one over few, and leave nothing running: neither a goroutine nor a timer for each.
func TestAllocationsOfPasses(t *testing.T) {
	const few, many = 5, 55
	for _, one := range recorded {
		t.Run(one.version, func(t *testing.T) {
			type figures struct {
				pass, render float64
				bytes        uint64
			}
			// The runtime's own bookkeeping allocates now and then: the least is what they take by themselves.
			least := func(run func()) float64 {
				allocations := testing.AllocsPerRun(1, run)
				for range 20 {
					allocations = min(allocations, testing.AllocsPerRun(1, run))
				}
				return allocations
			}
			// measure has the goroutines counted until they are no more than most: one that is about to end is none that stays.
			measure := func(cgroups, most int) (got figures, goroutines int) {
				c, err := openHost(host(t, one.tree, cgroups))
				if err != nil {
					t.Fatal(err)
				}
				defer c.Close()
				take := func() *snapshot.Snapshot {
					taken, err := c.Snapshot(t.Context(), corePass|snapshot.Limits)
					if err != nil {
						t.Fatal(err)
					}
					return taken
				}
				pass := func() { take().Done() }
				pass()
				got.pass, got.bytes = least(pass), leastBytes(pass)
				last := take()
				var renderer exporter.Renderer
				render := func() {
					renderer.Cadvisor(last, exporter.Options{Groups: snapshot.All, Now: last.Taken})
					renderer.Resource(last, exporter.Options{Groups: snapshot.All, Now: last.Taken})
				}
				render()
				got.render = least(render)
				goroutines = runtime.NumGoroutine()
				for deadline := time.Now().Add(time.Minute); goroutines > most && time.Now().Before(deadline); goroutines = runtime.NumGoroutine() {
					time.Sleep(time.Millisecond)
				}
				return got, goroutines
			}
			less, before := measure(few, math.MaxInt)
			more, after := measure(many, before)
			if more.pass > less.pass || more.pass > mostAllocations {
				t.Errorf("allocations a pass: got %v with %d cgroups and %v with %d, want no more with many, and %d at most",
					less.pass, few, more.pass, many, mostAllocations)
			}
			if more.bytes > less.bytes+someBytes {
				t.Errorf("bytes a pass: got %d with %d cgroups and %d with %d, want no more with many", less.bytes, few, more.bytes, many)
			}
			if more.render > 0 {
				t.Errorf("allocations a rendering: got %v, want 0", more.render)
			}
			if after > before {
				t.Errorf("goroutines: got %d with %d cgroups and %d with %d, want no more", before, few, after, many)
			}
		})
	}
}

// leastBytes is what run allocates, by the least of some runs.
func leastBytes(run func()) uint64 {
	least := uint64(math.MaxUint64)
	for range 20 {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		run()
		runtime.ReadMemStats(&after)
		least = min(least, after.TotalAlloc-before.TotalAlloc)
	}
	return least
}

const (
	// mostAllocations are those of a core pass: the snapshot, who uses it, and the flight that requests wait for. Its records are in the memory of one
	// that nobody uses any more.
	mostAllocations = 20
	// someBytes are those by which passes differ, less than one record for each cgroup.
	someBytes = 2048
)
