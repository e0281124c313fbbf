package summary

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/kubelet/pkg/apis/stats/v1alpha1"

	"github.com/nodevitals/nodevitals/snapshot"
)

// volumes lists those that count towards ephemeral storage, then the others, each by name. As in the kubelet's answer all six
// figures are there, 0 where a volume has none, like the inodes of a block device.
func (r *renderer) volumes(volumes []snapshot.Volume) []v1alpha1.VolumeStats {
	if len(volumes) == 0 {
		return nil
	}
	stats := r.parts.volumes.list(len(volumes))
	for _, ephemeral := range [...]bool{true, false} {
		for i := range volumes {
			if volumes[i].Ephemeral == ephemeral {
				stats = append(stats, r.volume(&volumes[i]))
			}
		}
	}
	return stats
}

func (r *renderer) volume(volume *snapshot.Volume) v1alpha1.VolumeStats {
	stats := v1alpha1.VolumeStats{
		Name: volume.Name,
		FsStats: v1alpha1.FsStats{
			Time:           metav1.NewTime(volume.Time),
			AvailableBytes: r.number(volume.Available.Or(0)),
			CapacityBytes:  r.number(volume.Capacity.Or(0)),
			UsedBytes:      r.number(volume.Used.Or(0)),
			InodesFree:     r.number(volume.InodesFree.Or(0)),
			Inodes:         r.number(volume.Inodes.Or(0)),
			InodesUsed:     r.number(volume.InodesUsed.Or(0)),
		},
	}
	if volume.Claim != "" {
		stats.PVCRef = r.parts.claims.keep(v1alpha1.PVCReference{Name: volume.Claim, Namespace: volume.ClaimNamespace})
	}
	return stats
}

// ephemeralStorage adds up what a pod has of its node's disk: layers, logs, etc-hosts, and the volumes that count. What
// was not measured does not count. It is nil where nothing is known at all.
func (r *renderer) ephemeralStorage(pod *snapshot.Pod) *v1alpha1.FsStats {
	stats := r.nodeSpace()
	for i := range pod.Containers {
		r.add(&stats, &pod.Containers[i].WritableLayer)
		r.add(&stats, &pod.Containers[i].Logs)
	}
	for i := range pod.Volumes {
		if volume := &pod.Volumes[i]; volume.Ephemeral {
			r.add(&stats, &snapshot.Usage{Time: volume.Time, Bytes: volume.Used, Inodes: volume.InodesUsed})
		}
	}
	r.add(&stats, &pod.Logs)
	r.add(&stats, &pod.EtcHosts)
	if stats == (v1alpha1.FsStats{}) {
		return nil
	}
	return r.parts.disks.keep(stats)
}
