package cgroup_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/nodevitals/nodevitals/collector/cgroup"
	"github.com/nodevitals/nodevitals/collector/cgrouptest"
	"github.com/nodevitals/nodevitals/snapshot"
)

var update = flag.Bool("update", false, "write golden files anew")

// host is a tree and a reader of it, as a collector has them.
type host struct {
	tree   *cgroup.Tree
	reader *cgroup.Reader
	now    time.Time
}

func newHost(t testing.TB, root string, tree cgroup.TreeOptions, reader cgroup.ReaderOptions) *host {
	t.Helper()
	hierarchy, err := cgroup.Detect(root)
	if err != nil {
		t.Fatalf("detect: %v", err)
	}
	if root == "/" && reader.Walker == nil {
		reader.Walker = cgrouptest.Walker(t)
	}
	known, err := cgroup.NewTree(hierarchy, tree)
	if err != nil {
		t.Fatalf("make a tree: %v", err)
	}
	h := &host{tree: known, reader: cgroup.NewReader(known, reader), now: time.Now()}
	t.Cleanup(func() {
		h.reader.Close()
		h.tree.Close()
	})
	return h
}

// pass reads every cgroup once.
func (h *host) pass(want snapshot.Groups) map[string]*snapshot.Cgroup {
	h.now = h.now.Add(time.Second)
	h.tree.Update(h.now)
	h.reader.Begin(h.now, want, nil)
	records := make(map[string]*snapshot.Cgroup)
	for _, known := range h.tree.Cgroups() {
		record := &snapshot.Cgroup{}
		if !known.Gone() && h.reader.Read(known, record, want) {
			record.Spec = h.reader.Spec(known, h.now, 0)
			records[known.Identity.ID] = record
		}
	}
	return records
}

// dump lists everything that a record holds, absent values left out.
func dump(records map[string]*snapshot.Cgroup, order []*cgroup.Cgroup) string {
	var text strings.Builder
	for _, known := range order {
		record := records[known.Identity.ID]
		if record == nil {
			continue
		}
		for field := range snapshot.FieldCount {
			if value, ok := record.Get(field); ok {
				fmt.Fprintf(&text, "%s %s %d\n", known.Identity.ID, snapshot.Fields[field].Name, value)
			}
		}
		for i := range record.Devices {
			device := &record.Devices[i]
			for stat := range snapshot.DeviceStatCount {
				for op := range snapshot.Ops {
					if value, ok := device.Get(stat, op); ok {
						fmt.Fprintf(&text, "%s device %d:%d %d %s %d\n", known.Identity.ID, device.Major, device.Minor, stat, snapshot.OpNames[op], value)
					}
				}
			}
		}
		spec := record.Spec
		fmt.Fprintf(&text, "%s spec has cpu %t memory %t io %t pids %t\n", known.Identity.ID, spec.HasCPU, spec.HasMemory, spec.HasIO, spec.HasPids)
		for _, limit := range []struct {
			name  string
			value snapshot.Optional
		}{
			{"cpu_shares", spec.CPUShares},
			{"cpu_quota", spec.CPUQuota},
			{"cpu_period", spec.CPUPeriod},
			{"memory_limit", spec.MemoryLimit},
			{"memory_reservation", spec.MemoryReservation},
			{"swap_limit", spec.SwapLimit},
			{"pids_limit", spec.PidsLimit},
		} {
			if limit.value.Present {
				fmt.Fprintf(&text, "%s spec %s %d\n", known.Identity.ID, limit.name, limit.value.Value)
			}
		}
	}
	return text.String()
}

func TestRecordedTrees(t *testing.T) {
	trees, err := filepath.Glob("testdata/v*-*/sys")
	if err != nil || len(trees) < 2 {
		t.Fatalf("recorded trees: got %v (%v), want one of each version", trees, err)
	}
	for _, folder := range trees {
		root := filepath.Dir(folder)
		t.Run(filepath.Base(root), func(t *testing.T) {
			h := newHost(t, root, cgroup.TreeOptions{MaxWatches: -1}, cgroup.ReaderOptions{})
			got := dump(h.pass(snapshot.Core), h.tree.Cgroups())
			golden := root + ".golden"
			if *update {
				if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got); diff != "" {
				t.Errorf("records of %s differ from the golden file (-want +got; -update writes it anew):\n%s", root, diff)
			}
			if faults := h.reader.Stats().Faults; len(faults) > 0 {
				t.Errorf("faults while reading %s: got %v, want none", root, faults)
			}
		})
	}
}

