package collector

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/nodevitals/nodevitals/collector/cgrouptest"
	"github.com/nodevitals/nodevitals/snapshot"
)

func TestMain(m *testing.M) { cgrouptest.Main(m) }

// newTest makes a collector of this host.
func newTest(t testing.TB, change func(*Options)) *Collector {
	t.Helper()
	options := Options{
		HostRoot: "/", RootDir: "/var/lib/kubelet", MaxAge: time.Hour,
		SpecMaxAge: 5 * time.Second, ProcessMaxAge: time.Hour, StorageMaxAge: time.Hour,
	}
	if change != nil {
		change(&options)
	}
	options.Walker = cgrouptest.Walker(t)
	c, err := New(options)
	if err != nil {
		t.Fatalf("make a collector: %v", err)
	}
	t.Cleanup(c.Close)
	return c
}

func mustSnapshot(t testing.TB, c *Collector, want snapshot.Groups) *snapshot.Snapshot {
	t.Helper()
	s, err := c.Snapshot(context.Background(), want)
	if err != nil {
		t.Fatalf("snapshot of %s: %v", want, err)
	}
	if !s.Groups.Has(want &^ c.options.Disabled) {
		t.Fatalf("snapshot of %s: got only %s", want, s.Groups)
	}
	return s
}

func TestFreshSnapshotsAreShared(t *testing.T) {
	c := newTest(t, nil)
	first := mustSnapshot(t, c, snapshot.CPU|snapshot.Memory)
	if again := mustSnapshot(t, c, snapshot.CPU); again != first {
		t.Error("a request for fewer groups made a pass of its own")
	}
	whole := mustSnapshot(t, c, snapshot.All)
	if whole == first {
		t.Error("a request for more groups got what lacks them")
	}
	if again := mustSnapshot(t, c, snapshot.Core); again != whole {
		t.Error("the newest that has the groups was not used")
	}
	if status := c.Status(); status.Passes != 2 || status.Shared != 2 {
		t.Errorf("got %d passes and %d shared, want 2 and 2", status.Passes, status.Shared)
	}
}

func TestMaxAgeZeroReadsForEachRequest(t *testing.T) {
	c := newTest(t, func(o *Options) { o.MaxAge = 0 })
	var last *snapshot.Snapshot
	for range 5 {
		s := mustSnapshot(t, c, snapshot.CPU)
		if last != nil {
			if s.Taken.UnixMilli() <= last.Taken.UnixMilli() {
				t.Errorf("timestamps: got %v after %v, want a later millisecond", s.Taken, last.Taken)
			}
			if s.Sequence != last.Sequence+1 {
				t.Errorf("sequence: got %d after %d", s.Sequence, last.Sequence)
			}
		}
		last = s
	}
}

// While a pass is under way, all that come in wait for one more, which reads what they need together.
func TestWaitingRequestsShareAPass(t *testing.T) {
	c := newTest(t, func(o *Options) { o.MaxAge = 0 })
	c.reading.Lock()
	var done sync.WaitGroup
	results := make([]*snapshot.Snapshot, 60)
	wants := []snapshot.Groups{snapshot.CPU, snapshot.Memory, snapshot.Core | snapshot.Limits}
	ask := func(i int) {
		defer done.Done()
		results[i], _ = c.Snapshot(context.Background(), wants[i%len(wants)])
	}
	done.Add(1)
	go ask(0)
	cgrouptest.Await(t, "the first pass to be under way", func() (bool, string) {
		c.mutex.Lock()
		defer c.mutex.Unlock()
		return c.current != nil, "none"
	})
	for i := 1; i < len(results); i++ {
		done.Add(1)
		go ask(i)
	}
	cgrouptest.Await(t, "all requests to wait", func() (bool, string) {
		c.mutex.Lock()
		defer c.mutex.Unlock()
		return c.status.Shared == uint64(len(results)-2), fmt.Sprint(c.status.Shared)
	})
	c.reading.Unlock()
	done.Wait()
	for i, s := range results {
		if s == nil || !s.Groups.Has(wants[i%len(wants)]) {
			t.Errorf("request %d: got %v, want a snapshot of %s", i, s, wants[i%len(wants)])
		}
	}
	if passes := c.Status().Passes; passes != 2 {
		t.Errorf("passes: got %d for %d requests, want 2", passes, len(results))
	}
}

