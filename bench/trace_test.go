package bench

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// fileCalls are the system calls by which a program gets at files. What the runtime does besides (futex, mmap, clone, …) differs from
// run to run.
var fileCalls = map[uint64]string{
	unix.SYS_OPENAT: "openat", unix.SYS_CLOSE: "close", unix.SYS_READ: "read", unix.SYS_PREAD64: "pread64", unix.SYS_LSEEK: "lseek",
	unix.SYS_READLINKAT: "readlinkat", unix.SYS_GETDENTS64: "getdents64", unix.SYS_FSTAT: "fstat", unix.SYS_STATX: "statx",
	unix.SYS_STATFS: "statfs", unix.SYS_FSTATFS: "fstatfs", unix.SYS_FACCESSAT: "faccessat", unix.SYS_FACCESSAT2: "faccessat2",
	unix.SYS_INOTIFY_ADD_WATCH: "inotify_add_watch", unix.SYS_FCNTL: "fcntl", unix.SYS_IOCTL: "ioctl", unix.SYS_WRITE: "write",
	unix.SYS_PPOLL: "ppoll", unix.SYS_OPENAT2: "openat2", unix.SYS_PREADV2: "preadv2", unix.SYS_READV: "readv",
}

// mark is a system call that changes nothing and that nobody else makes: it tells the tracer where a part begins.
func mark(part int) { _, _, _ = unix.RawSyscall(unix.SYS_GETPGID, uintptr(markBase-part), 0, 0) }

// markBase is far from any process's ID, and so an error for the kernel.
const markBase = 1<<31 - 1

// trace runs a program and counts its file calls, by part and name. A part begins with mark(part), and ends where the next begins.
func trace(t *testing.T, command *exec.Cmd) map[int]map[string]int {
	t.Helper()
	// Only the thread that began to trace may go on.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var said strings.Builder
	command.Stdout, command.Stderr = &said, &said
	// In a group of its own it can be waited for without taking other children's ends.
	command.SysProcAttr = &syscall.SysProcAttr{Ptrace: true, Setpgid: true}
	if err := command.Start(); err != nil {
		if errors.Is(err, os.ErrPermission) {
			t.Skipf("processes cannot be traced here: %v", err)
		}
		t.Fatalf("start the traced program: %v", err)
	}
	pid := command.Process.Pid
	defer func() {
		_ = syscall.Kill(-pid, syscall.SIGKILL)
		_ = command.Wait()
	}()
	counter := &counter{calls: map[int]map[string]int{}}
	if status := counter.follow(t, pid); status != 0 {
		t.Fatalf("the traced program ended with status %d:\n%s", status, said.String())
	}
	return counter.calls
}

// counter is told of every system call.
type counter struct {
	part  int
	calls map[int]map[string]int
}

// follow traces all threads of a program to its end, and returns its exit status.
func (c *counter) follow(t *testing.T, pid int) int {
	t.Helper()
	var status syscall.WaitStatus
	if _, err := syscall.Wait4(pid, &status, 0, nil); err != nil || !status.Stopped() {
		t.Fatalf("wait for the traced program to stop: %v, status %v", err, status)
	}
	const options = unix.PTRACE_O_TRACESYSGOOD | unix.PTRACE_O_TRACECLONE | unix.PTRACE_O_EXITKILL
	if err := syscall.PtraceSetOptions(pid, options); err != nil {
		t.Fatalf("set options of tracing: %v", err)
	}
	thread, signal := pid, 0
	for {
		// One that was killed at this moment is waited for like the others.
		if err := syscall.PtraceSyscall(thread, signal); err != nil && !errors.Is(err, syscall.ESRCH) {
			t.Fatalf("go on with thread %d: %v", thread, err)
		}
		for {
			var err error
			if thread, err = syscall.Wait4(-pid, &status, syscall.WALL, nil); err != nil {
				t.Fatalf("wait for a traced thread: %v", err)
			}
			if status.Stopped() {
				break
			}
			if thread == pid {
				return status.ExitStatus()
			}
		}
		signal = 0
		switch stop := status.StopSignal(); {
		case stop == syscall.SIGTRAP|0x80:
			if err := c.count(thread); err != nil {
				t.Fatal(err)
			}
		case stop == syscall.SIGTRAP && status.TrapCause() >= 0, stop == syscall.SIGSTOP:
			// A new thread, of either side.
		default:
			signal = int(stop)
		}
	}
}

// callInfo is the head of the kernel's struct ptrace_syscall_info, at the entry of a call.
type callInfo struct {
	kind      uint8
	_         [3]uint8
	arch      uint32
	at, stack uint64
	number    uint64
	arguments [6]uint64
}

// count takes note of a call that a thread is about to make.
func (c *counter) count(thread int) error {
	const entry = 1 // PTRACE_SYSCALL_INFO_ENTRY
	var info callInfo
	_, _, errno := syscall.Syscall6(syscall.SYS_PTRACE, unix.PTRACE_GET_SYSCALL_INFO, uintptr(thread), unsafe.Sizeof(info), uintptr(unsafe.Pointer(&info)), 0, 0)
	if errno != 0 {
		return fmt.Errorf("ask for the system call of thread %d: %w", thread, errno)
	}
	if info.kind != entry {
		return nil
	}
	if info.number == unix.SYS_GETPGID && info.arguments[0] > markBase-100 {
		c.part = markBase - int(info.arguments[0])
		return nil
	}
	if name := fileCalls[info.number]; name != "" {
		if c.calls[c.part] == nil {
			c.calls[c.part] = map[string]int{}
		}
		c.calls[c.part][name]++
	}
	return nil
}
