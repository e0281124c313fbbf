// Package cgrouptest makes real cgroups with real load for tests, on either version, and takes them away again.
//
// A test binary that uses it calls [Main] from its TestMain, since loads are the same binary started anew.
package cgrouptest

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/nodevitals/nodevitals/collector/cgroup"
)

// Group is one real cgroup, in every mount of the host's hierarchy.
type Group struct {
	// ID is the cgroup's path from the root of the hierarchy.
	ID string
	// Hierarchy is the host's.
	Hierarchy *cgroup.Hierarchy
}

var serial atomic.Int64

// New makes a cgroup at the top of the hierarchy, with every controller, for the length of the test. It skips the test where
// the user cannot make cgroups.
func New(t testing.TB) *Group {
	t.Helper()
	hierarchy, err := cgroup.Detect("/")
	if err != nil {
		t.Fatalf("detect cgroups: %v", err)
	}
	if os.Getuid() != 0 {
		t.Skip("needs root to make cgroups")
	}
	g := &Group{ID: fmt.Sprintf("/nodevitals-test-%d-%d", os.Getpid(), serial.Add(1)), Hierarchy: hierarchy}
	g.make(t)
	return g
}

// Child makes a cgroup below g.
func (g *Group) Child(t testing.TB, name string) *Group {
	t.Helper()
	child := &Group{ID: g.ID + "/" + name, Hierarchy: g.Hierarchy}
	child.make(t)
	return child
}

// Children makes count children of g named 0, 1, 2, … and returns their IDs.
func (g *Group) Children(t testing.TB, count int) []string {
	t.Helper()
	ids := make([]string, count)
	for i := range ids {
		ids[i] = g.Child(t, strconv.Itoa(i)).ID
	}
	return ids
}

func (g *Group) make(t testing.TB) {
	t.Helper()
	for i := range g.Hierarchy.Mounts {
		mount := &g.Hierarchy.Mounts[i]
		folder := mount.Folder(g.ID)
		if mount.Version == cgroup.V2 {
			// Controllers reach a cgroup through its parent; one that the machine lacks is refused and stays absent.
			for _, controller := range mount.Controllers {
				_ = os.WriteFile(filepath.Join(filepath.Dir(folder), "cgroup.subtree_control"), []byte("+"+controller), 0)
			}
		}
		if err := os.Mkdir(folder, 0o755); err != nil {
			if errors.Is(err, os.ErrPermission) || errors.Is(err, syscall.EROFS) {
				t.Skipf("cannot make cgroups here: %v", err)
			}
			t.Fatalf("make a cgroup: %v", err)
		}
	}
	t.Cleanup(func() { g.Remove(t) })
}

// Remove takes the cgroup away; what is gone already is no fault.
func (g *Group) Remove(t testing.TB) {
	t.Helper()
	for i := range g.Hierarchy.Mounts {
		folder := g.Hierarchy.Mounts[i].Folder(g.ID)
		// A killed process leaves its cgroup a moment after it was waited for.
		Await(t, "cgroup "+folder+" to be empty and removed", func() (bool, string) {
			err := syscall.Rmdir(folder)
			return err == nil || errors.Is(err, syscall.ENOENT), fmt.Sprint(err)
		})
	}
}

// Set writes a value to the first of the files that the cgroup has: tests name v2's file and v1's. It reports whether there
// was one.
func (g *Group) Set(t testing.TB, value string, files ...string) bool {
	t.Helper()
	for _, file := range files {
		for i := range g.Hierarchy.Mounts {
			path := filepath.Join(g.Hierarchy.Mounts[i].Folder(g.ID), file)
			if _, err := os.Stat(path); err != nil {
				continue
			}
			if err := os.WriteFile(path, []byte(value), 0); err != nil {
				t.Fatalf("set a limit: %v", err)
			}
			return true
		}
	}
	return false
}

// Start runs a load (see [Main]) in the cgroup until the test ends.
func (g *Group) Start(t testing.TB, load string, arguments ...string) *exec.Cmd {
	t.Helper()
	return g.StartWith(t, nil, load, arguments...)
}

// StartWith is Start with attributes of the process, such as namespaces of its own.
func (g *Group) StartWith(t testing.TB, attributes *syscall.SysProcAttr, load string, arguments ...string) *exec.Cmd {
	t.Helper()
	command := exec.Command("/proc/self/exe", arguments...)
	command.Env = append(os.Environ(), loadVariable+"="+load)
	command.Stderr = os.Stderr
	command.SysProcAttr = attributes
	// The load starts when its input ends, by which time it is in its cgroup and all that it uses is counted there.
	gate, err := command.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	ready, err := command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatalf("start load %s: %v", load, err)
	}
	t.Cleanup(func() {
		_ = command.Process.Kill()
		_ = command.Wait()
	})
	// What the program takes for itself until it waits for that is none of the cgroup's, whose limit may be less.
	if _, err := io.ReadFull(ready, make([]byte, 1)); err != nil {
		t.Fatalf("load %s did not come up: %v", load, err)
	}
	for i := range g.Hierarchy.Mounts {
		path := filepath.Join(g.Hierarchy.Mounts[i].Folder(g.ID), "cgroup.procs")
		if err := os.WriteFile(path, []byte(strconv.Itoa(command.Process.Pid)), 0); err != nil {
			t.Fatalf("move load %s: %v", load, err)
		}
	}
	_ = gate.Close()
	if _, err := io.ReadFull(ready, make([]byte, 1)); err != nil {
		t.Fatalf("load %s did not begin: %v", load, err)
	}
	return command
}

// Await waits until the condition holds, and fails the test with what was awaited and last seen if that takes three minutes.
func Await(t testing.TB, awaited string, condition func() (bool, string)) {
	t.Helper()
	deadline := time.Now().Add(3 * time.Minute)
	for {
		ok, seen := condition()
		if ok {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("awaited for three minutes: %s; last seen: %s", awaited, strings.TrimSpace(seen))
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// Disk gives a place to write to on a real block device, and that device's number: a file in a folder of the test's own, or
// the RAM disk /dev/ram0 of an emulated machine. It skips the test where there is neither.
func Disk(t testing.TB) (path, device string) {
	t.Helper()
	folder := t.TempDir()
	var status syscall.Stat_t
	if err := syscall.Stat(folder, &status); err != nil {
		t.Fatal(err)
	}
	device = fmt.Sprintf("%d:%d", unix.Major(status.Dev), unix.Minor(status.Dev))
	block := filepath.Join("/sys/dev/block", device)
	if _, err := os.Stat(filepath.Join(block, "partition")); err == nil {
		// The io controller counts whole disks.
		text, err := os.ReadFile(filepath.Join(block, "../dev"))
		if err != nil {
			t.Fatal(err)
		}
		return filepath.Join(folder, "file"), strings.TrimSpace(string(text))
	}
	if _, err := os.Stat(block); err == nil {
		return filepath.Join(folder, "file"), device
	}
	if _, err := os.Stat("/dev/ram0"); err == nil {
		return "/dev/ram0", "1:0"
	}
	t.Skipf("needs a block device: %s is on none (device %s), and there is no RAM disk", folder, device)
	return "", ""
}
