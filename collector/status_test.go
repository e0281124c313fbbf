package collector

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
)

// What is late makes the collector unhealthy; only what is hung is a reason to restart it.
func TestHealth(t *testing.T) {
	ago := func(d time.Duration) time.Time { return time.Now().Add(-d) }
	for _, test := range []struct {
		name string
		set  func(*Collector)
		// check and progress are expressions of the errors; empty: there is none.
		check, progress string
	}{
		{"nothing yet", func(*Collector) {}, "", ""},
		{"a pass runs", func(c *Collector) { c.current = &flight{started: ago(5 * time.Second)} }, "", ""},
		{"a pass is late", func(c *Collector) { c.current = &flight{started: ago(time.Minute)} }, "pass has run for 1m", ""},
		{"a pass hangs", func(c *Collector) { c.current = &flight{started: ago(time.Hour)} }, "pass has run for 1h", "pass has run for 1h"},
		{"the tick is due", func(c *Collector) { c.ticked = ago(15 * time.Second) }, "", ""},
		{"the tick is late", func(c *Collector) { c.ticked = ago(time.Minute) }, "every 10s, and were not for 1m", ""},
		{"the tick hangs", func(c *Collector) { c.ticked = ago(time.Hour) }, "were not for 1h", "were not for 1h"},
		{"a pass failed", func(c *Collector) { c.status.LastError, c.failing = errors.New("lost"), ago(time.Second) }, "lost", ""},
		{"all passes fail", func(c *Collector) { c.status.LastError, c.failing = errors.New("lost"), ago(time.Hour) }, "lost", `has failed for 1h0m\d+s: lost`},
		{"passes failed once", func(c *Collector) { c.failing = ago(time.Hour) }, "", ""},
		{"a filesystem hangs", func(c *Collector) { c.silent[StoragePart] = silence{errors.New("no answer"), time.Now()} }, "", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := newTest(t, func(o *Options) { o.Tick = 10 * time.Second })
			c.mutex.Lock()
			test.set(c)
			c.mutex.Unlock()
			for _, one := range []struct {
				what, want string
				check      func(context.Context) error
			}{{"Check", test.check, c.Check}, {"CheckProgress", test.progress, c.CheckProgress}} {
				err := one.check(t.Context())
				if (err != nil) != (one.want != "") || (err != nil && !regexp.MustCompile(one.want).MatchString(err.Error())) {
					t.Errorf("%s: got %v, want %q", one.what, err, one.want)
				}
			}
		})
	}
}

// Who did not answer is asked again only when a request needs it, so the error says how old the news is.
func TestSilenceTellsItsAge(t *testing.T) {
	c := newTest(t, nil)
	c.silent[VolumesPart] = silence{errors.New("no answer"), time.Now().Add(-3 * time.Hour)}
	if err := c.Answers(VolumesPart); err == nil || err.Error() != "when last asked, 3h0m0s ago: no answer" {
		t.Errorf("got %v, want the error and its age", err)
	}
	if err := c.Answers(StoragePart); err != nil {
		t.Errorf("got %v of a part whom all answer", err)
	}
	c.waited(VolumesPart, nil)
	if err := c.Answers(VolumesPart); err != nil {
		t.Errorf("got %v after an answer", err)
	}
}

// Who does not answer is told of again once it did, or once it is another; not as long as all is as it was.
func TestEachNewSilenceIsLogged(t *testing.T) {
	core, logs := observer.New(zap.InfoLevel)
	c := newTest(t, func(o *Options) { o.Log = zap.New(core) })
	// What else there is to say of this host, as much as is remembered.
	for i := range reportedMost {
		c.reportOnce(true, fmt.Sprint(i), "something else")
	}
	logs.TakeAll()
	a, b := errors.New("/a: filesystem does not answer"), errors.New("/b: filesystem does not answer")
	for _, step := range []struct {
		what   string
		err    error
		logged int
	}{
		{"the first", a, 1},
		{"the same", errors.New(a.Error()), 0},
		{"still the same", a, 0},
		{"another", b, 1},
		{"an answer", nil, 0},
		{"the same after an answer", b, 1},
	} {
		c.waited(VolumesPart, step.err)
		lines := logs.TakeAll()
		if len(lines) != step.logged || len(lines) == 1 && (lines[0].ContextMap()["error"] != step.err.Error() || lines[0].ContextMap()["part"] != VolumesPart) {
			t.Errorf("%s: logged %v, want %d lines", step.what, lines, step.logged)
		}
	}
	if got := c.Status().Errors[ErrorKey{VolumesPart, "incomplete"}]; got != 5 {
		t.Errorf("counted %d failures, want each of 5", got)
	}
}

// A tick that waits behind a pass which does not end is late in the end, though nobody asks for anything.
func TestTickBehindAHungReaderIsNoticed(t *testing.T) {
	c := newTest(t, func(o *Options) { o.Tick = 100 * time.Millisecond })
	c.reading.Lock()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error)
	go func() { ended <- c.Run(ctx) }()
	since := time.Time{}
	for deadline := time.Now().Add(time.Minute); since.IsZero(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("waited a minute for the tick to be due")
		}
		c.mutex.Lock()
		since = c.ticked
		// As if the time had passed.
		if !since.IsZero() {
			c.ticked = since.Add(-hungAfter)
		}
		c.mutex.Unlock()
	}
	await := func(what string, want bool) {
		t.Helper()
		for deadline := time.Now().Add(time.Minute); (c.CheckProgress(ctx) == nil) != want; time.Sleep(time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("waited a minute for %s; seen: %v", what, c.CheckProgress(ctx))
			}
		}
	}
	await("the tick to be overdue", false)
	c.reading.Unlock()
	await("the tick to be in time again", true)
	cancel()
	if err := <-ended; err != nil {
		t.Errorf("the tick ended with %v", err)
	}
	// A collector that stops is not late.
	if !c.ticked.IsZero() {
		t.Errorf("a tick is due after the end: %v", c.ticked)
	}
}
