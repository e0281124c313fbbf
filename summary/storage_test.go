package summary

import (
	"strings"
	"testing"
	"time"

	"k8s.io/kubelet/pkg/apis/stats/v1alpha1"

	"github.com/nodevitals/nodevitals/snapshot"
)

// fs writes a filesystem's figures as: used capacity available, inodes used/all/free, seconds before the snapshot.
func fs(stats *v1alpha1.FsStats) string {
	if stats == nil {
		return "none"
	}
	age := "-"
	if !stats.Time.IsZero() {
		age = base.Sub(stats.Time.Time).String()
	}
	return strings.Join([]string{
		number(stats.UsedBytes), number(stats.CapacityBytes), number(stats.AvailableBytes),
		number(stats.InodesUsed), number(stats.Inodes), number(stats.InodesFree), age,
	}, " ")
}

func TestLayer(t *testing.T) {
	for _, test := range []struct {
		name   string
		change func(*snapshot.Snapshot, *snapshot.Usage)
		want   string
	}{
		{"on a disk of its own", func(*snapshot.Snapshot, *snapshot.Usage) {}, "1048576 536870912000 418759311360 12 9000000 8000000 5s"},
		{"on the node's", func(_ *snapshot.Snapshot, u *snapshot.Usage) { u.MountPoint = "" }, "1048576 107374182400 59055800320 12 6000000 5500000 5s"},
		{"at the mount point itself", func(_ *snapshot.Snapshot, u *snapshot.Usage) { u.MountPoint = "/var/lib/containerd" }, "1048576 536870912000 418759311360 12 9000000 8000000 5s"},
		{"beside the mount point", func(_ *snapshot.Snapshot, u *snapshot.Usage) { u.MountPoint = "/var/lib/containerd2/x" }, "1048576 107374182400 59055800320 12 6000000 5500000 5s"},
		{"on no known filesystem", func(s *snapshot.Snapshot, _ *snapshot.Usage) { s.Node.Filesystems = s.Node.Filesystems[:1] }, "1048576 - - 12 - - 5s"},
		{"on one that never answered", func(s *snapshot.Snapshot, _ *snapshot.Usage) { s.Node.Filesystems[2].Time = time.Time{} }, "1048576 - - 12 - - 5s"},
		{"on one without inodes", func(s *snapshot.Snapshot, _ *snapshot.Usage) { s.Node.Filesystems[2].HasInodes = false }, "1048576 536870912000 418759311360 12 - - 5s"},
		{"inodes not told", func(_ *snapshot.Snapshot, u *snapshot.Usage) { u.Inodes = snapshot.Optional{} }, "1048576 536870912000 418759311360 - 9000000 8000000 5s"},
		{"not measured", func(_ *snapshot.Snapshot, u *snapshot.Usage) { *u = snapshot.Usage{} }, "none"},
	} {
		t.Run(test.name, func(t *testing.T) {
			pod := renderPod(func(s *snapshot.Snapshot, pod *snapshot.Pod) { test.change(s, &pod.Containers[0].WritableLayer) })
			if got := fs(pod.Containers[0].Rootfs); got != test.want {
				t.Errorf("got %s, want %s", got, test.want)
			}
		})
	}
}

func TestLogs(t *testing.T) {
	for _, test := range []struct {
		name   string
		change func(*snapshot.Snapshot, *snapshot.Usage)
		want   string
	}{
		{"of the node's filesystem", func(*snapshot.Snapshot, *snapshot.Usage) {}, "40960 107374182400 59055800320 3 6000000 5500000 2s"},
		{"even if on another", func(_ *snapshot.Snapshot, u *snapshot.Usage) { u.MountPoint = "/var/lib/containerd" }, "40960 107374182400 59055800320 3 6000000 5500000 2s"},
		{"measured before the filesystem", func(_ *snapshot.Snapshot, u *snapshot.Usage) { u.Time = base.Add(-time.Minute) }, "40960 107374182400 59055800320 3 6000000 5500000 3s"},
		{"a folder without files", func(_ *snapshot.Snapshot, u *snapshot.Usage) {
			u.Bytes, u.Inodes = snapshot.Optional{}, snapshot.Optional{}
		}, "- 107374182400 59055800320 - 6000000 5500000 2s"},
		{"node's filesystem unknown", func(s *snapshot.Snapshot, _ *snapshot.Usage) { s.Node.RootFilesystem = -1 }, "40960 - - 3 - - 2s"},
		{"not measured", func(_ *snapshot.Snapshot, u *snapshot.Usage) { *u = snapshot.Usage{} }, "none"},
	} {
		t.Run(test.name, func(t *testing.T) {
			pod := renderPod(func(s *snapshot.Snapshot, pod *snapshot.Pod) { test.change(s, &pod.Containers[0].Logs) })
			if got := fs(pod.Containers[0].Logs); got != test.want {
				t.Errorf("got %s, want %s", got, test.want)
			}
		})
	}
}

