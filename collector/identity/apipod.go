package identity

import (
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// Annotations of the kubelet on pods from files (k8s.io/kubernetes/pkg/kubelet/types). The mirror is the pod that the kubelet makes
// at the API server to show such a pod; its UID is its own, and the hash is the UID of the pod that runs.
const (
	configMirror = "kubernetes.io/config.mirror"
	configHash   = "kubernetes.io/config.hash"
)

// uidOf returns the UID that the kubelet has for a pod of the API server.
func uidOf(pod *corev1.Pod) string {
	mirror, ok := pod.Annotations[configMirror]
	switch {
	case !ok:
		return string(pod.UID)
	case pod.Annotations[configHash] != "":
		return pod.Annotations[configHash]
	}
	return mirror
}

// fromPod takes from a pod of the API server what is needed. A pod is some ten kilobytes, most of it of no use here; what is taken
// holds no part of the rest, because decoders make each string by itself.
func fromPod(pod *corev1.Pod) *report {
	r := &report{
		pod: Pod{
			Name:        pod.Name,
			Namespace:   pod.Namespace,
			UID:         uidOf(pod),
			APIUID:      string(pod.UID),
			Phase:       string(pod.Status.Phase),
			HostNetwork: pod.Spec.HostNetwork,
			Volumes:     volumesOf(pod),

			EphemeralStorageLimit: storageLimitOf(&pod.Spec),
		},
		made:      pod.CreationTimestamp.Time,
		accounted: true,
	}
	if started := pod.Status.StartTime; started != nil {
		r.acknowledged = started.Time
	}
	ended := pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed
	add := func(name string, kind ContainerKind, policy corev1.RestartPolicy, statuses []corev1.ContainerStatus, limits corev1.ResourceList) {
		status := statusOf(name, statuses)
		one := fromStatus(name, kind, status)
		one.EphemeralStorageLimit = storageLimit(limits)
		r.containers = append(r.containers, container{Container: one})
		r.accounted = r.accounted && (ended || accountedFor(status, policy))
		r.crio = r.crio || status != nil && strings.HasPrefix(status.ContainerID, "cri-o://")
	}
	for i := range pod.Spec.InitContainers {
		c := &pod.Spec.InitContainers[i]
		kind, policy := Init, pod.Spec.RestartPolicy
		if policy == corev1.RestartPolicyAlways {
			// An init container that ended well stays ended.
			policy = corev1.RestartPolicyOnFailure
		}
		if c.RestartPolicy != nil {
			policy = corev1.RestartPolicy(*c.RestartPolicy)
		}
		if policy == corev1.RestartPolicyAlways {
			kind = Sidecar
		}
		add(c.Name, kind, policy, pod.Status.InitContainerStatuses, c.Resources.Limits)
	}
	for i := range pod.Spec.Containers {
		c := &pod.Spec.Containers[i]
		policy := pod.Spec.RestartPolicy
		if c.RestartPolicy != nil {
			policy = corev1.RestartPolicy(*c.RestartPolicy)
		}
		add(c.Name, Regular, policy, pod.Status.ContainerStatuses, c.Resources.Limits)
	}
	for i := range pod.Spec.EphemeralContainers {
		add(pod.Spec.EphemeralContainers[i].Name, Ephemeral, corev1.RestartPolicyNever, pod.Status.EphemeralContainerStatuses, nil)
	}
	return r
}

func statusOf(name string, statuses []corev1.ContainerStatus) *corev1.ContainerStatus {
	for i := range statuses {
		if statuses[i].Name == name {
			return &statuses[i]
		}
	}
	return nil
}

// fromStatus makes a container of its status, which is nil before the kubelet has seen the container.
func fromStatus(name string, kind ContainerKind, status *corev1.ContainerStatus) Container {
	c := Container{Name: name, Kind: kind}
	if status == nil {
		return c
	}
	c.ID = trimScheme(status.ContainerID)
	c.Image = imageName(status.Image, status.ImageID)
	c.Restarts = status.RestartCount
	switch {
	case status.State.Running != nil:
		c.Running, c.Started = true, status.State.Running.StartedAt.Time
	case status.State.Terminated != nil:
		c.Started = status.State.Terminated.StartedAt.Time
	}
	return c
}

// accountedFor tells whether the container can have no other cgroup than that of the ID in its status.
func accountedFor(status *corev1.ContainerStatus, policy corev1.RestartPolicy) bool {
	if status == nil || status.ContainerID == "" {
		return false
	}
	if status.State.Running != nil {
		return true
	}
	terminated := status.State.Terminated
	if terminated == nil {
		return false
	}
	return policy == corev1.RestartPolicyNever || policy == corev1.RestartPolicyOnFailure && terminated.ExitCode == 0
}

// imageName returns the image as containerd and CRI-O call it, and with them the kubelet's labels: the name with its tag, or for an
// image that was pulled by digest and so has no tag the name with the digest, or else the bare ID.
func imageName(image, imageID string) string {
	if isImageID(image) || image == "" {
		if id := trimScheme(imageID); id != "" && (image == "" || !isImageID(id)) {
			return id
		}
	}
	return image
}

func isImageID(image string) bool { return strings.HasPrefix(image, "sha256:") || isContainerID(image) }

// trimScheme takes off "containerd://", "docker-pullable://".
func trimScheme(id string) string {
	if _, after, ok := strings.Cut(id, "://"); ok {
		return after
	}
	return id
}
