package identity

import (
	"context"
	"errors"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// ListPods asks the API server for this node's pods and returns them as the node's kubelet has them: a static pod has the UID that its
// cgroup has, and not that of its mirror. What tells who wrote which field (managedFields) is left out, since it is half of the text and
// concerns nobody who reads a node.
//
// The API server answers from its cache, so the pods may be those of a moment ago. The list is the caller's. An error says why there is
// none, also when the API server does not answer within 15 s; nothing of it touches what Run keeps.
func (a *APIServer) ListPods(ctx context.Context) (*corev1.PodList, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, a.patience, errNoAnswer)
	defer cancel()
	list := &corev1.PodList{}
	err := plainList{a}.request(metav1.ListOptions{ResourceVersion: "0"}).Do(ctx).Into(list)
	if cause := context.Cause(ctx); err != nil && errors.Is(cause, errNoAnswer) {
		err = cause
	}
	if err != nil {
		return nil, fmt.Errorf("list pods of node %s: %w", a.nodeName, err)
	}
	for i := range list.Items {
		pod := &list.Items[i]
		pod.UID = types.UID(uidOf(pod))
		pod.ManagedFields = nil
	}
	return list, nil
}
