package cgroup

import (
	"errors"

	"golang.org/x/sys/unix"

	"github.com/nodevitals/nodevitals/snapshot"
)

// Walker is a reader that takes the figures of all cgroups at once, such as the one of collector/cgroup/bpf. A [Reader] that has one
// asks it first and opens files only for what it did not take.
type Walker interface {
	// Walk takes the wanted groups of every cgroup there is. An error that [Passing] does not excuse is for good.
	Walk(want snapshot.Groups) error
	// Fill puts what the last walk took of a cgroup into its record. It returns the files that nothing more is to be had from,
	// those that the cgroup has not among them, and whether the walk met the cgroup at all.
	Fill(into *Target) (taken Files, met bool)
	// Close gives back what it holds.
	Close()
}

// Files is a set of files of cgroup v2.
type Files uint16

// The files that a Walker can do without.
const (
	CPUStat Files = 1 << iota
	MemoryStat
	MemoryCurrent
	MemoryPeak
	MemorySwapCurrent
	MemoryEvents
	IOStat
	PidsCurrent
	CPUPressure
	MemoryPressure
	IOPressure
)

// FileNames are the names of the files, in the order of their bits.
var FileNames = [...]string{
	"cpu.stat", "memory.stat", "memory.current", "memory.peak", "memory.swap.current", "memory.events",
	"io.stat", "pids.current", "cpu.pressure", "memory.pressure", "io.pressure",
}

// fileBit returns the bit of a file of cgroup v2, or 0.
func fileBit(version Version, name string) Files {
	for i, known := range FileNames {
		if version == V2 && known == name {
			return 1 << i
		}
	}
	return 0
}

// Target is a cgroup whose record a Walker fills.
type Target struct {
	// Record is the cgroup's.
	Record *snapshot.Cgroup
	// Inode is the number of the cgroup's folder, which is the kernel's ID of the cgroup too.
	Inode uint64
	// Kept is for the Walker to remember something of this cgroup as long as it lives; nil at first.
	Kept any

	reader *Reader
	cgroup *Cgroup
}

// Device returns the record's entry for a block device, which it adds if there is none.
func (t *Target) Device(major, minor uint32) *snapshot.Device {
	return t.reader.devices.find(major, minor)
}

// Lacks returns those of the files that the cgroup has not, and whether that could be told: it cannot of one that is gone.
func (t *Target) Lacks(files Files) (lacking Files, known bool) {
	for i, name := range FileNames {
		if files&(1<<i) != 0 && linkCount(t.reader.path(t.cgroup, 0, name)) == 0 {
			lacking |= 1 << i
		}
	}
	return lacking, linkCount(t.reader.path(t.cgroup, 0, "cgroup.procs")) != 0
}

// Passing reports whether the error of a walk is one that passes: somebody has used up descriptors or memory.
func Passing(err error) bool {
	return errors.Is(err, unix.EMFILE) || errors.Is(err, unix.ENFILE) || errors.Is(err, unix.ENOMEM)
}

// walk has the walker take what it can. One that fails is given up, unless it may work the next time; the pass reads files.
func (r *Reader) walk(want snapshot.Groups) {
	r.walked = false
	if r.walker == nil {
		return
	}
	err := r.walker.Walk(want & snapshot.Core)
	switch {
	case err == nil:
		r.walked = true
	case Passing(err):
		r.fault("walk", "passing", 1)
	default:
		r.stats.WalkError = err
		r.walker.Close()
		r.walker = nil
	}
}

// fill has the walker fill the record. It returns the files that are not needed any more, and false if the cgroup is gone.
func (r *Reader) fill(c *Cgroup, record *snapshot.Cgroup) (taken Files, ok bool) {
	if !r.walked || c.root() {
		// The root has other files than all others, some of which add up what is in no structure.
		return 0, true
	}
	t := &r.target
	t.Record, t.Inode, t.Kept, t.cgroup = record, c.inode, c.kept, c
	r.devices.begin()
	taken, met := r.walker.Fill(t)
	c.kept = t.Kept
	if met {
		if taken&IOStat != 0 {
			record.Devices = r.devices.current()
		}
		return taken, true
	}
	// It was made after the walk, or it is gone and what stands at its path is another one.
	if !r.stands(c, 0) {
		r.tree.Lost(c)
		return 0, false
	}
	return 0, true
}
