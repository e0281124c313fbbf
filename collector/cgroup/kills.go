package cgroup

import (
	"bytes"

	"golang.org/x/sys/unix"
)

// kills knows whether the kernel has killed any process for want of memory since the last pass. While it has not, no cgroup counts one more
// kill, so that the files which count them (v1: one for each cgroup, and nothing else in it) need not be read.
type kills struct {
	// vmstat is the descriptor of /proc/vmstat, or -1 where there is none.
	vmstat int
	// total is oom_kill of that file: processes since the boot.
	total uint64
	// settled: the total is known, and the last pass found the same. The kernel adds to it just before it adds to the cgroup's
	// (__oom_kill_process in mm/oom_kill.c), and a pass could come between the two.
	settled bool
}

// openKills opens a file that is /proc/vmstat of the host; "" is none.
func openKills(path string) kills {
	if path != "" {
		if fd, errno := openFile(append([]byte(path), 0)); errno == 0 {
			return kills{vmstat: fd}
		}
	}
	return kills{vmstat: -1}
}

var oomKillKey = []byte("\noom_kill ")

// update reads the total anew. Kernels before Linux 4.13 do not tell it.
func (k *kills) update(buffer []byte) {
	if k.vmstat < 0 {
		return
	}
	total, ok := k.read(buffer)
	k.settled = ok && total == k.total
	k.total = total
}

// read reads the file, which comes in parts of whole lines, as far as needed.
func (k *kills) read(buffer []byte) (uint64, bool) {
	for filled := 0; filled < len(buffer); {
		n, errno := pread(k.vmstat, buffer[filled:], int64(filled))
		if errno != 0 || n == 0 {
			return 0, false
		}
		filled += n
		if _, after, found := bytes.Cut(buffer[:filled], oomKillKey); found {
			number, _, ended := bytes.Cut(after, newline)
			if total, ok := parseUint(number); ok && ended {
				return total, true
			}
		}
	}
	return 0, false
}

func (k *kills) close() {
	if k.vmstat >= 0 {
		unix.Close(k.vmstat)
		k.vmstat = -1
	}
}
