package process

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/procfs"
	"golang.org/x/sys/unix"

	"github.com/nodevitals/nodevitals/collector/usertest"
	"github.com/nodevitals/nodevitals/snapshot"
)

func TestReadCountsChildren(t *testing.T) {
	first, second := child(t, 2), child(t, 5)
	more := uint64(inherited(t))
	limits, err := procfs.NewFS("/proc")
	if err != nil {
		t.Fatal(err)
	}
	proc, err := limits.Proc(first)
	if err != nil {
		t.Fatal(err)
	}
	want, err := proc.Limits()
	if err != nil {
		t.Fatal(err)
	}
	var values snapshot.Values
	r := NewReader(Options{HostRoot: "/"})
	defer r.Close()
	targets := []Target{{Procs: procsFile(t, first, second, gonePid(t)), LimitsPID: first, Values: &values}}
	if err := r.Read(targets, time.Now()); err != nil {
		t.Fatal(err)
	}
	for field, want := range map[snapshot.Field]uint64{
		// As cAdvisor does, the file's lines count, also of a process that is just gone.
		snapshot.ProcessCount: 3, snapshot.ProcessFDs: 3 + 2 + more + 3 + 5 + more, snapshot.ProcessSockets: 7,
		snapshot.ProcessNoFileSoft: want.OpenFiles,
	} {
		if got := get(&values, field); got != strconv.FormatUint(want, 10) {
			t.Errorf("%s: got %s, want %d", snapshot.Fields[field].Name, got, want)
		}
	}
}

// Counting alone leaves what is known of descriptors as it is, and opens no folder of a process.
func TestCountAlone(t *testing.T) {
	var values, gone snapshot.Values
	values.Set(snapshot.ProcessSockets, 77)
	gone.Set(snapshot.ProcessCount, 9)
	r := NewReader(Options{HostRoot: "/"})
	defer r.Close()
	targets := []Target{
		{Procs: procsFile(t, child(t, 1), os.Getpid()), LimitsPID: FirstPID, Values: &values},
		{Procs: filepath.Join(t.TempDir(), "cgroup.procs"), Values: &gone},
	}
	if err := r.Count(targets, time.Now()); err != nil {
		t.Fatal(err)
	}
	if count, sockets := get(&values, snapshot.ProcessCount), get(&values, snapshot.ProcessSockets); count != "2" || sockets != "77" {
		t.Errorf("got %s processes and %s sockets, want 2 and the 77 of before", count, sockets)
	}
	if got := get(&values, snapshot.ProcessFDs); got != "absent" {
		t.Errorf("got %s descriptors, want none", got)
	}
	if got := get(&gone, snapshot.ProcessCount); got != "absent" {
		t.Errorf("a cgroup that has gone: got %s processes", got)
	}
}

func TestLimitOfTheFirstProcess(t *testing.T) {
	first := child(t, 0)
	var named, found, none snapshot.Values
	r := NewReader(Options{HostRoot: "/"})
	defer r.Close()
	if err := r.Read([]Target{
		{Procs: procsFile(t, first, os.Getpid()), LimitsPID: first, Values: &named},
		{Procs: procsFile(t, first, os.Getpid()), LimitsPID: FirstPID, Values: &found},
		{Procs: procsFile(t), LimitsPID: FirstPID, Values: &none},
	}, time.Now()); err != nil {
		t.Fatal(err)
	}
	if got, want := get(&found, snapshot.ProcessNoFileSoft), get(&named, snapshot.ProcessNoFileSoft); got != want || got == "absent" {
		t.Errorf("limit of the first process: got %s, want %s", got, want)
	}
	if got := get(&none, snapshot.ProcessNoFileSoft); got != "absent" {
		t.Errorf("limit in an empty cgroup: got %s, want none", got)
	}
}

// The limit is asked of the kernel or, where it does not answer, read from a file.
func TestLimitIsTheSameBothWays(t *testing.T) {
	pid := child(t, 0)
	if err := unix.Prlimit(pid, unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: 321, Max: 432}, nil); err != nil {
		t.Skipf("cannot set the limit of a child: %v", err)
	}
	r := NewReader(Options{HostRoot: "/"})
	defer r.Close()
	if err := r.openProc(); err != nil {
		t.Fatal(err)
	}
	for _, numbered := range []bool{true, false} {
		r.sight.numbered = numbered
		if limit, ok := r.readOpenFiles(pid); !ok || limit != 321 {
			t.Errorf("with the kernel to ask %t: got %d, %t; want 321", numbered, limit, ok)
		}
	}
}

