package cgroup_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/nodevitals/nodevitals/collector/cgroup"
	"github.com/nodevitals/nodevitals/collector/cgrouptest"
	"github.com/nodevitals/nodevitals/snapshot"
)

// discoveries are the ways in which a tree can learn of changes: each must see the same.
var discoveries = map[string]cgroup.TreeOptions{
	"inotify":            {},
	"inotify limit of 8": {MaxWatches: 8},
	"no inotify":         {MaxWatches: -1},
}

func ids(records map[string]*snapshot.Cgroup, below string) string {
	var found []string
	for id := range records {
		if rest, ok := strings.CutPrefix(id, below); ok {
			found = append(found, rest)
		}
	}
	return fmt.Sprint(len(found))
}

// openBelow is how many files of a cgroup and those below it this process has open.
func openBelow(t *testing.T, id string) (count int) {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		// The folder's own descriptor is closed by now.
		if path, err := os.Readlink("/proc/self/fd/" + entry.Name()); err == nil && strings.Contains(path, id+"/") {
			count++
		}
	}
	return count
}

func TestNewCgroupsAppearInTheNextPass(t *testing.T) {
	for name, options := range discoveries {
		t.Run(name, func(t *testing.T) {
			g := cgrouptest.New(t)
			h := newHost(t, "/", options, cgroup.ReaderOptions{})
			h.pass(snapshot.Core)
			for i := range 20 {
				child := g.Child(t, fmt.Sprint("a", i))
				grandchild := child.Child(t, "b")
				records := h.pass(snapshot.Core)
				for _, want := range []*cgrouptest.Group{child, grandchild} {
					if record := records[want.ID]; record == nil {
						t.Fatalf("round %d: %s is not in the pass after it was made; below the group there are %s", i, want.ID, ids(records, g.ID))
					} else if _, ok := record.Get(snapshot.CPUUsage); !ok {
						t.Errorf("round %d: %s has no CPU counter", i, want.ID)
					}
				}
			}
		})
	}
}

func TestRemovedCgroupsLeaveAtOnce(t *testing.T) {
	for name, options := range discoveries {
		t.Run(name, func(t *testing.T) {
			g := cgrouptest.New(t)
			child := g.Child(t, "a")
			h := newHost(t, "/", options, cgroup.ReaderOptions{})
			if h.pass(snapshot.Core)[child.ID] == nil {
				t.Fatalf("%s is not in the first pass", child.ID)
			}
			before := openBelow(t, child.ID)
			child.Remove(t)
			records := h.pass(snapshot.Core)
			if records[child.ID] != nil {
				t.Errorf("%s is still in the pass after its removal", child.ID)
			}
			if records[g.ID] == nil {
				t.Errorf("its parent %s went with it", g.ID)
			}
			// Beside a walk there is nothing to keep.
			if now := openBelow(t, child.ID); now != 0 || before == 0 && !h.reader.Stats().Walking {
				t.Errorf("descriptors of %s: got %d after the removal and %d before, want none and some", child.ID, now, before)
			}
			// Other cgroups come and go, so that their number tells nothing.
			if counted, kept := h.reader.Stats().Descriptors, cgroup.Kept(h.tree); counted != kept {
				t.Errorf("descriptors: %d are counted, and %d are kept", counted, kept)
			}
			if faults := h.reader.Stats().Faults; len(faults) > 0 {
				t.Errorf("a removal is no fault: got %v", faults)
			}
		})
	}
}

// A cgroup removed after the tree was brought up to date is met by its ENODEV in the middle of the pass.
func TestRemovalInMidPass(t *testing.T) {
	for name, options := range discoveries {
		for _, most := range []int{0, 1} {
			t.Run(fmt.Sprintf("%s, descriptors %d", name, most), func(t *testing.T) {
				g := cgrouptest.New(t)
				child, other := g.Child(t, "a"), g.Child(t, "b")
				h := newHost(t, "/", options, cgroup.ReaderOptions{MaxDescriptors: most})
				h.pass(snapshot.Core)
				h.tree.Update(h.now)
				h.reader.Begin(h.now, snapshot.Core, nil)
				child.Remove(t)
				for _, known := range h.tree.Cgroups() {
					read := !known.Gone() && h.reader.Read(known, &snapshot.Cgroup{}, snapshot.Core)
					switch known.Identity.ID {
					case child.ID:
						// A walk met it while it was there.
						if read && !h.reader.Stats().Walking {
							t.Errorf("%s was read although it is gone", child.ID)
						}
					case other.ID, g.ID, "/":
						if !read {
							t.Errorf("%s was not read", known.Identity.ID)
						}
					}
				}
				// What was made meanwhile in the same folder must not hide behind the removal.
				again := g.Child(t, "c")
				if h.reader.Stats().Walking {
					h.pass(snapshot.Core) // it is this one's walk that does not meet it
				}
				records := h.pass(snapshot.Core)
				if records[again.ID] == nil || records[child.ID] != nil {
					t.Errorf("after the removal: got %s %t and %s %t, want only the first", again.ID, records[again.ID] != nil, child.ID, records[child.ID] != nil)
				}
			})
		}
	}
}

// One removed and one made between two passes leave every count as it was.
func TestSwapBetweenPasses(t *testing.T) {
	for name, options := range discoveries {
		t.Run(name, func(t *testing.T) {
			g := cgrouptest.New(t)
			child := g.Child(t, "a")
			h := newHost(t, "/", options, cgroup.ReaderOptions{})
			h.pass(snapshot.Core)
			child.Remove(t)
			other := g.Child(t, "b")
			h.pass(snapshot.Core)
			// Without a watch the first pass meets only the removal; the tree is listed anew at the start of the next,
			// which a collector does within the same pass.
			records := h.pass(snapshot.Core)
			if records[other.ID] == nil || records[child.ID] != nil {
				t.Errorf("got %s %t and %s %t, want only the first", other.ID, records[other.ID] != nil, child.ID, records[child.ID] != nil)
			}
		})
	}
}

