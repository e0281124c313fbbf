package exporter

import "github.com/nodevitals/nodevitals/snapshot"

var (
	labelFSType     = newLabelKey("fs_type", podContainerLabels[:])
	labelVolumeName = newLabelKey("volume_name", podLabels[:])
)

// ephemeralFamilies are what pods and their containers take of the node's disk, in bytes of allocated blocks and in files, and
// the limits at which a kubelet evicts. The figures are those of /stats/summary: layers as the runtime measured them (CRI),
// logs and volumes as the agent did. Limits are of the pod's spec, and so are there with the API server as a source alone.
var ephemeralFamilies = []family{
	{
		name: "pod_ephemeral_storage_used_bytes", kind: gauge, groups: snapshot.Layers | snapshot.Volumes,
		help: "Bytes of the node's disk that the pod takes: layers and logs of its containers, emptyDir and configMap volumes on disk, its etc-hosts file.",
		pod:  ephemeralSum(func(u *snapshot.Usage) snapshot.Optional { return u.Bytes }),
	},
	{
		name: "pod_ephemeral_storage_inodes_used", kind: gauge, groups: snapshot.Layers | snapshot.Volumes,
		help: "Files and folders of the node's disk that the pod takes: layers and logs of its containers, emptyDir and configMap volumes on disk, its etc-hosts file.",
		pod:  ephemeralSum(func(u *snapshot.Usage) snapshot.Optional { return u.Inodes }),
	},
	{
		name: "pod_ephemeral_storage_limit_bytes", kind: gauge, groups: snapshot.Volumes,
		help:  "Bytes of the node's disk at which the kubelet evicts the pod: the sum of its containers' limits of ephemeral-storage.",
		stamp: stampNone,
		pod:   func(e *encoder, pod *snapshot.Pod) { e.optional(pod.EphemeralStorageLimit) },
	},
	{
		name: "pod_ephemeral_storage_volume_used_bytes", kind: gauge, groups: snapshot.Volumes,
		help: "Bytes of the node's disk that a volume of the pod takes: an emptyDir on disk or a configMap.",
		pod:  volumes(isEphemeral, func(v *snapshot.Volume) snapshot.Optional { return v.Used }),
	},
	{
		name: "pod_ephemeral_storage_volume_inodes_used", kind: gauge, groups: snapshot.Volumes,
		help: "Files and folders of the node's disk that a volume of the pod takes: an emptyDir on disk or a configMap.",
		pod:  volumes(isEphemeral, func(v *snapshot.Volume) snapshot.Optional { return v.InodesUsed }),
	},
	{
		name: "pod_ephemeral_storage_volume_limit_bytes", kind: gauge, groups: snapshot.Volumes,
		help:  "Bytes at which the kubelet evicts the pod for one of its volumes: the sizeLimit of an emptyDir on disk.",
		stamp: stampNone,
		pod:   volumes(isEphemeral, func(v *snapshot.Volume) snapshot.Optional { return v.SizeLimit }),
	},
	{
		name: "container_ephemeral_storage_used_bytes", kind: gauge, groups: snapshot.Layers | snapshot.Volumes,
		help:      "Bytes of the node's disk that the container takes, by fs_type: rootfs is its writable layer, logs its log files.",
		container: ofLayerAndLogs(func(u *snapshot.Usage) snapshot.Optional { return u.Bytes }),
	},
	{
		name: "container_ephemeral_storage_inodes_used", kind: gauge, groups: snapshot.Layers | snapshot.Volumes,
		help:      "Files and folders of the node's disk that the container takes, by fs_type: rootfs is its writable layer, logs its log files.",
		container: ofLayerAndLogs(func(u *snapshot.Usage) snapshot.Optional { return u.Inodes }),
	},
	{
		name: "container_ephemeral_storage_limit_bytes", kind: gauge, groups: snapshot.Volumes,
		help:      "Bytes that the container's layer and logs may take together before the kubelet evicts its pod: its limit of ephemeral-storage.",
		stamp:     stampNone,
		container: func(e *encoder, container *snapshot.Container) { e.optional(container.EphemeralStorageLimit) },
	},
}

