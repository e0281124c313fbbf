package answer

import (
	"errors"
	"fmt"
	"io"
	"runtime/debug"
	"time"

	"go.uber.org/zap"
)

// bodyKey is the key of a body in one encoding. Without its number it is the body's kind: those of a kind are of one size, more or less.
type bodyKey struct {
	Key
	encoding encoding
}

func (k bodyKey) kind() bodyKey {
	k.Of = 0
	return k
}

// body is one body in one encoding. Store.mutex guards it, except that whoever holds a reference may read bytes and err once done is closed.
type body struct {
	key bodyKey
	// done is closed when bytes and err are what they stay.
	done  chan struct{}
	bytes []byte
	err   error

	// references are those of requests, of bodies that are compressed from this one, and of the goroutine that makes it.
	references int
	// charged is what it takes of Options.Bytes.
	charged int
	// started tells that it is being made; abandoned is closed when everybody left before that.
	started   bool
	abandoned chan struct{}
	// tainted: somebody may still read bytes who has no reference.
	tainted bool
	// since is when it became idle.
	since time.Time
}

// acquire returns the body of a key with a reference for the caller: one that is there, or a new one that is going to be made.
func (s *Store) acquire(key bodyKey, a Answer) *body {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	if b := s.find(key); b != nil {
		b.references++
		s.stats.Shared++
		return b
	}
	b := s.idle.take(key.kind())
	if b == nil {
		b = &body{abandoned: make(chan struct{})}
	}
	b.key, b.done, b.err, b.started = key, make(chan struct{}), nil, false
	b.references = 2
	if key.Of != 0 {
		s.bodies[key] = b
	}
	go s.run(b, a)
	return b
}

// find returns the body of a key if there is one to share: in use, or idle and not used for another yet.
func (s *Store) find(key bodyKey) *body {
	if key.Of == 0 {
		return nil
	}
	if b := s.bodies[key]; b != nil {
		return b
	}
	b := s.idle.revive(key)
	if b != nil {
		s.bodies[key] = b
		s.charge(b, cap(b.bytes))
	}
	return b
}

// started tells whether the body is being made or is there.
func (s *Store) started(b *body) bool {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	return b.started
}

// release gives a reference back. Without whole the buffer does not serve again.
func (s *Store) release(b *body, whole bool) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.releaseLocked(b, whole)
}

func (s *Store) releaseLocked(b *body, whole bool) {
	b.references--
	b.tainted = b.tainted || !whole
	switch {
	case b.references == 1 && !b.started:
		// Only the goroutine is left, and it waits.
		s.forget(b)
		close(b.abandoned)
	case b.references == 0:
		s.forget(b)
		s.charge(b, 0)
		if !b.tainted && b.err == nil {
			s.idle.put(b, s.options.Bytes/4)
			s.sweepLater()
		}
	}
}

// forget keeps a body from being shared.
func (s *Store) forget(b *body) {
	if s.bodies[b.key] == b {
		delete(s.bodies, b.key)
	}
}

var (
	// errAbandoned is seen by nobody: all who waited have left.
	errAbandoned = errors.New("nobody waits")
	errPanicked  = errors.New("internal server error")
)

// run makes a body for those who wait, and gives back the reference of its maker.
func (s *Store) run(b *body, a Answer) {
	bytes, err := s.make(b, a)
	s.mutex.Lock()
	defer s.mutex.Unlock()
	b.bytes, b.err = bytes, err
	if err == nil {
		s.charge(b, cap(bytes))
		s.noteSize(b.key.kind(), len(bytes))
	} else {
		// The next request tries anew.
		s.forget(b)
	}
	// No more waiting, whether it began or not.
	b.started = true
	close(b.done)
	// In the same breath, so that a client which comes back at once finds the buffer idle.
	s.releaseLocked(b, true)
}

// make returns the bytes of a body.
func (s *Store) make(b *body, a Answer) (bytes []byte, err error) {
	defer func() {
		if cause := recover(); cause != nil {
			s.options.Log.Error("making an answer panicked", zap.String("path", a.Key.Path), zap.Any("panic", cause), zap.ByteString("stack", debug.Stack()))
			bytes, err = nil, errPanicked
		}
	}()
	if a.From != nil {
		if !a.From.Use() {
			return nil, errAbandoned
		}
		defer a.From.Done()
	}
	if b.key.encoding == identity {
		if err := s.enter(b, true); err != nil {
			return nil, err
		}
		defer s.leave()
		return a.Append(b.bytes[:0])
	}
	if a.Write != nil {
		return s.makeInPieces(b, a)
	}
	plain := s.acquire(bodyKey{Key: a.Key}, a)
	defer s.release(plain, true)
	select {
	case <-plain.done:
	case <-b.abandoned:
		return nil, errAbandoned
	}
	if plain.err != nil {
		return nil, plain.err
	}
	if err := s.enter(b, false); err != nil {
		return nil, err
	}
	defer s.leave()
	bytes, err = s.compressors.append(b.bytes[:0], of(plain.bytes, a.ContentType), b.key.encoding)
	if err != nil {
		return nil, fmt.Errorf("compress with %s: %w", b.key.encoding, err)
	}
	return bytes, nil
}

// makeInPieces returns the bytes of a body that is compressed while it is rendered.
func (s *Store) makeInPieces(b *body, a Answer) ([]byte, error) {
	if err := s.enter(b, true); err != nil {
		return nil, err
	}
	defer s.leave()
	// How large the text is that is never seen whole: that of the last one of its kind is remembered as if it had been.
	text := bodyKey{Key: a.Key}.kind()
	s.mutex.Lock()
	s.stats.Rendered++
	from := source{contentType: a.ContentType, size: s.sizes[text]}
	s.mutex.Unlock()
	var written int
	var failed error
	from.write = func(to io.Writer) error {
		counting := &counter{to: to}
		failed = a.Write(counting)
		written = counting.bytes
		return failed
	}
	bytes, err := s.compressors.append(b.bytes[:0], from, b.key.encoding)
	if failed != nil {
		return nil, failed
	}
	if err != nil {
		return nil, fmt.Errorf("compress with %s: %w", b.key.encoding, err)
	}
	s.mutex.Lock()
	s.noteSize(text, written)
	s.mutex.Unlock()
	return bytes, nil
}

// counter counts what it hands on.
type counter struct {
	to    io.Writer
	bytes int
}

func (c *counter) Write(piece []byte) (int, error) {
	n, err := c.to.Write(piece)
	c.bytes += n
	return n, err
}
