package cluster

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"
)

func TestAwaitTellsWhatWasAwaitedAndSeen(t *testing.T) {
	err := Await(t.Context(), 10*time.Millisecond, "the moon", func(context.Context) error { return errors.New("clouds") })
	if err == nil || !strings.Contains(err.Error(), "awaited the moon for") || !strings.HasSuffix(err.Error(), "in vain: clouds") {
		t.Errorf("error is %v, want it to name the moon and the clouds", err)
	}
}

func TestAwaitLooksUntilItIsMet(t *testing.T) {
	looks := 0
	err := Await(t.Context(), time.Minute, "three looks", func(context.Context) error {
		if looks++; looks < 3 {
			return errors.New("too few")
		}
		return nil
	})
	if err != nil || looks != 3 {
		t.Errorf("error %v after %d looks, want none after 3", err, looks)
	}
}

func TestAwaitStops(t *testing.T) {
	cause, looks := errors.New("it is gone"), 0
	err := Await(t.Context(), time.Minute, "what is gone", func(context.Context) error {
		looks++
		return Stop(cause)
	})
	if !errors.Is(err, cause) || looks != 1 {
		t.Errorf("error %v after %d looks, want %v after 1", err, looks, cause)
	}
}
