package bpf_test

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nodevitals/nodevitals/collector/cgroup"
	"github.com/nodevitals/nodevitals/collector/cgroup/bpf"
	"github.com/nodevitals/nodevitals/collector/cgrouptest"
	"github.com/nodevitals/nodevitals/snapshot"
)

func TestMain(m *testing.M) { cgrouptest.Main(m) }

// reader is one way to read this host's cgroups.
type reader struct {
	tree *cgroup.Tree
	*cgroup.Reader
}

func newReader(t *testing.T, walker cgroup.Walker) *reader {
	t.Helper()
	hierarchy, err := cgroup.Detect("/")
	if err != nil {
		t.Fatal(err)
	}
	tree, err := cgroup.NewTree(hierarchy, cgroup.TreeOptions{MaxWatches: -1})
	if err != nil {
		t.Fatal(err)
	}
	r := &reader{tree, cgroup.NewReader(tree, cgroup.ReaderOptions{Walker: walker})}
	t.Cleanup(func() {
		r.Close()
		tree.Close()
	})
	return r
}

// pass reads every cgroup below id.
func (r *reader) pass(id string, want snapshot.Groups) map[string]*snapshot.Cgroup {
	now := time.Now()
	r.tree.Update(now)
	r.Begin(now, want, nil)
	records := make(map[string]*snapshot.Cgroup)
	for _, known := range r.tree.Cgroups() {
		if strings.HasPrefix(known.Identity.ID, id) {
			record := &snapshot.Cgroup{}
			if !known.Gone() && r.Read(known, record, want) {
				records[known.Identity.ID] = record
			}
		}
	}
	return records
}

// numbers lists all figures of a record by name.
func numbers(record *snapshot.Cgroup) map[string]uint64 {
	all := make(map[string]uint64)
	for field := range snapshot.FieldCount {
		if number, ok := record.Get(field); ok {
			all[snapshot.Fields[field].Name] = number
		}
	}
	for i := range record.Devices {
		device := &record.Devices[i]
		for stat := range snapshot.DeviceStatCount {
			for op := range snapshot.Ops {
				if number, ok := device.Get(stat, op); ok {
					all[fmt.Sprintf("%d:%d %d %s", device.Major, device.Minor, stat, snapshot.OpNames[op])] = number
				}
			}
		}
	}
	return all
}

// differences compares what the walk gave of a cgroup with the files before and after: the same figures must be there, and each
// lie between what the files say.
func differences(before, walked, after map[string]uint64) []string {
	var found []string
	names := maps.Clone(before)
	maps.Copy(names, walked)
	for _, name := range slices.Sorted(maps.Keys(names)) {
		first, okFirst := before[name]
		last, okLast := after[name]
		middle, ok := walked[name]
		if ok != okFirst || ok != okLast || middle < min(first, last) || middle > max(first, last) {
			found = append(found, fmt.Sprintf("%s: files %d %t, walk %d %t, files %d %t", name, first, okFirst, middle, ok, last, okLast))
		}
	}
	return found
}

// agree requires that the walk says of every cgroup below g what the files say. Gauges move both ways, and the kernel's split of time
// and of pressure is by rules of thumb, so each cgroup may take some looks; a true difference stays through all of them.
func agree(t *testing.T, g *cgrouptest.Group, walked, files *reader) {
	t.Helper()
	pending := map[string][]string{g.ID: {"never read"}}
	for id := range files.pass(g.ID, snapshot.Core) {
		pending[id] = []string{"never read"}
	}
	cgrouptest.Await(t, "the walk to say what the files say", func() (bool, string) {
		before, middle, after := files.pass(g.ID, snapshot.Core), walked.pass(g.ID, snapshot.Core), files.pass(g.ID, snapshot.Core)
		for id, old := range pending {
			if before[id] == nil || middle[id] == nil || after[id] == nil {
				pending[id] = []string{"not read"}
				continue
			}
			// What differed in every look so far.
			now := differences(numbers(before[id]), numbers(middle[id]), numbers(after[id]))
			if len(old) == 1 && strings.HasPrefix(old[0], "n") && !strings.Contains(old[0], ":") {
				old = now
			}
			still := slices.DeleteFunc(now, func(one string) bool {
				name, _, _ := strings.Cut(one, ": files")
				return !slices.ContainsFunc(old, func(other string) bool { return strings.HasPrefix(other, name+": files") })
			})
			if len(still) == 0 {
				delete(pending, id)
			} else {
				pending[id] = still
			}
		}
		return len(pending) == 0, fmt.Sprint(pending)
	})
}

