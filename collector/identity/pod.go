package identity

import "time"

// Pod is what is known of one pod of this node. It is shared and never changed.
type Pod struct {
	// Name and Namespace are the pod's. UID is the kubelet's, which paths of cgroups, logs and volumes hold; a static pod's is
	// the hash of its file.
	Name, Namespace, UID string
	// APIUID is the UID at the API server. It is not UID where a static pod has a mirror there; empty where only the
	// runtime knows the pod.
	APIUID string
	// Phase is the API server's: "Running"; empty where only the runtime knows the pod.
	Phase string
	// HostNetwork tells that the pod uses the host's network namespace.
	HostNetwork bool
	// Started is the pod's start as the kubelet's Summary has it: when containerd made the sandbox, but with CRI-O when the
	// kubelet acknowledged the pod. If that one is unknown it is the other; zero where neither is known.
	Started time.Time
	// SandboxID is the runtime's ID of the pod's newest ready sandbox; empty where no runtime tells.
	SandboxID string
	// Containers are sorted by Name, one for each name: see [Index.Pods].
	Containers []Container
	// Volumes are those of the pod's spec, in its order; nil where only the runtime knows the pod.
	Volumes []Volume
	// EphemeralStorageLimit is in bytes what the containers may take of the node's disk together; 0 where none has a limit, or
	// only the runtime knows the pod.
	EphemeralStorageLimit uint64
}

// Container is a container of a pod.
type Container struct {
	// Name is the container's in its pod. ID is the runtime's, empty as long as there is none.
	Name, ID string
	// Image is the image as the runtime calls it ("docker.io/library/nginx:1.29"), not as the pod's spec does.
	Image string
	// Kind says which list of the pod's spec the container is in; Regular where only the runtime knows it.
	Kind ContainerKind
	// Created is when the runtime made the container; zero without a runtime that tells. Started is when it began to run, in
	// whole seconds, as the API server has it; zero where unknown.
	Created, Started time.Time
	// EphemeralStorageLimit is in bytes what layer and logs may take together; 0 is none, or unknown.
	EphemeralStorageLimit uint64
	// Restarts counts how often the kubelet made the container anew.
	Restarts int32
	// Running tells that the container runs, as far as the sources have heard.
	Running bool
}

// begun is the best time there is for the container's creation.
func (c *Container) begun() time.Time {
	if !c.Created.IsZero() {
		return c.Created
	}
	return c.Started
}

// ContainerKind says what a container is to its pod.
type ContainerKind uint8

// The kinds of containers.
const (
	// Regular is one of spec.containers.
	Regular ContainerKind = iota
	// Init is one of spec.initContainers that runs to its end before the pod starts.
	Init
	// Sidecar is one of spec.initContainers that is restarted always, and so runs beside the regular ones.
	Sidecar
	// Ephemeral is one of spec.ephemeralContainers, made for debugging.
	Ephemeral
)

// Volume is a volume in a pod's spec.
type Volume struct {
	// Name is the volume's in the spec.
	Name string
	// Plugin is the name of its source's field in the spec.
	Plugin VolumePlugin
	// Medium is an emptyDir's: "" for disk, "Memory", "HugePages-2Mi".
	Medium string
	// SizeLimit is an emptyDir's in bytes; 0 is none.
	SizeLimit uint64
	// Claim names the PersistentVolumeClaim in the pod's namespace: that of the spec, or <pod>-<volume> of a generic ephemeral
	// volume; empty in others.
	Claim string
	// PVName is the PersistentVolume that the claim is bound to; empty where it is not known.
	PVName string
	// Driver is the CSI driver of an inline CSI volume; empty in others.
	Driver string
}

// VolumePlugin is the name of a volume source's field in the spec of a pod.
type VolumePlugin string

// The volume sources that have a meaning to whoever measures volumes.
const (
	EmptyDir              VolumePlugin = "emptyDir"
	ConfigMap             VolumePlugin = "configMap"
	Secret                VolumePlugin = "secret"
	Projected             VolumePlugin = "projected"
	DownwardAPI           VolumePlugin = "downwardAPI"
	HostPath              VolumePlugin = "hostPath"
	NFS                   VolumePlugin = "nfs"
	ISCSI                 VolumePlugin = "iscsi"
	FibreChannel          VolumePlugin = "fc"
	FlexVolume            VolumePlugin = "flexVolume"
	Image                 VolumePlugin = "image"
	GitRepo               VolumePlugin = "gitRepo"
	CSI                   VolumePlugin = "csi"
	PersistentVolumeClaim VolumePlugin = "persistentVolumeClaim"
	// GenericEphemeral is a claim that lives as long as the pod.
	GenericEphemeral VolumePlugin = "ephemeral"
	// Other is any that is not listed here, such as those of cloud providers that left the kubelet.
	Other VolumePlugin = "other"
)

// report is what one source says of one pod.
type report struct {
	pod Pod
	// acknowledged is when the kubelet took the pod (API server), made when the pod or its sandbox was made.
	acknowledged, made time.Time
	containers         []container
	sandboxes          []sandbox
	// accounted tells that the API server knows the ID of every container that may have a cgroup.
	accounted bool
	// crio tells that the runtime is CRI-O.
	crio bool
}

// container is a container as one source tells.
type container struct {
	Container
	// exited: the runtime says that it has ended.
	exited bool
}

// sandbox is a pod's sandbox as the runtime tells.
type sandbox struct {
	id, image string
	created   time.Time
	attempt   uint32
	ready     bool
}
