package storage

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/google/cadvisor/lib/fs"
	_ "github.com/google/cadvisor/lib/fs/btrfs/install"
	_ "github.com/google/cadvisor/lib/fs/nfs/install"
	_ "github.com/google/cadvisor/lib/fs/overlay/install"
	_ "github.com/google/cadvisor/lib/fs/tmpfs/install"
	_ "github.com/google/cadvisor/lib/fs/vfs/install"
	_ "github.com/google/cadvisor/lib/fs/zfs/install"

	"github.com/nodevitals/nodevitals/collector/machine/hostfile"
	"github.com/nodevitals/nodevitals/snapshot"
)

// The deviations from cAdvisor that tests here allow. docs/fidelity.md has a row for each.
const (
	rootOfAnyType = "root-of-any-type"
	absentNotZero = "absent-not-zero"
	zfsByStatfs   = "zfs-by-statfs"
	allDisks      = "all-disks"
)

func TestDeviationsAreDocumented(t *testing.T) {
	text, err := os.ReadFile("../../docs/fidelity.md")
	if err != nil {
		t.Skip("docs/fidelity.md is not there")
	}
	for _, name := range []string{rootOfAnyType, absentNotZero, zfsByStatfs, allDisks} {
		if !strings.Contains(string(text), "| "+name+" |") {
			t.Errorf("docs/fidelity.md has no row %q", name)
		}
	}
}

