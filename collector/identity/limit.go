package identity

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
)

// bytesOf returns a quantity of bytes; 0 where there is none or it is nonsense.
func bytesOf(quantity *resource.Quantity) uint64 {
	if quantity == nil {
		return 0
	}
	return uint64(max(0, quantity.Value()))
}

// storageLimit returns the limit of ephemeral storage of a container's spec, 0 where there is none.
func storageLimit(limits corev1.ResourceList) uint64 {
	quantity, ok := limits[corev1.ResourceEphemeralStorage]
	if !ok {
		return 0
	}
	return bytesOf(&quantity)
}

// storageLimitOf returns the limit of ephemeral storage at which the kubelet evicts a pod, 0 where there is none: the sum over
// the containers that run side by side or, if it is more, what an init container may take beside the sidecars before it,
// and the overhead of the pod's runtime class. A container without a limit adds nothing, as in a kubelet.
func storageLimitOf(spec *corev1.PodSpec) uint64 {
	var together, sidecars, starting uint64
	for i := range spec.InitContainers {
		c := &spec.InitContainers[i]
		limit := storageLimit(c.Resources.Limits)
		if c.RestartPolicy != nil && *c.RestartPolicy == corev1.ContainerRestartPolicyAlways {
			sidecars += limit
			limit = 0
		}
		starting = max(starting, sidecars+limit)
	}
	together = sidecars
	for i := range spec.Containers {
		together += storageLimit(spec.Containers[i].Resources.Limits)
	}
	most := max(together, starting)
	if most == 0 {
		return 0
	}
	return most + storageLimit(spec.Overhead)
}
