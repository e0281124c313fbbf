package main

import (
	"errors"
	"fmt"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// capabilities is a set of them, a bit for each number.
type capabilities uint64

func (c capabilities) has(number uint) bool { return c&(1<<number) != 0 }

func (c *capabilities) add(number uint) { *c |= 1 << number }

// split is the set as capset takes it.
func (c capabilities) split() [2]uint32 { return [2]uint32{uint32(c), uint32(c >> 32)} }

// heldCapabilities are those that this process may use.
func heldCapabilities() (capabilities, error) {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&header, &data[0]); err != nil {
		return 0, fmt.Errorf("capget: %w", err)
	}
	return capabilities(data[0].Permitted) | capabilities(data[1].Permitted)<<32, nil
}

// keepOnly takes all capabilities but these from every thread, and from what it might ever start, and sets no_new_privs, which takes no right and
// so is done whatever became of the rest. Its error is of a kernel, a filter or a build that does not allow it.
func keepOnly(keep capabilities) error {
	err := dropAllBut(keep)
	if errors.Is(err, errCgo) {
		return err // the rest would fail for the same reason
	}
	return errors.Join(err, everyThread("set no_new_privs", unix.PR_SET_NO_NEW_PRIVS, 1))
}

// dropAllBut takes capabilities from every thread. They belong to threads: to set them on one alone would leave the others as they were.
func dropAllBut(keep capabilities) error {
	// The bounding set first: to narrow it takes a capability (CAP_SETPCAP) that is about to go. Without that it stays, and no_new_privs keeps
	// it from giving anything.
	for number := range uint(64) {
		if is, err := unix.PrctlRetInt(unix.PR_CAPBSET_READ, uintptr(number), 0, 0, 0); err != nil {
			break // there are no more
		} else if is == 0 || keep.has(number) {
			continue
		}
		if err := everyThread("drop from the bounding set", unix.PR_CAPBSET_DROP, uintptr(number)); errors.Is(err, unix.EPERM) {
			break
		} else if err != nil {
			return err
		}
	}
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	for i, bits := range keep.split() {
		data[i] = unix.CapUserData{Effective: bits, Permitted: bits}
	}
	_, _, errno := syscall.AllThreadsSyscall(unix.SYS_CAPSET, uintptr(unsafe.Pointer(&header)), uintptr(unsafe.Pointer(&data[0])), 0)
	if errno != 0 {
		return reasonOf("capset", errno)
	}
	return nil
}

// everyThread makes a call of prctl on every thread.
func everyThread(what string, option, argument uintptr) error {
	if _, _, errno := syscall.AllThreadsSyscall6(unix.SYS_PRCTL, option, argument, 0, 0, 0, 0); errno != 0 {
		return reasonOf(what, errno)
	}
	return nil
}

var errCgo = errors.New("this program was built with cgo, whose threads Go does not know: build it with CGO_ENABLED=0")

func reasonOf(what string, errno syscall.Errno) error {
	if errno == unix.ENOTSUP {
		return errCgo
	}
	return fmt.Errorf("%s: %w", what, errno)
}
