package volume

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/nodevitals/nodevitals/collector/storage"
	"github.com/nodevitals/nodevitals/snapshot"
)

// mountHung mounts a filesystem whose server never says a word, as that of a dead NFS or FUSE server: whoever asks anything of it sleeps.
// The server dies with the returned function.
func mountHung(t *testing.T, folder string) (die func()) {
	t.Helper()
	server, err := unix.Open("/dev/fuse", unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Skipf("open /dev/fuse: %v", err)
	}
	options := fmt.Sprintf("fd=%d,rootmode=40000,user_id=0,group_id=0", server)
	if err := unix.Mount("hung", folder, "fuse", 0, options); err != nil {
		_ = unix.Close(server)
		t.Skipf("mount a FUSE filesystem: %v", err)
	}
	t.Cleanup(func() { _ = unix.Unmount(folder, unix.MNT_DETACH) })
	return func() { _ = unix.Close(server) }
}

// A volume on a real filesystem that does not answer costs its own figures: all others are measured, within the deadline, as often as
// somebody asks; and the worker that sleeps there is free once the server is dead for good.
func TestVolumeOfADeadServer(t *testing.T) {
	root := t.TempDir()
	volumes := filepath.Join(root, DefaultRootDir, "pods/uid 1/volumes")
	claim, disk := filepath.Join(volumes, "kubernetes.io~csi/pv/mount"), filepath.Join(volumes, "kubernetes.io~empty-dir/disk")
	logs := filepath.Join(root, DefaultLogDir, "ns_pod_uid 1/app")
	for _, folder := range []string{claim, disk, logs} {
		must(t, os.MkdirAll(folder, 0o755))
	}
	must(t, os.WriteFile(filepath.Join(logs, "0.log"), make([]byte, 4096), 0o600))
	die := mountHung(t, claim)
	r := NewReader(Options{HostRoot: root})
	defer r.Close()
	pods := []Pod{{UID: "uid 1", LogUID: "uid 1", Namespace: "ns", Name: "pod", Containers: []string{"app"}, Volumes: []Spec{
		{Name: "disk", Plugin: EmptyDir},
		{Name: "data", Plugin: PersistentVolumeClaim, Claim: "claim", PVName: "pv"},
	}}}
	now := clock
	until(t, r, pods, &now, time.Second, func(results map[string]Result, err error) bool {
		_, measured := find(results["uid 1"], "disk")
		return measured && results["uid 1"].ContainerLogs["app"].Bytes.Present && errors.Is(err, storage.ErrNoAnswer)
	})
	for range 5 {
		now = now.Add(2 * time.Minute)
		results, err := r.Read(t.Context(), pods, now)
		if one, found := find(results["uid 1"], "data"); found && one.Capacity.Present {
			t.Errorf("the volume of the dead server: got %+v, want no figures", one)
		}
		if !errors.Is(err, storage.ErrNoAnswer) {
			t.Errorf("error: got %v, want that it does not answer", err)
		}
	}
	die()
	// The kernel now refuses whoever slept, and whoever asks.
	until(t, r, pods, &now, 2*time.Minute, func(results map[string]Result, err error) bool {
		one, found := find(results["uid 1"], "disk")
		return found && one.Used != (snapshot.Optional{}) && !errors.Is(err, storage.ErrNoAnswer)
	})
}
