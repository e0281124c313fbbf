package main

import (
	"os"
	"runtime"
	"strings"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// refuse has the kernel refuse a system call with EPERM to this thread and to what it starts, for good.
func refuse(t *testing.T, call uint32) {
	t.Helper()
	program := []unix.SockFilter{
		{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS}, // the call's number is the first word
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: call, Jf: 1},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ERRNO | uint32(unix.EPERM)},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ALLOW},
	}
	filter := unix.SockFprog{Len: uint16(len(program)), Filter: &program[0]}
	if err := unix.Prctl(unix.PR_SET_SECCOMP, unix.SECCOMP_MODE_FILTER, uintptr(unsafe.Pointer(&filter)), 0, 0); err != nil {
		t.Skipf("cannot set a filter of system calls: %v", err)
	}
}

// An agent that may not give up its capabilities still closes the way to new ones, which takes no right, and says what it could not do.
func TestNoNewPrivsWhereCapabilitiesStay(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root, to set a filter of system calls without no_new_privs")
	}
	// The thread has the filter, so it ends with this goroutine.
	runtime.LockOSThread()
	refuse(t, unix.SYS_CAPSET)
	a := startAgent(t, 0, "--reader=files")
	lines, differing := statusOfThreads(t, a.command.Process.Pid)
	if lines["NoNewPrivs"] != "1" || len(differing) > 0 {
		t.Errorf("NoNewPrivs is %q, want 1 in every thread; %v", lines["NoNewPrivs"], differing)
	}
	if !strings.Contains(a.stderr.String(), "capset: operation not permitted") {
		t.Errorf("it does not say that capset failed:\n%s", &a.stderr)
	}
}
