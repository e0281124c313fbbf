package volume

import (
	"runtime"
	"time"

	"golang.org/x/sys/unix"
)

// maxRest is the longest that a worker rests: after a walk without breaks, it pays no more than that.
const maxRest = 10 * time.Second

// budget is a number of entries a second. What one second leaves over can be spent in the next, and no later.
type budget struct {
	rate  float64
	spare float64
	last  time.Time
}

func newBudget(rate int) *budget { return &budget{rate: float64(rate), spare: float64(rate)} }

// charge takes entries off the budget and returns how long to rest before the next.
func (b *budget) charge(entries int, now time.Time) time.Duration {
	if b == nil {
		return 0
	}
	if !b.last.IsZero() {
		b.spare = min(b.spare+now.Sub(b.last).Seconds()*b.rate, b.rate)
	}
	b.last = now
	b.spare = max(b.spare-float64(entries), -maxRest.Seconds()*b.rate)
	if b.spare >= 0 {
		return 0
	}
	return time.Duration(-b.spare / b.rate * float64(time.Second))
}

// Values of ioprio_set(2): who the thread is, and a class in the upper bits.
const (
	ioprioWhoProcess = 1
	ioprioClassIdle  = 3 << 13
)

// idle gives the calling goroutine a thread whose reads wait for everybody else's, and returns what ends that. Schedulers that
// know no such class (none, mq-deadline before Linux 5.18) ignore it; where it is forbidden, the budget is all there is.
func idle() (end func()) {
	runtime.LockOSThread()
	before, _, errno := unix.Syscall(unix.SYS_IOPRIO_GET, ioprioWhoProcess, 0, 0)
	if errno == 0 {
		_, _, errno = unix.Syscall(unix.SYS_IOPRIO_SET, ioprioWhoProcess, 0, ioprioClassIdle)
	}
	return func() {
		if errno == 0 {
			if _, _, errno := unix.Syscall(unix.SYS_IOPRIO_SET, ioprioWhoProcess, 0, before); errno != 0 {
				// The thread ends with its goroutine.
				return
			}
		}
		runtime.UnlockOSThread()
	}
}
