package collector

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nodevitals/nodevitals/collector/cgrouptest"
	"github.com/nodevitals/nodevitals/snapshot"
)

// slowRuntime stands in for a runtime that answers when it is let.
type slowRuntime struct {
	asked   atomic.Int64
	answers chan error
	layers  map[string]snapshot.Usage
}

func (r *slowRuntime) WritableLayers(ctx context.Context) (map[string]snapshot.Usage, error) {
	r.asked.Add(1)
	select {
	case err := <-r.answers:
		if err != nil {
			return nil, err
		}
		return r.layers, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (r *slowRuntime) ImageFilesystem(context.Context) (images, layers *snapshot.ImageFilesystem, err error) {
	return &snapshot.ImageFilesystem{Time: time.Unix(1, 0), MountPoint: "/images"}, nil, nil
}

// Whoever asks for a part of storage has nothing of the others read, and all have a time.
func TestPartsOfStorage(t *testing.T) {
	_, _, container := makePod(t)
	container.Start(t, "sleep")
	source := &names{}
	source.tell(testPod())
	logs := t.TempDir()
	if err := os.MkdirAll(filepath.Join(logs, "default_web_"+podUID, "app"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name                string
		want                snapshot.Groups
		filesystems, images bool
		volumes             bool
	}{
		{"filesystems", snapshot.Filesystems, true, false, false},
		{"layers", snapshot.Layers, false, true, false},
		{"volumes", snapshot.Volumes, false, false, true},
		{"all", snapshot.Storage, true, true, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			runtime := &slowRuntime{answers: make(chan error, 1)}
			runtime.answers <- nil
			c := newTest(t, func(o *Options) { o.MaxAge, o.Names, o.Runtime, o.LogDir = 0, source, runtime, logs })
			c.runtime.patience = time.Hour
			s := mustSnapshot(t, c, test.want)
			if len(s.Pods) != 1 {
				t.Fatalf("pods: got %d, want 1", len(s.Pods))
			}
			filesystems, images, volumes := len(s.Node.Filesystems) > 0, s.Node.Images != nil, !s.Pods[0].Logs.Time.IsZero()
			if filesystems != test.filesystems || images != test.images || volumes != test.volumes {
				t.Errorf("filesystems %v, images %v, volumes %v; want %v, %v, %v", filesystems, images, volumes, test.filesystems, test.images, test.volumes)
			}
			if at := s.Time(snapshot.Storage); !at.Equal(s.Taken) {
				t.Errorf("the group's time is %v, want that of the pass, %v", at, s.Taken)
			}
		})
	}
}

// No pass waits for a runtime that is slow, one question is under way at a time, and what it told stays while it fails.
func TestSlowRuntime(t *testing.T) {
	_, _, container := makePod(t)
	container.Start(t, "sleep")
	source := &names{}
	source.tell(testPod())
	runtime := &slowRuntime{answers: make(chan error), layers: map[string]snapshot.Usage{
		containerID: {Time: time.Unix(1795487950, 0), Bytes: snapshot.Some(4096), Inodes: snapshot.Some(3)},
	}}
	// Whatever waits for an answer at the end gets one.
	defer close(runtime.answers)
	c := newTest(t, func(o *Options) { o.MaxAge, o.StorageMaxAge, o.Names, o.Runtime = 0, 0, source, runtime })
	// It is slow for as long as the test takes, and has not failed.
	c.runtime.deadline, c.runtime.patience = time.Hour, time.Millisecond
	layer := func() snapshot.Usage {
		s := mustSnapshot(t, c, snapshot.All)
		if len(s.Pods) != 1 {
			t.Fatalf("pods: got %d, want 1", len(s.Pods))
		}
		return s.Pods[0].Containers[0].WritableLayer
	}
	for range 5 {
		if got := layer(); got.Bytes.Present {
			t.Errorf("layer before the runtime answered: got %+v, want none", got)
		}
	}
	// The first pass has it asked, in the background.
	cgrouptest.Await(t, "a question to the runtime", func() (bool, string) { return runtime.asked.Load() > 0, "none" })
	for range 5 {
		layer()
	}
	if asked := runtime.asked.Load(); asked != 1 {
		t.Errorf("questions under way: got %d, want 1", asked)
	}
	// A pass that sees an answer need not have asked the next question, so passes go on until somebody takes the answer.
	answer := func(err error) {
		cgrouptest.Await(t, "a question to the runtime", func() (bool, string) {
			select {
			case runtime.answers <- err:
				return true, ""
			default:
				layer()
				return false, "none waits for an answer"
			}
		})
	}
	answer(nil)
	cgrouptest.Await(t, "the layer", func() (bool, string) {
		got := layer()
		return got == runtime.layers[containerID], fmt.Sprintf("%+v", got)
	})
	answer(errors.New("the runtime is ill"))
	cgrouptest.Await(t, "the failure to be counted", func() (bool, string) {
		layer()
		errors := c.Status().Errors
		return errors[ErrorKey{"runtime", "incomplete"}] > 0, fmt.Sprint(errors)
	})
	if err := c.Answers(RuntimePart); err == nil {
		t.Error("health: got no error while the runtime is ill")
	}
	if got := layer(); got != runtime.layers[containerID] {
		t.Errorf("layer after a failure: got %+v, want the last one", got)
	}
	answer(nil)
	cgrouptest.Await(t, "health after the runtime answered again", func() (bool, string) {
		layer()
		err := c.Answers(RuntimePart)
		return err == nil, fmt.Sprint(err)
	})
	if s := mustSnapshot(t, c, snapshot.All); s.Node.Images == nil || s.Node.Images.MountPoint != "/images" {
		t.Errorf("images: got %+v", s.Node.Images)
	}
}
