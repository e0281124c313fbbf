package du

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/google/cadvisor/lib/fs"
	"golang.org/x/sys/unix"
)

// walk runs to the end in steps of a few entries.
func walk(t *testing.T, path string) (Usage, *Walk) {
	t.Helper()
	w := New(path)
	finish(w)
	usage, err := w.Result()
	if err != nil {
		t.Fatalf("walk of %s: %v", path, err)
	}
	return usage, w
}

func finish(w *Walk) {
	for {
		if _, done := w.Step(7); done {
			return
		}
	}
}

// compare holds a walk against cAdvisor's and against the du program.
func compare(t *testing.T, path string) {
	t.Helper()
	got, w := walk(t, path)
	if left, err := w.Left(); left != 0 {
		t.Errorf("%s: left %d out: %v", path, left, err)
	}
	want, err := fs.GetDirUsage(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != (Usage{want.Bytes, want.Inodes}) {
		t.Errorf("%s: got %+v, cAdvisor says %+v", path, got, want)
	}
	if bytes := program(t, "--block-size=1", path); bytes != got.Bytes {
		t.Errorf("%s: got %d bytes, du says %d", path, got.Bytes, bytes)
	}
	if inodes := program(t, "--inodes", path); inodes != got.Inodes {
		t.Errorf("%s: got %d inodes, du says %d", path, got.Inodes, inodes)
	}
}

func program(t *testing.T, option, path string) uint64 {
	t.Helper()
	out, err := exec.Command("du", "-s", "-x", option, path).Output()
	if err != nil {
		t.Fatalf("du %s %s: %v", option, path, err)
	}
	number, err := strconv.ParseUint(strings.Fields(string(out))[0], 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return number
}

func write(t *testing.T, path string, size int) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, make([]byte, size), 0o600); err != nil {
		t.Fatal(err)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestWalkEqualsReferences(t *testing.T) {
	for _, test := range []struct {
		name  string
		build func(t *testing.T, dir string)
	}{
		{"empty", func(*testing.T, string) {}},
		{"files of several sizes", func(t *testing.T, dir string) {
			for i, size := range []int{0, 1, 4095, 4096, 4097, 1 << 20} {
				write(t, filepath.Join(dir, strconv.Itoa(i)), size)
			}
		}},
		{"sparse file", func(t *testing.T, dir string) {
			must(t, os.WriteFile(filepath.Join(dir, "sparse"), nil, 0o600))
			must(t, os.Truncate(filepath.Join(dir, "sparse"), 1<<30))
		}},
		{"names of one file in several folders", func(t *testing.T, dir string) {
			write(t, filepath.Join(dir, "a/file"), 10_000)
			write(t, filepath.Join(dir, "b/other"), 5_000)
			for i := range 20 {
				must(t, os.Link(filepath.Join(dir, "a/file"), filepath.Join(dir, "b", strconv.Itoa(i))))
			}
		}},
		{"links to nothing, to a folder above and out of the tree", func(t *testing.T, dir string) {
			must(t, os.Symlink("nowhere", filepath.Join(dir, "broken")))
			must(t, os.Symlink("..", filepath.Join(dir, "up")))
			must(t, os.Symlink("/usr", filepath.Join(dir, "usr")))
			must(t, os.Symlink(strings.Repeat("long/", 100), filepath.Join(dir, "long")))
		}},
		{"pipes and sockets", func(t *testing.T, dir string) {
			must(t, unix.Mkfifo(filepath.Join(dir, "pipe"), 0o600))
			must(t, unix.Mknod(filepath.Join(dir, "socket"), unix.S_IFSOCK|0o600, 0))
		}},
		{"odd names", func(t *testing.T, dir string) {
			for _, name := range []string{"...", "..a", ".hidden", "new\nline", "\xff\xfe", strings.Repeat("n", 255)} {
				write(t, filepath.Join(dir, name, name), 100)
			}
		}},
		{"deep", func(t *testing.T, dir string) {
			write(t, filepath.Join(dir, strings.Repeat("d/", 300), "file"), 100)
		}},
		{"deep with several folders on each level", func(t *testing.T, dir string) {
			for i := range 40 {
				path := filepath.Join(dir, strings.Repeat("d/", i))
				for _, name := range []string{"a/x/y/file", "z/x/y/file", "e/file", "file"} {
					write(t, filepath.Join(path, name), 100*i)
				}
			}
		}},
		{"many folders in one", func(t *testing.T, dir string) {
			for i := range 1_000 {
				must(t, os.Mkdir(filepath.Join(dir, "a folder with a name of some length "+strconv.Itoa(i)), 0o755))
			}
		}},
		{"many folders in one, far down", func(t *testing.T, dir string) {
			for i := range 200 {
				write(t, filepath.Join(dir, strings.Repeat("d/", 20), strconv.Itoa(i), "a/b/c/d/e/f/g/file"), 10)
			}
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			dir := t.TempDir()
			test.build(t, dir)
			compare(t, dir)
		})
	}
}

func TestWalkOfThisTree(t *testing.T) {
	compare(t, "../..")
}

func TestWalkOfAFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	write(t, path, 5_000)
	compare(t, path)
}

func TestWalkOfNothing(t *testing.T) {
	w := New(filepath.Join(t.TempDir(), "none"))
	finish(w)
	if _, err := w.Result(); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v, want ErrNotExist", err)
	}
}

