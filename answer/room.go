package answer

// enter waits until there is room for the body, if it must have room, and then for a turn to make it. What is compressed has room as it
// is: it waits with a larger body in its hands, which it gives back right after. The error is errAbandoned.
func (s *Store) enter(b *body, room bool) error {
	for room {
		s.mutex.Lock()
		need := max(cap(b.bytes), s.expected(b.key.kind()))
		if s.stats.Bytes == 0 || s.stats.Bytes+need <= s.options.Bytes {
			s.charge(b, need)
			s.mutex.Unlock()
			break
		}
		freed := s.freed
		s.mutex.Unlock()
		select {
		case <-freed:
		case <-b.abandoned:
			return errAbandoned
		}
	}
	select {
	case s.makers <- struct{}{}:
	case <-b.abandoned:
		return errAbandoned
	}
	return s.begin(b)
}

// begin notes that a body is being made, in a buffer that is large enough if nothing changed. It returns errAbandoned, and gives the
// turn back, if nobody wants it any more.
func (s *Store) begin(b *body) error {
	s.mutex.Lock()
	need := s.expected(b.key.kind())
	wanted := b.references > 1
	if wanted {
		b.started = true
		if b.key.encoding == identity {
			s.stats.Rendered++
		} else {
			s.stats.Compressed++
			s.charge(b, max(cap(b.bytes), need))
		}
	}
	s.mutex.Unlock()
	if !wanted {
		s.leave()
		return errAbandoned
	}
	if cap(b.bytes) < need {
		b.bytes = make([]byte, 0, need)
	}
	return nil
}

// leave gives a turn back.
func (s *Store) leave() { <-s.makers }

// charge sets what a body takes, and wakes those who wait if that is less than before.
func (s *Store) charge(b *body, bytes int) {
	s.stats.Bytes += bytes - b.charged
	less := bytes < b.charged
	b.charged = bytes
	if less {
		close(s.freed)
		s.freed = make(chan struct{})
	}
}

// maxSizes bounds how many kinds of bodies are remembered: parameters of requests make kinds.
const maxSizes = 256

func (s *Store) noteSize(kind bodyKey, size int) {
	if _, known := s.sizes[kind]; !known && len(s.sizes) >= maxSizes {
		clear(s.sizes)
	}
	s.sizes[kind] = size
}

// expected is how long a body of a kind is going to be, with some air; 0 if none was made yet.
func (s *Store) expected(kind bodyKey) int {
	last := s.sizes[kind]
	return last + last/16
}