// The last part of a file is told by its length. Of what the kernel prints by lines the largest is compared.
func TestFilesAreReadToTheirEnd(t *testing.T) {
	r := NewReader(Options{HostRoot: "/"})
	defer r.Close()
	if err := r.openProc(); err != nil {
		t.Fatal(err)
	}
	many := make([]int, 5000)
	for i := range many {
		many[i] = 1000 + i
	}
	for _, path := range []string{"/proc/kallsyms", "/proc/self/limits", procsFile(t, many...), procsFile(t)} {
		t.Run(filepath.Base(path), func(t *testing.T) {
			want, err := os.ReadFile(path)
			if err != nil {
				t.Skipf("cannot be compared: %v", err)
			}
			r.path = append(append(r.path[:0], path...), 0)
			if got, err := r.readFile(); err != nil || !bytes.Equal(got, want) {
				t.Errorf("%s: read %d bytes, %v; want %d", path, len(got), err, len(want))
			}
		})
	}
}

// Kernels before 6.2 give every /proc/PID/fd the size 0. A recorded tree shows that: its folders' sizes are not counts.
func TestListingAgreesWithSize(t *testing.T) {
	pid := child(t, 4)
	want := uint64(7 + inherited(t))
	r := NewReader(Options{HostRoot: "/"})
	defer r.Close()
	if err := r.openProc(); err != nil {
		t.Fatal(err)
	}
	count, sockets, err := r.list(pid, true)
	if err != nil || count != want || sockets != 4 {
		t.Errorf("listed: got %d with %d sockets, %v; want %d with 4", count, sockets, err, want)
	}
	if sized, err := r.descriptors(pid); err != nil || sized != want {
		t.Errorf("sized or listed: got %d, %v; want %d", sized, err, want)
	}
}

func TestGoneCgroupIsAbsentAndNoError(t *testing.T) {
	var values snapshot.Values
	values.Set(snapshot.ProcessCount, 9)
	values.Set(snapshot.ProcessSockets, 9)
	r := NewReader(Options{HostRoot: "/"})
	defer r.Close()
	if err := r.Read([]Target{{Procs: filepath.Join(t.TempDir(), "cgroup.procs"), Values: &values}}, time.Now()); err != nil {
		t.Error(err)
	}
	if get(&values, snapshot.ProcessCount) != "absent" || get(&values, snapshot.ProcessSockets) != "absent" {
		t.Errorf("got %+v, want nothing", values)
	}
}

// The kernel writes 0 for a process outside of the reader's PID namespace: it exists, and its descriptors are unknown.
func TestForeignProcessesAreCountedOnly(t *testing.T) {
	var values snapshot.Values
	r := NewReader(Options{HostRoot: "/"})
	defer r.Close()
	err := r.Read([]Target{{Procs: procsFile(t, 0, 0, os.Getpid()), Values: &values}}, time.Now())
	if !errors.Is(err, fs.ErrPermission) {
		t.Errorf("got %v, want ErrPermission", err)
	}
	if got := get(&values, snapshot.ProcessCount); got != "3" {
		t.Errorf("processes: got %s, want 3", got)
	}
	if got := get(&values, snapshot.ProcessFDs); got != "absent" {
		t.Errorf("descriptors: got %s, want absent", got)
	}
}

// Mounted with hidepid, /proc has no folder for a process that exists. The cgroup's sums are unknown then, not without it.
func TestProcessThatProcHides(t *testing.T) {
	root := t.TempDir()
	if err := os.Mkdir(filepath.Join(root, "proc"), 0o755); err != nil {
		t.Fatal(err)
	}
	var values snapshot.Values
	r := NewReader(Options{HostRoot: root})
	defer r.Close()
	for pid, want := range map[int]string{os.Getpid(): "absent", gonePid(t): "0"} {
		err := r.Read([]Target{{Procs: procsFile(t, pid), Values: &values}}, time.Now())
		if got := get(&values, snapshot.ProcessFDs); got != want || errors.Is(err, fs.ErrPermission) != (want == "absent") {
			t.Errorf("process %d: got %s descriptors, %v; want %s", pid, got, err, want)
		}
	}
}

