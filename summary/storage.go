package summary

import (
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/kubelet/pkg/apis/stats/v1alpha1"

	"github.com/nodevitals/nodevitals/snapshot"
)

// filesystem renders a filesystem's figures; nil if it never answered. Used is what is not free, so used and available fall
// short of the capacity by what is reserved for root. Where more is free than there is, nobody knows what is used.
func (r *renderer) filesystem(filesystem *snapshot.Filesystem) *v1alpha1.FsStats {
	if filesystem == nil || filesystem.Time.IsZero() {
		return nil
	}
	stats := v1alpha1.FsStats{Time: metav1.NewTime(filesystem.Time)}
	r.space(&stats, filesystem)
	if filesystem.Free <= filesystem.Capacity {
		stats.UsedBytes = r.number(filesystem.Capacity - filesystem.Free)
	}
	if filesystem.HasInodes && filesystem.InodesFree <= filesystem.Inodes {
		stats.InodesUsed = r.number(filesystem.Inodes - filesystem.InodesFree)
	}
	return r.parts.disks.keep(stats)
}

// space sets what there is and what is left of the filesystem that something is on, not what is used; nothing where the
// filesystem is unknown or never answered.
func (r *renderer) space(stats *v1alpha1.FsStats, filesystem *snapshot.Filesystem) {
	if filesystem == nil || filesystem.Time.IsZero() {
		return
	}
	stats.AvailableBytes, stats.CapacityBytes = r.number(filesystem.Available), r.number(filesystem.Capacity)
	if filesystem.HasInodes {
		stats.Inodes, stats.InodesFree = r.number(filesystem.Inodes), r.number(filesystem.InodesFree)
	}
}

// nodeSpace is space of the filesystem of the kubelet's folder, with the time at which it answered.
func (r *renderer) nodeSpace() v1alpha1.FsStats {
	var stats v1alpha1.FsStats
	if filesystem := r.snapshot.Node.RootFS(); filesystem != nil {
		stats.Time = metav1.NewTime(filesystem.Time)
		r.space(&stats, filesystem)
	}
	return stats
}

// runtime renders where images and layers are. The kubelet shows the images' figures for both; so do we where the runtime tells
// nothing of layers.
func (r *renderer) runtime() *v1alpha1.RuntimeStats {
	stats := &v1alpha1.RuntimeStats{ImageFs: r.images(r.snapshot.Node.Images), ContainerFs: r.images(r.snapshot.Node.Layers)}
	if stats.ContainerFs == nil {
		stats.ContainerFs = stats.ImageFs
	}
	if stats.ContainerFs == nil {
		return nil
	}
	return stats
}

func (r *renderer) images(images *snapshot.ImageFilesystem) *v1alpha1.FsStats {
	if images == nil {
		return nil
	}
	return r.measured(images.Time, images.Bytes, images.Inodes, r.holding(images.MountPoint))
}

// layer renders a container's own layer as its root filesystem: used is the layer's, all else the filesystem's below it.
func (r *renderer) layer(usage *snapshot.Usage) *v1alpha1.FsStats {
	filesystem := r.snapshot.Node.RootFS()
	if usage.MountPoint != "" {
		filesystem = r.holding(usage.MountPoint)
	}
	return r.measured(usage.Time, usage.Bytes, usage.Inodes, filesystem)
}

// measured renders what somebody else measured at a time, on a filesystem; nil where nobody did.
func (r *renderer) measured(at time.Time, bytes, inodes snapshot.Optional, filesystem *snapshot.Filesystem) *v1alpha1.FsStats {
	if at.IsZero() {
		return nil
	}
	stats := v1alpha1.FsStats{Time: metav1.NewTime(at), UsedBytes: r.optional(bytes), InodesUsed: r.optional(inodes)}
	r.space(&stats, filesystem)
	return r.parts.disks.keep(stats)
}

// holding returns the filesystem that holds a folder: the one mounted closest above it. It is nil where none is known.
func (r *renderer) holding(folder string) *snapshot.Filesystem {
	// All layers of a runtime are in one folder, and a node has some mounts for each pod.
	if r.held.known && r.held.folder == folder {
		return r.held.filesystem
	}
	var closest *snapshot.Filesystem
	for i := range r.snapshot.Node.Filesystems {
		filesystem := &r.snapshot.Node.Filesystems[i]
		if isBelow(folder, filesystem.MountPoint) && (closest == nil || len(filesystem.MountPoint) > len(closest.MountPoint)) {
			closest = filesystem
		}
	}
	r.held = held{folder: folder, filesystem: closest, known: true}
	return closest
}

// held is the filesystem that holds a folder.
type held struct {
	folder     string
	filesystem *snapshot.Filesystem
	known      bool
}

// isBelow tells whether a folder is, or is below, a mount point: "/var" holds "/var" and "/var/lib", not "/variable".
func isBelow(folder, mountPoint string) bool {
	rest, ok := strings.CutPrefix(folder, strings.TrimSuffix(mountPoint, "/"))
	return ok && folder != "" && mountPoint != "" && (rest == "" || rest[0] == '/')
}

// logs renders a container's log files. The kubelet takes them to be on the filesystem of its own folder, wherever they are.
func (r *renderer) logs(usage *snapshot.Usage) *v1alpha1.FsStats {
	if usage.Time.IsZero() {
		return nil
	}
	stats := r.nodeSpace()
	r.add(&stats, usage)
	return r.parts.disks.keep(stats)
}

// add adds a measured usage; the time is that of the newest part.
func (r *renderer) add(stats *v1alpha1.FsStats, usage *snapshot.Usage) {
	if usage.Time.IsZero() {
		return
	}
	if usage.Time.After(stats.Time.Time) {
		stats.Time = metav1.NewTime(usage.Time)
	}
	stats.UsedBytes = r.plus(stats.UsedBytes, usage.Bytes)
	stats.InodesUsed = r.plus(stats.InodesUsed, usage.Inodes)
}

func (r *renderer) plus(sum *uint64, part snapshot.Optional) *uint64 {
	switch {
	case !part.Present:
		return sum
	case sum == nil:
		return r.number(part.Value)
	}
	return r.number(*sum + part.Value)
}
