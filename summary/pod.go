package summary

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/kubelet/pkg/apis/stats/v1alpha1"

	"github.com/nodevitals/nodevitals/snapshot"
)

// pods renders the pods in the snapshot's order. It is never nil: the kubelet prints an empty list.
func (r *renderer) pods() []v1alpha1.PodStats {
	pods := make([]v1alpha1.PodStats, 0, len(r.snapshot.Pods))
	for i := range r.snapshot.Pods {
		pods = append(pods, r.pod(&r.snapshot.Pods[i]))
	}
	return pods
}

// pod renders one pod as a kubelet does that asks containerd who there is, and the cgroups what they use.
func (r *renderer) pod(pod *snapshot.Pod) v1alpha1.PodStats {
	stats := v1alpha1.PodStats{
		PodRef:     v1alpha1.PodReference{Name: pod.Name, Namespace: pod.Namespace, UID: pod.UID},
		StartTime:  metav1.NewTime(pod.Started),
		Containers: r.parts.containers.list(len(pod.Containers)),
	}
	for i := range pod.Containers {
		stats.Containers = append(stats.Containers, r.podContainer(&pod.Containers[i]))
	}
	cgroup := pod.Cgroup
	if cgroup == nil {
		cgroup = together(pod.Containers)
	}
	stats.CPU, stats.Memory, stats.Swap = r.cpu(cgroup), r.memory(cgroup), r.swap(cgroup)
	if !r.full {
		return stats
	}
	stats.IO = r.io(cgroup)
	stats.Network = r.network(pod.HasNetwork, pod.Interfaces)
	stats.ProcessStats = r.processes(pod.Containers)
	stats.VolumeStats = r.volumes(pod.Volumes)
	stats.EphemeralStorage = r.ephemeralStorage(pod)
	return stats
}

// podContainer renders a container of a pod. One without a cgroup has what is known without one: its start, layer and logs.
func (r *renderer) podContainer(container *snapshot.Container) v1alpha1.ContainerStats {
	stats := v1alpha1.ContainerStats{Name: container.Name}
	if container.Cgroup != nil {
		stats = r.container(container.Name, container.Cgroup)
	}
	stats.StartTime = metav1.NewTime(container.Started)
	if r.full {
		stats.Rootfs, stats.Logs = r.layer(&container.WritableLayer), r.logs(&container.Logs)
	}
	return stats
}

// summed are the fields that add up. Pressure does not: one container's stall may be another's progress.
var summed = [...]snapshot.Field{
	snapshot.CPUUsage, snapshot.CPUNanoCores, snapshot.MemoryUsage, snapshot.MemoryWorkingSet, snapshot.MemoryRSS,
	snapshot.MemorySwap, snapshot.MemoryPgfault, snapshot.MemoryPgmajfault,
}

// together stands in for the cgroup of a pod that has none (a kubelet without --cgroups-per-qos). A sum is there only where
// every container has the number: a counter that lacks one of them goes back and looks like a restart, and a limit that
// one of them does not have limits nothing.
func together(containers []snapshot.Container) *snapshot.Cgroup {
	cgroup := &snapshot.Cgroup{Identity: &snapshot.Identity{Kind: snapshot.PodCgroup}, Spec: &snapshot.Spec{}}
	for _, field := range summed {
		if sum := sumOf(containers, field); sum.Present {
			cgroup.Set(field, sum.Value)
		}
	}
	cgroup.Spec.MemoryLimit = limitOf(containers, func(spec *snapshot.Spec) snapshot.Optional { return spec.MemoryLimit })
	cgroup.Spec.SwapLimit = limitOf(containers, func(spec *snapshot.Spec) snapshot.Optional { return spec.SwapLimit })
	for i := range containers {
		if one := containers[i].Cgroup; one != nil && (one.Spec == nil || one.Spec.HasIO) {
			cgroup.Spec.HasIO = true
		}
	}
	return cgroup
}

// sumOf adds up a field of all containers; absent where one lacks it.
func sumOf(containers []snapshot.Container, field snapshot.Field) snapshot.Optional {
	sum := uint64(0)
	for i := range containers {
		cgroup := containers[i].Cgroup
		if cgroup == nil {
			return snapshot.Optional{}
		}
		value, ok := cgroup.Get(field)
		if !ok {
			return snapshot.Optional{}
		}
		sum += value
	}
	return snapshot.Optional{Value: sum, Present: len(containers) > 0}
}

// limitOf adds up a limit of all containers; absent where one has none.
func limitOf(containers []snapshot.Container, limit func(*snapshot.Spec) snapshot.Optional) snapshot.Optional {
	sum := uint64(0)
	for i := range containers {
		cgroup := containers[i].Cgroup
		if cgroup == nil || cgroup.Spec == nil {
			return snapshot.Optional{}
		}
		one := limit(cgroup.Spec)
		if !one.Present || one.Value > noLimit-sum {
			return snapshot.Optional{}
		}
		sum += one.Value
	}
	return snapshot.Optional{Value: sum, Present: len(containers) > 0}
}

// processes counts those of the containers, without the sandbox's, as a kubelet with containerd does: a container that ended or whose
// processes are not counted yet adds none. It is a gauge, so that a sum which grows late looks like no restart.
func (r *renderer) processes(containers []snapshot.Container) *v1alpha1.ProcessStats {
	sum, counted := uint64(0), false
	for i := range containers {
		cgroup := containers[i].Cgroup
		if cgroup == nil {
			continue
		}
		if count, ok := cgroup.Get(snapshot.ProcessCount); ok {
			sum, counted = sum+count, true
		}
	}
	if !counted {
		return nil
	}
	return r.parts.processes.keep(v1alpha1.ProcessStats{ProcessCount: r.number(sum)})
}
