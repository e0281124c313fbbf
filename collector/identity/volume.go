package identity

import (
	corev1 "k8s.io/api/core/v1"
)

// volumesOf returns the volumes of a pod's spec as plain data.
func volumesOf(pod *corev1.Pod) []Volume {
	if len(pod.Spec.Volumes) == 0 {
		return nil
	}
	volumes := make([]Volume, len(pod.Spec.Volumes))
	for i := range pod.Spec.Volumes {
		volumes[i] = fromVolume(pod.Name, &pod.Spec.Volumes[i])
	}
	return volumes
}

func fromVolume(pod string, volume *corev1.Volume) Volume {
	v := Volume{Name: volume.Name, Plugin: pluginOf(&volume.VolumeSource)}
	switch {
	case volume.EmptyDir != nil:
		v.Medium = string(volume.EmptyDir.Medium)
		v.SizeLimit = bytesOf(volume.EmptyDir.SizeLimit)
	case volume.PersistentVolumeClaim != nil:
		v.Claim = volume.PersistentVolumeClaim.ClaimName
	case volume.Ephemeral != nil:
		// The name that the claim's controller gives (k8s.io/component-helpers/storage/ephemeral).
		v.Claim = pod + "-" + volume.Name
	case volume.CSI != nil:
		v.Driver = volume.CSI.Driver
	}
	return v
}

// pluginOf returns which of a volume's sources is set.
func pluginOf(source *corev1.VolumeSource) VolumePlugin {
	for _, one := range [...]struct {
		set    bool
		plugin VolumePlugin
	}{
		{source.EmptyDir != nil, EmptyDir},
		{source.ConfigMap != nil, ConfigMap},
		{source.Secret != nil, Secret},
		{source.Projected != nil, Projected},
		{source.DownwardAPI != nil, DownwardAPI},
		{source.PersistentVolumeClaim != nil, PersistentVolumeClaim},
		{source.Ephemeral != nil, GenericEphemeral},
		{source.CSI != nil, CSI},
		{source.HostPath != nil, HostPath},
		{source.NFS != nil, NFS},
		{source.ISCSI != nil, ISCSI},
		{source.FC != nil, FibreChannel},
		{source.FlexVolume != nil, FlexVolume},
		{source.Image != nil, Image},
		{source.GitRepo != nil, GitRepo},
	} {
		if one.set {
			return one.plugin
		}
	}
	return Other
}
