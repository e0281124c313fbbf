package snapshot

import "time"

// CgroupKind says what a cgroup is for.
type CgroupKind uint8

// The kinds of cgroups.
const (
	// PlainCgroup is anything that is none of the others: the root, slices, services.
	PlainCgroup CgroupKind = iota
	// PodCgroup holds all of a pod's containers.
	PodCgroup
	// ContainerCgroup is a container's of a pod.
	ContainerCgroup
	// SandboxCgroup is that of the process that holds a pod's namespaces.
	SandboxCgroup
)

// Pod is a pod of this node that has at least one container running.
type Pod struct {
	// Name, Namespace and UID are the pod's. The UID of a static pod is the hash of its file, as a kubelet shows it, and
	// not that of the mirror pod at the API server.
	Name, Namespace, UID string
	// Started is when the pod's sandbox was made (CRI) or the kubelet acknowledged the pod (API server); zero where unknown.
	Started time.Time
	// HostNetwork tells that the pod uses the host's network namespace.
	HostNetwork bool
	// Cgroup is the pod's record in the snapshot; nil where the pod has no cgroup of its own.
	Cgroup *Cgroup
	// Containers are those that run, sorted by Name, one for each name.
	Containers []Container
	// Interfaces are those of the pod's network namespace; HasNetwork tells that they were read.
	Interfaces []Interface
	HasNetwork bool
	// Volumes are those that were measured, sorted by Name.
	Volumes []Volume
	// Logs is the use of files directly in the pod's log folder; EtcHosts that of its etc-hosts file.
	Logs, EtcHosts Usage
	// OOMKills counts the processes that the kernel killed for want of memory in the pod, in containers that are gone too.
	// It never falls while the pod lives. On cgroup v2 it is oom_kill of the pod's memory.events. On v1, whose
	// memory.oom_control counts each cgroup apart, and where the pod has no cgroup, it is what the samples saw.
	OOMKills Optional
	// EphemeralStorageLimit is in bytes: what the pod may take of its node's disk before the kubelet evicts it, by the
	// limits of its containers; absent where no container has one, or the pod's spec is not known.
	EphemeralStorageLimit Optional
}

// Container is a running container of a pod.
type Container struct {
	// Name is the container's in its pod, ID the runtime's.
	Name, ID string
	// Started is when the runtime made the container; zero where unknown.
	Started time.Time
	// Cgroup is the container's record in the snapshot; nil where it has none.
	Cgroup *Cgroup
	// WritableLayer is the use of the container's own layer, as the runtime measured it (CRI), else absent.
	WritableLayer Usage
	// Logs is the use of the container's log files.
	Logs Usage
	// EphemeralStorageLimit is in bytes: what layer and logs may take together before the kubelet evicts the pod; absent
	// without a limit, or where the pod's spec is not known.
	EphemeralStorageLimit Optional
}

// Usage is what something takes of a filesystem.
type Usage struct {
	// Time is when it was measured; zero: it was not, and the rest is absent.
	Time time.Time
	// Bytes are those of allocated blocks, Inodes the number of files and folders.
	Bytes, Inodes Optional
	// MountPoint is that of the filesystem, where it is not the node's; "" otherwise.
	MountPoint string
}

// Volume is a mounted volume of a pod.
type Volume struct {
	// Name is the volume's in the pod's spec.
	Name string
	// Claim and ClaimNamespace name the PersistentVolumeClaim; empty where there is none.
	Claim, ClaimNamespace string
	// Ephemeral tells that the volume counts towards the pod's ephemeral storage: an emptyDir on disk, a configMap.
	Ephemeral bool
	// SizeLimit is an emptyDir's sizeLimit in bytes; absent without one.
	SizeLimit Optional
	// Time is when the volume was measured.
	Time time.Time
	// Capacity, Available and Used are bytes; Inodes, InodesFree and InodesUsed files.
	Capacity, Available, Used, Inodes, InodesFree, InodesUsed Optional
}

// ImageFilesystem is where the runtime keeps images, or containers' layers.
type ImageFilesystem struct {
	// Time is when the runtime measured it.
	Time time.Time
	// MountPoint is the runtime's folder, as the host sees it.
	MountPoint string
	// Bytes and Inodes are what the images take.
	Bytes, Inodes Optional
}
