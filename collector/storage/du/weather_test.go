package du

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// hooked lets a test act, or refuse, before a call goes to the kernel.
type hooked struct {
	system
	before func(call, name string) error
}

func (h hooked) open(folder int, name *byte) (int, error) {
	if err := h.before("open", unix.BytePtrToString(name)); err != nil {
		return -1, err
	}
	return h.system.open(folder, name)
}

func (h hooked) stat(folder int, name *byte, stat *unix.Statx_t) error {
	if err := h.before("stat", unix.BytePtrToString(name)); err != nil {
		return err
	}
	return h.system.stat(folder, name, stat)
}

func (h hooked) list(folder int, buffer []byte) (int, error) {
	if err := h.before("list", ""); err != nil {
		return 0, err
	}
	return h.system.list(folder, buffer)
}

func TestVanishedFilesCostNothingElse(t *testing.T) {
	dir := t.TempDir()
	for i := range 10 {
		write(t, filepath.Join(dir, "folder"+strconv.Itoa(i), "file"), 4096)
	}
	w := New(dir)
	w.kernel = hooked{before: func(call, name string) error {
		switch call + name {
		case "statfolder3":
			return os.RemoveAll(filepath.Join(dir, "folder3"))
		case "openfolder5":
			return os.RemoveAll(filepath.Join(dir, "folder5"))
		}
		return nil
	}}
	finish(w)
	usage, err := w.Result()
	if left, why := w.Left(); err != nil || left != 0 {
		t.Fatalf("got %v, %d left out: %v", err, left, why)
	}
	// The top, nine folders of which one vanished after it was counted, eight files.
	if usage.Inodes != 18 {
		t.Errorf("got %d inodes, want 18", usage.Inodes)
	}
}

func TestFolderSwappedForALinkIsNotFollowed(t *testing.T) {
	dir, outside := t.TempDir(), t.TempDir()
	write(t, filepath.Join(outside, "secret/file"), 1<<20)
	must(t, os.Mkdir(filepath.Join(dir, "victim"), 0o755))
	w := New(dir)
	w.kernel = hooked{before: func(call, name string) error {
		if call+name == "openvictim" {
			must(t, os.Remove(filepath.Join(dir, "victim")))
			return os.Symlink(outside, filepath.Join(dir, "victim"))
		}
		return nil
	}}
	finish(w)
	if usage, err := w.Result(); err != nil || usage.Inodes != 2 {
		t.Errorf("got %+v, %v; want 2 inodes", usage, err)
	}
}

// A folder far down is moved up while what is below it is walked: its other folders are lost, but nothing above.
func TestMovedFolderCostsItself(t *testing.T) {
	dir := t.TempDir()
	deep := filepath.Join(dir, strings.Repeat("d/", 6))
	write(t, filepath.Join(deep, "moving/1/2/3/4/5/6/7/8/bottom/file"), 1)
	write(t, filepath.Join(dir, "beside/file"), 1)
	write(t, filepath.Join(dir, "d/beside/file"), 1)
	w := New(dir)
	w.kernel = hooked{before: func(call, name string) error {
		if call+name == "openbottom" {
			return os.Rename(filepath.Join(deep, "moving/1/2"), filepath.Join(dir, "2"))
		}
		return nil
	}}
	finish(w)
	usage, err := w.Result()
	left, why := w.Left()
	if err != nil || left == 0 || !errors.Is(why, ErrMoved) {
		t.Errorf("got %v, %d left out: %v; want ErrMoved", err, left, why)
	}
	for _, level := range w.levels {
		t.Errorf("level %+v is left", level)
	}
	// The top, six and nine folders and a moving one, the file; two folders and files beside.
	if usage.Inodes != 1+6+1+9+1+4 {
		t.Errorf("got %d inodes, want 22", usage.Inodes)
	}
}

func TestRefusedFoldersAreCounted(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "open/file"), 1)
	write(t, filepath.Join(dir, "shut/file"), 1)
	write(t, filepath.Join(dir, "broken/file"), 1)
	for _, test := range []struct {
		call string
		err  error
		left int
		want uint64
	}{
		{"openshut", unix.EACCES, 1, 6},
		{"statbroken", unix.EIO, 1, 5},
		{"openopen", unix.EMFILE, 1, 6},
		{"openopen", unix.ENOENT, 0, 6},
	} {
		w := New(dir)
		w.kernel = hooked{before: func(call, name string) error {
			if call+name == test.call {
				return test.err
			}
			return nil
		}}
		finish(w)
		usage, err := w.Result()
		left, why := w.Left()
		if err != nil || left != test.left || left > 0 && !errors.Is(why, test.err) {
			t.Errorf("%s: got %v, %d left out: %v; want %d, %v", test.call, err, left, why, test.left, test.err)
		}
		if usage.Inodes != test.want {
			t.Errorf("%s: got %d inodes, want %d", test.call, usage.Inodes, test.want)
		}
	}
}

func TestUnreadableFolderAsOrdinaryUser(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "shut/file"), 1)
	write(t, filepath.Join(dir, "open/file"), 1)
	must(t, os.Chmod(filepath.Join(dir, "shut"), 0))
	// t.TempDir makes two folders.
	must(t, os.Chmod(dir, 0o755))
	must(t, os.Chmod(filepath.Dir(dir), 0o755))
	asNobody(t, func() {
		w := New(dir)
		finish(w)
		usage, err := w.Result()
		left, why := w.Left()
		if err != nil || left != 1 || !errors.Is(why, os.ErrPermission) || usage.Inodes != 4 {
			t.Errorf("got %+v, %v, %d left out: %v; want 4 inodes, 1 left out", usage, err, left, why)
		}
	})
}

// asNobody runs f on a thread that has no privileges over files. The thread ends with it.
func asNobody(t *testing.T, f func()) {
	t.Helper()
	if os.Getuid() != 0 {
		f()
		return
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread()
		// The kernel drops the capabilities over files with it (capabilities(7)).
		if err := unix.Setfsuid(65534); err != nil {
			t.Error(err)
			return
		}
		f()
	}()
	<-done
}

func TestTooManyLinksCountWithEachName(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "a"), 4096)
	write(t, filepath.Join(dir, "b"), 4096)
	must(t, os.Link(filepath.Join(dir, "a"), filepath.Join(dir, "a2")))
	must(t, os.Link(filepath.Join(dir, "b"), filepath.Join(dir, "b2")))
	w := New(dir)
	w.links = make(map[uint64]struct{}, maxLinks)
	for i := range uint64(maxLinks) {
		w.links[1<<63+i] = struct{}{}
	}
	finish(w)
	usage, _ := w.Result()
	if left, why := w.Left(); usage.Inodes != 5 || left != 4 || !errors.Is(why, ErrTooManyLinks) {
		t.Errorf("got %d inodes, %d counted again: %v; want 5, 4", usage.Inodes, left, why)
	}
}
