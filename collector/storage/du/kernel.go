package du

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// kernel is what a walk asks of the kernel. Names are pointers to text that a zero byte ends: a string for each would be an
// allocation for each.
type kernel interface {
	// open opens a folder, and nothing else, to be listed.
	open(folder int, name *byte) (fd int, err error)
	// stat looks at a name in a folder, without following a link; the empty name is the folder itself.
	stat(folder int, name *byte, stat *unix.Statx_t) error
	// list fills the buffer with entries, as getdents64(2) does.
	list(folder int, buffer []byte) (n int, err error)
}

type system struct{}

func (system) open(folder int, name *byte) (int, error) {
	const flags = unix.O_RDONLY | unix.O_DIRECTORY | unix.O_NOFOLLOW | unix.O_NONBLOCK | unix.O_CLOEXEC
	for {
		fd, _, errno := unix.Syscall6(unix.SYS_OPENAT, uintptr(folder), uintptr(unsafe.Pointer(name)), flags|unix.O_LARGEFILE, 0, 0, 0)
		if errno == unix.EINTR {
			continue
		}
		if errno != 0 {
			return -1, errno
		}
		return int(fd), nil
	}
}

// stat uses statx(2), the one call of its kind that is the same on every architecture. AT_STATX_DONT_SYNC lets a network
// filesystem answer from what it knows; AT_NO_AUTOMOUNT keeps an automount point from being mounted.
func (system) stat(folder int, name *byte, stat *unix.Statx_t) error {
	const flags = unix.AT_SYMLINK_NOFOLLOW | unix.AT_NO_AUTOMOUNT | unix.AT_STATX_DONT_SYNC | unix.AT_EMPTY_PATH
	const mask = unix.STATX_TYPE | unix.STATX_NLINK | unix.STATX_INO | unix.STATX_BLOCKS
	for {
		_, _, errno := unix.Syscall6(unix.SYS_STATX, uintptr(folder), uintptr(unsafe.Pointer(name)), flags, mask,
			uintptr(unsafe.Pointer(stat)), 0)
		if errno == unix.EINTR {
			continue
		}
		if errno != 0 {
			return errno
		}
		return nil
	}
}

func (system) list(folder int, buffer []byte) (int, error) {
	for {
		n, _, errno := unix.Syscall(unix.SYS_GETDENTS64, uintptr(folder), uintptr(unsafe.Pointer(&buffer[0])), uintptr(len(buffer)))
		if errno == unix.EINTR {
			continue
		}
		if errno != 0 {
			return 0, errno
		}
		return int(n), nil
	}
}
