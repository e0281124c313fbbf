package cgroup

import (
	"iter"
	"time"

	"github.com/nodevitals/nodevitals/snapshot"
)

// Cgroup is a known cgroup: who it is, what is kept open of it, and what is remembered between passes.
type Cgroup struct {
	// Identity is replaced, never changed, when more becomes known.
	Identity *snapshot.Identity
	// Named is the generation of names that Identity was taken from; 0: it is the bare ID.
	Named uint64
	// History keeps CPU counters for rates.
	History History
	// OOMKills is memory.oom_kills as it was last accounted for.
	OOMKills uint64

	parent   *Cgroup
	children []*Cgroup
	// places says for each mount of the hierarchy where the cgroup stands there.
	places []place
	// slots hold the state of each file of the reader's table.
	slots []slot
	// procs is cgroup.procs, which passes do not read, but whoever counts processes.
	procs procsFile
	// said is what files said that are not read again while they say the same.
	said [stillFiles]said

	// inode is the number of the folder in the first mount; kept is a Walker's.
	inode uint64
	kept  any

	created time.Time
	spec    *snapshot.Spec
	// specTime is when spec was read; specStale, that somebody wrote to one of its files since.
	specTime  time.Time
	specStale bool
	gone      bool
}

// place is a cgroup's folder in one mount.
type place struct {
	present bool
	// stale says that the folder's list of subfolders must be read anew.
	stale bool
	// watch is the inotify watch plus one, or 0 where there is none.
	watch int32
	// links is the folder's link count when it was last listed: a kernel counts a cgroup's children in it.
	links uint32
}

// slot is the state of one file of one cgroup.
type slot struct {
	// kept is the descriptor plus one, or 0 where none is kept.
	kept int32
	// retry is the second (of the reader's clock) before which an absent file is not tried again.
	retry uint32
	// used is the pass that last read the file.
	used uint32
}

// procsFile is a cgroup's cgroup.procs.
type procsFile struct {
	slot
	// path is empty until it is asked for.
	path string
}

// keptSlots are those slots whose file is kept open.
func (c *Cgroup) keptSlots() iter.Seq[*slot] {
	return func(yield func(*slot) bool) {
		for i := range c.slots {
			if c.slots[i].kept > 0 && !yield(&c.slots[i]) {
				return
			}
		}
		if c.procs.kept > 0 {
			yield(&c.procs.slot)
		}
	}
}

// Gone reports whether the cgroup was found removed.
func (c *Cgroup) Gone() bool { return c.gone }

// root reports whether this is the root cgroup.
func (c *Cgroup) root() bool { return c.parent == nil }

// watched reports whether inotify tells of changes in every folder of the cgroup.
func (c *Cgroup) watched() bool {
	for i := range c.places {
		if c.places[i].present && c.places[i].watch == 0 {
			return false
		}
	}
	return true
}

// History keeps a few CPU counters of one cgroup, so that a rate does not depend on who asks and how often.
type History struct {
	samples [historySize]sample
	next    uint8
	count   uint8
}

type sample struct {
	at    time.Time
	usage uint64
}

const (
	historySize = 8
	// spacing between retained samples makes the history reach back further than rateWindow however often it is fed.
	spacing = 2500 * time.Millisecond
	// rateWindow is the least age of the sample that a rate is taken over, once there is one so old.
	rateWindow = 10 * time.Second
	// leastWindow keeps two passes right after each other from making a rate out of noise.
	leastWindow = 100 * time.Millisecond
)

// Add retains a CPU counter (nanoseconds) read at the time at, unless the last retained one is too near.
// A counter that fell belongs to another life of the cgroup: what was retained is forgotten.
func (h *History) Add(at time.Time, usage uint64) {
	if h.count > 0 {
		newest := &h.samples[(h.next+historySize-1)%historySize]
		if usage < newest.usage {
			h.count = 0
		} else if at.Sub(newest.at) < spacing {
			return
		}
	}
	h.samples[h.next] = sample{at, usage}
	h.next = (h.next + 1) % historySize
	h.count = min(h.count+1, historySize)
}

// Rate returns the CPU use in nanocores up to a counter (nanoseconds) read at the time at, over the newest retained sample
// at least 10 s old, or else the oldest there is. It returns false while no retained sample is 100 ms old.
func (h *History) Rate(at time.Time, usage uint64) (nanoCores uint64, window time.Duration, ok bool) {
	for back := uint8(1); back <= h.count; back++ {
		base := &h.samples[(h.next+historySize-back)%historySize]
		window = at.Sub(base.at)
		if window < rateWindow && back < h.count {
			continue
		}
		if window < leastWindow || usage < base.usage {
			return 0, 0, false
		}
		return uint64(float64(usage-base.usage) / window.Seconds()), window, true
	}
	return 0, 0, false
}
