package cgroup_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/nodevitals/nodevitals/collector/cgroup"
	"github.com/nodevitals/nodevitals/snapshot"
)

// copyOf is the root of a recorded tree that a test may write to.
func copyOf(t *testing.T, tree string) string {
	t.Helper()
	root := t.TempDir()
	if err := os.CopyFS(root, os.DirFS("testdata/"+tree)); err != nil {
		t.Fatal(err)
	}
	return root
}

// limited is a host of a recorded tree that a test may write to, one of its cgroups, which has a limit, and the folder of that.
func limited(t *testing.T) (h *host, id, folder string) {
	t.Helper()
	root := copyOf(t, "v2-6.1.0")
	id = "/load.slice"
	folder = filepath.Join(root, "sys/fs/cgroup", id)
	if err := os.WriteFile(filepath.Join(folder, "memory.max"), []byte("1000000\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	h = newHost(t, root, cgroup.TreeOptions{}, cgroup.ReaderOptions{})
	if got := h.pass(snapshot.Core)[id].Spec.MemoryLimit; got != snapshot.Some(1000000) {
		t.Fatalf("memory limit: got %v, want 1000000", got)
	}
	return h, id, folder
}

// What inotify does not tell of is seen after five minutes, and not read all the time until then.
func TestLimitsAreReadAnewNowAndThen(t *testing.T) {
	h, id, folder := limited(t)
	unseen := filepath.Join(folder, "other")
	if err := os.WriteFile(unseen, []byte("2000000\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	// Of a file that takes another's place the watch does not tell.
	if err := os.Rename(unseen, filepath.Join(folder, "memory.max")); err != nil {
		t.Fatal(err)
	}
	for _, after := range []struct {
		time time.Duration
		want uint64
	}{{2 * time.Minute, 1000000}, {4 * time.Minute, 2000000}} {
		h.now = h.now.Add(after.time)
		if got := h.pass(snapshot.Core)[id].Spec.MemoryLimit; got != snapshot.Some(after.want) {
			t.Errorf("memory limit %s later: got %v, want %d", after.time, got, after.want)
		}
	}
}

// When the kernel has dropped events, that of a new limit may be one of them.
func TestLimitsAreReadAnewWhenEventsAreLost(t *testing.T) {
	text, err := os.ReadFile("/proc/sys/fs/inotify/max_queued_events")
	if err != nil {
		t.Skipf("the length of the queue of events is not known: %v", err)
	}
	most, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil || most > 1<<20 {
		t.Skipf("the queue of events is too long to be filled: %q", text)
	}
	h, id, folder := limited(t)
	// Two in turns: the same event twice in a row is kept once.
	var files [2]*os.File
	for i := range files {
		if files[i], err = os.Create(filepath.Join(folder, fmt.Sprint("file", i))); err != nil {
			t.Fatal(err)
		}
		defer files[i].Close()
	}
	for i := range most + 2 {
		if _, err := files[i%2].WriteAt([]byte{'x'}, 0); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(folder, "memory.max"), []byte("3000000\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := h.pass(snapshot.Core)[id].Spec.MemoryLimit; got != snapshot.Some(3000000) {
		t.Errorf("memory limit: got %v, want 3000000", got)
	}
}
