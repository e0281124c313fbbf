package bpf

import (
	"errors"
	"os"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/nodevitals/nodevitals/collector/cgroup"
)

// with runs a function on a thread that has no capabilities but these, and ends the thread.
func with(t *testing.T, capabilities []uint, run func() error) error {
	t.Helper()
	result := make(chan error)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread ends with the goroutine
		header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
		var data [2]unix.CapUserData
		for _, number := range capabilities {
			data[number/32].Effective |= 1 << (number % 32)
			data[number/32].Permitted |= 1 << (number % 32)
		}
		if err := unix.Capset(&header, &data[0]); err != nil {
			result <- err
			return
		}
		result <- run()
	}()
	return <-result
}

// Both capabilities are needed, by the kernel's own word, and no other is.
func TestSmallestSetOfCapabilities(t *testing.T) {
	hierarchy, err := cgroup.Detect("/")
	if err != nil {
		t.Fatal(err)
	}
	if hierarchy.Version != cgroup.V2 || os.Getuid() != 0 {
		t.Skip("needs cgroup v2 and root")
	}
	open := func() error {
		r, err := Open(hierarchy)
		if err == nil {
			r.Close()
		}
		return err
	}
	if err := with(t, []uint{unix.CAP_BPF, unix.CAP_PERFMON}, open); err != nil {
		t.Errorf("with both: %v", err)
	}
	for name, left := range map[string]uint{"CAP_PERFMON": unix.CAP_BPF, "CAP_BPF": unix.CAP_PERFMON} {
		if err := with(t, []uint{left}, open); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("without %s: got %v, want an error that names it", name, err)
		}
		// What the kernel says, were it asked.
		err := with(t, []uint{left}, func() error {
			r := &Reader{folder: -1, link: -1, costs: -1, buffer: make([]byte, 4096), places: make(map[uint64]int32)}
			defer r.Close()
			return r.open(hierarchy.Mounts[0].Root)
		})
		if !errors.Is(err, unix.EPERM) {
			t.Errorf("without %s: the kernel says %v, want EPERM", name, err)
		}
	}
	for _, one := range needed {
		if one.name != "CAP_BPF" && one.name != "CAP_PERFMON" {
			t.Errorf("%s is asked for and was not found needed", one.name)
		}
	}
}
