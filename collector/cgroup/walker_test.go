package cgroup_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/nodevitals/nodevitals/collector/cgroup"
	"github.com/nodevitals/nodevitals/snapshot"
)

// walkerStub takes one number of each cgroup, unless it has an error to give.
type walkerStub struct {
	err           error
	closed, walks int
}

const stubbed = 123456

func (w *walkerStub) Walk(snapshot.Groups) error { w.walks++; return w.err }
func (w *walkerStub) Close()                     { w.closed++ }
func (w *walkerStub) Fill(into *cgroup.Target) (taken cgroup.Files, met bool) {
	into.Record.Set(snapshot.PidsCurrent, stubbed)
	return cgroup.PidsCurrent | cgroup.IOStat, true
}

const walkedTree = "testdata/v2-6.1.0"

func TestWalkerGoesBeforeFiles(t *testing.T) {
	walker := &walkerStub{}
	walked := newHost(t, walkedTree, cgroup.TreeOptions{MaxWatches: -1}, cgroup.ReaderOptions{Walker: walker})
	files := newHost(t, walkedTree, cgroup.TreeOptions{MaxWatches: -1}, cgroup.ReaderOptions{})
	ours, theirs := walked.pass(snapshot.Core), files.pass(snapshot.Core)
	for id, record := range theirs {
		for field := range snapshot.FieldCount {
			want, wanted := record.Get(field)
			if field == snapshot.PidsCurrent && id != "/" {
				want, wanted = stubbed, true
			}
			if got, ok := ours[id].Get(field); got != want || ok != wanted {
				t.Errorf("%s %s: got %d, %t, want %d, %t", id, snapshot.Fields[field].Name, got, ok, want, wanted)
			}
		}
		if id != "/" && len(ours[id].Devices) > 0 {
			t.Errorf("%s: io.stat was read, although the walker says that there is no more to be had", id)
		}
	}
	if !walked.reader.Stats().Walking || files.reader.Stats().Walking {
		t.Errorf("walking: got %t and %t, want true and false", walked.reader.Stats().Walking, files.reader.Stats().Walking)
	}
}

// The pass in which a walk fails must be whole, and no worse than any other.
func TestWalkerThatFailsIsGivenUp(t *testing.T) {
	want := newHost(t, walkedTree, cgroup.TreeOptions{MaxWatches: -1}, cgroup.ReaderOptions{}).pass(snapshot.Core)
	for name, test := range map[string]struct {
		err   error
		given bool
	}{
		"for good":            {fmt.Errorf("walk: %w", unix.EPERM), true},
		"of its own making":   {errors.New("met none"), true},
		"for want of memory":  {fmt.Errorf("walk: %w", unix.ENOMEM), false},
		"for want of numbers": {fmt.Errorf("walk: %w", unix.EMFILE), false},
	} {
		t.Run(name, func(t *testing.T) {
			walker := &walkerStub{err: test.err}
			h := newHost(t, walkedTree, cgroup.TreeOptions{MaxWatches: -1}, cgroup.ReaderOptions{Walker: walker})
			for range 2 {
				got := h.pass(snapshot.Core)
				for id := range want {
					if difference := cmp.Diff(dump(want, h.tree.Cgroups()), dump(got, h.tree.Cgroups())); difference != "" {
						t.Fatalf("%s: the pass is not that of the files (-files +walker):\n%s", id, difference)
					}
				}
			}
			stats := h.reader.Stats()
			if test.given && (walker.closed != 1 || walker.walks != 1 || stats.Walking || !errors.Is(stats.WalkError, test.err)) {
				t.Errorf("got closed %d times after %d walks, walking %t, error %v; want it given up at once with its error", walker.closed, walker.walks, stats.Walking, stats.WalkError)
			}
			if !test.given && (walker.closed != 0 || walker.walks != 2 || !stats.Walking || stats.WalkError != nil || len(stats.Faults) != 1 || stats.Faults[0].Count != 2) {
				t.Errorf("got closed %d times after %d walks, %+v; want it kept, and two faults counted", walker.closed, walker.walks, stats)
			}
		})
	}
}