func TestWalkSaysWhatFilesSay(t *testing.T) {
	walker := cgrouptest.OpenWalker(t)
	if why := walker.Without(); why != nil {
		t.Errorf("the files are needed for a part: %v", why)
	}
	walked, files := newReader(t, walker), newReader(t, nil)
	path, device := cgrouptest.Disk(t)
	g := cgrouptest.New(t)
	child := func(name string, limits ...string) *cgrouptest.Group {
		one := g.Child(t, name)
		for i := 0; i < len(limits); i += 2 {
			one.Set(t, limits[i+1], limits[i])
		}
		return one
	}
	child("idle")
	child("cpu").Start(t, "cpu")
	child("throttled", "cpu.max", "10000 100000").Start(t, "cpu")
	child("memory", "memory.max", "1073741824").Start(t, "memory", "32")
	_ = child("killed", "memory.max", "33554432", "memory.swap.max", "0").Start(t, "hungry").Wait()
	child("processes", "pids.max", "1000").Start(t, "fork", "10")
	child("io", "io.max", device+" wbps=1073741824").Start(t, "write", path, "8")
	below := child("below")
	below.Child(t, "one").Start(t, "cpu")
	shown := map[string]snapshot.Field{
		"cpu": snapshot.CPUUsage, "throttled": snapshot.CPUThrottledTime, "memory": snapshot.MemoryRSS,
		"killed": snapshot.MemoryOOMKills, "processes": snapshot.PidsCurrent, "below": snapshot.CPUSomeTotal,
	}
	cgrouptest.Await(t, "each load to show", func() (bool, string) {
		records := walked.pass(g.ID, snapshot.Core)
		for name, field := range shown {
			if number, ok := records[g.ID+"/"+name].Get(field); !ok || number == 0 {
				return false, name + " " + snapshot.Fields[field].Name
			}
		}
		return len(records[g.ID+"/io"].Devices) > 0, "devices of io"
	})
	agree(t, g, walked, files)
	if stats := walked.Stats(); !stats.Walking || len(stats.Faults) > 0 {
		t.Errorf("after all: walking %t, %v, faults %v", stats.Walking, stats.WalkError, stats.Faults)
	}
	// All but the root's files must have become needless.
	if kept := walked.Stats().Descriptors; kept > 12 {
		t.Errorf("%d descriptors are kept beside a walk", kept)
	}
}

// Pressure that is over decays as the file tells it, although the kernel does nothing for a group that is still.
func TestPressureDecays(t *testing.T) {
	walked, files := newReader(t, cgrouptest.OpenWalker(t)), newReader(t, nil)
	g := cgrouptest.New(t)
	load := g.Start(t, "cpu")
	g.Start(t, "cpu")
	g.Start(t, "cpu")
	average := func() uint64 {
		number, _ := walked.pass(g.ID, snapshot.Pressure)[g.ID].Get(snapshot.CPUSomeAvg10)
		return number
	}
	cgrouptest.Await(t, "pressure on the CPUs", func() (bool, string) { n := average(); return n > 1000, fmt.Sprint(n) })
	_ = load
	if !g.Set(t, "1", "cgroup.freeze") {
		t.Fatal("no cgroup.freeze")
	}
	high := average()
	cgrouptest.Await(t, fmt.Sprintf("the average to fall from %d", high), func() (bool, string) { n := average(); return n < high/2, fmt.Sprint(n) })
	agree(t, g, walked, files)
}

func TestWithoutControllers(t *testing.T) {
	walked, files := newReader(t, cgrouptest.OpenWalker(t)), newReader(t, nil)
	g := cgrouptest.New(t)
	g.Child(t, "a").Start(t, "memory", "1")
	for _, controller := range []string{"pids", "io", "memory", "cpu"} {
		if !g.Set(t, "-"+controller, "cgroup.subtree_control") {
			t.Fatal("no cgroup.subtree_control")
		}
		agree(t, g, walked, files)
	}
	// And back again.
	g.Set(t, "+memory +pids", "cgroup.subtree_control")
	fresh := newReader(t, nil)
	agree(t, g, walked, fresh)
	if g.Set(t, "0", "cgroup.pressure") {
		records := walked.pass(g.ID, snapshot.Pressure)
		if number, ok := records[g.ID].Get(snapshot.CPUSomeTotal); ok {
			t.Errorf("pressure was switched off and is %d", number)
		}
	}
}