func TestRequestThatGivesUp(t *testing.T) {
	c := newTest(t, nil)
	c.reading.Lock()
	ctx, cancel := context.WithCancelCause(context.Background())
	gone := errors.New("the client went away")
	result := make(chan error)
	go func() {
		_, err := c.Snapshot(ctx, snapshot.CPU)
		result <- err
	}()
	cancel(gone)
	if err := <-result; !errors.Is(err, gone) {
		t.Errorf("error: got %v, want %v", err, gone)
	}
	c.reading.Unlock()
	mustSnapshot(t, c, snapshot.CPU)
}

func TestPanicEndsOnlyItsPass(t *testing.T) {
	c := newTest(t, func(o *Options) { o.MaxAge = 0 })
	reader := c.reader
	c.reader = nil
	if _, err := c.Snapshot(context.Background(), snapshot.CPU); !errors.Is(err, errPanicked) {
		t.Errorf("error: got %v, want %v", err, errPanicked)
	}
	if err := c.Check(context.Background()); err == nil {
		t.Error("health: got no error after a pass that panicked")
	}
	c.reader = reader
	mustSnapshot(t, c, snapshot.CPU)
	if err := c.Check(context.Background()); err != nil {
		t.Errorf("health: got %v after a pass that worked", err)
	}
	if count := c.Status().Errors[ErrorKey{"pass", "failed"}]; count != 1 {
		t.Errorf("failed passes: got %d, want 1", count)
	}
}

func TestStuckPassIsUnhealthy(t *testing.T) {
	c := newTest(t, nil)
	c.mutex.Lock()
	c.current = &flight{started: time.Now().Add(-time.Hour), done: make(chan struct{})}
	c.mutex.Unlock()
	if err := c.Check(context.Background()); err == nil {
		t.Error("health: got no error while a pass has run for an hour")
	}
}

// The light tick reads CPU counters alone, and gives the first request a rate.
func TestTickGivesTheFirstRequestARate(t *testing.T) {
	c := newTest(t, func(o *Options) { o.Tick = 100 * time.Millisecond })
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error)
	go func() { ended <- c.Run(ctx) }()
	// Ticks may follow each other after half the period, and a rate wants 100 ms.
	cgrouptest.Await(t, "four ticks", func() (bool, string) {
		ticks := c.Status().Ticks
		return ticks >= 4, fmt.Sprint(ticks)
	})
	root := mustSnapshot(t, c, snapshot.CPU).Find("/")
	if _, ok := root.Get(snapshot.CPUNanoCores); !ok {
		t.Error("the root has no rate in the first snapshot after ticks")
	}
	if passes := c.Status().Passes; passes != 1 {
		t.Errorf("passes: got %d, want 1", passes)
	}
	cancel()
	if err := <-ended; err != nil {
		t.Errorf("the tick ended with %v", err)
	}
}

func TestWithoutHistoryThereIsNoRate(t *testing.T) {
	root := mustSnapshot(t, newTest(t, nil), snapshot.CPU).Find("/")
	if rate, ok := root.Get(snapshot.CPUNanoCores); ok {
		t.Errorf("rate: got %d in the very first snapshot, want none", rate)
	}
}

func TestDisabledGroupsAreNeverRead(t *testing.T) {
	c := newTest(t, func(o *Options) { o.Disabled = snapshot.Process | snapshot.Storage | snapshot.Memory })
	s := mustSnapshot(t, c, snapshot.All)
	if s.Groups&c.options.Disabled != 0 || s.Node.Filesystems != nil {
		t.Errorf("groups: got %s and %d filesystems, want none of %s", s.Groups, len(s.Node.Filesystems), c.options.Disabled)
	}
	for i := range s.Cgroups {
		for field := range snapshot.FieldCount {
			if _, ok := s.Cgroups[i].Get(field); ok && snapshot.Fields[field].Group&c.options.Disabled != 0 {
				t.Fatalf("%s %s: got a value of a disabled group", s.Cgroups[i].Identity.ID, snapshot.Fields[field].Name)
			}
		}
	}
}

