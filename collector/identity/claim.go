package identity

import (
	"context"
	"fmt"
	"slices"
	"time"

	"go.uber.org/zap"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/nodevitals/nodevitals/logging"
)

// claims are the PersistentVolumes that this node's claims are bound to, by the claim's namespace and name. A pod's folder has a
// volume under the name of its PersistentVolume, so a pod with several claims cannot be measured without them. A binding never changes.
type claims map[podName]string

// bound returns the pod's volumes with the PersistentVolumes that are known. The pod's own are never changed. The mutex is held.
func (x *Index) bound(pod *Pod, used claims) []Volume {
	volumes, copied := pod.Volumes, false
	for i := range pod.Volumes {
		claim := podName{pod.Namespace, pod.Volumes[i].Claim}
		if claim.name == "" {
			continue
		}
		pv, known := x.claims[claim]
		if !known {
			continue
		}
		used[claim] = pv
		if !copied {
			volumes, copied = slices.Clone(pod.Volumes), true
		}
		volumes[i].PVName = pv
	}
	return volumes
}

// unbound lists the claims of known pods whose PersistentVolume is not known.
func (x *Index) unbound() []podName {
	x.mutex.Lock()
	defer x.mutex.Unlock()
	var missing []podName
	for _, e := range x.pods {
		for i := range e.pod.Volumes {
			claim := podName{e.pod.Namespace, e.pod.Volumes[i].Claim}
			if _, known := x.claims[claim]; claim.name != "" && !known && !slices.Contains(missing, claim) {
				missing = append(missing, claim)
			}
		}
	}
	return missing
}

// bind notes a claim's PersistentVolume.
func (x *Index) bind(claim podName, pv string) {
	x.mutex.Lock()
	defer x.mutex.Unlock()
	x.claims[claim] = pv
	x.generation.Add(1)
}

// bindClaims asks the API server for what claims are bound to, until ctx ends: when a pod comes with a claim, and again after a while
// where the answer was of no use.
func (a *APIServer) bindClaims(ctx context.Context) {
	ticker := time.NewTicker(a.claimRetry)
	defer ticker.Stop()
	tried := make(map[podName]time.Time)
	for {
		for _, claim := range a.index.unbound() {
			if time.Since(tried[claim]) < a.claimRetry {
				continue
			}
			tried[claim] = time.Now()
			if err := a.bindClaim(ctx, claim); err != nil && ctx.Err() == nil {
				a.claimFailed(claim, err)
			}
		}
		for claim, at := range tried {
			if time.Since(at) > 2*a.claimRetry {
				delete(tried, claim)
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-a.claims:
		case <-ticker.C:
		}
	}
}

func (a *APIServer) bindClaim(ctx context.Context, claim podName) error {
	ctx, cancel := context.WithTimeout(ctx, a.claimPatience)
	defer cancel()
	var got corev1.PersistentVolumeClaim
	err := a.client.Get().Namespace(claim.namespace).Resource("persistentvolumeclaims").Name(claim.name).Do(ctx).Into(&got)
	if err != nil {
		return fmt.Errorf("get claim %s/%s: %w", claim.namespace, claim.name, logging.WithoutBody(err))
	}
	if got.Spec.VolumeName != "" {
		a.index.bind(claim, got.Spec.VolumeName)
	}
	return nil
}

// claimFailed says once what it means that claims may not be read.
func (a *APIServer) claimFailed(claim podName, err error) {
	if apierrors.IsNotFound(err) || a.claimsRefused {
		return
	}
	a.claimsRefused = true
	a.log.Warn("a PersistentVolumeClaim cannot be read, so volumes of pods with several claims stay unmeasured; allow get on persistentvolumeclaims",
		zap.String("namespace", claim.namespace), zap.String("claim", claim.name), zap.Error(err))
}

// wantClaims tells that a pod came or changed.
func (a *APIServer) wantClaims() {
	select {
	case a.claims <- struct{}{}:
	default:
	}
}
