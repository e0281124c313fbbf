package cgroup

import "sort"

// Stats are a reader's own counters since its start.
type Stats struct {
	// Descriptors are those kept now, Budget the most that may be.
	Descriptors, Budget int
	// Unkept counts reads of files that were opened for that read alone, because the budget was used up.
	Unkept uint64
	// Walking tells that a Walker is in use, WalkError why one is not any more.
	Walking   bool
	WalkError error
	// Faults count what could not be read, by file and reason, sorted. Absent files and removed cgroups are no faults.
	Faults []Fault
}

// Fault counts failures of one kind with one file.
type Fault struct {
	// File is the file's name, Reason the kernel's error word (EACCES) or "malformed".
	File, Reason string
	Count        uint64
}

// Stats returns the reader's counters.
func (r *Reader) Stats() Stats {
	stats := r.stats
	stats.Descriptors, stats.Budget = r.budget.kept, r.budget.most
	stats.Walking = r.walker != nil
	stats.Faults = append([]Fault(nil), r.stats.Faults...)
	return stats
}

func (r *Reader) fault(name, reason string, count uint64) {
	for i := range r.stats.Faults {
		if r.stats.Faults[i].File == name && r.stats.Faults[i].Reason == reason {
			r.stats.Faults[i].Count += count
			return
		}
	}
	r.stats.Faults = append(r.stats.Faults, Fault{name, reason, count})
	sort.Slice(r.stats.Faults, func(a, b int) bool {
		left, right := &r.stats.Faults[a], &r.stats.Faults[b]
		return left.File < right.File || left.File == right.File && left.Reason < right.Reason
	})
}
