package reference

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/cadvisor/lib/model"

	"github.com/nodevitals/nodevitals/collector/cgroup"
	"github.com/nodevitals/nodevitals/collector/cgrouptest"
	"github.com/nodevitals/nodevitals/snapshot"
)

func TestMain(m *testing.M) { cgrouptest.Main(m) }

// walker is the reader in the kernel where this host can have one: then all three are compared.
func walker(t *testing.T) cgroup.Walker {
	t.Helper()
	hierarchy, err := cgroup.Detect("/")
	if err != nil {
		t.Fatal(err)
	}
	if hierarchy.Version != cgroup.V2 {
		return nil
	}
	return cgrouptest.OpenWalker(t)
}

// read gives our own record of a cgroup, as a request would get it.
func read(t *testing.T, id string) *snapshot.Cgroup {
	t.Helper()
	hierarchy, err := cgroup.Detect("/")
	if err != nil {
		t.Fatal(err)
	}
	tree, err := cgroup.NewTree(hierarchy, cgroup.TreeOptions{MaxWatches: -1})
	if err != nil {
		t.Fatal(err)
	}
	defer tree.Close()
	reader := cgroup.NewReader(tree, cgroup.ReaderOptions{Walker: cgrouptest.Walker(t)})
	defer reader.Close()
	now := time.Now()
	tree.Update(now)
	reader.Begin(now, snapshot.Core, nil)
	for _, known := range tree.Cgroups() {
		if known.Identity.ID == id {
			record := &snapshot.Cgroup{}
			if reader.Read(known, record, snapshot.Core) {
				return record
			}
		}
	}
	t.Fatalf("%s is not there", id)
	return nil
}

// agree verifies all cgroups below g, and requires that both readers agree on them.
func agree(t *testing.T, g *cgrouptest.Group) *Report {
	t.Helper()
	report, err := Verify(context.Background(), walker(t), func(id string) bool { return strings.HasPrefix(id, g.ID) })
	if err != nil {
		t.Fatalf("verify: %v", err)
	}
	for _, f := range report.Findings {
		t.Errorf("%s %s: ours %s, then %s %s, then ours %s", f.Cgroup, f.Field, f.Before, f.Reader, f.Reference, f.After)
	}
	for id, why := range report.Unread {
		t.Errorf("%s: the reference gave nothing: %s", id, why)
	}
	if report.Cgroups == 0 {
		t.Error("nothing was compared")
	}
	t.Logf("compared %d numbers of %d cgroups; meant to differ: %v", report.Numbers, report.Cgroups, report.Deviations)
	return report
}

// Each load must show in the numbers, or comparing them would prove little.
func TestReadersAgreeUnderLoad(t *testing.T) {
	for _, test := range []struct {
		name string
		load func(t *testing.T, g *cgrouptest.Group)
		// shows are the fields that the load must raise to at least so much.
		shows map[snapshot.Field]uint64
	}{
		{
			name:  "idle",
			load:  func(*testing.T, *cgrouptest.Group) {},
			shows: map[snapshot.Field]uint64{},
		},
		{
			name:  "cpu",
			load:  func(t *testing.T, g *cgrouptest.Group) { g.Start(t, "cpu") },
			shows: map[snapshot.Field]uint64{snapshot.CPUUsage: 100_000_000},
		},
		{
			name: "throttled",
			load: func(t *testing.T, g *cgrouptest.Group) {
				if !g.Set(t, "10000 100000", "cpu.max") {
					g.Set(t, "10000", "cpu.cfs_quota_us")
				}
				g.Start(t, "cpu")
			},
			shows: map[snapshot.Field]uint64{snapshot.CPUPeriods: 3, snapshot.CPUThrottledPeriods: 2, snapshot.CPUThrottledTime: 1_000_000},
		},
		{
			name: "memory",
			load: func(t *testing.T, g *cgrouptest.Group) {
				g.Set(t, "1073741824", "memory.max", "memory.limit_in_bytes")
				g.Start(t, "memory", "64")
			},
			shows: map[snapshot.Field]uint64{snapshot.MemoryUsage: 64 << 20, snapshot.MemoryRSS: 64 << 20, snapshot.MemoryWorkingSet: 64 << 20, snapshot.MemoryPeak: 64 << 20, snapshot.MemoryPgfault: 30},
		},
		{
			name: "killed for memory",
			load: func(t *testing.T, g *cgrouptest.Group) {
				g.Set(t, "33554432", "memory.max", "memory.limit_in_bytes")
				// Swap would let the hungry one live on.
				g.Set(t, "0", "memory.swap.max")
				g.Set(t, "33554432", "memory.memsw.limit_in_bytes")
				_ = g.Start(t, "hungry").Wait()
			},
			shows: map[snapshot.Field]uint64{snapshot.MemoryOOMKills: 1},
		},
		{
			name: "processes",
			load: func(t *testing.T, g *cgrouptest.Group) {
				g.Set(t, "1000", "pids.max")
				g.Start(t, "fork", "10")
			},
			shows: map[snapshot.Field]uint64{snapshot.PidsCurrent: 11},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			g := cgrouptest.New(t)
			test.load(t, g)
			for field, least := range test.shows {
				cgrouptest.Await(t, fmt.Sprintf("%s of %s to be %d", snapshot.Fields[field].Name, g.ID, least), func() (bool, string) {
					value, ok := read(t, g.ID).Get(field)
					return ok && value >= least, fmt.Sprint(value, ok)
				})
			}
			agree(t, g)
		})
	}
}

