// Package volume measures what pods take of filesystems: their volumes, container logs and etc-hosts files. Workers do it in
// between readings, within a budget, so that neither a folder of a million files nor a dead server holds up anybody.
package volume

import (
	"slices"
	"strings"

	"github.com/nodevitals/nodevitals/snapshot"
)

// Plugin is the source of a volume, by the name of its field in a pod's spec.
type Plugin string

// The plugins that make a difference here. All others are Other.
const (
	EmptyDir              Plugin = "emptyDir"
	ConfigMap             Plugin = "configMap"
	Secret                Plugin = "secret"
	Projected             Plugin = "projected"
	DownwardAPI           Plugin = "downwardAPI"
	HostPath              Plugin = "hostPath"
	NFS                   Plugin = "nfs"
	CSI                   Plugin = "csi"
	ISCSI                 Plugin = "iscsi"
	FlexVolume            Plugin = "flexVolume"
	PersistentVolumeClaim Plugin = "persistentVolumeClaim"
	Ephemeral             Plugin = "ephemeral"
	Other                 Plugin = "other"
)

// Pod is a pod whose use is to be measured.
type Pod struct {
	// UID names the pod's folder below the kubelet's, LogUID that of its logs. A static pod's is the hash of its file.
	UID, LogUID string
	// Namespace and Name are the pod's.
	Namespace, Name string
	// Volumes are those of the pod's spec.
	Volumes []Spec
	// Containers are the names of those whose logs are asked for.
	Containers []string
}

// Spec is a volume of a pod's spec.
type Spec struct {
	// Name is the volume's in the pod.
	Name string
	// Plugin says what it is.
	Plugin Plugin
	// Medium is an emptyDir's: "" is the disk, anything else memory.
	Medium string
	// Claim and ClaimNamespace name the PersistentVolumeClaim. Of an [Ephemeral] volume they may be empty: it is
	// pod-volume then. An empty namespace is the pod's.
	Claim, ClaimNamespace string
	// PVName is the PersistentVolume that the claim is bound to; "" where unknown.
	PVName string
	// SizeLimit is an emptyDir's in bytes; 0 is none.
	SizeLimit uint64
	// Path is where a [HostPath] points, as the host sees it; "" where unknown.
	Path string
}

// isClaim reports whether a PersistentVolume stands behind the volume.
func (s *Spec) isClaim() bool {
	return s.Plugin == PersistentVolumeClaim || s.Plugin == Ephemeral
}

// isEphemeral reports whether the volume counts towards the pod's ephemeral storage.
func (s *Spec) isEphemeral() bool {
	return s.Plugin == EmptyDir && s.Medium == "" || s.Plugin == ConfigMap
}

// describe returns the volume without figures.
func (s *Spec) describe(pod *Pod) snapshot.Volume {
	volume := snapshot.Volume{Name: s.Name, Ephemeral: s.isEphemeral()}
	if s.SizeLimit > 0 {
		volume.SizeLimit = snapshot.Some(s.SizeLimit)
	}
	if !s.isClaim() {
		return volume
	}
	volume.Claim, volume.ClaimNamespace = s.Claim, s.ClaimNamespace
	if volume.Claim == "" && s.Plugin == Ephemeral {
		volume.Claim = pod.Name + "-" + s.Name
	}
	if volume.ClaimNamespace == "" {
		volume.ClaimNamespace = pod.Namespace
	}
	return volume
}

// equal reports whether nothing changed that matters here.
func (p *Pod) equal(other *Pod) bool {
	return p.UID == other.UID && p.LogUID == other.LogUID && p.Namespace == other.Namespace && p.Name == other.Name &&
		slices.Equal(p.Volumes, other.Volumes) && slices.Equal(p.Containers, other.Containers)
}

// Result is what is known of a pod. It is never changed once it is returned.
type Result struct {
	// Volumes are those that were measured, sorted by Name.
	Volumes []snapshot.Volume
	// Logs is the use of files directly in the pod's log folder. A zero Time says that the folder is not there or unreadable;
	// Time without Bytes and Inodes, that it is there and has no files.
	Logs snapshot.Usage
	// ContainerLogs is the same for each container's log folder, rotated files among them. Containers without one are left out.
	ContainerLogs map[string]snapshot.Usage
	// EtcHosts is the use of the pod's etc-hosts file; zero where there is none.
	EtcHosts snapshot.Usage
}

// isElement reports whether a name may be part of a path. Names come from outside, and the agent may read everything.
func isElement(name string) bool {
	return name != "" && name != "." && name != ".." && !strings.ContainsAny(name, "/\x00")
}
