package cgroup_test

import (
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

const weatherTree = "testdata/v2-6.1.0"

// copyTree copies a recorded tree so that a test can spoil it.
func copyTree(t *testing.T, from string) string {
	t.Helper()
	to := t.TempDir()
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
	return to
}

// lines makes a set of a dump's lines without those of the values named.
func without(dump string, names ...string) string {
	var kept []string
next:
	for line := range strings.SplitSeq(dump, "\n") {
		for _, name := range names {
			if strings.Contains(line, name) {
				continue next
			}
		}
		kept = append(kept, line)
	}
	return strings.Join(kept, "\n")
}

// One spoiled file costs its own values and nothing else.
func TestSpoiledFiles(t *testing.T) {
	const busy = "sys/fs/cgroup/load.slice/busy.service/"
	for _, test := range []struct {
		name, file string
		// spoil changes the text; nil removes the file.
		spoil func(text string) string
		// absent are the values of /load.slice/busy.service that must be missing.
		absent []string
		faults int
	}{
		{name: "missing", file: "memory.current", absent: []string{"memory.usage", "memory.working_set"}},
		{name: "empty number", file: "memory.current", spoil: func(string) string { return "" }, absent: []string{"memory.usage", "memory.working_set"}, faults: 1},
		{name: "empty table", file: "cpu.stat", spoil: func(string) string { return "" }, absent: []string{" cpu."}},
		{name: "empty pressure", file: "io.pressure", spoil: func(string) string { return "" }, absent: []string{"psi.io"}},
		{
			name: "truncated", file: "cpu.stat", spoil: func(text string) string { return text[:strings.Index(text, "nr_periods")+4] },
			absent: []string{"cpu.periods", "cpu.throttled", "cpu.burst"},
		},
		{name: "new keys", file: "memory.stat", spoil: func(text string) string { return "novel 1\n" + text + "later 2\n" }},
		{name: "beyond 64 bits", file: "pids.current", spoil: func(string) string { return "99999999999999999999999\n" }, absent: []string{"pids.current"}, faults: 1},
		{name: "beyond 64 bits in a table", file: "memory.events", spoil: func(text string) string {
			return strings.Replace(text, "max 0", "max 184467440737095516160", 1)
		}, absent: []string{"memory.events_max"}, faults: 1},
		{name: "no number", file: "pids.current", spoil: func(string) string { return "many\n" }, absent: []string{"pids.current"}, faults: 1},
		{name: "larger than the buffer", file: "memory.stat", spoil: func(text string) string { return strings.Repeat("novel 1\n", 10_000) + text }},
	} {
		t.Run(test.name, func(t *testing.T) {
			plain := newHost(t, weatherTree, cgroup.TreeOptions{MaxWatches: -1}, cgroup.ReaderOptions{})
			want := dump(plain.pass(snapshot.Core), plain.tree.Cgroups())
			root := copyTree(t, weatherTree)
			path := filepath.Join(root, busy, test.file)
			if test.spoil == nil {
				if err := os.Remove(path); err != nil {
					t.Fatal(err)
				}
			} else {
				text, err := os.ReadFile(path)
				if err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(path, []byte(test.spoil(string(text))), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			for i, name := range test.absent {
				test.absent[i] = "busy.service " + strings.TrimPrefix(name, " ")
			}
			h := newHost(t, root, cgroup.TreeOptions{MaxWatches: -1}, cgroup.ReaderOptions{})
			got := dump(h.pass(snapshot.Core), h.tree.Cgroups())
			if len(test.absent) > 0 {
				want = without(want, test.absent...)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("records: (-want +got)\n%s", diff)
			}
			if faults := h.reader.Stats().Faults; len(faults) != test.faults {
				t.Errorf("faults: got %v, want %d", faults, test.faults)
			}
		})
	}
}

// A file that cannot be read as one is a fault of that file.
func TestUnreadableFile(t *testing.T) {
	root := copyTree(t, weatherTree)
	path := filepath.Join(root, "sys/fs/cgroup/load.slice/pids.current")
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(path, 0o755); err != nil {
		t.Fatal(err)
	}
	h := newHost(t, root, cgroup.TreeOptions{MaxWatches: -1}, cgroup.ReaderOptions{})
	record := h.pass(snapshot.Core)["/load.slice"]
	if _, ok := record.Get(snapshot.PidsCurrent); ok {
		t.Error("pids.current: got a value, want none")
	}
	if _, ok := record.Get(snapshot.MemoryUsage); !ok {
		t.Error("memory.usage: got none, want a value")
	}
	want := []cgroup.Fault{{File: "pids.current", Reason: "EISDIR", Count: 1}}
	if diff := cmp.Diff(want, h.reader.Stats().Faults); diff != "" {
		t.Errorf("faults: (-want +got)\n%s", diff)
	}
}

// A controller that is not delegated leaves a cgroup without its files, which may come later.
func TestControllerComesLater(t *testing.T) {
	root := copyTree(t, weatherTree)
	folder := filepath.Join(root, "sys/fs/cgroup/load.slice/quiet.service")
	text, err := os.ReadFile(filepath.Join(folder, "pids.current"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"pids.current", "pids.max"} {
		if err := os.Remove(filepath.Join(folder, name)); err != nil {
			t.Fatal(err)
		}
	}
	h := newHost(t, root, cgroup.TreeOptions{MaxWatches: -1}, cgroup.ReaderOptions{})
	has := func() bool {
		_, ok := h.pass(snapshot.Core)["/load.slice/quiet.service"].Get(snapshot.PidsCurrent)
		return ok
	}
	if has() {
		t.Error("pids.current: got a value without the file")
	}
	if err := os.WriteFile(filepath.Join(folder, "pids.current"), text, 0o644); err != nil {
		t.Fatal(err)
	}
	h.now = h.now.Add(time.Minute)
	if !has() {
		t.Error("pids.current: got none a minute after the file came")
	}
}

// On a living v2 host controllers and pressure come and go while descriptors are kept: their files answer ENODEV then, as
// those of a removed cgroup do, and the cgroup must stay.
func TestControllerIsTakenAway(t *testing.T) {
	g := cgrouptest.New(t)
	if g.Hierarchy.Version != cgroup.V2 {
		t.Skip("cgroup v1 has no subtree_control")
	}
	child := g.Child(t, "a")
	h := newHost(t, "/", cgroup.TreeOptions{}, cgroup.ReaderOptions{})
	state := func() (memory, pressure bool, history *cgroup.Cgroup) {
		record := h.pass(snapshot.Core)[child.ID]
		if record == nil {
			t.Fatalf("%s is missing", child.ID)
		}
		_, memory = record.Get(snapshot.MemoryUsage)
		_, pressure = record.Get(snapshot.CPUSomeTotal)
		for _, known := range h.tree.Cgroups() {
			if known.Identity.ID == child.ID {
				history = known
			}
		}
		return memory, pressure, history
	}
	memory, pressure, first := state()
	if !memory || !pressure {
		t.Fatalf("at first: got memory %t, pressure %t, want both", memory, pressure)
	}
	g.Set(t, "-memory", "cgroup.subtree_control")
	switchable := child.Set(t, "0", "cgroup.pressure")
	if memory, pressure, _ = state(); memory || pressure && switchable {
		t.Errorf("taken away: got memory %t, pressure %t, want neither", memory, pressure)
	}
	g.Set(t, "+memory", "cgroup.subtree_control")
	child.Set(t, "1", "cgroup.pressure")
	h.now = h.now.Add(time.Minute)
	memory, pressure, last := state()
	if !memory || !pressure {
		t.Errorf("given back: got memory %t, pressure %t, want both", memory, pressure)
	}
	if first != last {
		t.Error("the cgroup was taken for another one, and its history is lost")
	}
	if faults := h.reader.Stats().Faults; len(faults) > 0 {
		t.Errorf("faults: got %v, want none", faults)
	}
}

// Where the kernel keeps no pressure, or was started with psi=0, there is none, and that is no fault.
func TestPressureOff(t *testing.T) {
	if _, err := os.ReadFile("/proc/pressure/cpu"); err == nil {
		if hierarchy, err := cgroup.Detect("/"); err == nil && hierarchy.Version == cgroup.V2 {
			t.Skip("this kernel keeps pressure; the run with psi=0 covers it")
		}
	}
	h := newHost(t, "/", cgroup.TreeOptions{}, cgroup.ReaderOptions{})
	for id, record := range h.pass(snapshot.Core) {
		for field := range snapshot.FieldCount {
			if _, ok := record.Get(field); ok && snapshot.Fields[field].Group == snapshot.Pressure {
				t.Errorf("%s %s: got a value, want none", id, snapshot.Fields[field].Name)
			}
		}
	}
	if faults := h.reader.Stats().Faults; len(faults) > 0 {
		t.Errorf("faults: got %v, want none", faults)
	}
}

func TestDetect(t *testing.T) {
	for _, test := range []struct {
		name  string
		files []string
		want  string
		err   string
	}{
		{name: "unified", files: []string{"cgroup.controllers"}, want: "v2: v2 .[cpu memory io pids]"},
		{
			name: "legacy", files: []string{"cpu/cgroup.procs", "cpuacct/cgroup.procs", "memory/cgroup.procs", "blkio/cgroup.procs", "pids/cgroup.procs"},
			want: "v1: v1 cpu[cpu] v1 cpuacct[cpuacct] v1 memory[memory] v1 blkio[blkio] v1 pids[pids]",
		},
		{
			name: "hybrid", files: []string{"cpu/cgroup.procs", "unified/cgroup.controllers=memory io"},
			want: "v1: v1 cpu[cpu] v2 unified[memory io]",
		},
		{name: "hybrid whose unified tree is empty", files: []string{"cpu/cgroup.procs", "unified/cgroup.controllers"}, want: "v1: v1 cpu[cpu]"},
		{name: "nothing mounted", files: []string{"other"}, err: "--host-root"},
		{name: "no folder", err: "no such file"},
	} {
		t.Run(test.name, func(t *testing.T) {
			root := t.TempDir()
			base := filepath.Join(root, "sys/fs/cgroup")
			for _, file := range test.files {
				name, text, _ := strings.Cut(file, "=")
				path := filepath.Join(base, name)
				if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			hierarchy, err := cgroup.Detect(root)
			if test.err != "" {
				if err == nil || !strings.Contains(err.Error(), test.err) {
					t.Errorf("error: got %v, want one that says %q", err, test.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			got := map[cgroup.Version]string{cgroup.V1: "v1:", cgroup.V2: "v2:"}[hierarchy.Version]
			for _, mount := range hierarchy.Mounts {
				relative, _ := filepath.Rel(base, mount.Root)
				got += map[cgroup.Version]string{cgroup.V1: " v1 ", cgroup.V2: " v2 "}[mount.Version] + relative + "[" + strings.Join(mount.Controllers, " ") + "]"
			}
			if got != test.want {
				t.Errorf("hierarchy: got %q, want %q", got, test.want)
			}
		})
	}
}

func TestSharedLegacyMount(t *testing.T) {
	root := t.TempDir()
	base := filepath.Join(root, "sys/fs/cgroup")
	if err := os.MkdirAll(filepath.Join(base, "cpu,cpuacct"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(base, "cpu,cpuacct/cgroup.procs"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	for _, link := range []string{"cpu", "cpuacct"} {
		if err := os.Symlink("cpu,cpuacct", filepath.Join(base, link)); err != nil {
			t.Fatal(err)
		}
	}
	hierarchy, err := cgroup.Detect(root)
	if err != nil {
		t.Fatal(err)
	}
	if len(hierarchy.Mounts) != 1 || len(hierarchy.Mounts[0].Controllers) != 2 {
		t.Errorf("mounts: got %+v, want one with both controllers", hierarchy.Mounts)
	}
}

func TestHistory(t *testing.T) {
	start := time.Now()
	at := func(seconds float64) time.Time { return start.Add(time.Duration(seconds * float64(time.Second))) }
	var h cgroup.History
	if _, _, ok := h.Rate(at(0), 5); ok {
		t.Error("a rate without any sample")
	}
	h.Add(at(0), 1_000_000_000)
	if _, _, ok := h.Rate(at(0.05), 2_000_000_000); ok {
		t.Error("a rate over 50 ms")
	}
	// Asking every second must not shorten the window: half a core from here on.
	for second := 1.0; second <= 60; second++ {
		usage := uint64(1_000_000_000 + second*500_000_000)
		rate, window, ok := h.Rate(at(second), usage)
		if !ok || rate != 500_000_000 {
			t.Fatalf("second %v: got rate %d (%t), want half a core", second, rate, ok)
		}
		if second >= 10 && (window < 10*time.Second || window > 13*time.Second) {
			t.Errorf("second %v: window: got %v, want 10 s to 13 s", second, window)
		}
		h.Add(at(second), usage)
	}
	// After a quiet hour with no tick, the oldest sample is what there is.
	if rate, window, ok := h.Rate(at(3600), 31_000_000_000); !ok || rate != 0 || window < 3500*time.Second {
		t.Errorf("after an hour: got rate %d over %v (%t), want 0 over an hour", rate, window, ok)
	}
	if _, _, ok := h.Rate(at(3601), 5); ok {
		t.Error("a rate from a counter that fell")
	}
	h.Add(at(3601), 5)
	if rate, _, ok := h.Rate(at(3602), 1_000_000_005); !ok || rate != 1_000_000_000 {
		t.Errorf("after the counter fell: got %d (%t), want one core", rate, ok)
	}
}
