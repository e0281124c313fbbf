package process

import "github.com/nodevitals/nodevitals/snapshot"

// countSockets counts the sockets of the present pids as far as the budget allows. It returns true if some were left for another round.
func (r *Reader) countSockets(target *Target, current *round) (postponed bool) {
	var due uint64
	for i, pid := range r.pids {
		if !r.same(pid, r.counts[i]) {
			due += r.counts[i]
		}
	}
	// The first cgroup of a round is always counted: else one with more than the whole budget would never be.
	if whole := current.left.Links == r.budget.Links; due > uint64(max(current.left.Links, 0)) && !whole {
		return true
	}
	var total uint64
	for i, pid := range r.pids {
		left := &current.left.Links
		if r.same(pid, r.counts[i]) {
			left = &current.left.Again
			if *left <= 0 {
				postponed = true
				total += r.meet(pid)
				continue
			}
		}
		links, found, err := r.list(pid, true)
		*left -= int(links)
		if err != nil {
			target.Values.Clear(snapshot.ProcessSockets)
			current.hide(target, err)
			return postponed
		}
		r.sockets[pid] = counted{descriptors: r.counts[i], sockets: found, round: r.round}
		total += found
	}
	target.Values.Set(snapshot.ProcessSockets, total)
	return postponed
}

// same tells whether a process's sockets were counted among just so many descriptors.
func (r *Reader) same(pid int, descriptors uint64) bool {
	known, ok := r.sockets[pid]
	return ok && known.descriptors == descriptors
}

// meet returns the known sockets of a process, and notes that it lives.
func (r *Reader) meet(pid int) uint64 {
	known := r.sockets[pid]
	known.round = r.round
	r.sockets[pid] = known
	return known.sockets
}

// forget lets go of processes that no target had in this round or in those before, as long as a turn may take.
func (r *Reader) forget() {
	for pid, known := range r.sockets {
		if r.round-known.round > keptRounds {
			delete(r.sockets, pid)
		}
	}
}

// keptRounds is how many rounds a process is remembered that was not met: its cgroup may have had to wait.
const keptRounds = 8
