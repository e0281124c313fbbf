package storage

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/moby/sys/mountinfo"
	"golang.org/x/sys/unix"

	"github.com/nodevitals/nodevitals/snapshot"
)

func TestChoose(t *testing.T) {
	btrfs := func(*mountinfo.Info) (uint32, uint32, bool) { return 0, 77, true }
	for _, test := range []struct {
		name, text string
		want       []partition
	}{
		{
			"bind mounts count once", "27 1 8:1 / / rw - ext4 /dev/sda1 rw\n28 27 8:1 /x /var/lib/x rw - ext4 /dev/sda1 rw\n",
			[]partition{{device: "/dev/sda1", mountPoint: "/", kind: "ext4", major: 8, minor: 1, number: unix.Mkdev(8, 1)}},
		},
		{
			"the first mount of a source wins", "28 27 8:2 /x /b rw - xfs /dev/sda2 rw\n29 27 8:2 / /a rw - xfs /dev/sda2 rw\n",
			[]partition{{device: "/dev/sda2", mountPoint: "/b", kind: "xfs", major: 8, minor: 2, number: unix.Mkdev(8, 2)}},
		},
		{
			"the root wins over an earlier mount", "28 27 8:1 /x /b rw - ext4 /dev/sda1 rw\n27 1 8:1 / / rw - ext4 /dev/sda1 rw\n",
			[]partition{{device: "/dev/sda1", mountPoint: "/", kind: "ext4", major: 8, minor: 1, number: unix.Mkdev(8, 1)}},
		},
		{
			"a tmpfs is known by its mount point", "30 1 0:5 / /run rw - tmpfs tmpfs rw\n31 1 0:6 / /tmp rw - tmpfs tmpfs rw\n",
			[]partition{{device: "/run", mountPoint: "/run", kind: "tmpfs", major: 0, minor: 5, number: unix.Mkdev(0, 5)}, {device: "/tmp", mountPoint: "/tmp", kind: "tmpfs", major: 0, minor: 6, number: unix.Mkdev(0, 6)}},
		},
		{
			"an overlay by its number", "30 1 0:5 / /a rw - overlay overlay rw\n31 1 0:6 / /b rw - overlay overlay rw\n",
			[]partition{{device: "overlay_0-5", mountPoint: "/a", kind: "overlay", major: 0, minor: 5, number: unix.Mkdev(0, 5)}, {device: "overlay_0-6", mountPoint: "/b", kind: "overlay", major: 0, minor: 6, number: unix.Mkdev(0, 6)}},
		},
		{
			"an overlay at the root by its source", "30 1 0:5 / / rw - overlay overlay rw\n",
			[]partition{{device: "overlay", mountPoint: "/", kind: "overlay", major: 0, minor: 5, number: unix.Mkdev(0, 5)}, {device: "overlay_0-5", mountPoint: "/", kind: "overlay", major: 0, minor: 5, number: unix.Mkdev(0, 5)}},
		},
		{
			"btrfs by the number of its files", "30 1 0:5 /@ /b rw - btrfs /dev/sda3 rw\n",
			[]partition{{device: "/dev/sda3", mountPoint: "/b", kind: "btrfs", major: 0, minor: 77, number: unix.Mkdev(0, 5)}},
		},
		{
			"what holds no data", "22 27 0:21 / /proc rw - proc proc rw\n23 27 0:22 / /sys rw - sysfs sysfs rw\n24 27 0:6 / /dev rw - devtmpfs devtmpfs rw\n" +
				"41 31 0:38 / /c rw - cgroup2 cgroup2 rw\n42 31 0:39 / /f rw - fuse.sshfs host: rw\n43 31 0:40 / /9 rw - 9p share rw\n", []partition{},
		},
		{"the root of any type", "30 1 0:5 / / rw - virtiofs share rw\n", []partition{{device: "share", mountPoint: "/", kind: "virtiofs", major: 0, minor: 5, number: unix.Mkdev(0, 5)}}},
		{
			"nfs, zfs and nvme", "30 1 0:5 / /n rw - nfs4 server:/x rw\n31 1 0:6 / /z rw - zfs pool/data rw\n32 1 259:1 / /v rw - ext4 /dev/nvme0n1p1 rw\n",
			[]partition{{device: "/dev/nvme0n1p1", mountPoint: "/v", kind: "ext4", major: 259, minor: 1, number: unix.Mkdev(259, 1)}, {device: "pool/data", mountPoint: "/z", kind: "zfs", major: 0, minor: 6, number: unix.Mkdev(0, 6)}, {device: "server:/x", mountPoint: "/n", kind: "nfs4", major: 0, minor: 5, number: unix.Mkdev(0, 5)}},
		},
		{
			"blanks in names", "30 1 8:5 / /a\\040b rw - ext4 /dev/disk\\040x rw\n",
			[]partition{{device: "/dev/disk x", mountPoint: "/a b", kind: "ext4", major: 8, minor: 5, number: unix.Mkdev(8, 5)}},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			mounts, err := mountinfo.GetMountsFromReader(strings.NewReader(test.text), nil)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, choose(mounts, btrfs), cmp.AllowUnexported(partition{})); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestRootFilesystem(t *testing.T) {
	partitions := []partition{
		{device: "/dev/sda1", mountPoint: "/", kind: "ext4", major: 8, minor: 1, number: unix.Mkdev(8, 1)},
		{device: "/dev/sdb1", mountPoint: "/var/lib", kind: "xfs", major: 8, minor: 17, number: unix.Mkdev(8, 17)},
		{device: "/dev/sdc1", mountPoint: "/var/lib/kub", kind: "xfs", major: 8, minor: 33, number: unix.Mkdev(8, 33)},
	}
	for _, test := range []struct {
		name         string
		known        bool
		major, minor uint32
		partitions   []partition
		want         int
	}{
		{"by device", true, 8, 1, partitions, 0},
		{"by mount point", false, 0, 0, partitions, 1},
		{"unknown device", true, 0, 99, partitions, 1},
		{"nothing above", false, 0, 0, partitions[2:], -1},
		{"no filesystems", true, 8, 1, nil, -1},
	} {
		t.Run(test.name, func(t *testing.T) {
			f := newRootFinder("/", "/var/lib/kubelet")
			f.question.known, f.question.major, f.question.minor = test.known, test.major, test.minor
			if got, err := f.find(test.partitions); got != test.want || err != nil {
				t.Errorf("got %d, %v; want %d", got, err, test.want)
			}
		})
	}
}

func TestRootDirThatDoesNotExist(t *testing.T) {
	root := t.TempDir()
	f := newRootFinder(root, "var/lib/kubelet")
	if !f.begin() {
		t.Fatal("got no question")
	}
	f.question.ask()
	if !f.question.known || f.question.exact {
		t.Errorf("got known %v, exact %v; want its ancestor's device until it has answered", f.question.known, f.question.exact)
	}
	if err := os.MkdirAll(filepath.Join(root, "var/lib/kubelet"), 0o755); err != nil {
		t.Fatal(err)
	}
	if !f.begin() {
		t.Fatal("got no second question while the folder is missing")
	}
	f.question.ask()
	if !f.question.exact || f.begin() {
		t.Error("want the folder's own device, and no more questions")
	}
	if f.forget(); !f.begin() {
		t.Error("want a question after the mounts changed")
	}
}

func TestDiskTable(t *testing.T) {
	const numbers = " 1 2 3 4 5 6 7 8 9 10 11"
	text := " 8 0 sda" + numbers + "\n 8 1 sda1" + numbers + " 12 13 14 15\n 259 0 nvme0n1" + numbers + "\n 179 1 mmcblk0p1" + numbers +
		"\n 9 0 md0" + numbers + "\n 43 0 nbd0" + numbers + "\n 254 3 dm-3" + numbers + "\n"
	var table diskTable
	for range 2 {
		if err := table.parse("diskstats", []byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	for _, test := range []struct {
		name string
		p    partition
		want string
	}{
		{"by name", partition{device: "/dev/sda1", major: 8, minor: 1}, "sda1"},
		{"by name where the number is anonymous", partition{device: "/dev/sda", major: 0, minor: 50}, "sda"},
		{"by number", partition{device: "/dev/mapper/vg-root", major: 254, minor: 3}, "dm-3"},
		{"by number without a path", partition{device: "rootfs", major: 9, minor: 0}, "md0"},
		{"name before number", partition{device: "/dev/sda", major: 8, minor: 1}, "sda"},
		{"nvme", partition{device: "/dev/nvme0n1", major: 259}, "nvme0n1"},
		{"mmc", partition{device: "/dev/mmcblk0p1", major: 179, minor: 1}, "mmcblk0p1"},
		{"nbd", partition{device: "/dev/nbd0", major: 43}, "nbd0"},
		{"none", partition{device: "server:/x", minor: 44}, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := ""
			if at := table.find(&test.p); at >= 0 {
				got = table.rows[at].name
			}
			if got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
	want := snapshot.Disk{
		Reads: 1, ReadsMerged: 2, SectorsRead: 3, ReadTime: 4, Writes: 5, WritesMerged: 6, SectorsWritten: 7, WriteTime: 8,
		InProgress: 9, IOTime: 10, WeightedIOTime: 11,
	}
	if diff := cmp.Diff(want, table.rows[1].disk); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestMalformedDisksCostThemselves(t *testing.T) {
	var table diskTable
	text := "\n8\n8 0\n8 0 sda 1 2 3\nx 0 sdb 1 2 3 4 5 6 7 8 9 10 11\n8 0 sdc 1 2 3 4 5 6 7 8 9 10 -1\n8 3 sdd 1 2 3 4 5 6 7 8 9 10 11"
	err := table.parse("diskstats", []byte(text))
	if err == nil || !strings.Contains(err.Error(), "6 times") {
		t.Errorf("got %v, want an error of 6 lines", err)
	}
	if len(table.rows) != 1 || table.rows[0].name != "sdd" {
		t.Errorf("got %+v, want sdd alone", table.rows)
	}
}

func TestDeviceNames(t *testing.T) {
	root := t.TempDir()
	uevent := filepath.Join(root, "sys/dev/block/8:1/uevent")
	put(t, uevent, "MAJOR=8\nMINOR=1\nDEVNAME=sda1\nDEVTYPE=partition\n")
	names := NewDeviceNames(root)
	now := time.Unix(1_800_000_000, 0)
	names.now = func() time.Time { return now }
	expect := func(minor uint32, want, when string) {
		t.Helper()
		if got := names.DeviceName(8, minor); got != want {
			t.Errorf("%s: got %q, want %q", when, got, want)
		}
	}
	expect(1, "/dev/sda1", "first")
	expect(2, "", "unknown")
	put(t, uevent, "DEVNAME=cciss/c0d0\n")
	put(t, filepath.Join(root, "sys/dev/block/8:2/uevent"), "DEVNAME=sda2\n")
	expect(1, "/dev/sda1", "within a name's life")
	expect(2, "", "within an absence's life")
	now = now.Add(namelessLife)
	expect(1, "/dev/sda1", "within a name's life")
	expect(2, "/dev/sda2", "after an absence's life")
	now = now.Add(nameLife)
	expect(1, "/dev/cciss/c0d0", "after a name's life")
	if err := os.RemoveAll(filepath.Join(root, "sys/dev/block/8:1")); err != nil {
		t.Fatal(err)
	}
	now = now.Add(nameLife)
	expect(1, "", "removed")
	put(t, uevent, "MAJOR=8\n")
	now = now.Add(nameLife)
	expect(1, "", "no name in the file")
}

func TestDeviceNamesAreBounded(t *testing.T) {
	names := NewDeviceNames(t.TempDir())
	for minor := range uint32(namesMost + 10) {
		names.DeviceName(1, minor)
	}
	if n := len(names.names); n > namesMost {
		t.Errorf("got %d kept, want at most %d", n, namesMost)
	}
}

func TestKnownDeviceAllocatesNothing(t *testing.T) {
	names := NewDeviceNames("testdata/linux-6.18.44")
	if got := names.DeviceName(254, 0); got != "/dev/vda" {
		t.Fatalf("got %q, want /dev/vda", got)
	}
	if n := testing.AllocsPerRun(100, func() {
		names.DeviceName(254, 0)
		names.DeviceName(254, 1)
	}); n != 0 {
		t.Errorf("got %v allocations, want 0", n)
	}
}

func FuzzDisks(f *testing.F) {
	recorded, err := os.ReadFile("testdata/linux-6.18.44/proc/diskstats")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(string(recorded))
	f.Fuzz(func(t *testing.T, text string) {
		var table diskTable
		first := table.parse("diskstats", []byte(text))
		rows := append([]diskRow(nil), table.rows...)
		again := table.parse("diskstats", []byte(text))
		if (first == nil) != (again == nil) || !cmp.Equal(rows, table.rows, cmp.AllowUnexported(diskRow{})) {
			t.Errorf("the second reading differs: %+v, %+v", rows, table.rows)
		}
	})
}

func FuzzMounts(f *testing.F) {
	recorded, err := os.ReadFile("testdata/linux-6.18.44/proc/1/mountinfo")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(recorded)
	f.Fuzz(func(t *testing.T, text []byte) {
		mounts, err := mountinfo.GetMountsFromReader(bytes.NewReader(text), nil)
		if err != nil {
			return
		}
		seen := make(map[string]bool)
		for _, one := range choose(mounts, func(*mountinfo.Info) (uint32, uint32, bool) { return 0, 0, false }) {
			if seen[one.device] {
				t.Errorf("%q twice", one.device)
			}
			seen[one.device] = true
		}
	})
}

func FuzzDeviceName(f *testing.F) {
	f.Add([]byte("MAJOR=8\nDEVNAME=sda\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		if got := parseDeviceName(text); got != "" && !strings.HasPrefix(got, "/dev/") {
			t.Errorf("got %q", got)
		}
	})
}
