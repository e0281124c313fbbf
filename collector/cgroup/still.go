package cgroup

import "github.com/nodevitals/nodevitals/snapshot"

// still tells when a file must say what it said before, so that it is not read again: while its key is the same.
type still struct {
	// place is the file's in Cgroup.said.
	place int
	// fields are all that the file gives.
	fields []snapshot.Field
	// key returns false where the file must be read whatever it said before.
	key func(r *Reader, c *Cgroup, record *snapshot.Cgroup) (key uint64, ok bool)
}

// Places in Cgroup.said.
const (
	stillSplit = iota
	stillPeriods
	stillFailures
	stillKills
	stillFiles
)

// mostSaid is the most fields that a file that stands still gives.
const mostSaid = 5

// said is what a file said under a key.
type said struct {
	known  bool
	has    uint8
	key    uint64
	values [mostSaid]uint64
}

// recall fills in what the file said, and returns whether it must still say that.
func (s *still) recall(r *Reader, c *Cgroup, record *snapshot.Cgroup) bool {
	last := &c.said[s.place]
	if key, ok := s.key(r, c, record); !ok || !last.known || last.key != key {
		return false
	}
	for i, field := range s.fields {
		if last.has&(1<<i) != 0 {
			record.Set(field, last.values[i])
		}
	}
	return true
}

// keep takes note of what the file says, if it was read.
func (s *still) keep(r *Reader, c *Cgroup, record *snapshot.Cgroup, read bool) {
	now := &c.said[s.place]
	now.key, now.known = s.key(r, c, record)
	now.has = 0
	for i, field := range s.fields {
		if value, ok := record.Get(field); ok {
			now.values[i] = value
			now.has |= 1 << i
		}
	}
	now.known = now.known && read && now.has != 0
}

// usageKey is the CPU time. The kernel adds to the ticks of cpuacct.stat only while it also adds to that.
func usageKey(_ *Reader, _ *Cgroup, record *snapshot.Cgroup) (uint64, bool) {
	return record.Get(snapshot.CPUUsage)
}

// noQuotaKey is there while a cgroup has no quota of CPU time: then the kernel counts no periods.
func noQuotaKey(_ *Reader, c *Cgroup, _ *snapshot.Cgroup) (uint64, bool) {
	return 0, c.limitsKnown() && !c.spec.CPUQuota.Present
}

// noLimitKey is there while a cgroup has no limit of memory: then none is hit.
func noLimitKey(_ *Reader, c *Cgroup, _ *snapshot.Cgroup) (uint64, bool) {
	return 0, c.limitsKnown() && c.spec.MemoryLimit.Present && c.spec.MemoryLimit.Value >= leastUnlimited
}

// killsKey is how many processes the kernel has killed for want of memory on the whole host.
func killsKey(r *Reader, _ *Cgroup, _ *snapshot.Cgroup) (uint64, bool) {
	return r.kills.total, r.kills.settled
}

// leastUnlimited is below what cgroup v1 prints for no limit, the greatest number of pages there can be, in bytes.
const leastUnlimited = 1 << 62

// limitsKnown tells that the limits are those of now: whoever changed them since they were read would have been seen.
func (c *Cgroup) limitsKnown() bool { return c.spec != nil && !c.specStale && c.watched() }
