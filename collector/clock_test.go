package collector

import (
	"fmt"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/nodevitals/nodevitals/collector/cgrouptest"
	"github.com/nodevitals/nodevitals/snapshot"
)

// stepClock moves the machine's clock, and back by the same when the test ends.
func stepClock(t *testing.T, by time.Duration) {
	t.Helper()
	move := func(by time.Duration) error {
		now := unix.NsecToTimeval(time.Now().Add(by).UnixNano())
		return unix.Settimeofday(&now)
	}
	if err := move(by); err != nil {
		t.Fatalf("step the clock: %v", err)
	}
	t.Cleanup(func() {
		if err := move(-by); err != nil {
			t.Errorf("step the clock back: %v", err)
		}
	})
}

// A clock that is set moves timestamps and nothing else: ages and rates go by the time that has passed.
func TestClockStep(t *testing.T) {
	if os.Getenv("NODEVITALS_VM") == "" {
		t.Skip("sets the machine's clock, and so runs in the emulated machine alone")
	}
	for _, by := range []time.Duration{-time.Hour, time.Hour} {
		t.Run(fmt.Sprint(by), func(t *testing.T) {
			g := cgrouptest.New(t)
			g.Start(t, "cpu")
			c := newTest(t, func(o *Options) { o.MaxAge, o.ProcessMaxAge = 10*time.Millisecond, 50*time.Millisecond })
			before := mustSnapshot(t, c, snapshot.All)
			time.Sleep(200 * time.Millisecond)
			stepClock(t, by)
			after := mustSnapshot(t, c, snapshot.All)
			if moved := after.Taken.Round(0).Sub(before.Taken.Round(0)); moved.Hours()*by.Hours() < 0.5 {
				t.Errorf("timestamps moved by %v, want about %v", moved, by)
			}
			record := after.Find(g.ID)
			if rate, ok := record.Get(snapshot.CPUNanoCores); !ok || rate < 1e8 || rate > 3e9 {
				t.Errorf("rate over the step: got %d (%t), want about one core", rate, ok)
			}
			if at := after.Time(snapshot.Process); !at.Equal(after.Taken) {
				t.Errorf("the process group was not due: read at %v", at)
			}
			time.Sleep(20 * time.Millisecond)
			if again := mustSnapshot(t, c, snapshot.All); again == after || !again.Taken.After(after.Taken) {
				t.Errorf("the snapshot after the step: got %v, want a later one than %v", again.Taken, after.Taken)
			}
		})
	}
}
