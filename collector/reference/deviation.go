package reference

import "github.com/nodevitals/nodevitals/snapshot"

// Deviation is a difference from the reference that is meant. Its name is a row of docs/fidelity.md.
type Deviation struct {
	// Name is the row's name there.
	Name string
	// excuses tells whether the deviation accounts for the difference.
	excuses func(difference) bool
}

// difference is one number of one cgroup on which the readers disagree, whatever moved in between.
type difference struct {
	version   int
	field     snapshot.Field
	isField   bool
	present   bool
	reference uint64
	// apart is how far the reference is from what ours moved through.
	apart uint64
	// own says that the cgroup holds the process that compares.
	own bool
}

// Deviations are all that are known, in the order in which they are tried.
var Deviations = []Deviation{
	// The kernel has no such file or line, for which cAdvisor's structures leave a 0.
	{"absent-not-zero", func(d difference) bool { return !d.present && d.reference == 0 }},
	// memory.stat has a line for it since Linux 5.18, which cAdvisor does not read.
	{"kernel-memory-v2", func(d difference) bool {
		return d.version == 2 && d.isField && d.field == snapshot.MemoryKernel && d.reference == 0
	}},
	// cpu.stat has the lines on v1 too, where opencontainers/cgroups does not read them.
	{"bursts-v1", func(d difference) bool {
		return d.version == 1 && d.isField && (d.field == snapshot.CPUBurstPeriods || d.field == snapshot.CPUBurstTime) && d.reference == 0
	}},
	// The reference opens files and makes buffers while it reads, and so moves the memory of the cgroup that it runs in;
	// by the time ours is read again they are freed. It also counts the descriptor that it counts descriptors with.
	{"own-cgroup", func(d difference) bool {
		return d.own && d.isField && (snapshot.Fields[d.field].Unit == snapshot.Bytes && d.apart < 4<<20 || d.field == snapshot.ProcessFDs && d.apart < 8)
	}},
}

// RefusedSample is the name of the deviation for cgroups of which the reference gives nothing because one file failed.
const RefusedSample = "partial-sample"
