package identity

import (
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	corev1 "k8s.io/api/core/v1"
)

func withClaims(pod *corev1.Pod, claims ...string) *corev1.Pod {
	for _, claim := range claims {
		pod.Spec.Volumes = append(pod.Spec.Volumes, corev1.Volume{Name: "of-" + claim, VolumeSource: corev1.VolumeSource{
			PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: claim},
		}})
	}
	return pod
}

// other is a pod besides that of podOf.
func other() *corev1.Pod {
	pod := podOf("other")
	pod.UID = "0b3ac8c4-1b7a-4a3e-8f0d-5f1f6c3c2b1a"
	return pod
}

// volumesSeen lists the pod's volumes with the PersistentVolumes that are known.
func volumesSeen(x *Index, name string) string {
	var seen []string
	for _, pod := range x.Pods() {
		if pod.Name != name {
			continue
		}
		for _, volume := range pod.Volumes {
			seen = append(seen, volume.Claim+"="+volume.PVName)
		}
	}
	return strings.Join(seen, " ")
}

// Claims are asked for once each, and their PersistentVolumes are known as long as a pod has them.
func TestClaimsAreBound(t *testing.T) {
	api := newFakeAPI(t)
	var asked atomic.Int64
	api.troubled(func(w http.ResponseWriter, r *http.Request) bool {
		_, claim, ok := strings.Cut(r.URL.Path, "/persistentvolumeclaims/")
		if !ok {
			return false
		}
		asked.Add(1)
		w.Header().Set("Content-Type", "application/json")
		if claim == "secret" {
			w.WriteHeader(http.StatusForbidden)
			fmt.Fprint(w, `{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"Forbidden","code":403}`)
			return true
		}
		volume := "pv-of-" + claim
		if claim == "pending" {
			volume = ""
		}
		fmt.Fprintf(w, `{"kind":"PersistentVolumeClaim","apiVersion":"v1","metadata":{"name":%q},"spec":{"volumeName":%q}}`, claim, volume)
		return true
	})
	api.set(withClaims(podOf("web"), "data", "pending", "secret", "logs"))
	api.start()
	x := runAPI(t, api.config(), patient)
	want := "data=pv-of-data pending= secret= logs=pv-of-logs"
	eventually(t, "the claims of web are bound", func() bool { return volumesSeen(x, "web") == want })
	api.set(withClaims(other(), "data"))
	eventually(t, "the known claim of other is bound", func() bool { return volumesSeen(x, "other") == "data=pv-of-data" })
	if got := asked.Load(); got != 4 {
		t.Errorf("questions: got %d, want one for each of 4 claims", got)
	}
	api.remove(podOf("web"))
	api.remove(other())
	eventually(t, "the claims of no pod are forgotten", func() bool {
		x.Pods()
		x.mutex.Lock()
		defer x.mutex.Unlock()
		return len(x.claims) == 0
	})
}
