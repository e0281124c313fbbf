package cluster

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// The pause between two looks at a condition grows from one to the other: what takes long is looked at seldom, since on an emulated
// processor each look costs what is waited for.
const (
	shortestPause = 100 * time.Millisecond
	longestPause  = 2 * time.Second
)

// Await returns once met returns nil. What it awaits, for how long, and what it saw last make the error of one that was not.
// A met that calls [Stop] ends the wait at once.
func Await(ctx context.Context, limit time.Duration, what string, met func(context.Context) error) error {
	start := time.Now()
	limited, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	for pause := shortestPause; ; pause = min(pause*3/2, longestPause) {
		err := met(limited)
		if err == nil {
			return nil
		}
		if final := (finalError{}); errors.As(err, &final) {
			return fmt.Errorf("awaited %s: %w", what, final.error)
		}
		select {
		case <-limited.Done():
			return fmt.Errorf("awaited %s for %s in vain: %w", what, time.Since(start).Round(time.Second), err)
		case <-time.After(pause):
		}
	}
}

// Stop marks an error that no waiting will mend.
func Stop(err error) error { return finalError{err} }

type finalError struct{ error }

func (e finalError) Unwrap() error { return e.error }
