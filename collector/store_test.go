package collector

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/nodevitals/nodevitals/collector/cgrouptest"
	"github.com/nodevitals/nodevitals/snapshot"
)

// What a snapshot held serves the next one once nobody uses it, and nothing is left in it of what it was.
func TestMemoryOfASnapshotServesAgain(t *testing.T) {
	c := newTest(t, func(o *Options) { o.MaxAge = 0 })
	first := mustSnapshot(t, c, snapshot.All)
	memory := &first.Cgroups[0]
	first.Done()
	second := mustSnapshot(t, c, snapshot.CPUUse|snapshot.Everywhere)
	if &second.Cgroups[0] != memory {
		t.Error("memory that nobody uses did not serve again")
	}
	for i := range second.Cgroups {
		record := &second.Cgroups[i]
		for field := range snapshot.FieldCount {
			if _, ok := record.Get(field); ok && snapshot.Fields[field].Group&snapshot.CPUUse == 0 {
				t.Fatalf("%s has %s, which was not asked for", record.Identity.ID, snapshot.Fields[field].Name)
			}
		}
		if record.Spec != nil || record.Devices != nil || record.HasNetwork || record.Interfaces != nil {
			t.Fatalf("%s has what was not asked for: %+v", record.Identity.ID, record)
		}
	}
}

// A snapshot stays what it is as long as one of those who asked for it is not done, or while it may answer others.
func TestMemoryInUseDoesNotServeAgain(t *testing.T) {
	for name, test := range map[string]struct {
		maxAge time.Duration
		done   bool
	}{"in use": {0, false}, "young enough": {time.Hour, true}} {
		t.Run(name, func(t *testing.T) {
			c := newTest(t, func(o *Options) { o.MaxAge = test.maxAge })
			first := mustSnapshot(t, c, snapshot.CPUUse|snapshot.Everywhere)
			usage, _ := first.Cgroups[0].Get(snapshot.CPUUsage)
			if test.done {
				first.Done()
			}
			for range 3 {
				next := mustSnapshot(t, c, snapshot.MemoryUse|snapshot.Everywhere)
				if &next.Cgroups[0] == &first.Cgroups[0] {
					t.Fatal("two snapshots have the same memory")
				}
				next.Done()
			}
			if now, ok := first.Cgroups[0].Get(snapshot.CPUUsage); !ok || now != usage {
				t.Errorf("the root's CPU time: got %d %t, it was %d", now, ok, usage)
			}
		})
	}
}

// One that is too old to answer anybody gives its memory to the pass that takes its place.
func TestMemoryOfOldSnapshotsServesAgain(t *testing.T) {
	c := newTest(t, func(o *Options) { o.MaxAge = time.Millisecond })
	first := mustSnapshot(t, c, snapshot.CPU)
	memory := &first.Cgroups[0]
	first.Done()
	time.Sleep(2 * c.options.MaxAge)
	if second := mustSnapshot(t, c, snapshot.CPU); &second.Cgroups[0] != memory {
		t.Error("memory of a snapshot that is too old did not serve again")
	}
}

// Each of many who wait for one pass is a user of it, except for one who left before it came.
func TestWaitersUseTheirSnapshot(t *testing.T) {
	c := newTest(t, func(o *Options) { o.MaxAge = 0 })
	c.reading.Lock()
	ctx, cancel := context.WithCancel(context.Background())
	results := make(chan *snapshot.Snapshot, 4)
	left := make(chan error, 1)
	for range cap(results) {
		go func() {
			s, _ := c.Snapshot(context.Background(), snapshot.CPU)
			results <- s
		}()
	}
	go func() {
		_, err := c.Snapshot(ctx, snapshot.CPU)
		left <- err
	}()
	waiting := func() (count int) {
		c.mutex.Lock()
		defer c.mutex.Unlock()
		for _, f := range []*flight{c.current, c.next} {
			if f != nil {
				count += f.waiting
			}
		}
		return count
	}
	cgrouptest.Await(t, "all to wait", func() (bool, string) { return waiting() == cap(results)+1, "fewer do" })
	cancel()
	if err := <-left; !errors.Is(err, context.Canceled) {
		t.Errorf("one who left: got %v", err)
	}
	cgrouptest.Await(t, "one to have left", func() (bool, string) { return waiting() == cap(results), "all wait" })
	c.reading.Unlock()
	users := map[*snapshot.Snapshot]int{}
	for range cap(results) {
		s := <-results
		if s == nil {
			t.Fatal("got no snapshot")
		}
		users[s]++
	}
	for s, count := range users {
		for range count {
			if !s.Use() {
				t.Error("over before all who asked were done")
			}
			s.Done()
			s.Done()
		}
		if s.Use() {
			t.Error("in use although all who asked are done")
		}
	}
}