func TestReadersAgreeOnTransfers(t *testing.T) {
	path, device := cgrouptest.Disk(t)
	g := cgrouptest.New(t)
	for _, limit := range [][]string{{"io.max"}, {"blkio.throttle.read_bps_device"}, {"blkio.throttle.write_bps_device"}} {
		// v1 counts the transfers of a cgroup only once there is a limit somewhere.
		value := device + " 1073741824"
		if limit[0] == "io.max" {
			value = device + " wbps=1073741824"
		}
		g.Set(t, value, limit...)
	}
	g.Start(t, "write", path, "16")
	cgrouptest.Await(t, "16 MiB written and read in "+g.ID, func() (bool, string) {
		for _, one := range read(t, g.ID).Devices {
			written, _ := one.Get(snapshot.ServiceBytes, snapshot.OpWrite)
			got, _ := one.Get(snapshot.ServiceBytes, snapshot.OpRead)
			if fmt.Sprintf("%d:%d", one.Major, one.Minor) == device && written >= 16<<20 && got >= 16<<20 {
				return true, ""
			}
		}
		return false, fmt.Sprintf("%+v", read(t, g.ID).Devices)
	})
	agree(t, g)
}

// The whole host, as nodevitals verify does it.
func TestReadersAgreeOnThisHost(t *testing.T) {
	g := cgrouptest.New(t)
	g.Child(t, "a").Start(t, "cpu")
	report, err := Verify(context.Background(), walker(t), nil)
	if err != nil {
		t.Fatalf("verify: %v", err)
	}
	var text strings.Builder
	if err := report.Print(&text); err != nil {
		t.Fatal(err)
	}
	t.Log(text.String())
	for _, f := range report.Findings {
		t.Errorf("%s %s: ours %s, then %s %s, then ours %s", f.Cgroup, f.Field, f.Before, f.Reader, f.Reference, f.After)
	}
}

// A comparison that cannot fail proves nothing: each number of the table, told wrong, must be found.
func TestEveryWrongNumberIsFound(t *testing.T) {
	g := cgrouptest.New(t)
	g.Start(t, "sleep")
	for i := range fields {
		right := fields[i].get
		fields[i].get = func(s *model.ContainerStats) uint64 { return right(s) + 1<<40 }
		report, err := Verify(context.Background(), walker(t), func(id string) bool { return id == g.ID })
		fields[i].get = right
		if err != nil {
			t.Fatal(err)
		}
		if len(report.Findings) != 1 || report.Findings[0].Field != snapshot.Fields[fields[i].field].Name {
			t.Errorf("%s told wrong: found %v", snapshot.Fields[fields[i].field].Name, report.Findings)
		}
	}
}

// Every field that a kernel file gives must be compared.
func TestEveryFieldIsCompared(t *testing.T) {
	compared := make(map[snapshot.Field]bool)
	for _, f := range fields {
		if compared[f.field] {
			t.Errorf("%s stands in the table twice", snapshot.Fields[f.field].Name)
		}
		compared[f.field] = true
	}
	alone := map[snapshot.Field]bool{
		// The rate is made of cpu.usage and belongs to no file.
		snapshot.CPUNanoCores: true,
		// The reference does not keep these lines of memory.stat.
		snapshot.MemoryShmem: true, snapshot.MemorySlabReclaimable: true, snapshot.MemorySlabUnreclaimable: true,
	}
	for field := range snapshot.FieldCount {
		if !compared[field] && !alone[field] {
			t.Errorf("%s is not compared with the reference", snapshot.Fields[field].Name)
		}
	}
}

func TestDeviationsAreDocumented(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", "fidelity.md"))
	if err != nil {
		t.Fatal(err)
	}
	names := []string{RefusedSample}
	for _, deviation := range Deviations {
		names = append(names, deviation.Name)
	}
	for _, name := range names {
		if !strings.Contains(string(text), "| "+name+" |") {
			t.Errorf("docs/fidelity.md has no row %q", name)
		}
	}
}
