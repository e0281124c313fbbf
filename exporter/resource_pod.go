package exporter

import "github.com/nodevitals/nodevitals/snapshot"

// podLabels and podContainerLabels are the labels of the rows of a pod and of its containers in /metrics/resource.
var (
	podLabels          = [...]string{"namespace", "pod"}
	podContainerLabels = [...]string{"container", "namespace", "pod"}
)

// resourcePodFamilies are the families of pods and their containers.
var resourcePodFamilies = []family{
	{
		name: "container_cpu_usage_seconds_total", kind: counter, groups: snapshot.CPUUse,
		help:      "[STABLE] Cumulative cpu time consumed by the container in core-seconds",
		container: ofContainer(snapshot.CPUUsage),
	},
	{
		name: "container_memory_working_set_bytes", kind: gauge, groups: snapshot.MemoryUse,
		help:      "[STABLE] Current working set of the container in bytes",
		container: ofContainer(snapshot.MemoryWorkingSet),
	},
	{
		name: "container_start_time_seconds", kind: gauge, groups: resourceGroups,
		help:      "[STABLE] Start time of the container since unix epoch in seconds",
		stamp:     stampNone,
		container: started,
	},
	{
		name: "container_swap_limit_bytes", kind: gauge, groups: snapshot.MemoryUse,
		help:      "[ALPHA] Current amount of the container swap limit in bytes. Reported only on non-windows systems",
		needs:     snapshot.Limits,
		container: swapLimit,
	},
	{
		name: "container_swap_usage_bytes", kind: gauge, groups: snapshot.MemoryUse,
		help:      "[ALPHA] Current amount of the container swap usage in bytes. Reported only on non-windows systems",
		container: ofContainer(snapshot.MemorySwap),
	},
	{
		name: "pod_cpu_usage_seconds_total", kind: counter, groups: snapshot.CPUUse,
		help: "[STABLE] Cumulative cpu time consumed by the pod in core-seconds",
		pod:  ofPod(snapshot.CPUUsage),
	},
	{
		name: "pod_memory_working_set_bytes", kind: gauge, groups: snapshot.MemoryUse,
		help: "[STABLE] Current working set of the pod in bytes",
		pod:  ofPod(snapshot.MemoryWorkingSet),
	},
	{
		name: "pod_swap_usage_bytes", kind: gauge, groups: snapshot.MemoryUse,
		help: "[ALPHA] Current amount of the pod swap usage in bytes. Reported only on non-windows systems",
		pod:  ofPod(snapshot.MemorySwap),
	},
}

// podRow is a pod that is shown, with its labels.
type podRow struct {
	pod   *snapshot.Pod
	block block
}

// containerRow is a container that is shown, with its labels.
type containerRow struct {
	container *snapshot.Container
	block     block
}

// showPods chooses the pods and containers that have rows of their own. Labels have no UID, so of pods of one name, an old one that
// still ends and its successor, the last to start is shown.
func (r *Renderer) showPods(s *snapshot.Snapshot, shown func(*encoder, *snapshot.Container) bool) {
	e := &r.encoder
	for i := range s.Pods {
		pod := &s.Pods[i]
		if !isLatest(s.Pods, i) {
			continue
		}
		r.pods = append(r.pods, podRow{pod, e.addBlock(podLabels[:], pod.Namespace, pod.Name)})
		for j := range pod.Containers {
			if container := &pod.Containers[j]; shown(e, container) {
				b := e.addBlock(podContainerLabels[:], container.Name, pod.Namespace, pod.Name)
				r.containers = append(r.containers, containerRow{container, b})
			}
		}
	}
}

// isLatest tells whether the pod at i started last of those of its name, which stand side by side. Of two that started at once
// it is the second.
func isLatest(pods []snapshot.Pod, i int) bool {
	pod := &pods[i]
	same := func(j int) bool {
		return j >= 0 && j < len(pods) && pods[j].Name == pod.Name && pods[j].Namespace == pod.Namespace
	}
	for j := i - 1; same(j); j-- {
		if pods[j].Started.After(pod.Started) {
			return false
		}
	}
	for j := i + 1; same(j); j++ {
		if !pods[j].Started.Before(pod.Started) {
			return false
		}
	}
	return true
}

// sampled tells whether a container has all that metrics-server needs. One row of a container without CPU time or memory, be it
// its start alone, and metrics-server drops the whole pod.
func (e *encoder) sampled(container *snapshot.Container) bool {
	cgroup := container.Cgroup
	if cgroup == nil {
		return false
	}
	_, cpu := cgroup.Get(snapshot.CPUUsage)
	_, memory := cgroup.Get(snapshot.MemoryWorkingSet)
	return (cpu || !e.groups.Has(snapshot.CPUUse)) && (memory || !e.groups.Has(snapshot.MemoryUse))
}

// ofContainer emits a number of a container's cgroup.
func ofContainer(f snapshot.Field) func(*encoder, *snapshot.Container) {
	return func(e *encoder, container *snapshot.Container) {
		if n, ok := container.Cgroup.Get(f); ok {
			e.sample(n, decimals[snapshot.Fields[f].Unit])
		}
	}
}

// ofPod emits a number of a pod's cgroup. Without one (a kubelet without --cgroups-per-qos) it is the sum over its containers, if
// all of them have the number: a counter that lacks one of them goes back.
func ofPod(f snapshot.Field) func(*encoder, *snapshot.Pod) {
	return func(e *encoder, pod *snapshot.Pod) {
		if pod.Cgroup != nil {
			if n, ok := pod.Cgroup.Get(f); ok {
				e.sample(n, decimals[snapshot.Fields[f].Unit])
			}
			return
		}
		sum := uint64(0)
		for i := range pod.Containers {
			cgroup := pod.Containers[i].Cgroup
			if cgroup == nil {
				return
			}
			n, ok := cgroup.Get(f)
			if !ok {
				return
			}
			sum += n
		}
		if len(pod.Containers) > 0 {
			e.sample(sum, decimals[snapshot.Fields[f].Unit])
		}
	}
}

// started emits the start to the nanosecond, as far as a float has them: metrics-server looks whether it moved.
func started(e *encoder, container *snapshot.Container) {
	if at := container.Started; at.Unix() > 0 {
		e.sample(uint64(at.UnixNano()), decimals[snapshot.Nanoseconds])
	}
}

// swapLimit emits what the kubelet does: what is available and what is used together, which is the limit, but never less than
// what is used. It is absent where there is no limit, or nobody knows what is used.
func swapLimit(e *encoder, container *snapshot.Container) {
	cgroup := container.Cgroup
	used, ok := cgroup.Get(snapshot.MemorySwap)
	if !ok || cgroup.Spec == nil {
		return
	}
	if limit := cgroup.Spec.SwapLimit; limit.Present && limit.Value <= maxLimit {
		e.sample(max(limit.Value, used), 0)
	}
}
