package storage

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

// fake answers statfs by path below the host root; a path in hung blocks until its channel is closed.
type fake struct {
	root  string
	mutex sync.Mutex
	hung  map[string]chan struct{}
	fail  map[string]error
	asked map[string]int
}

func newFake(root string) *fake {
	return &fake{root: root, hung: map[string]chan struct{}{}, fail: map[string]error{}, asked: map[string]int{}}
}

func (f *fake) statfs(path string, buffer *unix.Statfs_t) error {
	path = "/" + strings.TrimPrefix(strings.TrimPrefix(path, f.root), "/")
	f.mutex.Lock()
	f.asked[path]++
	wait, err := f.hung[path], f.fail[path]
	f.mutex.Unlock()
	if wait != nil {
		<-wait
	}
	if err != nil {
		return err
	}
	buffer.Bsize, buffer.Frsize = 1<<20, 4096
	buffer.Blocks, buffer.Bfree, buffer.Bavail, buffer.Files, buffer.Ffree = 100, 60, 50, 1000, 900
	if strings.HasPrefix(path, "/dev") {
		buffer.Frsize, buffer.Files, buffer.Ffree = 0, 0, 0
	}
	return nil
}

func (f *fake) count(path string) int {
	f.mutex.Lock()
	defer f.mutex.Unlock()
	return f.asked[path]
}

func (f *fake) set(change func()) {
	f.mutex.Lock()
	defer f.mutex.Unlock()
	change()
}

func newTestReader(t *testing.T, root string, answers *fake) *Reader {
	t.Helper()
	r := NewReader(Options{HostRoot: root, RootDir: "/var/lib/kubelet", Statfs: answers.statfs, Deadline: time.Minute})
	t.Cleanup(r.Close)
	return r
}

const twoMounts = "27 1 254:0 / / rw - ext4 /dev/vda rw\n30 27 0:50 / /mnt/nfs rw - nfs4 server:/export rw\n31 27 0:51 / /run rw - tmpfs tmpfs rw\n"

