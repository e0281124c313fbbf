package bpf

import (
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// linkAttributes and iterAttributes are parts of union bpf_attr: the library has no way to say which cgroups to walk over.
type linkAttributes struct {
	program, target, attachType, flags uint32
	info                               unsafe.Pointer
	infoLength                         uint32
	_                                  uint32
}

type iterAttributes struct{ link, flags uint32 }

// cgroupInfo is bpf_iter_link_info.cgroup.
type cgroupInfo struct {
	order, folder uint32
	id            uint64
}

const descendantsFirstToLast = 2 // BPF_CGROUP_ITER_DESCENDANTS_PRE

// link binds the program to the cgroups below and including an open folder.
func link(program, folder int) (int, error) {
	info := cgroupInfo{order: descendantsFirstToLast, folder: uint32(folder)}
	attributes := linkAttributes{
		program: uint32(program), attachType: unix.BPF_TRACE_ITER,
		info: unsafe.Pointer(&info), infoLength: uint32(unsafe.Sizeof(info)),
	}
	fd, errno := command(unix.BPF_LINK_CREATE, unsafe.Pointer(&attributes), unsafe.Sizeof(attributes))
	runtime.KeepAlive(&info)
	if errno != 0 {
		return -1, errno
	}
	return fd, nil
}

// walkOnce runs the program over all cgroups.
func walkOnce(link int) unix.Errno {
	attributes := iterAttributes{link: uint32(link)}
	fd, errno := command(unix.BPF_ITER_CREATE, unsafe.Pointer(&attributes), unsafe.Sizeof(attributes))
	if errno != 0 {
		return errno
	}
	defer unix.Close(fd)
	// One read does it all: the program prints nothing, so the read never fills up. A signal may interrupt it before it begins.
	var none [1]byte
	for {
		_, _, errno := unix.Syscall(unix.SYS_READ, uintptr(fd), uintptr(unsafe.Pointer(&none[0])), 1)
		if errno != unix.EINTR && errno != unix.EAGAIN {
			return errno
		}
	}
}

func command(number uintptr, attributes unsafe.Pointer, size uintptr) (int, unix.Errno) {
	for {
		result, _, errno := unix.Syscall(unix.SYS_BPF, number, uintptr(attributes), size)
		runtime.KeepAlive(attributes)
		if errno != unix.EINTR && errno != unix.EAGAIN {
			return int(result), errno
		}
	}
}
