package cluster

import (
	"context"
	"errors"
	"os"
	"strings"
	"testing"
	"time"
)

// bare is a cluster without components, in the network namespace of the tests.
func bare(t *testing.T) *Cluster {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root: components start in a network namespace")
	}
	file, err := os.Open("/proc/self/ns/net")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { file.Close() })
	return &Cluster{network: &network{file: file}, options: Options{State: t.TempDir(), Logs: t.TempDir(), Logf: t.Logf}}
}

func never(context.Context) error { return errors.New("no answer") }

func TestComponentThatEndsIsToldWithItsLog(t *testing.T) {
	start := time.Now()
	_, err := bare(t).Start(t.Context(), Component{
		Name: "broken", Path: "/bin/sh", Args: []string{"-c", "echo no such flag >&2; exit 3"}, Ready: never, Until: "its health", Limit: time.Hour,
	})
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{"start broken", "awaited its health", "exit status 3", "broken.log", "no such flag"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the error lacks %q: %v", want, err)
		}
	}
	if took := time.Since(start); took > 10*time.Minute {
		t.Errorf("it took %s to see that the component had ended", took)
	}
}

func TestComponentThatNeverGetsReady(t *testing.T) {
	c := bare(t)
	_, err := c.Start(t.Context(), Component{
		Name: "silent", Path: "/bin/sleep", Args: []string{"1000"}, Ready: never, Until: "its health", Limit: 50 * time.Millisecond,
	})
	if err == nil || !strings.Contains(err.Error(), "awaited its health for") || !strings.Contains(err.Error(), "no answer") {
		t.Errorf("error is %v, want what was awaited and seen", err)
	}
	if len(c.processes) != 1 {
		t.Fatalf("the cluster knows %d processes, want the one that is to be ended", len(c.processes))
	}
	if err := c.processes[0].Stop(time.Minute); err != nil {
		t.Error(err)
	}
}

func TestComponentThatDoesNotEndIsForced(t *testing.T) {
	c := bare(t)
	p, err := c.Start(t.Context(), Component{
		Name: "stubborn", Path: "/bin/sh", Args: []string{"-c", "trap '' TERM; echo trapped; while :; do sleep 1; done"},
		Until: "its trap", Limit: time.Minute,
		Ready: func(context.Context) error {
			if text := lastLines(c.options.Logs+"/stubborn.log", 1); text != "trapped" {
				return errors.New("the log ends with " + text)
			}
			return nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Ended(); err != nil {
		t.Errorf("it runs, and yet %v", err)
	}
	if err := p.Stop(50 * time.Millisecond); err != nil {
		t.Error(err)
	}
	if err := p.Ended(); err == nil || !strings.Contains(err.Error(), "killed") {
		t.Errorf("after it was forced, the error is %v, want that it was killed", err)
	}
}