func TestEphemeralStorage(t *testing.T) {
	// Layers 1 MiB and 2 MiB, logs 40 KiB and 80 KiB, scratch 12 MiB, the pod's log 512, etc-hosts 4 KiB.
	const node = " 107374182400 59055800320 "
	for _, test := range []struct {
		name   string
		change func(*snapshot.Snapshot, *snapshot.Pod)
		want   string
	}{
		{"all parts", func(*snapshot.Snapshot, *snapshot.Pod) {}, "15856128" + node + "31 6000000 5500000 2s"},
		{"layers not measured", func(_ *snapshot.Snapshot, p *snapshot.Pod) {
			for i := range p.Containers {
				p.Containers[i].WritableLayer = snapshot.Usage{}
			}
		}, "12710400" + node + "10 6000000 5500000 2s"},
		{"a volume that does not count", func(_ *snapshot.Snapshot, p *snapshot.Pod) { p.Volumes[2].Ephemeral = false }, "3273216" + node + "29 6000000 5500000 2s"},
		{"a volume measured last", func(_ *snapshot.Snapshot, p *snapshot.Pod) { p.Volumes[2].Time = base }, "15856128" + node + "31 6000000 5500000 0s"},
		{"nothing measured", func(_ *snapshot.Snapshot, p *snapshot.Pod) {
			*p = snapshot.Pod{Name: "web", Containers: []snapshot.Container{{Name: "app"}}}
		}, "-" + node + "- 6000000 5500000 3s"},
		{"node's filesystem unknown", func(s *snapshot.Snapshot, _ *snapshot.Pod) { s.Node.RootFilesystem = -1 }, "15856128 - - 31 - - 2s"},
		{"nothing known at all", func(s *snapshot.Snapshot, p *snapshot.Pod) {
			s.Node.RootFilesystem = -1
			*p = snapshot.Pod{Name: "web", Containers: []snapshot.Container{{Name: "app"}}}
		}, "none"},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := fs(renderPod(test.change).EphemeralStorage); got != test.want {
				t.Errorf("got %s, want %s", got, test.want)
			}
		})
	}
}

func TestVolumes(t *testing.T) {
	pod := renderPod(func(_ *snapshot.Snapshot, pod *snapshot.Pod) {
		pod.Volumes = append(pod.Volumes, snapshot.Volume{Name: "zeta", Ephemeral: true}, snapshot.Volume{Name: "zulu"})
	})
	want := []struct{ name, claim, figures string }{
		{"scratch", "", "12582912 107374182400 59055800320 2 6000000 5500000 40s"},
		{"zeta", "", "0 0 0 0 0 0 -"},
		{"data", "default/data-web-0", "4294967296 10737418240 6442450944 360 655360 655000 50s"},
		{"raw", "default/raw-web-0", "0 1073741824 0 0 0 0 50s"},
		{"zulu", "", "0 0 0 0 0 0 -"},
	}
	if len(pod.VolumeStats) != len(want) {
		t.Fatalf("got %d volumes, want %d", len(pod.VolumeStats), len(want))
	}
	for i, w := range want {
		got, claim := pod.VolumeStats[i], ""
		if got.PVCRef != nil {
			claim = got.PVCRef.Namespace + "/" + got.PVCRef.Name
		}
		if got.Name != w.name || claim != w.claim || fs(&got.FsStats) != w.figures {
			t.Errorf("volume %d: got %s of claim %q: %s, want %s of %q: %s", i, got.Name, claim, fs(&got.FsStats), w.name, w.claim, w.figures)
		}
	}
}

func TestRuntime(t *testing.T) {
	const images, layers = "7516192768 536870912000 418759311360 70000 9000000 8000000 6s", "5 107374182400 59055800320 - 6000000 5500000 1s"
	separate := &snapshot.ImageFilesystem{Time: base.Add(-time.Second), MountPoint: "/var/lib/containers", Bytes: snapshot.Some(5)}
	for _, test := range []struct {
		name                string
		change              func(*snapshot.Node)
		imageFs, containers string
	}{
		{"layers beside images", func(*snapshot.Node) {}, images, images},
		{"layers apart", func(n *snapshot.Node) { n.Layers = separate }, images, layers},
		{"layers alone", func(n *snapshot.Node) { n.Images, n.Layers = nil, separate }, "none", layers},
		{"folder unknown", func(n *snapshot.Node) { n.Images.MountPoint = "" }, "7516192768 - - 70000 - - 6s", "7516192768 - - 70000 - - 6s"},
		{"not measured", func(n *snapshot.Node) { n.Images.Time = time.Time{} }, "none", "none"},
		{"no runtime", func(n *snapshot.Node) { n.Images = nil }, "none", "none"},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := podNode()
			test.change(&s.Node)
			stats := Render(s, Options{}, false).Node.Runtime
			if stats == nil {
				stats = &v1alpha1.RuntimeStats{}
			}
			if image, container := fs(stats.ImageFs), fs(stats.ContainerFs); image != test.imageFs || container != test.containers {
				t.Errorf("got %s and %s, want %s and %s", image, container, test.imageFs, test.containers)
			}
		})
	}
	if got := Render(podNode(), Options{}, true).Node.Runtime; got != nil {
		t.Errorf("short: got %+v, want none", got)
	}
	if got := Render(kubernetesNode(true), Options{}, false).Node.Runtime; got != nil {
		t.Errorf("without a runtime: got %+v, want none", got)
	}
}