func TestBudgetTakesTurns(t *testing.T) {
	const cgroups = 5
	descriptors := 5 + inherited(t)
	pids := make([]int, cgroups)
	targets := make([]Target, cgroups)
	values := make([]snapshot.Values, cgroups)
	for i := range targets {
		pids[i] = child(t, 2)
		targets[i] = Target{Procs: procsFile(t, pids[i]), Values: &values[i]}
	}
	r := NewReader(Options{HostRoot: "/", Budget: Budget{Links: 2*descriptors + 2}}) // two new cgroups a round
	defer r.Close()
	for round, want := range [][]string{
		{"2", "2", "absent", "absent", "absent"},
		{"2", "2", "2", "2", "absent"},
		{"2", "2", "2", "2", "2"},
	} {
		if err := r.Read(targets, time.Now()); err != nil {
			t.Fatal(err)
		}
		for i := range targets {
			if got := get(&values[i], snapshot.ProcessSockets); got != want[i] {
				t.Errorf("round %d, cgroup %d: got %s sockets, want %s", round, i, got, want[i])
			}
			if got := get(&values[i], snapshot.ProcessFDs); got != strconv.Itoa(descriptors) {
				t.Errorf("round %d, cgroup %d: got %s descriptors, want %d in every round", round, i, got, descriptors)
			}
		}
	}
}

func TestCgroupBeyondTheBudgetIsCountedWhole(t *testing.T) {
	var small, large snapshot.Values
	targets := []Target{
		{Procs: procsFile(t, child(t, 0)), Values: &small},
		{Procs: procsFile(t, child(t, 20)), Values: &large},
	}
	r := NewReader(Options{HostRoot: "/", Budget: Budget{Links: 10}})
	defer r.Close()
	for range 2 {
		if err := r.Read(targets, time.Now()); err != nil {
			t.Fatal(err)
		}
	}
	if got := get(&large, snapshot.ProcessSockets); got != "20" {
		t.Errorf("got %s sockets in the large one after two rounds, want 20", got)
	}
}

func TestThreadedCgroup(t *testing.T) {
	root := unifiedRoot(t)
	parent := filepath.Join(root, "nodevitals-test-threaded-"+strconv.Itoa(os.Getpid()))
	threaded := filepath.Join(parent, "threads")
	for _, dir := range []string{parent, threaded} {
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Skip(err)
		}
	}
	pid := child(t, 1)
	t.Cleanup(func() {
		_ = os.WriteFile(filepath.Join(root, "cgroup.procs"), []byte(strconv.Itoa(pid)), 0o600)
		_, _ = os.Remove(threaded), os.Remove(parent)
	})
	for path, text := range map[string]string{filepath.Join(parent, "cgroup.procs"): strconv.Itoa(pid)} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Skip(err)
		}
	}
	if err := os.WriteFile(filepath.Join(threaded, "cgroup.type"), []byte("threaded"), 0o600); err != nil {
		t.Skip(err)
	}
	if err := os.WriteFile(filepath.Join(threaded, "cgroup.threads"), []byte(strconv.Itoa(pid)), 0o600); err != nil {
		t.Skip(err)
	}
	if _, err := os.ReadFile(filepath.Join(threaded, "cgroup.procs")); !errors.Is(err, syscall.EOPNOTSUPP) {
		t.Skipf("cgroup.procs of a threaded cgroup: got %v", err)
	}
	var values snapshot.Values
	r := NewReader(Options{HostRoot: "/"})
	defer r.Close()
	if err := r.Read([]Target{{Procs: filepath.Join(threaded, "cgroup.procs"), Values: &values}}, time.Now()); err != nil {
		t.Fatal(err)
	}
	want := fmt.Sprintf("1 %d 1", 4+inherited(t))
	if got := get(&values, snapshot.ProcessCount) + " " + get(&values, snapshot.ProcessFDs) + " " + get(&values, snapshot.ProcessSockets); got != want {
		t.Errorf("got %s processes, descriptors and sockets, want %s", got, want)
	}
}

// Every thread of a process counts as that process.
func TestThreadsOfOneProcessAreOne(t *testing.T) {
	root := t.TempDir()
	for tid, process := range map[int]int{11: 11, 12: 11, 13: 13} {
		dir := filepath.Join(root, "proc", strconv.Itoa(tid))
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "status"), fmt.Appendf(nil, "Name:\tx\nTgid:\t%d\n", process), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	r := NewReader(Options{HostRoot: root})
	defer r.Close()
	if err := r.openProc(); err != nil {
		t.Fatal(err)
	}
	for tid, want := range map[int]int{11: 11, 12: 11, 13: 13, 14: 14} {
		if got := r.processOf(tid); got != want {
			t.Errorf("thread %d: got process %d, want %d", tid, got, want)
		}
	}
}

