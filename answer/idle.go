package answer

import (
	"slices"
	"time"
)

// maxIdle is how many bodies are kept that nobody reads: those of each endpoint, plain and compressed.
const maxIdle = 8

// idle are bodies that nobody reads, the oldest first. Their buffers serve the next of their kind; until then they can still be had
// as what they are.
type idle struct {
	bodies []*body
	bytes  int
	timer  *time.Timer
}

// put keeps a body, unless all that are kept would take more than limit bytes. One of its kind makes way, which nobody will ask for any more, and
// then the oldest.
func (i *idle) put(b *body, limit int) {
	if cap(b.bytes) > limit {
		return
	}
	i.take(b.key.kind())
	b.since = time.Now()
	i.bodies = append(i.bodies, b)
	i.bytes += cap(b.bytes)
	for len(i.bodies) > maxIdle || i.bytes > limit {
		i.remove(0)
	}
}

// revive returns the body of a key, or nil.
func (i *idle) revive(key bodyKey) *body {
	return i.removeWhere(func(b *body) bool { return b.key == key })
}

// take returns a body of a kind whose buffer is free to use, or nil.
func (i *idle) take(kind bodyKey) *body {
	return i.removeWhere(func(b *body) bool { return b.key.kind() == kind })
}

func (i *idle) removeWhere(condition func(*body) bool) *body {
	at := slices.IndexFunc(i.bodies, condition)
	if at < 0 {
		return nil
	}
	return i.remove(at)
}

func (i *idle) remove(at int) *body {
	b := i.bodies[at]
	i.bodies = slices.Delete(i.bodies, at, at+1)
	i.bytes -= cap(b.bytes)
	return b
}

// sweepLater sees to it that idle buffers do not stay for good after the last request.
func (s *Store) sweepLater() {
	if s.idle.timer == nil {
		s.idle.timer = time.AfterFunc(s.options.Keep, s.sweep)
	} else if len(s.idle.bodies) == 1 {
		s.idle.timer.Reset(s.options.Keep)
	}
}

// sweep lets go of what has been idle for Options.Keep, and in the end of the compressors.
func (s *Store) sweep() {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	for len(s.idle.bodies) > 0 && time.Since(s.idle.bodies[0].since) >= s.options.Keep {
		s.idle.remove(0)
	}
	if len(s.idle.bodies) > 0 {
		s.idle.timer.Reset(s.options.Keep - time.Since(s.idle.bodies[0].since))
	} else {
		s.compressors.forget()
	}
}