func TestHungFilesystemKeepsOnlyItself(t *testing.T) {
	root := tree(t, twoMounts, "")
	answers := newFake(root)
	r := newTestReader(t, root, answers)
	first, _, err := r.Read(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	release := make(chan struct{})
	answers.set(func() { answers.hung["/mnt/nfs"] = release })
	asked := answers.count("/mnt/nfs")
	start := time.Now()
	for pass := range 3 {
		ctx, cancel := context.WithCancel(t.Context())
		if pass == 0 {
			// The reading that meets the hung filesystem waits for as long as it may: here until the others have answered.
			waitFor(cancel, func() bool {
				return answers.count("/mnt/nfs") > asked && hasAnswered(r, "/run", start) && hasAnswered(r, "/", start)
			})
		}
		got, index, err := r.Read(ctx)
		cancel()
		if !errors.Is(err, ErrNoAnswer) || !strings.Contains(err.Error(), "/mnt/nfs") || strings.Contains(err.Error(), "/run") {
			t.Errorf("pass %d: got error %v, want ErrNoAnswer of /mnt/nfs alone", pass, err)
		}
		hung, before := find(t, got, "server:/export"), find(t, first, "server:/export")
		if diff := cmp.Diff(before, hung); diff != "" || hung.Time.IsZero() {
			t.Errorf("pass %d: the hung one changed (-before +now):\n%s", pass, diff)
		}
		if healthy := find(t, got, "/run"); !healthy.Time.After(find(t, first, "/run").Time) {
			t.Errorf("pass %d: got an old answer of /run", pass)
		}
		if got[index].MountPoint != "/" {
			t.Errorf("pass %d: got root %+v", pass, got[index])
		}
		if n := answers.count("/mnt/nfs") - asked; n != 1 {
			t.Errorf("pass %d: the hung one was asked %d times, want once", pass, n)
		}
	}
	answers.set(func() { delete(answers.hung, "/mnt/nfs") })
	close(release)
	deadline := time.Now().Add(time.Minute)
	for {
		got, _, err := r.Read(t.Context())
		if err == nil && find(t, got, "server:/export").Time.After(find(t, first, "server:/export").Time) {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("got %v after a minute, want an answer", err)
		}
	}
}

// waitFor calls then, in the background, once a condition holds.
func waitFor(then func(), condition func() bool) {
	go func() {
		for deadline := time.Now().Add(time.Minute); !condition() && time.Now().Before(deadline); {
			time.Sleep(time.Millisecond)
		}
		then()
	}()
}

// hasAnswered reports whether the filesystem at a mount point has answered since a time.
func hasAnswered(r *Reader, mountPoint string, since time.Time) bool {
	for _, question := range r.questions {
		if question.path == filepath.Join(r.options.HostRoot, mountPoint) {
			question.mutex.Lock()
			defer question.mutex.Unlock()
			return !question.busy && question.answered.After(since)
		}
	}
	return false
}

// Many hung filesystems cost no more workers than there are of them, and the healthy ones are still asked.
func TestManyHungFilesystems(t *testing.T) {
	const count = 12
	var mounts strings.Builder
	mounts.WriteString("27 1 254:0 / / rw - ext4 /dev/vda rw\n")
	release := make(chan struct{})
	answers := newFake("")
	for i := range count {
		name := "/mnt/" + string(rune('a'+i))
		mounts.WriteString("30 27 0:" + string("123456789"[i%9]) + string(rune('0'+i/9)) + " / " + name + " rw - nfs4 server:" + name + " rw\n")
		answers.hung[name] = release
	}
	root := tree(t, mounts.String(), "")
	answers.root = root
	r := newTestReader(t, root, answers)
	start := time.Now()
	if _, err := r.mountinfo.update(); err != nil {
		t.Fatal(err)
	}
	r.prepare()
	ctx, cancel := context.WithCancel(t.Context())
	waitFor(cancel, func() bool {
		asked := 0
		for name := range answers.hung {
			asked += answers.count(name)
		}
		return asked == count && hasAnswered(r, "/", start)
	})
	got, _, err := r.Read(ctx)
	if !errors.Is(err, ErrNoAnswer) {
		t.Errorf("got %v, want ErrNoAnswer", err)
	}
	if find(t, got, "/dev/vda").Time.IsZero() {
		t.Error("the healthy one has no answer")
	}
	if one := find(t, got, "server:/mnt/a"); !one.Time.IsZero() || one.Capacity != 0 {
		t.Errorf("got %+v of one that never answered, want no figures", one)
	}
	close(release)
}

// What was not asked for lack of time is not "silent", and is asked the next time.
func TestUnaskedIsAskedNextTime(t *testing.T) {
	root := tree(t, twoMounts, "")
	answers := newFake(root)
	r := newTestReader(t, root, answers)
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	_, _, _ = r.Read(ended)
	deadline := time.Now().Add(time.Minute)
	for {
		got, _, err := r.Read(t.Context())
		if err == nil && !find(t, got, "/run").Time.IsZero() && !find(t, got, "/dev/vda").Time.IsZero() {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("got %+v, %v; want answers of all", got, err)
		}
	}
}

func TestRefusingFilesystemHasNoFigures(t *testing.T) {
	root := tree(t, twoMounts, "")
	answers := newFake(root)
	r := newTestReader(t, root, answers)
	if _, _, err := r.Read(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		errno unix.Errno
		told  bool
	}{{unix.ESTALE, true}, {unix.EACCES, true}, {unix.ENOENT, false}} {
		answers.set(func() { answers.fail["/mnt/nfs"] = test.errno })
		got, _, err := r.Read(t.Context())
		if errors.Is(err, test.errno) != test.told {
			t.Errorf("%v: got error %v, want it told: %v", test.errno, err, test.told)
		}
		if one := find(t, got, "server:/export"); !one.Time.IsZero() || one.Capacity != 0 || one.HasInodes {
			t.Errorf("%v: got %+v, want no figures", test.errno, one)
		}
		if find(t, got, "/run").Time.IsZero() {
			t.Errorf("%v: /run has none either", test.errno)
		}
	}
}

func TestMountsOfOneExportAreAskedOnce(t *testing.T) {
	root := tree(t, "27 1 254:0 / / rw - ext4 /dev/vda rw\n30 27 0:50 / /a rw - nfs4 server:/x rw\n31 27 0:50 /sub /b rw - nfs4 server:/x/sub rw\n", "")
	answers := newFake(root)
	r := newTestReader(t, root, answers)
	got, _, err := r.Read(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if n := answers.count("/a") + answers.count("/b"); n != 1 {
		t.Errorf("got %d questions, want 1", n)
	}
	if a, b := find(t, got, "server:/x"), find(t, got, "server:/x/sub"); a.Capacity == 0 || a.Capacity != b.Capacity {
		t.Errorf("got capacities %d and %d, want the same", a.Capacity, b.Capacity)
	}
}