// So many cgroups fit in one walk, whose array grows with them, and those that come and go meanwhile do it no harm.
func TestThousandsOfCgroupsThatComeAndGo(t *testing.T) {
	const count = 4000
	walker := cgrouptest.OpenWalker(t)
	walked := newReader(t, walker)
	small := walker.Memory()
	g := cgrouptest.New(t)
	for i := range 8 {
		part := g.Child(t, fmt.Sprint(i))
		for j := range count / 8 {
			folder := part.Hierarchy.Mounts[0].Folder(part.ID) + fmt.Sprintf("/%d", j)
			if err := os.Mkdir(folder, 0o755); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = os.Remove(folder) })
		}
	}
	started := time.Now()
	records := walked.pass(g.ID, snapshot.Core)
	took := time.Since(started)
	if len(records) != count+9 {
		t.Errorf("got %d cgroups, want %d", len(records), count+9)
	}
	if walker.Memory() <= small {
		t.Errorf("the array has %d bytes, as many as for a few cgroups", walker.Memory())
	}
	started = time.Now()
	walked.pass(g.ID, snapshot.Core)
	t.Logf("%d cgroups: first pass %v, second %v, array %d KiB, %d descriptors", count, took, time.Since(started), walker.Memory()>>10, walked.Stats().Descriptors)
	if kept := walked.Stats().Descriptors; kept > 12 {
		t.Errorf("%d descriptors are kept beside a walk", kept)
	}

	coming := g.Child(t, "coming")
	folder := coming.Hierarchy.Mounts[0].Folder(coming.ID)
	stop := make(chan struct{})
	var churn sync.WaitGroup
	churn.Go(func() {
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
			}
			path := filepath.Join(folder, fmt.Sprint(i%50))
			if os.Mkdir(path, 0o755) != nil {
				_ = os.Remove(path)
			}
		}
	})
	for range 10 {
		records := walked.pass(g.ID, snapshot.Core)
		for id, record := range records {
			// One that goes and comes again within a pass may lack a figure, and never has another's.
			comes := strings.HasPrefix(id, coming.ID+"/")
			if number, ok := record.Get(snapshot.CPUUsage); !ok && !comes || number != 0 && comes {
				t.Fatalf("%s has %d ns of CPU (%t), and holds no process", id, number, ok)
			}
		}
		if len(records) < count+10 {
			t.Errorf("got %d cgroups while others came and went, want at least %d", len(records), count+10)
		}
	}
	close(stop)
	churn.Wait()
	for id, record := range walked.pass(g.ID, snapshot.Core) {
		if _, ok := record.Get(snapshot.CPUUsage); !ok {
			t.Errorf("%s lacks its CPU counter although nothing comes or goes any more", id)
		}
	}
	for i := range 50 {
		_ = os.Remove(filepath.Join(folder, fmt.Sprint(i)))
	}
	if stats := walked.Stats(); !stats.Walking || len(stats.Faults) > 0 {
		t.Errorf("after all: walking %t, %v, faults %v", stats.Walking, stats.WalkError, stats.Faults)
	}
}

// What a group is asked for alone must be right too: the light tick asks for the CPU counter.
func TestSingleGroups(t *testing.T) {
	walked, files := newReader(t, cgrouptest.OpenWalker(t)), newReader(t, nil)
	g := cgrouptest.New(t)
	g.Start(t, "memory", "4")
	for _, want := range []snapshot.Groups{snapshot.CPU, snapshot.Memory, snapshot.IO, snapshot.Pids, snapshot.Pressure} {
		ours, theirs := numbers(walked.pass(g.ID, want)[g.ID]), numbers(files.pass(g.ID, want)[g.ID])
		for name := range theirs {
			if _, ok := ours[name]; !ok {
				t.Errorf("%s: the walk gives no %s", want, name)
			}
		}
		for name := range ours {
			if _, ok := theirs[name]; !ok {
				t.Errorf("%s: the walk gives %s, the files do not", want, name)
			}
		}
	}
}

func TestOpenRefusesVersionOne(t *testing.T) {
	if _, err := bpf.Open(&cgroup.Hierarchy{Version: cgroup.V1}); err == nil {
		t.Error("opened on cgroup v1")
	}
}
