package snapshot

import (
	"sync"
	"testing"
)

func TestUse(t *testing.T) {
	over := 0
	s := &Snapshot{}
	s.Lend(func() { over++ })
	for range 2 {
		if !s.Use() {
			t.Fatal("a snapshot in use could not be used by another")
		}
	}
	s.Done()
	s.Done()
	if over != 0 {
		t.Fatal("over before the last user was done")
	}
	s.Done()
	if over != 1 {
		t.Fatalf("over was called %d times after the last user was done, want once", over)
	}
	if s.Use() {
		t.Error("a snapshot that is over could be used")
	}
}

func TestUseOfOneThatWasNotLent(t *testing.T) {
	for _, s := range []*Snapshot{{}, nil} {
		s.Done()
		if !s.Use() {
			t.Errorf("%v: a snapshot that nobody lent cannot be used", s)
		}
	}
}

// Users who come while the last one goes either keep the snapshot or are told that it is over.
func TestUseWhileOthersAreDone(t *testing.T) {
	for range 1000 {
		over := make(chan struct{})
		s := &Snapshot{}
		s.Lend(func() { close(over) })
		var users sync.WaitGroup
		for range 3 {
			users.Go(func() {
				if !s.Use() {
					return
				}
				select {
				case <-over:
					t.Error("over while in use")
				default:
				}
				s.Done()
			})
		}
		s.Done()
		users.Wait()
		<-over
	}
}
