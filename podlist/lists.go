package podlist

import (
	"context"
	"fmt"
	"sync"

	corev1 "k8s.io/api/core/v1"
)

// lists asks a source for one list at a time. Whoever comes before that is written into a body shares it, so that no number of requests
// makes more than one list that waits for its turn to be written.
type lists struct {
	source Source

	mutex sync.Mutex
	// open is the list that may be joined, or nil.
	open *list
	// made counts lists.
	made uint64
}

// list is one that is being made or is there.
type list struct {
	// sequence numbers lists from 1.
	sequence uint64
	// done is closed when pods and err are what they stay.
	done chan struct{}
	pods *corev1.PodList
	err  error
	// askers are the requests that have joined and not left; lists.mutex guards the number.
	askers int
	// cancel ends the making.
	cancel context.CancelFunc
}

// join returns the open list, or one that begins to be made.
func (s *lists) join() *list {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	if s.open == nil {
		s.made++
		ctx, cancel := context.WithCancel(context.Background())
		s.open = &list{sequence: s.made, done: make(chan struct{}), cancel: cancel}
		go s.fetch(ctx, s.open)
	}
	s.open.askers++
	return s.open
}

// leave is for each that joined. A list that nobody waits for any more is given up.
func (s *lists) leave(l *list) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	if l.askers--; l.askers == 0 {
		s.closeLocked(l)
		l.cancel()
	}
}

// close lets nobody join a list any more.
func (s *lists) close(l *list) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.closeLocked(l)
}

func (s *lists) closeLocked(l *list) {
	if s.open == l {
		s.open = nil
	}
}

// fetch asks the source.
func (s *lists) fetch(ctx context.Context, l *list) {
	defer close(l.done)
	defer func() {
		// It runs in no request's goroutine, where a panic would be caught.
		if cause := recover(); cause != nil {
			l.err = fmt.Errorf("listing panicked: %v", cause)
		}
		if l.err != nil {
			s.close(l)
		}
	}()
	l.pods, l.err = s.source.ListPods(ctx)
}