// What is used must be the same whether it is read alone or with all details, since most answers ask for it alone.
func TestUseAlone(t *testing.T) {
	use := []snapshot.Field{
		snapshot.CPUUsage, snapshot.MemoryUsage, snapshot.MemoryWorkingSet, snapshot.MemorySwap, snapshot.MemoryRSS, snapshot.MemoryPgfault, snapshot.MemoryPgmajfault,
	}
	for _, tree := range []string{"testdata/v1-6.18.44", "testdata/v2-6.1.0"} {
		h := newHost(t, tree, cgroup.TreeOptions{MaxWatches: -1}, cgroup.ReaderOptions{})
		whole, alone := h.pass(snapshot.Core), h.pass(snapshot.CPUUse|snapshot.MemoryUse)
		shown := 0
		for id, record := range whole {
			for _, field := range use {
				want, wanted := record.Get(field)
				if got, ok := alone[id].Get(field); got != want || ok != wanted {
					t.Errorf("%s, cgroup %s, %s: got %d, %v alone, want %d, %v as in a whole pass", tree, id, snapshot.Fields[field].Name, got, ok, want, wanted)
				}
				if wanted {
					shown++
				}
			}
			for _, field := range []snapshot.Field{snapshot.MemoryPeak, snapshot.MemoryOOMKills, snapshot.PidsCurrent} {
				if got, ok := alone[id].Get(field); ok {
					t.Errorf("%s, cgroup %s, %s: got %d, want it absent from what is used alone", tree, id, snapshot.Fields[field].Name, got)
				}
			}
		}
		if shown < len(use)*2 {
			t.Errorf("%s: compared %d figures, want at least those of two cgroups", tree, shown)
		}
	}
}

// A second pass must see the same through its kept descriptors, and open nothing.
func TestKeptDescriptorsReadTheSame(t *testing.T) {
	h := newHost(t, "testdata/v2-6.1.0", cgroup.TreeOptions{}, cgroup.ReaderOptions{})
	first := dump(h.pass(snapshot.Core), h.tree.Cgroups())
	kept := h.reader.Stats().Descriptors
	second := dump(h.pass(snapshot.Core), h.tree.Cgroups())
	if first != second {
		t.Errorf("second pass differs:\n%s", cmp.Diff(first, second))
	}
	if again := h.reader.Stats().Descriptors; again != kept || kept == 0 {
		t.Errorf("descriptors: got %d after two passes and %d after one, want the same and some", again, kept)
	}
}

// Without room for descriptors every file is opened for each read, with the same result.
func TestDescriptorBudget(t *testing.T) {
	free := newHost(t, "testdata/v2-6.1.0", cgroup.TreeOptions{}, cgroup.ReaderOptions{})
	want := dump(free.pass(snapshot.Core), free.tree.Cgroups())
	tight := newHost(t, "testdata/v2-6.1.0", cgroup.TreeOptions{}, cgroup.ReaderOptions{MaxDescriptors: 5})
	for pass := range 3 {
		if got := dump(tight.pass(snapshot.Core), tight.tree.Cgroups()); got != want {
			t.Errorf("pass %d with 5 descriptors differs:\n%s", pass, cmp.Diff(want, got))
		}
	}
	stats := tight.reader.Stats()
	if stats.Descriptors != 5 || stats.Unkept == 0 {
		t.Errorf("descriptors: got %d kept and %d reads without, want 5 and some", stats.Descriptors, stats.Unkept)
	}
}

