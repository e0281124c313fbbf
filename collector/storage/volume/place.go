package volume

import (
	"path/filepath"
	"strings"
)

// csiFolder is where the kubelet keeps volumes of CSI drivers.
const csiFolder = "kubernetes.io~csi"

// localFolders are the plugins' folders in which a volume is named as in the pod. It is never that of a PersistentVolume.
var localFolders = map[string]bool{
	"kubernetes.io~empty-dir":    true,
	"kubernetes.io~configmap":    true,
	"kubernetes.io~secret":       true,
	"kubernetes.io~projected":    true,
	"kubernetes.io~downward-api": true,
	"kubernetes.io~git-repo":     true,
}

// method is how a volume is measured.
type method uint8

const (
	// absent: not at all.
	absent method = iota
	// walked: its files are added up; the filesystem tells the rest.
	walked
	// sized: the filesystem is the volume's own and tells everything.
	sized
	// pointed: the same, by a path of the host.
	pointed
)

// place is where a volume is and how it is measured.
type place struct {
	method method
	path   string
	// device tells filesystems apart: one that hangs is not asked through its other places.
	device string
	// mounted: the place is a mount point, which cannot be unmounted while a folder in it is open.
	mounted bool
}

// Devices of what is not a mount of a pod's own.
const (
	rootDevice = "root-dir"
	logDevice  = "log-dir"
)

// place finds a pod's volumes. The result is parallel to pod.Volumes.
func (s *survey) places(pod *Pod, hostPath bool) []place {
	places := make([]place, len(pod.Volumes))
	if s.rootDir == "" || !isElement(pod.UID) {
		return places
	}
	mounts := s.mounts[pod.UID]
	claims := matchClaims(pod, mounts)
	for i := range pod.Volumes {
		spec := &pod.Volumes[i]
		if !isElement(spec.Name) {
			continue
		}
		switch spec.Plugin {
		case EmptyDir:
			places[i] = s.walked(pod, "kubernetes.io~empty-dir", spec.Name, spec.Medium != "")
		case ConfigMap:
			places[i] = s.walked(pod, "kubernetes.io~configmap", spec.Name, false)
		case Secret:
			places[i] = s.walked(pod, "kubernetes.io~secret", spec.Name, true)
		case Projected:
			places[i] = s.walked(pod, "kubernetes.io~projected", spec.Name, true)
		case DownwardAPI:
			places[i] = s.walked(pod, "kubernetes.io~downward-api", spec.Name, true)
		case NFS, CSI, ISCSI, FlexVolume:
			for j := range mounts {
				if isInline(spec, &mounts[j]) {
					places[i] = sizedAt(&mounts[j])
				}
			}
		case PersistentVolumeClaim, Ephemeral:
			if claims[i] != nil {
				places[i] = sizedAt(claims[i])
			}
		case HostPath:
			if hostPath && filepath.IsAbs(spec.Path) {
				places[i] = place{method: pointed, path: spec.Path, device: "path:" + spec.Path}
			}
		}
	}
	return places
}

// walked is the place of a volume that the kubelet makes itself. It keeps some in memory: those are only there once their tmpfs
// is mounted, and a folder without it, which an agent sees whose mount namespace does not get the host's mounts, is not the
// volume.
func (s *survey) walked(pod *Pod, folder, name string, inMemory bool) place {
	path := filepath.Join(s.rootDir, "pods", pod.UID, "volumes", folder, name)
	for _, one := range s.mounts[pod.UID] {
		if one.path == path {
			return place{method: walked, path: path, device: one.device, mounted: true}
		}
	}
	if inMemory {
		return place{}
	}
	return place{method: walked, path: path, device: rootDevice}
}

func sizedAt(one *mount) place {
	if one.plugin == "kubernetes.io~fc" {
		// A kubelet has no figures for these.
		return place{}
	}
	return place{method: sized, path: one.path, device: one.device, mounted: true}
}

// isInline reports whether a mount is that of a volume which the pod's spec describes without a claim: it has the volume's name.
func isInline(spec *Spec, one *mount) bool {
	if one.name != spec.Name {
		return false
	}
	switch spec.Plugin {
	case CSI:
		return one.plugin == csiFolder
	case NFS:
		return one.plugin == "kubernetes.io~nfs"
	case ISCSI:
		return one.plugin == "kubernetes.io~iscsi"
	case FlexVolume:
		// The folder is named for the vendor and the driver.
		return !strings.HasPrefix(one.plugin, "kubernetes.io~")
	}
	return false
}

// matchClaims finds the mounts of volumes with a claim, parallel to pod.Volumes. The kubelet names their folders for the
// PersistentVolume. Where that is not known, a mount is the volume's only if there is no other volume and no other mount that it
// could be: wrong figures are worse than none.
func matchClaims(pod *Pod, mounts []mount) []*mount {
	matched := make([]*mount, len(pod.Volumes))
	open, ambiguous := -1, false
	for i := range pod.Volumes {
		switch spec := &pod.Volumes[i]; {
		case spec.Plugin == Other:
			// The mount of a plugin that was moved to CSI may have any name.
			ambiguous = true
		case spec.isClaim() && spec.PVName == "":
			ambiguous = ambiguous || open >= 0
			open = i
		}
	}
	var candidate *mount
	for j := range mounts {
		one := &mounts[j]
		if localFolders[one.plugin] {
			continue
		}
		taken := false
		for i := range pod.Volumes {
			spec := &pod.Volumes[i]
			switch {
			case isInline(spec, one):
				taken = true
			case spec.isClaim() && spec.PVName != "" && folderName(spec.PVName) == one.name:
				matched[i], taken = one, true
			}
		}
		if !taken {
			ambiguous = ambiguous || candidate != nil
			candidate = one
		}
	}
	if open >= 0 && !ambiguous {
		matched[open] = candidate
	}
	return matched
}

// folderName is what the kubelet makes of a name with a slash.
func folderName(name string) string { return strings.ReplaceAll(name, "/", "~") }
