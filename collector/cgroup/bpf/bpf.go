package bpf

import (
	"errors"
	"fmt"
	"os"
	"runtime/debug"
	"time"
	"unsafe"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"github.com/nodevitals/nodevitals/collector/cgroup"
	"github.com/nodevitals/nodevitals/snapshot"
)

// Reader takes the figures of all cgroups in one walk. It belongs to one goroutine at a time.
type Reader struct {
	folder, link int
	program      *ebpf.Program
	outer        *ebpf.Map
	inner        *ebpf.MapSpec

	control       *control
	controlMemory []byte
	records       []record
	recordsMemory []byte
	// walked are the records of the last walk, took the groups that it took.
	walked []record
	took   snapshot.Groups
	// places find a record by the cgroup's ID. They are made anew when a record is not where it was.
	places map[uint64]int32
	placed bool

	page, period uint64
	// tuned is when the clocks were last seen to.
	tuned time.Time
	// costs is the descriptor of the root's io.cost.qos, or -1; its figures are in no structure that can be found.
	costs   int
	costing bool
	buffer  []byte

	noStat error
	// lacks are files that the kernel has for no cgroup, once known.
	lacks cgroup.Files
	facts bool
}

// kept is what is remembered of one cgroup between walks: where its record was, and counters that must not fall.
type kept struct {
	at  int32
	cpu times
}

// Open loads the program and binds it to the cgroups of a hierarchy. Its error says in one line what is missing here: the
// kernel's types, a capability, or cgroup v2 itself.
func Open(hierarchy *cgroup.Hierarchy) (*Reader, error) {
	if hierarchy.Version != cgroup.V2 {
		return nil, errors.New("the host's cgroups are v1, and the reader in the kernel is for v2")
	}
	if len(object) == 0 {
		return nil, errors.New("the reader in the kernel is for amd64 and arm64")
	}
	if err := checkCapabilities(); err != nil {
		return nil, err
	}
	// The kernel's types are a thing of the moment: they must neither make the heap grow nor stay in it.
	defer debug.FreeOSMemory()
	defer debug.SetGCPercent(debug.SetGCPercent(20))
	r := &Reader{folder: -1, link: -1, costs: -1, page: uint64(os.Getpagesize()), buffer: make([]byte, 4096), places: make(map[uint64]int32)}
	if err := r.open(hierarchy.Mounts[0].Root); err != nil {
		r.Close()
		return nil, err
	}
	return r, nil
}

func (r *Reader) open(root string) error {
	var err error
	if r.folder, err = unix.Open(root, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0); err != nil {
		return fmt.Errorf("open the root cgroup: %w", err)
	}
	if r.costs, err = unix.Openat(r.folder, "io.cost.qos", unix.O_RDONLY|unix.O_CLOEXEC, 0); err != nil {
		r.costs = -1
	}
	var resolution unix.Timespec
	if err := unix.ClockGetres(unix.CLOCK_MONOTONIC_COARSE, &resolution); err != nil {
		return fmt.Errorf("ask for the length of a tick: %w", err)
	}
	r.period = pressurePeriod(uint64(resolution.Nano()))
	if err := r.load(root); err != nil {
		return err
	}
	if r.link, err = link(r.program.FD(), r.folder); err != nil {
		return fmt.Errorf("bind the program to the cgroups: %w", err)
	}
	if err := r.grow(64); err != nil {
		return err
	}
	return r.Walk(snapshot.Core)
}

// pressurePeriod is how often the kernel brings averages of pressure up to date: two seconds and a tick.
func pressurePeriod(tick uint64) uint64 { return (2*((1e9+tick/2)/tick) + 1) * tick / 1000 * 1000 }

// Memory returns the bytes that the records take.
func (r *Reader) Memory() int { return len(r.recordsMemory) }

// Without says why a part of the figures must still come from files; nil: the root's apart, all are taken.
func (r *Reader) Without() error {
	if r.noStat != nil {
		return fmt.Errorf("memory.stat is read: %w", r.noStat)
	}
	return nil
}

// grow makes room for so many cgroups, and some.
func (r *Reader) grow(cgroups int) error {
	spec := r.inner.Copy()
	spec.MaxEntries = uint32(cgroups + cgroups/4)
	larger, err := ebpf.NewMap(spec)
	if err != nil {
		return fmt.Errorf("make room for %d cgroups: %w", spec.MaxEntries, err)
	}
	defer func() { _ = larger.Close() }() // the outer map keeps it
	size := int(spec.MaxEntries) * int(unsafe.Sizeof(record{}))
	memory, err := unix.Mmap(larger.FD(), 0, (size+os.Getpagesize()-1)&^(os.Getpagesize()-1), unix.PROT_READ, unix.MAP_SHARED)
	if err != nil {
		return fmt.Errorf("map the records of %d cgroups: %w", spec.MaxEntries, err)
	}
	if err := r.outer.Put(uint32(0), larger); err != nil {
		_ = unix.Munmap(memory)
		return fmt.Errorf("make room for %d cgroups: %w", spec.MaxEntries, err)
	}
	r.unmap()
	r.recordsMemory = memory
	r.records = unsafe.Slice((*record)(unsafe.Pointer(&memory[0])), spec.MaxEntries)
	return nil
}

func (r *Reader) unmap() {
	r.walked, r.records = nil, nil
	if r.recordsMemory != nil {
		_ = unix.Munmap(r.recordsMemory)
		r.recordsMemory = nil
	}
}

// Walk implements cgroup.Walker.
func (r *Reader) Walk(want snapshot.Groups) error {
	r.placed, r.walked, r.took = false, nil, want
	if want&snapshot.IO != 0 {
		r.costing = r.readCosting()
	}
	bits := uint64(0)
	for _, row := range wants {
		if want&row.group != 0 {
			bits |= row.bit
		}
	}
	if want&snapshot.Pressure != 0 {
		r.tuneClock()
	}
	for {
		r.control.want, r.control.count = bits, 0
		if errno := walkOnce(r.link); errno != 0 {
			return fmt.Errorf("walk over the cgroups: %w", errno)
		}
		count := int(r.control.count)
		if count == 0 {
			return errors.New("walk over the cgroups: the program met none")
		}
		if count <= len(r.records) {
			r.walked = r.records[:count]
			return nil
		}
		if err := r.grow(count); err != nil {
			return err
		}
	}
}

// tuneClock lowers the bound of how far sched_clock() is ahead of the monotonic clock, which the program raises: were the two to
// drift apart it could never fall.
func (r *Reader) tuneClock() {
	now := time.Now()
	if !r.tuned.IsZero() {
		r.control.ahead -= int64(now.Sub(r.tuned)) / drift
	}
	r.tuned = now
}

// drift is one part in so many by which the two clocks may go apart.
const drift = 2000

// readCosting reports whether the kernel's model of the cost of io is switched on for any device.
func (r *Reader) readCosting() bool {
	if r.costs < 0 {
		return false
	}
	n, err := unix.Pread(r.costs, r.buffer, 0)
	return err != nil || n == len(r.buffer) || indexOf(r.buffer[:n], "enable=1")
}

// Close gives back everything. The kernel ends the program when nobody holds it.
func (r *Reader) Close() {
	r.unmap()
	if r.controlMemory != nil {
		_ = unix.Munmap(r.controlMemory)
		r.controlMemory, r.control = nil, nil
	}
	for _, fd := range []*int{&r.link, &r.folder, &r.costs} {
		if *fd >= 0 {
			_ = unix.Close(*fd)
			*fd = -1
		}
	}
	_ = r.program.Close()
	_ = r.outer.Close()
}