// volumeFamilies are the volumes of pods that no PersistentVolumeClaim stands behind, which kubelet_volume_stats_* leaves out:
// emptyDir, in memory too, configMap, secret, projected, downwardAPI and inline volumes.
var volumeFamilies = []family{
	{
		name: "kubelet_volume_stats_pod_available_bytes", kind: gauge, groups: snapshot.Volumes,
		help: "Number of available bytes in a volume of the pod that is no PersistentVolumeClaim's",
		pod:  volumes(hasNoClaim, func(v *snapshot.Volume) snapshot.Optional { return v.Available }),
	},
	{
		name: "kubelet_volume_stats_pod_capacity_bytes", kind: gauge, groups: snapshot.Volumes,
		help: "Capacity in bytes of a volume of the pod that is no PersistentVolumeClaim's",
		pod:  volumes(hasNoClaim, func(v *snapshot.Volume) snapshot.Optional { return v.Capacity }),
	},
	{
		name: "kubelet_volume_stats_pod_used_bytes", kind: gauge, groups: snapshot.Volumes,
		help: "Number of used bytes in a volume of the pod that is no PersistentVolumeClaim's",
		pod:  volumes(hasNoClaim, func(v *snapshot.Volume) snapshot.Optional { return v.Used }),
	},
	{
		name: "kubelet_volume_stats_pod_inodes", kind: gauge, groups: snapshot.Volumes,
		help: "Maximum number of inodes in a volume of the pod that is no PersistentVolumeClaim's",
		pod:  volumes(hasNoClaim, func(v *snapshot.Volume) snapshot.Optional { return v.Inodes }),
	},
	{
		name: "kubelet_volume_stats_pod_inodes_free", kind: gauge, groups: snapshot.Volumes,
		help: "Number of free inodes in a volume of the pod that is no PersistentVolumeClaim's",
		pod:  volumes(hasNoClaim, func(v *snapshot.Volume) snapshot.Optional { return v.InodesFree }),
	},
	{
		name: "kubelet_volume_stats_pod_inodes_used", kind: gauge, groups: snapshot.Volumes,
		help: "Number of used inodes in a volume of the pod that is no PersistentVolumeClaim's",
		pod:  volumes(hasNoClaim, func(v *snapshot.Volume) snapshot.Optional { return v.InodesUsed }),
	},
}

func isEphemeral(v *snapshot.Volume) bool { return v.Ephemeral }
func hasNoClaim(v *snapshot.Volume) bool  { return v.Claim == "" }

// optional emits a number if there is one.
func (e *encoder) optional(n snapshot.Optional) {
	if n.Present {
		e.sample(n.Value, 0)
	}
}

// volumes emits a number of each of a pod's volumes of a kind.
func volumes(wanted func(*snapshot.Volume) bool, get func(*snapshot.Volume) snapshot.Optional) func(*encoder, *snapshot.Pod) {
	return func(e *encoder, pod *snapshot.Pod) {
		for i := range pod.Volumes {
			if v := &pod.Volumes[i]; wanted(v) {
				if n := get(v); n.Present {
					e.sample(n.Value, 0, labelVolumeName.of(v.Name))
				}
			}
		}
	}
}

// ofLayerAndLogs emits a number of a container's layer and of its logs, each if it was measured.
func ofLayerAndLogs(get func(*snapshot.Usage) snapshot.Optional) func(*encoder, *snapshot.Container) {
	return func(e *encoder, container *snapshot.Container) {
		if n := get(&container.Logs); n.Present {
			e.sample(n.Value, 0, labelFSType.of("logs"))
		}
		if n := get(&container.WritableLayer); n.Present {
			e.sample(n.Value, 0, labelFSType.of("rootfs"))
		}
	}
}

// ephemeralSum emits the sum over all that a pod has of its node's disk. What was not measured does not count, as in
// /stats/summary; where nothing was, there is no sum.
func ephemeralSum(get func(*snapshot.Usage) snapshot.Optional) func(*encoder, *snapshot.Pod) {
	return func(e *encoder, pod *snapshot.Pod) {
		var sum snapshot.Optional
		add := func(u *snapshot.Usage) {
			if n := get(u); n.Present {
				sum.Value, sum.Present = sum.Value+n.Value, true
			}
		}
		for i := range pod.Containers {
			add(&pod.Containers[i].WritableLayer)
			add(&pod.Containers[i].Logs)
		}
		for i := range pod.Volumes {
			if v := &pod.Volumes[i]; v.Ephemeral {
				add(&snapshot.Usage{Bytes: v.Used, Inodes: v.InodesUsed})
			}
		}
		add(&pod.Logs)
		add(&pod.EtcHosts)
		e.optional(sum)
	}
}
