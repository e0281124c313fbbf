package process

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/nodevitals/nodevitals/snapshot"
)

// insideVariable names the cgroups for a test that runs in a PID namespace of its own: one shared with a process outside, and one alone.
const insideVariable = "NODEVITALS_TEST_CGROUPS"

// cgroupFolders makes cgroups for the length of a test, and tells whether they are of v1.
func cgroupFolders(t *testing.T, names ...string) (folders []string, v1 bool) {
	t.Helper()
	root := "/sys/fs/cgroup"
	if _, err := os.Stat(filepath.Join(root, "cgroup.controllers")); err != nil {
		root, v1 = filepath.Join(root, "cpu"), true
	}
	for _, name := range names {
		folder := filepath.Join(root, fmt.Sprintf("nodevitals-test-%s-%d", name, os.Getpid()))
		if err := os.Mkdir(folder, 0o755); err != nil {
			t.Skipf("cannot make cgroups here: %v", err)
		}
		folders = append(folders, folder)
		t.Cleanup(func() {
			// A process that has ended leaves its cgroup a moment later.
			for deadline := time.Now().Add(time.Minute); os.Remove(folder) != nil; time.Sleep(10 * time.Millisecond) {
				if time.Now().After(deadline) {
					t.Errorf("cgroup %s cannot be removed", folder)
					return
				}
			}
		})
	}
	return folders, v1
}

// enter moves a process into a cgroup; 0 is the present one.
func enter(t *testing.T, folder string, pid int) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(folder, "cgroup.procs"), []byte(strconv.Itoa(pid)), 0o600); err != nil {
		t.Fatal(err)
	}
}

// What a PID namespace hides is unknown. On v1 the kernel leaves it out of cgroup.procs, so that nothing is known; on v2 it writes a 0 in its
// place, so that the count is right. And numbers of one namespace are not looked up in another's /proc, where they are other processes.
func TestInAnotherPIDNamespace(t *testing.T) {
	if names := os.Getenv(insideVariable); names != "" {
		inside(t, strings.Split(names, ":"))
		return
	}
	if os.Geteuid() != 0 {
		t.Skip("needs root to make cgroups and namespaces")
	}
	outside := child(t, 2)
	folders, v1 := cgroupFolders(t, "shared", "alone")
	enter(t, folders[0], outside)
	t.Cleanup(func() { _ = syscall.Kill(outside, syscall.SIGKILL) })
	command := exec.Command("/proc/self/exe", "-test.run=^"+t.Name()+"$", "-test.v")
	command.Env = append(os.Environ(), insideVariable+"="+strings.Join(folders, ":"))
	command.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWPID | syscall.CLONE_NEWNS}
	said, err := command.CombinedOutput()
	if err != nil || !strings.Contains(string(said), "--- PASS: "+t.Name()) {
		t.Fatalf("in a PID namespace of its own (v1 %t): %v\n%s", v1, err, said)
	}
	t.Logf("in a PID namespace of its own (v1 %t):\n%s", v1, said)
}

func inside(t *testing.T, folders []string) {
	if os.Getpid() != 1 {
		t.Fatalf("this is process %d, want the first of its namespace", os.Getpid())
	}
	v1 := strings.HasPrefix(folders[0], "/sys/fs/cgroup/cpu/")
	// A /proc of this namespace, beside the host's at /proc.
	own := t.TempDir()
	if err := errors.Join(
		unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""), os.Mkdir(filepath.Join(own, "proc"), 0o755),
		unix.Mount("proc", filepath.Join(own, "proc"), "proc", 0, ""),
	); err != nil {
		t.Skipf("mount a /proc of this namespace: %v", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(filepath.Join(own, "proc"), unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	enter(t, folders[0], 0)
	hidden, err := os.ReadFile(filepath.Join(folders[0], "cgroup.procs"))
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("cgroup.procs, of a process outside and one inside: %q", hidden)
	shared := filepath.Join(folders[0], "cgroup.procs")
	for _, test := range []struct {
		name, root, procs string
		// count and descriptors are what is known on v2; on v1 nothing is.
		count, descriptors string
		ids                bool
	}{
		{"shared cgroup, the host's /proc", "/", shared, "2", "absent", false},
		{"shared cgroup, its own /proc", own, shared, "2", "absent", true},
	} {
		check(t, v1, test.name, test.root, test.procs, test.count, test.descriptors)
		if got := SameNumbers(test.root); got != test.ids {
			t.Errorf("%s: the numbers are the same: %t, want %t", test.name, got, test.ids)
		}
	}
	enter(t, folders[1], 0)
	alone := filepath.Join(folders[1], "cgroup.procs")
	check(t, v1, "a cgroup of its own, the host's /proc", "/", alone, "1", "absent")
	check(t, v1, "a cgroup of its own, its own /proc", own, alone, "1", "some")
}

func check(t *testing.T, v1 bool, name, root, procs, count, descriptors string) {
	t.Helper()
	if v1 {
		count, descriptors = "absent", "absent"
	}
	var values snapshot.Values
	for _, field := range []snapshot.Field{snapshot.ProcessCount, snapshot.ProcessFDs, snapshot.ProcessSockets, snapshot.ProcessNoFileSoft} {
		values.Set(field, 77) // of a round before, which must not stay
	}
	r := NewReader(Options{HostRoot: root, V1: v1})
	defer r.Close()
	err := r.Read([]Target{{Procs: procs, LimitsPID: FirstPID, Values: &values}}, time.Now())
	if got := get(&values, snapshot.ProcessCount); got != count {
		t.Errorf("%s: %s processes, want %s", name, got, count)
	}
	for _, field := range []snapshot.Field{snapshot.ProcessFDs, snapshot.ProcessSockets} {
		got := get(&values, field)
		if got != "absent" && descriptors == "some" && got != "77" {
			continue
		}
		if got != descriptors {
			t.Errorf("%s: %s is %s, want %s", name, snapshot.Fields[field].Name, got, descriptors)
		}
	}
	if descriptors == "absent" {
		// The limit needs a process, whose number says nothing here.
		if got := get(&values, snapshot.ProcessNoFileSoft); v1 && got != "absent" || got == "77" {
			t.Errorf("%s: limit of open files %s, want none", name, got)
		}
		if !errors.Is(err, fs.ErrPermission) {
			t.Errorf("%s: got %v, want an error that wraps fs.ErrPermission", name, err)
		}
	} else if err != nil {
		t.Errorf("%s: %v", name, err)
	}
}

// Without a namespace of its own nothing is hidden, and numbers are the host's.
func TestSightOfTheHost(t *testing.T) {
	own, err := os.Readlink("/proc/self/ns/pid")
	if err != nil {
		t.Fatal(err)
	}
	if own != outermost {
		t.Skipf("this is in a PID namespace of its own: %s", own)
	}
	if got := look("/"); got != (sight{all: true, numbered: true}) {
		t.Errorf("got %+v, want all of it", got)
	}
}
