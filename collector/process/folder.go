package process

import (
	"bytes"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/nodevitals/nodevitals/collector/machine/hostfile"
)

// folder is an open folder. Its methods take paths that end in a zero byte, as the kernel does: the wrappers of x/sys make
// such a copy of each path, which for a round of 20,000 links is 20,000 allocations.
type folder int

// noFolder is not open.
const noFolder folder = -1

func openFolder(path string) (folder, error) {
	for {
		fd, err := unix.Open(path, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
		if err != unix.EINTR {
			return folder(fd), err
		}
	}
}

// open opens a folder below this one for reading.
func (f folder) open(path []byte) (folder, error) {
	fd, err := f.openAt(path, unix.O_DIRECTORY)
	return folder(fd), err
}

// openAt opens what is below this folder, or anything if path begins with a slash. It returns -1 with an error.
func (f folder) openAt(path []byte, flags uintptr) (int, error) {
	for {
		fd, _, errno := unix.Syscall6(unix.SYS_OPENAT, uintptr(f), uintptr(unsafe.Pointer(&path[0])),
			unix.O_RDONLY|unix.O_CLOEXEC|flags, 0, 0, 0)
		switch errno {
		case 0:
			return int(fd), nil
		case unix.EINTR:
		default:
			return -1, errno
		}
	}
}

// size returns st_size of a file below this folder.
func (f folder) size(path []byte) (uint64, error) {
	var stat unix.Statx_t
	_, _, errno := unix.Syscall6(unix.SYS_STATX, uintptr(f), uintptr(unsafe.Pointer(&path[0])), 0, unix.STATX_SIZE,
		uintptr(unsafe.Pointer(&stat)), 0)
	if errno != 0 {
		return 0, errno
	}
	return stat.Size, nil
}

// linkStartsWith reads the beginning of a link into buffer and compares it. A link that may not be read is an error, one that is gone
// is not.
func (f folder) linkStartsWith(path, buffer []byte, prefix string) (bool, error) {
	n, _, errno := unix.Syscall6(unix.SYS_READLINKAT, uintptr(f), uintptr(unsafe.Pointer(&path[0])),
		uintptr(unsafe.Pointer(&buffer[0])), uintptr(len(buffer)), 0, 0)
	if errno == unix.EACCES || errno == unix.EPERM {
		return false, errno
	}
	return errno == 0 && int(n) >= len(prefix) && string(buffer[:len(prefix)]) == prefix, nil
}

// isSocket tells whether the present process's descriptor of that number, which ends in a zero byte, is a socket. To ask that takes a fifteenth of
// what reading the link takes, and the agent has more descriptors than anybody.
func isSocket(name []byte) bool {
	number, ok := hostfile.Uint(name[:len(name)-1])
	if !ok {
		return false
	}
	var stat unix.Stat_t
	return unix.Fstat(int(number), &stat) == nil && stat.Mode&unix.S_IFMT == unix.S_IFSOCK
}

// nameOffset is where the name begins in the kernel's struct linux_dirent64; two bytes of length stand at 16.
const nameOffset = 19

// each calls f for every entry but "." and "..", with its name and a zero byte behind it, valid during the call.
func (f folder) each(buffer []byte, visit func(name []byte)) error {
	for {
		n, err := unix.Getdents(int(f), buffer)
		if err == unix.EINTR {
			continue
		}
		if err != nil || n <= 0 {
			return err
		}
		eachEntry(buffer[:n], visit)
	}
}

func eachEntry(entries []byte, visit func(name []byte)) {
	for len(entries) > nameOffset {
		length := int(*(*uint16)(unsafe.Pointer(&entries[16])))
		if length <= nameOffset || length > len(entries) {
			return
		}
		name := entries[nameOffset:length]
		entries = entries[length:]
		end := bytes.IndexByte(name, 0)
		if end <= 0 || string(name[:end]) == "." || string(name[:end]) == ".." {
			continue
		}
		visit(name[:end+1])
	}
}

func (f folder) close() { _ = unix.Close(int(f)) }
