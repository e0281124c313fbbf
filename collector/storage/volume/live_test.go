package volume

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/cadvisor/lib/fs"
	"golang.org/x/sys/unix"

	"github.com/nodevitals/nodevitals/snapshot"
)

// Real mounts, the kernel's own list of them and its statfs.
func TestVolumesOfThisKernel(t *testing.T) {
	root := t.TempDir()
	volumes := filepath.Join(root, DefaultRootDir, "pods/uid 1/volumes")
	memory, claim := filepath.Join(volumes, "kubernetes.io~empty-dir/memory"), filepath.Join(volumes, "kubernetes.io~csi/pv/mount")
	disk := filepath.Join(volumes, "kubernetes.io~empty-dir/disk")
	for _, folder := range []string{memory, claim, disk, filepath.Join(root, DefaultLogDir)} {
		must(t, os.MkdirAll(folder, 0o755))
	}
	for _, folder := range []string{memory, claim} {
		if err := unix.Mount("tmpfs", folder, "tmpfs", 0, "size=8m,nr_inodes=100"); err != nil {
			t.Skipf("mount a tmpfs: %v", err)
		}
		t.Cleanup(func() { _ = unix.Unmount(folder, unix.MNT_DETACH) })
		must(t, os.WriteFile(filepath.Join(folder, "file"), make([]byte, 1<<20), 0o600))
	}
	r := patient(NewReader(Options{HostRoot: root, Deadline: patience}))
	defer r.Close()
	pod := Pod{UID: "uid 1", Namespace: "ns", Name: "pod", Volumes: []Spec{
		{Name: "memory", Plugin: EmptyDir, Medium: "Memory"},
		{Name: "disk", Plugin: EmptyDir},
		{Name: "data", Plugin: PersistentVolumeClaim, Claim: "claim"},
	}}
	results, err := r.Read(t.Context(), []Pod{pod}, clock)
	if err != nil {
		t.Fatal(err)
	}
	got := results["uid 1"]
	for name, path := range map[string]string{"memory": memory, "disk": disk} {
		usage, err := fs.GetDirUsage(path)
		must(t, err)
		one, _ := find(got, name)
		if one.Used != snapshot.Some(usage.Bytes) || one.InodesUsed != snapshot.Some(usage.Inodes) || !one.Capacity.Present {
			t.Errorf("%s: got %+v, want %+v", name, one, usage)
		}
	}
	one, _ := find(got, "data")
	want := snapshot.Volume{
		Name: "data", Claim: "claim", ClaimNamespace: "ns", Time: one.Time,
		Capacity: snapshot.Some(8 << 20), Available: snapshot.Some(7 << 20), Used: snapshot.Some(1 << 20),
		Inodes: snapshot.Some(100), InodesFree: snapshot.Some(98), InodesUsed: snapshot.Some(2),
	}
	if one != want {
		t.Errorf("got %+v, want %+v", one, want)
	}

	// Nothing is held open that would keep the kubelet from taking the pod down.
	for _, folder := range []string{memory, claim} {
		if err := unix.Unmount(folder, 0); err != nil {
			t.Errorf("unmount %s: %v", folder, err)
		}
	}
	results, err = r.Read(t.Context(), []Pod{pod}, clock.Add(time.Minute))
	if err != nil || len(results["uid 1"].Volumes) != 1 {
		t.Errorf("got %+v, %v; want the disk alone", results["uid 1"].Volumes, err)
	}
}

// A walk that rests with a folder open keeps its filesystem from being unmounted.
func TestNoBreaksOnMounts(t *testing.T) {
	dir := t.TempDir()
	fill(t, dir, 3*slice)
	kernel := system(statfs)
	for _, mounted := range []bool{false, true} {
		job := &walkJob{kernel: &kernel, place: place{method: walked, path: dir, mounted: mounted}}
		if _, done := job.step(); done != mounted {
			t.Errorf("mounted %v: got done %v after a step", mounted, done)
		}
		job.abandon()
	}
}