// A cgroup made anew under its old name is another one: its counters start from 0, and nothing may stick to old descriptors.
func TestSameNameAgain(t *testing.T) {
	for name, options := range discoveries {
		t.Run(name, func(t *testing.T) {
			g := cgrouptest.New(t)
			h := newHost(t, "/", options, cgroup.ReaderOptions{})
			child := g.Child(t, "a")
			load := child.Start(t, "cpu")
			cgrouptest.Await(t, "CPU use", func() (bool, string) {
				usage, _ := h.pass(snapshot.Core)[child.ID].Get(snapshot.CPUUsage)
				return usage > 50_000_000, fmt.Sprint(usage)
			})
			_ = load.Process.Kill()
			_ = load.Wait()
			child.Remove(t)
			g.Child(t, "a")
			h.pass(snapshot.Core)
			record := h.pass(snapshot.Core)[child.ID]
			if record == nil {
				t.Fatalf("%s is not there after it was made again", child.ID)
			}
			if usage, ok := record.Get(snapshot.CPUUsage); !ok || usage > 1_000_000 {
				t.Errorf("cpu.usage of the new %s: got %d (%t), want next to nothing", child.ID, usage, ok)
			}
		})
	}
}

// Limits are read again when somebody wrote to them, and otherwise not.
func TestLimitsFollowWrites(t *testing.T) {
	for name, options := range discoveries {
		t.Run(name, func(t *testing.T) {
			g := cgrouptest.New(t)
			h := newHost(t, "/", options, cgroup.ReaderOptions{})
			h.pass(snapshot.Core)
			for _, limit := range []uint64{64 << 20, 96 << 20} {
				if !g.Set(t, fmt.Sprint(limit), "memory.max", "memory.limit_in_bytes") {
					t.Fatal("the group has no memory limit to set")
				}
				if got := h.pass(snapshot.Core)[g.ID].Spec.MemoryLimit; got != snapshot.Some(limit) {
					t.Errorf("memory limit: got %v, want %d", got, limit)
				}
			}
		})
	}
}

// manyVariable marks the process that runs with few descriptors, since the limit is the whole process's.
const manyVariable = "NODEVITALS_TEST_MANY"

func TestTenThousandCgroupsWithFewDescriptors(t *testing.T) {
	const many, descriptors = 10_000, 256
	if os.Getenv(manyVariable) == "" {
		// Rlimits are per process: the test goes on in a child of its own.
		child := exec.Command("/proc/self/exe", "-test.run", "^"+t.Name()+"$", "-test.v")
		child.Env = append(os.Environ(), manyVariable+"=1")
		output, err := child.CombinedOutput()
		if strings.Contains(string(output), "--- SKIP") {
			t.Skip("needs root to make cgroups")
		}
		if err != nil {
			t.Fatalf("with %d descriptors: %v\n%s", descriptors, err, output)
		}
		return
	}
	g := cgrouptest.New(t)
	// Bare folders in one mount are enough to be known, and spare the machine ten thousand memory controllers.
	mount := &g.Hierarchy.Mounts[len(g.Hierarchy.Mounts)-1]
	for i := range many {
		folder := filepath.Join(mount.Folder(g.ID), fmt.Sprint("n", i))
		if err := os.Mkdir(folder, 0o755); err != nil {
			t.Fatal(err)
		}
		defer func() { _ = syscall.Rmdir(folder) }()
	}
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &syscall.Rlimit{Cur: descriptors, Max: descriptors}); err != nil {
		t.Fatal(err)
	}
	h := newHost(t, "/", cgroup.TreeOptions{MaxWatches: 8}, cgroup.ReaderOptions{})
	for range 2 {
		records := h.pass(snapshot.Core)
		read := 0
		for id, record := range records {
			_, pids := record.Get(snapshot.PidsCurrent)
			_, cpu := record.Get(snapshot.CPUUsage)
			if strings.HasPrefix(id, g.ID+"/n") && (pids || cpu) {
				read++
			}
		}
		if read != many {
			t.Errorf("cgroups read: got %d, want %d", read, many)
		}
	}
	if stats := h.reader.Stats(); stats.Descriptors > descriptors || stats.Unkept == 0 && !stats.Walking || len(stats.Faults) > 0 {
		t.Errorf("reader: got %+v, want at most %d descriptors, reads without one, and no fault", stats, descriptors)
	}
}

// What a pass allocates must not depend on the number of cgroups.
func TestAllocationsDoNotGrow(t *testing.T) {
	g := cgrouptest.New(t)
	measure := func() float64 {
		h := newHost(t, "/", cgroup.TreeOptions{}, cgroup.ReaderOptions{})
		var record snapshot.Cgroup
		pass := func() {
			h.tree.Update(h.now)
			h.reader.Begin(h.now, snapshot.Core, nil)
			for _, known := range h.tree.Cgroups() {
				record = snapshot.Cgroup{}
				h.reader.Read(known, &record, snapshot.Core)
				record.Spec = h.reader.Spec(known, h.now, 0)
			}
		}
		pass()
		// Cgroups that others make meanwhile cost something: the least is what a pass takes by itself.
		least := testing.AllocsPerRun(1, pass)
		for range 20 {
			least = min(least, testing.AllocsPerRun(1, pass))
		}
		return least
	}
	few := measure()
	g.Children(t, 200)
	if most := measure(); most > few {
		t.Errorf("allocations a pass: got %v with 200 cgroups more, want no more than %v", most, few)
	}
}
