package process

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/nodevitals/nodevitals/snapshot"
)

// A list that is kept open is not opened anew, but on v1 within a second or so, when the kernel would give the last list again.
func TestKeptDescriptorIsRead(t *testing.T) {
	for _, test := range []struct {
		name  string
		v1    bool
		after time.Duration
		kept  bool
	}{
		{"v2, at once", false, 0, true},
		{"v1, after a second", true, time.Second, false},
		{"v1, after the clock was set back", true, -time.Hour, false},
		{"v1, after ten seconds", true, 10 * time.Second, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			// What the kept descriptor stands for has two processes, and what its path stands for one.
			path := procsFile(t, os.Getpid(), os.Getpid())
			file, err := os.Open(path)
			if err != nil {
				t.Fatal(err)
			}
			defer file.Close()
			if err := os.Rename(procsFile(t, os.Getpid()), path); err != nil {
				t.Fatal(err)
			}
			var values snapshot.Values
			targets := []Target{{Procs: path, Kept: int(file.Fd()) + 1, Values: &values}}
			r := NewReader(Options{HostRoot: "/", V1: test.v1})
			defer r.Close()
			now := time.Now()
			for _, at := range []time.Time{now, now.Add(test.after)} {
				if err := r.Count(targets, at); err != nil {
					t.Fatal(err)
				}
			}
			want := "1"
			if test.kept {
				want = "2"
			}
			if got := get(&values, snapshot.ProcessCount); got != want {
				t.Errorf("got %s processes, want %s", got, want)
			}
		})
	}
}

// Whatever the kernel remembers of a list, a round has the processes of its time.
func TestKeptDescriptorTellsOfNow(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root to make cgroups")
	}
	folders, v1 := cgroupFolders(t, "kept")
	path := filepath.Join(folders[0], "cgroup.procs")
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	var values snapshot.Values
	targets := []Target{{Procs: path, Kept: int(file.Fd()) + 1, Values: &values}}
	r := NewReader(Options{HostRoot: "/", V1: v1})
	defer r.Close()
	count := func(want string) {
		t.Helper()
		if err := r.Count(targets, time.Now()); err != nil {
			t.Fatal(err)
		}
		if got := get(&values, snapshot.ProcessCount); got != want {
			t.Errorf("got %s processes, want %s", got, want)
		}
	}
	count("0")
	pids := []int{child(t, 0), child(t, 0)}
	for i, want := range []string{"1", "2"} {
		enter(t, folders[0], pids[i])
		count(want)
	}
	for _, pid := range pids {
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
			t.Error(err)
		}
	}
	for deadline := time.Now().Add(time.Minute); get(&values, snapshot.ProcessCount) != "0"; time.Sleep(100 * time.Millisecond) {
		if err := r.Count(targets, time.Now()); err != nil || time.Now().After(deadline) {
			t.Fatalf("%v: %s processes after both were killed", err, get(&values, snapshot.ProcessCount))
		}
	}
}