// Descriptors that no request needs any more make way for those that are in need, those of lists of processes too.
func TestUnusedDescriptorsYield(t *testing.T) {
	const most = 4
	for name, use := range map[string]func(*host){
		"pressure": func(h *host) { h.pass(snapshot.Pressure) },
		"processes": func(h *host) {
			h.pass(0)
			for _, one := range h.tree.Cgroups() {
				h.reader.KeptProcs(one)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHost(t, "testdata/v2-6.1.0", cgroup.TreeOptions{}, cgroup.ReaderOptions{MaxDescriptors: most})
			use(h)
			if kept := h.reader.Stats().Descriptors; kept != most {
				t.Fatalf("%d descriptors are kept, want all %d", kept, most)
			}
			unkept := func() uint64 {
				before := h.reader.Stats().Unkept
				h.pass(snapshot.CPU | snapshot.Memory)
				return h.reader.Stats().Unkept - before
			}
			all := unkept()
			for range 40 {
				h.pass(snapshot.CPU | snapshot.Memory)
			}
			if got, want := unkept(), all-most; got != want {
				t.Errorf("reads without a descriptor: got %d a pass, want %d, once the %d others were given up", got, want, most)
			}
		})
	}
}

// A list of processes that finds no room has others make it.
func TestProcsAskForRoom(t *testing.T) {
	h := newHost(t, "testdata/v2-6.1.0", cgroup.TreeOptions{}, cgroup.ReaderOptions{MaxDescriptors: 1})
	h.pass(snapshot.CPU)
	root := h.tree.Cgroups()[0]
	if fd := h.reader.KeptProcs(root); fd >= 0 || h.reader.Stats().Unkept == 0 {
		t.Fatalf("descriptor %d is kept beyond the budget, or that is not counted", fd)
	}
	for range 40 {
		h.pass(0)
		h.reader.KeptProcs(root)
	}
	if fd := h.reader.KeptProcs(root); fd < 0 {
		t.Error("what nobody read for 40 passes is kept, and the list is not")
	}
}

// cgroup.procs is kept open once, and counts as the others do.
func TestProcsAreKept(t *testing.T) {
	h := newHost(t, "testdata/v2-6.1.0", cgroup.TreeOptions{}, cgroup.ReaderOptions{})
	h.pass(snapshot.CPU)
	before := h.reader.Stats().Descriptors
	kept := make(map[int]bool)
	for range 2 {
		for _, one := range h.tree.Cgroups() {
			if fd := h.reader.KeptProcs(one); fd >= 0 {
				kept[fd] = true
			} else if _, err := os.Stat(h.reader.ProcsPath(one)); err == nil {
				t.Errorf("%s: not kept", one.Identity.ID)
			}
		}
	}
	now := h.reader.Stats().Descriptors
	if len(kept) == 0 || now != before+len(kept) || now != cgroup.Kept(h.tree) {
		t.Errorf("got %d lists, and %d descriptors after %d, of which %d are open", len(kept), now, before, cgroup.Kept(h.tree))
	}
	h.reader.Close()
	if left := h.reader.Stats().Descriptors; left != 0 || cgroup.Kept(h.tree) != 0 {
		t.Errorf("closed: %d descriptors are left", left)
	}
}

// A file that is absent is asked for again, on v1 seldom: there it comes with a module of the kernel, if ever.
func TestAbsentFileIsAskedForAgain(t *testing.T) {
	for _, test := range []struct {
		tree, file string
		again      time.Duration
	}{
		{"v2-6.1.0", "load.slice/pids.current", 10 * time.Second},
		{"v1-6.18.44", "pids/load.slice/pids.current", 5 * time.Minute},
	} {
		t.Run(test.tree, func(t *testing.T) {
			root := copyOf(t, test.tree)
			path := filepath.Join(root, "sys/fs/cgroup", test.file)
			id := "/" + filepath.Base(filepath.Dir(path))
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
			h := newHost(t, root, cgroup.TreeOptions{}, cgroup.ReaderOptions{})
			want := func(there bool) {
				t.Helper()
				if _, ok := h.pass(snapshot.Pids)[id].Get(snapshot.PidsCurrent); ok != there {
					t.Errorf("the file is read: %t, want %t", ok, there)
				}
			}
			want(false)
			if err := os.WriteFile(path, text, 0o600); err != nil {
				t.Fatal(err)
			}
			h.now = h.now.Add(test.again - 5*time.Second)
			want(false)
			h.now = h.now.Add(5 * time.Second)
			want(true)
		})
	}
}