func TestReadRecorded(t *testing.T) {
	const root = "testdata/linux-6.18.44"
	r := newTestReader(t, root, newFake(root))
	before := time.Now()
	got, index, err := r.Read(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for i := range got {
		if got[i].Time.Before(before) || got[i].Time.After(time.Now()) {
			t.Errorf("%s: got time %v, want that of the answer", got[i].Device, got[i].Time)
		}
		got[i].Time = time.Time{}
	}
	want := []snapshot.Filesystem{
		{
			Device: "/dev/shm", MountPoint: "/dev/shm", Type: "tmpfs", Minor: 27,
			Capacity: 100 << 20, Free: 60 << 20, Available: 50 << 20,
		},
		{
			Device: "/dev/vda", MountPoint: "/", Type: "ext4", Major: 254,
			Capacity: 100 * 4096, Free: 60 * 4096, Available: 50 * 4096, HasInodes: true, Inodes: 1000, InodesFree: 900,
			Disk: &snapshot.Disk{
				Reads: 57329, ReadsMerged: 13134, SectorsRead: 2393922, ReadTime: 9493,
				Writes: 24910, WritesMerged: 64760, SectorsWritten: 5391224, WriteTime: 9383,
				IOTime: 5444, WeightedIOTime: 19426,
			},
		},
		{
			Device: "/sys/fs/cgroup", MountPoint: "/sys/fs/cgroup", Type: "tmpfs", Minor: 28,
			Capacity: 100 * 4096, Free: 60 * 4096, Available: 50 * 4096, HasInodes: true, Inodes: 1000, InodesFree: 900,
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if index != 1 {
		t.Errorf("root filesystem: got %d, want 1", index)
	}
}

// ownRoot is a host root in whose /proc process 1 is this one: the tests may not share the mounts of the machine's.
func ownRoot(t *testing.T) string {
	t.Helper()
	root := t.TempDir()
	if err := os.MkdirAll(filepath.Join(root, "proc/1"), 0o755); err != nil {
		t.Fatal(err)
	}
	for path, target := range map[string]string{
		"proc/1/mountinfo": "/proc/self/mountinfo", "proc/diskstats": "/proc/diskstats", "var": "/var", "dev": "/dev",
	} {
		if err := os.Symlink(target, filepath.Join(root, path)); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

func TestReadEqualsCadvisor(t *testing.T) {
	root := ownRoot(t)
	// Others mount and unmount: what was read of two lists of mounts is not compared.
	for deadline := time.Now().Add(time.Minute); ; {
		before, err := os.ReadFile("/proc/self/mountinfo")
		if err != nil {
			t.Skip(err)
		}
		compared := readBoth(t, root)
		after, err := os.ReadFile("/proc/self/mountinfo")
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Equal(before, after) {
			compared()
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("mounts come and go with every reading for a minute")
		}
	}
}

// readBoth reads the filesystems as cAdvisor does and as we do, and returns what compares them.
func readBoth(t *testing.T, root string) (compare func()) {
	t.Helper()
	live := func(path string, buffer *unix.Statfs_t) error {
		return statfs("/"+strings.TrimPrefix(path, root), buffer)
	}
	theirs, err := fs.NewFsInfo(fs.Context{})
	if err != nil {
		t.Skip(err)
	}
	want, err := theirs.GetGlobalFsInfo()
	if err != nil {
		t.Skip(err)
	}
	r := NewReader(Options{HostRoot: root, RootDir: "/var/lib/kubelet", Deadline: time.Minute, Statfs: live})
	defer r.Close()
	got, _, gotErr := r.Read(t.Context())
	ours := make(map[string]snapshot.Filesystem)
	for _, one := range got {
		ours[one.Device] = one
	}
	device, deviceErr := theirs.GetDirFsDevice("/var/lib")
	ofDir := NewReader(Options{HostRoot: root, RootDir: "/var/lib", Deadline: time.Minute, Statfs: live})
	defer ofDir.Close()
	gotOfDir, index, ofDirErr := ofDir.Read(t.Context())
	return func() {
		if gotErr != nil {
			t.Errorf("got %v", gotErr)
		}
		compareFilesystems(t, want, ours)
		for device, one := range ours {
			if one.MountPoint != "/" { // rootOfAnyType
				t.Errorf("%s at %s: cAdvisor does not have it", device, one.MountPoint)
			}
		}
		if deviceErr != nil {
			return
		}
		// Of an overlay at the root cAdvisor has two entries, and takes the one that a map gives first.
		if ofDirErr != nil || index < 0 || uint(gotOfDir[index].Major) != device.Major || uint(gotOfDir[index].Minor) != device.Minor {
			t.Errorf("filesystem of /var/lib: got index %d of %+v, %v; cAdvisor has %+v", index, gotOfDir, ofDirErr, device)
		}
	}
}

func compareFilesystems(t *testing.T, want []fs.Fs, ours map[string]snapshot.Filesystem) {
	t.Helper()
	for _, one := range want {
		mine, found := ours[one.Device]
		delete(ours, one.Device)
		if !found {
			t.Errorf("%s: got none", one.Device)
			continue
		}
		if uint(mine.Major) != one.Major || uint(mine.Minor) != one.Minor {
			t.Errorf("%s: got device %d:%d, want %d:%d", one.Device, mine.Major, mine.Minor, one.Major, one.Minor)
		}
		if mine.Type == "zfs" { // zfsByStatfs
			continue
		}
		if mine.Capacity != one.Capacity {
			t.Errorf("%s: got capacity %d, want %d", one.Device, mine.Capacity, one.Capacity)
		}
		if one.Inodes != nil && *one.Inodes != mine.Inodes {
			t.Errorf("%s: got %d inodes, want %d", one.Device, mine.Inodes, *one.Inodes)
		}
		if one.Inodes != nil && mine.HasInodes != (*one.Inodes > 0) { // absentNotZero
			t.Errorf("%s: got HasInodes %v with %d inodes", one.Device, mine.HasInodes, *one.Inodes)
		}
		if one.DiskStats.ReadsCompleted > 0 && (mine.Disk == nil || mine.Disk.Reads < one.DiskStats.ReadsCompleted) {
			t.Errorf("%s: got disk %+v, cAdvisor had %d reads before", one.Device, mine.Disk, one.DiskStats.ReadsCompleted)
		}
	}
}

func tree(t *testing.T, mountinfo, diskstats string) string {
	t.Helper()
	root := t.TempDir()
	for path, text := range map[string]string{"proc/1/mountinfo": mountinfo, "proc/diskstats": diskstats} {
		put(t, filepath.Join(root, path), text)
	}
	return root
}

func put(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func find(t *testing.T, filesystems []snapshot.Filesystem, device string) snapshot.Filesystem {
	t.Helper()
	for _, one := range filesystems {
		if one.Device == device {
			return one
		}
	}
	t.Fatalf("got no %s in %+v", device, filesystems)
	return snapshot.Filesystem{}
}

func TestNothingReadable(t *testing.T) {
	r := newTestReader(t, t.TempDir(), newFake(""))
	got, index, err := r.Read(t.Context())
	if len(got) != 0 || index != -1 || !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %+v, %d, %v; want nothing and ErrNotExist", got, index, err)
	}
}

func TestNewMountIsSeen(t *testing.T) {
	root := tree(t, twoMounts, "")
	r := newTestReader(t, root, newFake(root))
	before, _, _ := r.Read(t.Context())
	put(t, filepath.Join(root, "proc/1/mountinfo"), twoMounts+"40 27 8:1 / /data rw - xfs /dev/sda1 rw\n")
	after, _, err := r.Read(t.Context())
	if err != nil || len(after) != len(before)+1 {
		t.Errorf("got %d filesystems after %d, %v; want one more", len(after), len(before), err)
	}
	put(t, filepath.Join(root, "proc/1/mountinfo"), "nonsense\n")
	if kept, _, err := r.Read(t.Context()); err == nil || len(kept) != len(after) {
		t.Errorf("malformed mountinfo: got %d filesystems, %v; want the last %d and an error", len(kept), err, len(after))
	}
}

// The kernel tells of new mounts; without that, new ones would not be seen on a real host.
func TestKernelSignalsNewMounts(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("mounting takes root")
	}
	table := newMountTable(ownRoot(t))
	defer table.close()
	// Others may mount meanwhile, so what is expected is only that this mount comes and goes.
	has := func(path string) bool {
		for _, one := range table.partitions {
			if one.mountPoint == path {
				return true
			}
		}
		return false
	}
	if _, err := table.update(); err != nil {
		t.Skip(err)
	}
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=4k"); err != nil {
		t.Skip(err)
	}
	changed, err := table.update()
	there := has(dir)
	if err := unix.Unmount(dir, 0); err != nil {
		t.Error(err)
	}
	if !changed || err != nil || !there {
		t.Errorf("mounted: got changed %v, %v, there %v", changed, err, there)
	}
	if changed, err := table.update(); !changed || err != nil || has(dir) {
		t.Errorf("unmounted: got changed %v, %v, there %v", changed, err, has(dir))
	}
}

func BenchmarkRead(b *testing.B) {
	r := NewReader(Options{HostRoot: "/", RootDir: "/var/lib/kubelet"})
	defer r.Close()
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := r.Read(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
}

// ownMounts are those of a container that sees some of the host's folders: /var/lib/kubelet, which is on the host's root, its /proc, and the
// memory of a pod's volume. Its root is an overlay on another disk.
const ownMounts = `1 0 0:99 / / ro - overlay overlay ro
2 1 0:5 / %[1]s/proc ro - proc proc ro
3 1 8:1 /var/lib/kubelet %[1]s/var/lib/kubelet ro master:1 - ext4 /dev/sda1 rw
4 3 0:70 / %[1]s/var/lib/kubelet/pods/1/memory ro master:2 - tmpfs tmpfs rw
5 1 8:17 /etc/hosts /etc/hosts rw - ext4 /dev/sdb1 rw
`

// In a container, a folder of its own that is called as a mount point of the host is not asked in its place.
func TestContainerSeesSomeFilesystems(t *testing.T) {
	root := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(root, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(text), 0o644)); err != nil {
			t.Fatal(err)
		}
		return path
	}
	write("proc/1/mountinfo", `1 0 8:1 / / rw shared:1 - ext4 /dev/sda1 rw
2 1 0:20 / /run rw - tmpfs tmpfs rw
3 1 8:17 / /var rw - ext4 /dev/sdb1 rw
4 1 0:70 / /var/lib/kubelet/pods/1/memory rw - tmpfs tmpfs rw
`)
	write("proc/diskstats", "")
	var asked []string
	statfs := func(path string, buffer *unix.Statfs_t) error {
		asked = append(asked, strings.TrimPrefix(path, root))
		*buffer = unix.Statfs_t{Frsize: 1, Blocks: 1000}
		return nil
	}
	r := NewReader(Options{HostRoot: root, RootDir: "/var/lib/kubelet", Deadline: time.Minute, Statfs: statfs})
	defer r.Close()
	r.visible.own = hostfile.NewMounts(write("own", fmt.Sprintf(ownMounts, root)))
	got, _, err := r.Read(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	known := make(map[string]bool)
	for _, filesystem := range got {
		known[filesystem.MountPoint] = filesystem.Capacity != 0
	}
	want := map[string]bool{"/": true, "/run": false, "/var": false, "/var/lib/kubelet/pods/1/memory": true}
	if diff := cmp.Diff(want, known); diff != "" {
		t.Errorf("which filesystems have figures, -want +got:\n%s", diff)
	}
	slices.Sort(asked)
	if diff := cmp.Diff([]string{"/var/lib/kubelet", "/var/lib/kubelet/pods/1/memory"}, asked); diff != "" {
		t.Errorf("asked, -want +got:\n%s", diff)
	}
}