func TestOrdinaryUserDoesNotUndercount(t *testing.T) {
	if os.Geteuid() == 0 {
		usertest.RunAs(t, usertest.Nobody)
		return
	}
	init, err := os.Stat("/proc/1/fd")
	if err != nil {
		t.Skip(err)
	}
	var values snapshot.Values
	r := NewReader(Options{HostRoot: "/"})
	defer r.Close()
	err = r.Read([]Target{{Procs: procsFile(t, os.Getpid(), 1), Values: &values}}, time.Now())
	if _, readable := os.ReadDir("/proc/1/fd"); readable == nil {
		t.Skip("process 1 hides nothing from this user")
	}
	if !errors.Is(err, fs.ErrPermission) {
		t.Errorf("got %v, want ErrPermission", err)
	}
	if got := get(&values, snapshot.ProcessCount); got != "2" {
		t.Errorf("processes: got %s, want 2", got)
	}
	if got := get(&values, snapshot.ProcessSockets); got != "absent" {
		t.Errorf("sockets: got %s, want absent", got)
	}
	// The size is open to all, where the kernel gives it.
	if got := get(&values, snapshot.ProcessFDs); (got == "absent") != (init.Size() == 0) {
		t.Errorf("descriptors: got %s with process 1's folder of size %d", got, init.Size())
	}
}

// In a container, root has few capabilities. It may list the descriptors of others and not see what they are: no number is better than 0.
func TestRootWithoutPtraceDoesNotUndercount(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
	procs := procsFile(t, child(t, 2))
	var values snapshot.Values
	r := NewReader(Options{HostRoot: "/"})
	defer r.Close()
	result := make(chan error, 1)
	go func() {
		// The thread has lost its capabilities and ends with the goroutine.
		runtime.LockOSThread()
		if err := dropCapabilities(); err != nil {
			result <- err
			return
		}
		result <- r.Read([]Target{{Procs: procs, Values: &values}}, time.Now())
	}()
	if err := <-result; !errors.Is(err, fs.ErrPermission) {
		t.Errorf("error: got %v, want one that wraps fs.ErrPermission", err)
	}
	if got := get(&values, snapshot.ProcessSockets); got != "absent" {
		t.Errorf("sockets: got %s, want absent", got)
	}
	if r.sized {
		if got := get(&values, snapshot.ProcessFDs); got == "absent" {
			t.Error("descriptors are absent, though the kernel tells their count to everyone")
		}
	}
}

// dropCapabilities takes all capabilities from the calling thread.
func dropCapabilities() error {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var none [2]unix.CapUserData
	return unix.Capset(&header, &none[0])
}

func TestSteadyReadAllocatesNothing(t *testing.T) {
	pid := child(t, 3)
	targets := make([]Target, 10)
	values := make([]snapshot.Values, 10)
	for i := range targets {
		targets[i] = Target{Procs: procsFile(t, pid, pid), LimitsPID: pid, Values: &values[i]}
	}
	r := NewReader(Options{HostRoot: "/"})
	defer r.Close()
	now := time.Now()
	if err := r.Read(targets, now); err != nil {
		t.Fatal(err)
	}
	if n := testing.AllocsPerRun(20, func() { _ = r.Read(targets, now) }); n != 0 {
		t.Errorf("got %v allocations for ten cgroups, want 0", n)
	}
}

func BenchmarkRead(b *testing.B) {
	path := filepath.Join(b.TempDir(), "cgroup.procs")
	if err := os.WriteFile(path, fmt.Appendf(nil, "%d\n", os.Getpid()), 0o600); err != nil {
		b.Fatal(err)
	}
	targets := make([]Target, 400)
	values := make([]snapshot.Values, 400)
	for i := range targets {
		targets[i] = Target{Procs: path, Values: &values[i]}
	}
	r := NewReader(Options{HostRoot: "/"})
	defer r.Close()
	b.ReportAllocs()
	for b.Loop() {
		if err := r.Read(targets, time.Time{}); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/400, "ns/cgroup")
}
