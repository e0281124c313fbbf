package volume

import (
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestBudget(t *testing.T) {
	b := newBudget(100)
	now := clock
	for _, step := range []struct {
		name    string
		later   time.Duration
		entries int
		want    time.Duration
	}{
		{"what a second leaves over", 0, 100, 0},
		{"more than there is", 0, 50, 500 * time.Millisecond},
		{"still in debt", 250 * time.Millisecond, 0, 250 * time.Millisecond},
		{"paid", 250 * time.Millisecond, 0, 0},
		{"a long pause saves no more than a second", time.Hour, 150, 500 * time.Millisecond},
		{"no debt of more than ten seconds", 0, 1_000_000, maxRest},
	} {
		now = now.Add(step.later)
		if got := b.charge(step.entries, now); got != step.want {
			t.Errorf("%s: got a rest of %v, want %v", step.name, got, step.want)
		}
	}
	if got := (*budget)(nil).charge(1_000_000, now); got != 0 {
		t.Errorf("got a rest of %v without a budget", got)
	}
}

func TestIdleClassIsSetAndTakenBack(t *testing.T) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		before := ioClass()
		end := idle()
		within := ioClass()
		end()
		if within != ioprioClassIdle>>13 && within != before {
			t.Errorf("got class %d within, want %d", within, ioprioClassIdle>>13)
		}
	}()
	<-done
}

func ioClass() uintptr {
	value, _, _ := unix.Syscall(unix.SYS_IOPRIO_GET, ioprioWhoProcess, 0, 0)
	return value >> 13
}
