package cgroup

import (
	"errors"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// budget limits the descriptors that a Reader keeps open.
type budget struct {
	kept, most int
}

// reserve is what the rest of the process needs: listeners, connections, the standard three, the storage workers.
const reserve = 128

// newBudget takes the limit of open files less what the rest of the process needs, and at least half of it. most caps it
// further unless 0.
func newBudget(most int) budget {
	limit := 1024
	var now unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_NOFILE, &now) == nil {
		limit = int(min(now.Cur, 1<<30))
	}
	available := max(limit-reserve, limit/2)
	if most > 0 {
		available = min(available, most)
	}
	return budget{most: available}
}

// take reports whether one more descriptor may be kept, and counts it.
func (b *budget) take() bool {
	if b.kept >= b.most {
		return false
	}
	b.kept++
	return true
}

// giveBack returns one descriptor.
func (b *budget) giveBack() { b.kept-- }

// openFile opens the file whose path stands in path with a NUL behind it. Neither os.Open nor unix.Open will do: they
// copy the path to a new place each time, and a reader that has used up its descriptors opens every file on every pass.
func openFile(path []byte) (int, unix.Errno) {
	for {
		at := unix.AT_FDCWD
		fd, _, errno := unix.Syscall6(unix.SYS_OPENAT, uintptr(at), uintptr(unsafe.Pointer(&path[0])),
			unix.O_RDONLY|unix.O_CLOEXEC|unix.O_NOCTTY, 0, 0, 0)
		runtime.KeepAlive(path)
		if errno == unix.EINTR {
			continue
		}
		return int(fd), errno
	}
}

// readWhole reads a file from its start into buffer, which it makes larger until the file leaves room at its end. The kernel
// makes the text anew on every read at offset 0, so a full buffer means "read again, larger" and never "read on": two
// halves would come from two moments.
func readWhole(fd int, buffer *[]byte) (int, unix.Errno) {
	for {
		n, errno := pread(fd, *buffer, 0)
		if errno != 0 {
			return 0, errno
		}
		if n < len(*buffer) {
			return n, 0
		}
		*buffer = make([]byte, 2*len(*buffer))
	}
}

// readRecords reads a file that the kernel gives in parts, such as cgroup.procs, until its end.
func readRecords(fd int, buffer *[]byte) (int, unix.Errno) {
	total := 0
	for {
		if total == len(*buffer) {
			larger := make([]byte, 2*len(*buffer))
			copy(larger, *buffer)
			*buffer = larger
		}
		n, errno := pread(fd, (*buffer)[total:], int64(total))
		if errno != 0 {
			return 0, errno
		}
		if n == 0 {
			return total, 0
		}
		total += n
	}
}

func pread(fd int, buffer []byte, offset int64) (int, unix.Errno) {
	for {
		n, err := unix.Pread(fd, buffer, offset)
		if err == nil {
			return n, 0
		}
		var errno unix.Errno
		if !errors.As(err, &errno) {
			return 0, unix.EIO
		}
		if errno != unix.EINTR {
			return 0, errno
		}
	}
}

// linkCount returns the link count of the folder whose path stands in path with a NUL behind it, or 0.
func linkCount(path []byte) uint32 {
	var status unix.Statx_t
	statx(path, unix.STATX_NLINK, &status)
	return status.Nlink
}

// inodeOf returns the inode number of the folder whose path stands in path with a NUL behind it, or 0.
func inodeOf(path []byte) uint64 {
	var status unix.Statx_t
	statx(path, unix.STATX_INO, &status)
	return status.Ino
}

// statx fills in a part of status, and nothing where there is no such file.
func statx(path []byte, mask uintptr, status *unix.Statx_t) {
	at := unix.AT_FDCWD
	_, _, _ = unix.Syscall6(unix.SYS_STATX, uintptr(at), uintptr(unsafe.Pointer(&path[0])),
		unix.AT_STATX_DONT_SYNC, mask, uintptr(unsafe.Pointer(status)), 0)
	runtime.KeepAlive(path)
}
