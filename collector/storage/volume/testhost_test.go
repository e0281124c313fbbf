package volume

import (
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/nodevitals/nodevitals/collector/machine/hostfile"
	"github.com/nodevitals/nodevitals/collector/storage/du"
)

// testHost is a host's tree, with a kernel that hangs where a test wants it to.
type testHost struct {
	t    testing.TB
	root string

	mutex  sync.Mutex
	mounts string
	hung   map[string]chan struct{}
	fail   map[string]error
	asked  map[string]int
}

func newTestHost(t testing.TB) *testHost {
	t.Helper()
	root := t.TempDir()
	h := &testHost{t: t, root: root, hung: map[string]chan struct{}{}, fail: map[string]error{}, asked: map[string]int{}}
	for _, folder := range []string{DefaultRootDir, DefaultLogDir} {
		must(t, os.MkdirAll(filepath.Join(root, folder), 0o755))
	}
	h.writeMounts()
	return h
}

// patience is longer than anything takes that does not hang.
const patience = 5 * time.Minute

// patient has a reader take nothing for hung or for slow because this machine is.
func patient(r *Reader) *Reader {
	r.slow = patience
	for _, l := range []*lane{r.quick, r.sizes, r.walks} {
		l.patience = patience
	}
	return r
}

// impatient has a reader soon take for hung what is quick elsewhere. It then may take what is just slow for hung as well, for a moment.
func impatient(r *Reader) *Reader {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	r.quick.patience, r.sizes.patience = quickPatience, quickPatience
	return r
}

// reader waits for as long as it takes, unless the test sets another deadline.
func (h *testHost) reader(options Options) *Reader {
	h.t.Helper()
	options.HostRoot = h.root
	if options.Deadline == 0 {
		options.Deadline = patience
	}
	if options.Statfs == nil {
		options.Statfs = func(path string, buffer *unix.Statfs_t) error {
			if err := h.pass(path); err != nil {
				return err
			}
			if _, err := os.Stat(path); err != nil {
				return unix.ENOENT
			}
			*buffer = unix.Statfs_t{Bsize: 1 << 20, Frsize: 4096, Blocks: 100, Bfree: 60, Bavail: 50, Files: 1000, Ffree: 900}
			return nil
		}
	}
	r := patient(NewReader(options))
	r.surveyor.mountinfo = hostfile.NewMounts(h.mountinfo())
	kernel := r.kernel
	r.kernel.files = func(path string) (du.Usage, error) {
		if err := h.pass(path); err != nil {
			return du.Usage{}, err
		}
		return kernel.files(path)
	}
	r.kernel.walk = func(path string) walker { return &testWalk{kernel.walk(path), h, path} }
	h.t.Cleanup(r.Close)
	return r
}

type testWalk struct {
	walker
	host *testHost
	path string
}

func (w *testWalk) Step(limit int) (int, bool) {
	_ = w.host.pass(w.path)
	return w.walker.Step(limit)
}

// pass counts a question, and blocks or refuses it.
func (h *testHost) pass(path string) error {
	h.mutex.Lock()
	path = h.inside(path)
	h.asked[path]++
	wait, err := h.hung[path], h.fail[path]
	h.mutex.Unlock()
	if wait != nil {
		<-wait
	}
	return err
}

func (h *testHost) inside(path string) string {
	relative, err := filepath.Rel(h.root, path)
	if err != nil {
		h.t.Errorf("%s is not in %s", path, h.root)
	}
	return "/" + relative
}

func (h *testHost) count(path string) int {
	h.mutex.Lock()
	defer h.mutex.Unlock()
	return h.asked[path]
}

// hang lets a path block until release is called.
func (h *testHost) hang(path string) (release func()) {
	gate := make(chan struct{})
	h.mutex.Lock()
	defer h.mutex.Unlock()
	h.hung[path] = gate
	release = sync.OnceFunc(func() {
		h.mutex.Lock()
		defer h.mutex.Unlock()
		delete(h.hung, path)
		close(gate)
	})
	h.t.Cleanup(release)
	return release
}

func (h *testHost) refuse(path string, err error) {
	h.mutex.Lock()
	defer h.mutex.Unlock()
	h.fail[path] = err
}

// write makes a file of so many bytes.
func (h *testHost) write(path string, size int) {
	h.t.Helper()
	path = filepath.Join(h.root, path)
	must(h.t, os.MkdirAll(filepath.Dir(path), 0o755))
	must(h.t, os.WriteFile(path, make([]byte, size), 0o644))
}

func (h *testHost) mountinfo() string { return filepath.Join(h.root, "mountinfo") }

// mount makes a folder, and says that a filesystem of that device number is mounted there.
func (h *testHost) mount(path, device string) {
	h.t.Helper()
	must(h.t, os.MkdirAll(filepath.Join(h.root, path), 0o755))
	h.mounts += fmt.Sprintf("99 1 %s / %s rw - sometype source rw\n", device, filepath.Join(h.root, path))
	h.writeMounts()
}

func (h *testHost) writeMounts() {
	must(h.t, os.WriteFile(h.mountinfo(), []byte("1 0 254:0 / / rw - ext4 /dev/vda rw\n"+h.mounts), 0o644))
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

const podsDir = DefaultRootDir + "/pods"

// clock is what tests pass as now: time goes on by a step when a test says so.
var clock = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func web(volumes ...Spec) Pod {
	return Pod{UID: "uid-1", LogUID: "uid-1", Namespace: "ns", Name: "web", Containers: []string{"app"}, Volumes: volumes}
}