// Groups of their own cadence keep their time, and so show their age, while core groups are read with every pass.
func TestCadence(t *testing.T) {
	c := newTest(t, func(o *Options) { o.MaxAge = 0 })
	first, second := mustSnapshot(t, c, snapshot.All), mustSnapshot(t, c, snapshot.All)
	for _, group := range []snapshot.Groups{snapshot.Process, snapshot.Storage} {
		if a, b := first.Time(group), second.Time(group); a.IsZero() || !a.Equal(b) {
			t.Errorf("%s: got times %v and %v, want the same", group, a, b)
		}
	}
	for _, group := range []snapshot.Groups{snapshot.CPU, snapshot.Memory, snapshot.Network} {
		if a, b := first.Time(group), second.Time(group); !b.After(a) {
			t.Errorf("%s: got times %v and %v, want a later one", group, a, b)
		}
	}
	root := second.Find("/")
	if _, ok := root.Get(snapshot.ProcessCount); !ok {
		t.Error("the second snapshot lacks the process group's kept values")
	}
}

// Whatever comes and goes, each snapshot has the root and every cgroup once, in order.
// Numbers of processes that were read for an answer without their descriptors do not keep those from being read for the next.
func TestDetailOfProcessesIsReadWhenWanted(t *testing.T) {
	c := newTest(t, func(o *Options) { o.MaxAge = 0 })
	known := func(want snapshot.Groups, field snapshot.Field) (count int, at time.Time) {
		s := mustSnapshot(t, c, want)
		for i := range s.Cgroups {
			if _, ok := s.Cgroups[i].Get(field); ok {
				count++
			}
		}
		return count, s.Time(snapshot.Process)
	}
	counted, first := known(snapshot.Processes|snapshot.Everywhere, snapshot.ProcessCount)
	if got, _ := known(snapshot.Processes|snapshot.Everywhere, snapshot.ProcessFDs); counted == 0 || got > 0 {
		t.Errorf("numbers alone: %d cgroups have one, and %d one of descriptors", counted, got)
	}
	if got, at := known(snapshot.All, snapshot.ProcessFDs); got == 0 || !at.After(first) {
		t.Errorf("with detail: %d cgroups have a number of descriptors, of %v; the others are of %v", got, at, first)
	}
}

func TestChurn(t *testing.T) {
	g := cgrouptest.New(t)
	c := newTest(t, func(o *Options) { o.MaxAge = 0 })
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for round := 0; ; round++ {
			select {
			case <-stop:
				return
			default:
				g.Child(t, fmt.Sprint(round%7, "x", round)).Remove(t)
			}
		}
	}()
	for range 200 {
		s := mustSnapshot(t, c, snapshot.All&^snapshot.Storage)
		if s.Cgroups[0].Identity.ID != "/" || s.Find(g.ID) == nil {
			t.Fatalf("snapshot %d lacks the root or %s", s.Sequence, g.ID)
		}
		for i := 1; i < len(s.Cgroups); i++ {
			if s.Cgroups[i-1].Identity.ID >= s.Cgroups[i].Identity.ID {
				t.Fatalf("order: got %s before %s", s.Cgroups[i-1].Identity.ID, s.Cgroups[i].Identity.ID)
			}
		}
	}
	close(stop)
	<-stopped
	status := c.Status()
	// Where a process has more capabilities than root has here, even root may not see what its descriptors are.
	delete(status.Errors, ErrorKey{Part: "process", Reason: NotPermitted})
	if len(status.Reader.Faults) > 0 || len(status.Errors) > 0 {
		t.Errorf("faults: got %v and %v, want none", status.Reader.Faults, status.Errors)
	}
}

func TestNoCgroups(t *testing.T) {
	if _, err := New(Options{HostRoot: t.TempDir()}); err == nil {
		t.Error("got a collector of a root without cgroups")
	}
}
