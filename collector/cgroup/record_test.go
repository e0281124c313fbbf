package cgroup_test

import (
	"flag"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nodevitals/nodevitals/collector/cgroup"
	"github.com/nodevitals/nodevitals/collector/cgrouptest"
)

var record = flag.String("record", "", "record this host's cgroup files under load into a folder, as a tree for the golden tests")

func TestMain(m *testing.M) {
	flag.Parse()
	cgrouptest.Main(m)
}

// TestRecord is how testdata/v1-* and v2-* were made: go test ./collector/cgroup -run TestRecord -record testdata/v2-KERNEL
func TestRecord(t *testing.T) {
	if *record == "" {
		t.Skip("makes recordings and tests nothing: -record FOLDER runs it")
	}
	g := cgrouptest.New(t)
	g.Set(t, "67108864", "memory.max", "memory.limit_in_bytes")
	g.Set(t, "30", "pids.max")
	busy, quiet := g.Child(t, "busy"), g.Child(t, "quiet")
	if !busy.Set(t, "10000 100000", "cpu.max") {
		busy.Set(t, "10000", "cpu.cfs_quota_us")
	}
	busy.Start(t, "cpu")
	busy.Start(t, "memory", "8")
	quiet.Start(t, "sleep")
	hungry := g.Child(t, "hungry")
	hungry.Set(t, "16777216", "memory.max", "memory.limit_in_bytes")
	_ = hungry.Start(t, "hungry").Wait()
	time.Sleep(3 * time.Second) // what the kernel averages over two seconds should show the load

	named := map[string]string{"": "", "/busy": "/load.slice/busy.service", "/quiet": "/load.slice/quiet.service", "/hungry": "/load.slice/hungry.service"}
	for i := range g.Hierarchy.Mounts {
		mount := &g.Hierarchy.Mounts[i]
		from := strings.TrimPrefix(mount.Root, "/")
		copyFiles(t, mount.Root, filepath.Join(*record, from))
		for child, name := range named {
			if child == "" {
				name = "/load.slice"
			}
			copyFiles(t, mount.Folder(g.ID+child), filepath.Join(*record, from)+name)
		}
	}
}

// recorded tells which files a tree needs: those that are read, and those that tell what is mounted.
func recorded(name string) bool {
	if name == "cgroup.controllers" || name == "cgroup.stat" || name == "cgroup.events" || name == "cgroup.clone_children" || name == "cgroup.procs" {
		return true
	}
	return cgroup.Reads(name)
}

func copyFiles(t *testing.T, from, to string) {
	t.Helper()
	entries, err := os.ReadDir(from)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(to, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		if entry.Type() != fs.FileMode(0) || !recorded(entry.Name()) {
			continue
		}
		text, err := os.ReadFile(filepath.Join(from, entry.Name()))
		if err != nil {
			t.Logf("not recorded: %v", err)
			continue
		}
		if err := os.WriteFile(filepath.Join(to, entry.Name()), text, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}
