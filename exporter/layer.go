package exporter

import (
	"strings"

	"github.com/nodevitals/nodevitals/snapshot"
)

// layer is a container's own layer and the filesystem that holds it.
type layer struct {
	usage      *snapshot.Usage
	filesystem *snapshot.Filesystem
}

// findLayers notes the layers of s that were measured and whose filesystem is known, by the cgroup of their container.
func (e *encoder) findLayers(s *snapshot.Snapshot) {
	// All layers of a runtime are in one folder, and a node has some mounts for each pod.
	var folder string
	var held *snapshot.Filesystem
	for i := range s.Pods {
		for j := range s.Pods[i].Containers {
			container := &s.Pods[i].Containers[j]
			usage := &container.WritableLayer
			if container.Cgroup == nil || usage.Time.IsZero() {
				continue
			}
			filesystem := s.Node.RootFS()
			if usage.MountPoint != "" {
				if usage.MountPoint != folder {
					folder, held = usage.MountPoint, holding(s.Node.Filesystems, usage.MountPoint)
				}
				filesystem = held
			}
			if filesystem == nil {
				continue
			}
			if e.layers == nil {
				e.layers = make(map[*snapshot.Identity]layer)
			}
			e.layers[container.Cgroup.Identity] = layer{usage, filesystem}
		}
	}
}

// holding returns the filesystem that holds a folder: the one mounted closest above it. It is nil where none is known.
func holding(filesystems []snapshot.Filesystem, folder string) *snapshot.Filesystem {
	var closest *snapshot.Filesystem
	for i := range filesystems {
		f := &filesystems[i]
		rest, ok := strings.CutPrefix(folder, strings.TrimSuffix(f.MountPoint, "/"))
		if !ok || f.MountPoint == "" || rest != "" && rest[0] != '/' {
			continue
		}
		if closest == nil || len(f.MountPoint) > len(closest.MountPoint) {
			closest = f
		}
	}
	return closest
}

// layer emits one number about a layer: its own, or one of its filesystem, if that has answered.
func (e *encoder) layer(l layer, get func(*snapshot.Filesystem) (uint64, bool), own func(*snapshot.Usage) snapshot.Optional) {
	var n snapshot.Optional
	switch {
	case own != nil:
		n = own(l.usage)
	case !l.filesystem.Time.IsZero():
		n.Value, n.Present = get(l.filesystem)
	}
	if n.Present {
		e.sample(n.Value, 0, labelDevice.of(l.filesystem.Device))
	}
}