func TestWalkStaysOnItsFilesystem(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "file"), 100)
	inner := filepath.Join(dir, "mounted")
	must(t, os.Mkdir(inner, 0o755))
	if err := unix.Mount("tmpfs", inner, "tmpfs", 0, "size=4m"); err != nil {
		t.Skipf("mount a tmpfs: %v", err)
	}
	t.Cleanup(func() { _ = unix.Unmount(inner, unix.MNT_DETACH) })
	write(t, filepath.Join(inner, "deeper/file"), 100_000)
	compare(t, dir)
	compare(t, inner)
}

// cAdvisor leaves out the rest of the folder as well.
func TestFileOfAnotherFilesystemIsLeftOutAlone(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"a", "b", "c"} {
		write(t, filepath.Join(dir, name), 4096)
	}
	if err := unix.Mount("/proc/version", filepath.Join(dir, "b"), "", unix.MS_BIND, ""); err != nil {
		t.Skipf("bind a file: %v", err)
	}
	t.Cleanup(func() { _ = unix.Unmount(filepath.Join(dir, "b"), unix.MNT_DETACH) })
	if got, _ := walk(t, dir); got.Inodes != 3 || got.Bytes != program(t, "--block-size=1", dir) {
		t.Errorf("got %+v, want 3 inodes and du's bytes", got)
	}
}

func TestFilesOfAFolder(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "0.log"), 5_000)
	must(t, os.Link(filepath.Join(dir, "0.log"), filepath.Join(dir, "again.log")))
	must(t, os.Symlink("nowhere", filepath.Join(dir, "1.log")))
	write(t, filepath.Join(dir, "folder/file"), 1<<20)
	if got, err := Files(dir); err != nil || got != (Usage{Bytes: 2 * 8192, Inodes: 3}) {
		t.Errorf("got %+v, %v; want 16,384 bytes, 3 inodes", got, err)
	}
	if _, err := Files(filepath.Join(dir, "none")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v, want ErrNotExist", err)
	}
	if _, err := Files(filepath.Join(dir, "0.log")); !errors.Is(err, unix.ENOTDIR) {
		t.Errorf("got %v, want ENOTDIR", err)
	}
	for i := range 3_000 {
		write(t, filepath.Join(dir, "folder", strconv.Itoa(i)), 0)
	}
	if got, err := Files(filepath.Join(dir, "folder")); err != nil || got.Inodes != 3_001 {
		t.Errorf("got %+v, %v; want 3,001 inodes", got, err)
	}
}

func TestWalkOfNoPath(t *testing.T) {
	w := New("")
	finish(w)
	if _, err := w.Result(); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v, want ErrNotExist", err)
	}
}

func TestWalkLeavesOutTooDeepFolders(t *testing.T) {
	dir := t.TempDir()
	fd, err := unix.Open(dir, unix.O_DIRECTORY, 0)
	must(t, err)
	for range maxLevels + 50 {
		must(t, unix.Mkdirat(fd, "d", 0o755))
		inner, err := unix.Openat(fd, "d", unix.O_DIRECTORY, 0)
		must(t, err)
		unix.Close(fd)
		fd = inner
	}
	unix.Close(fd)
	got, w := walk(t, dir)
	left, err := w.Left()
	if left != 1 || !errors.Is(err, ErrTooDeep) {
		t.Errorf("got %d left out, %v; want 1, ErrTooDeep", left, err)
	}
	// The folder that is not entered is still counted.
	if got.Inodes != maxLevels+1 {
		t.Errorf("got %d inodes, want %d", got.Inodes, maxLevels+1)
	}
}

func TestWalkKeepsFewFoldersOpen(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, strings.Repeat("d/", 200), "file"), 1)
	w := New(dir)
	defer w.Close()
	most := 0
	for done := false; !done; {
		_, done = w.Step(1)
		open := 0
		for _, level := range w.levels {
			if level.fd >= 0 {
				open++
			}
		}
		most = max(most, open)
	}
	if most > keptAbove+keptBelow+1 {
		t.Errorf("got %d folders open at once, want at most %d", most, keptAbove+keptBelow+1)
	}
}

func TestCloseInTheMiddleLeavesNoDescriptors(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, strings.Repeat("d/", 30), "file"), 1)
	before := descriptors(t)
	for i := range 60 {
		w := New(dir)
		w.Step(i)
		w.Close()
	}
	if after := descriptors(t); after > before+10 {
		t.Errorf("got %d descriptors, had %d", after, before)
	}
}

func descriptors(t *testing.T) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	must(t, err)
	return len(entries)
}

func TestWalkDoesNotAllocateForEachFile(t *testing.T) {
	small, large := t.TempDir(), t.TempDir()
	for i := range 40 {
		write(t, filepath.Join(small, fmt.Sprintf("%d/%d", i%4, i)), 0)
	}
	for i := range 2_000 {
		write(t, filepath.Join(large, fmt.Sprintf("%d/%d", i%40, i)), 0)
	}
	count := func(dir string) float64 {
		return testing.AllocsPerRun(10, func() {
			w := New(dir)
			for done := false; !done; {
				_, done = w.Step(1 << 20)
			}
		})
	}
	if few, many := count(small), count(large); many > few+5 {
		t.Errorf("got %v allocations for 2,040 inodes, %v for 44", many, few)
	}
}
