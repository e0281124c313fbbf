package identity

import (
	"errors"
	"testing"
	"time"

	cri "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/nodevitals/nodevitals/snapshot"
)

func usage(mountPoint string, bytes, inodes uint64) *cri.FilesystemUsage {
	return &cri.FilesystemUsage{
		Timestamp: began.UnixNano(), FsId: &cri.FilesystemIdentifier{Mountpoint: mountPoint},
		UsedBytes: &cri.UInt64Value{Value: bytes}, InodesUsed: &cri.UInt64Value{Value: inodes},
	}
}

func TestWritableLayers(t *testing.T) {
	const folder = "/var/lib/containerd/io.containerd.snapshotter.v1.overlayfs"
	withoutInodes := usage(folder, 8192, 0)
	withoutInodes.InodesUsed = nil
	f := newFakeRuntime(t)
	f.stats = []*cri.ContainerStats{
		{Attributes: &cri.ContainerAttributes{Id: idA}, WritableLayer: usage(folder, 4096, 3)},
		{Attributes: &cri.ContainerAttributes{Id: idB}, WritableLayer: withoutInodes},
		{Attributes: &cri.ContainerAttributes{Id: idC}},
		{WritableLayer: usage(folder, 1, 1)},
	}
	f.start()
	got, err := newRuntime(NewIndex(), f.socket).WritableLayers(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	at := time.Unix(0, began.UnixNano())
	want := map[string]snapshot.Usage{
		idA: {Time: at, Bytes: snapshot.Some(4096), Inodes: snapshot.Some(3), MountPoint: folder},
		idB: {Time: at, Bytes: snapshot.Some(8192), MountPoint: folder},
	}
	if len(got) != len(want) {
		t.Errorf("got %d layers, want %d", len(got), len(want))
	}
	for id := range want {
		if got[id] != want[id] {
			t.Errorf("%s: got %+v, want %+v", id, got[id], want[id])
		}
	}
}

func TestImageFilesystem(t *testing.T) {
	f := newFakeRuntime(t)
	f.start()
	r := newRuntime(NewIndex(), f.socket)
	if _, _, err := r.ImageFilesystem(t.Context()); err == nil {
		t.Error("a runtime that has not measured: got no error")
	}
	for _, test := range []struct {
		name           string
		images, layers []*cri.FilesystemUsage
		wantImages     uint64
		wantLayers     uint64
		same           bool
	}{
		{"images alone", []*cri.FilesystemUsage{usage("/var/lib/a", 10, 1)}, nil, 10, 10, true},
		{"one folder", []*cri.FilesystemUsage{usage("/var/lib/a", 10, 1)}, []*cri.FilesystemUsage{usage("/var/lib/a", 10, 1)}, 10, 10, true},
		{"two", []*cri.FilesystemUsage{usage("/var/lib/a", 10, 1)}, []*cri.FilesystemUsage{usage("/var/lib/b", 20, 1)}, 10, 20, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			f.change(func() {
				f.filesystems = &cri.ImageFsInfoResponse{ImageFilesystems: test.images, ContainerFilesystems: test.layers}
			})
			images, layers, err := r.ImageFilesystem(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if images.Bytes != snapshot.Some(test.wantImages) || layers.Bytes != snapshot.Some(test.wantLayers) || (images == layers) != test.same {
				t.Errorf("got %+v and %+v", images, layers)
			}
			if images.MountPoint != "/var/lib/a" || !images.Time.Equal(began) || images.Inodes != snapshot.Some(1) {
				t.Errorf("got %+v", images)
			}
		})
	}
	f.change(func() { f.filesystems = &cri.ImageFsInfoResponse{} })
	if images, layers, err := r.ImageFilesystem(t.Context()); images != nil || layers != nil || err != nil {
		t.Errorf("a runtime that tells of none: got %v, %v, %v", images, layers, err)
	}
}

func TestLayersWithoutRuntime(t *testing.T) {
	r := newRuntime(NewIndex(), "/nowhere")
	if _, err := r.WritableLayers(t.Context()); !errors.Is(err, ErrNoRuntime) {
		t.Errorf("WritableLayers: got %v, want ErrNoRuntime", err)
	}
	if _, _, err := r.ImageFilesystem(t.Context()); !errors.Is(err, ErrNoRuntime) {
		t.Errorf("ImageFilesystem: got %v, want ErrNoRuntime", err)
	}
}
