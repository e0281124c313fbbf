package e2e

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"testing"
	"time"

	meta "k8s.io/apimachinery/pkg/apis/meta/v1"

	"golang.org/x/sys/unix"

	"github.com/nodevitals/nodevitals/e2e/cluster"
	"github.com/nodevitals/nodevitals/e2e/compare"
)

// stricken is a pod whose volume stops to answer and whose log folder cannot be read any more.
type stricken struct {
	uid string
	// at is when the present fault began.
	at time.Time
	// errors is the agent's count of errors with volumes until then.
	errors float64
}

const (
	strickenName = "stricken-0"
	strickenPod  = "pods[default/" + strickenName + "]."
	errorsOf     = `nodevitals_errors_total{part="volumes",reason="incomplete"}`
)

// findStricken waits until the pod is measured in full.
func findStricken(t *testing.T) *stricken {
	t.Helper()
	s := &stricken{}
	err := cluster.Await(t.Context(), podsLimit, "the volume and the logs of pod "+strickenName, func(ctx context.Context) error {
		d, err := bothSources.summary(ctx)
		if err != nil {
			return err
		}
		for _, path := range []string{s.volume() + "usedBytes", s.logs() + "usedBytes"} {
			if d[path].Number == 0 {
				return fmt.Errorf("there is no %s", path)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	pod, err := node.Client().CoreV1().Pods(meta.NamespaceDefault).Get(t.Context(), strickenName, meta.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	s.uid = string(pod.UID)
	return s
}

func (s *stricken) volume() string { return strickenPod + "volume[scratch]." }
func (s *stricken) logs() string   { return strickenPod + "containers[only].logs." }

// hangVolume mounts over the volume a filesystem whose server says nothing. It goes when the test ends.
func (s *stricken) hangVolume(t *testing.T) {
	t.Helper()
	s.begin(t)
	mountSilent(t, filepath.Join(node.RootDir(), "pods", s.uid, "volumes/kubernetes.io~empty-dir/scratch"))
}

// loseLogs mounts over the log folder a filesystem whose server is dead: every call is refused, also to root. It goes when the test ends.
func (s *stricken) loseLogs(t *testing.T) {
	t.Helper()
	s.begin(t)
	dead := mountSilent(t, filepath.Join("/var/log/pods", "default_"+strickenName+"_"+s.uid, "only"))
	dead()
}

// begin notes what was before a fault.
func (s *stricken) begin(t *testing.T) {
	t.Helper()
	_, count, err := bothSources.selfMetric(t.Context(), errorsOf)
	if err != nil {
		t.Fatal(err)
	}
	s.errors, s.at = count, time.Now()
}

// awaitHung waits until the volume that hangs is counted and named, with all other volumes measured since, and its own never.
func (s *stricken) awaitHung(t *testing.T) {
	s.await(t, "pods[default/volumes].volume[scratch].usedBytes", func(d compare.Document) error {
		if figure := d[s.volume()+"usedBytes"]; figure.Taken.From.After(s.at) {
			return cluster.Stop(fmt.Errorf("the volume that hangs has a figure of %s, after the fault of %s", figure.Taken.From, s.at))
		}
		if _, ok := d[s.logs()+"usedBytes"]; !ok {
			return errors.New("the same pod's logs are not there")
		}
		return nil
	})
}

// awaitLost waits until the logs that cannot be read are missing, counted and named, with all other logs measured since.
func (s *stricken) awaitLost(t *testing.T) {
	s.await(t, "pods[default/volumes].containers[app].logs.usedBytes", func(d compare.Document) error {
		for _, path := range []string{s.logs() + "usedBytes", s.logs() + "inodesUsed"} {
			if figure, ok := d[path]; ok {
				return fmt.Errorf("%s is still there, of %s", path, figure.Taken.From)
			}
		}
		if _, ok := d[strickenPod+"containers[only].cpu.usageCoreNanoSeconds"]; !ok {
			return cluster.Stop(errors.New("the container itself is gone"))
		}
		return nil
	})
}

// await waits until a figure of another pod was measured since the fault, and the pod shows the fault; then that it is counted and named.
func (s *stricken) await(t *testing.T, other string, shows func(compare.Document) error) {
	t.Helper()
	err := cluster.Await(t.Context(), weatherLimit, other+" measured since, and the fault", func(ctx context.Context) error {
		d, err := bothSources.summary(ctx)
		if err != nil {
			return err
		}
		if figure, ok := d[other]; !ok || !figure.Taken.From.After(s.at) {
			return fmt.Errorf("%s is of %s, and the fault of %s", other, figure.Taken.From, s.at)
		}
		return shows(d)
	})
	if err != nil {
		t.Error(err)
	}
	bothSources.awaitHealth(t, "[-]volumes")
	bothSources.awaitMetric(t, errorsOf, func(count float64) bool { return count > s.errors })
	bothSources.readies(t)
}

// mountSilent mounts a FUSE filesystem whose server never says a word, as that of a dead NFS server: whoever asks anything of it sleeps, until
// the server dies with the returned function. Then whoever asks is refused. The mount goes with the test.
func mountSilent(t *testing.T, folder string) (die func()) {
	t.Helper()
	server, err := unix.Open("/dev/fuse", unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatalf("open /dev/fuse: %v", err)
	}
	closed := false
	die = func() {
		if !closed {
			closed = true
			_ = unix.Close(server)
		}
	}
	t.Cleanup(die)
	if err := unix.Mount("silent", folder, "fuse", 0, fmt.Sprintf("fd=%d,rootmode=40000,user_id=0,group_id=0", server)); err != nil {
		t.Fatalf("mount a filesystem over %s: %v", folder, err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(folder, unix.MNT_DETACH); err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("unmount %s: %v", folder, err)
		}
	})
	return die
}
