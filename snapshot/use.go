package snapshot

import "sync/atomic"

// use counts who uses a snapshot.
type use struct {
	users atomic.Int32
	over  func()
}

// Lend makes the caller the snapshot's first user, and has over called, once, when the last one is done: what the snapshot holds may then serve
// another one. It must be called before anybody else sees the snapshot. One that was never lent is its holders' for ever.
func (s *Snapshot) Lend(over func()) {
	s.use = &use{over: over}
	s.use.users.Store(1)
}

// Use makes the caller one more user, who calls Done in the end. It returns false if all are done already, and the snapshot must not be looked at:
// only who knows that another user is not done yet can do without the answer. No snapshot at all can always be used.
func (s *Snapshot) Use() bool {
	if s == nil || s.use == nil {
		return true
	}
	for {
		users := s.use.users.Load()
		if users <= 0 {
			return false
		}
		if s.use.users.CompareAndSwap(users, users+1) {
			return true
		}
	}
}

// Done ends one use: that user must look no more at the snapshot, nor at anything that it holds. A user who never says so does no harm, but that its
// memory is left to the collector of garbage.
func (s *Snapshot) Done() {
	if s != nil && s.use != nil && s.use.users.Add(-1) == 0 {
		s.use.over()
	}
}
