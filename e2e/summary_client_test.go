package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"k8s.io/kubelet/pkg/apis/stats/v1alpha1"

	"github.com/nodevitals/nodevitals/e2e/cluster"
)

// Clients of the Summary API as metrics-server was up to 0.5, and heapster: docs/integrations/summary-clients.md.
func TestSummaryClients(t *testing.T) {
	needPulled(t)
	secure, err := node.AdminTLS()
	if err != nil {
		t.Fatal(err)
	}
	for _, base := range []string{pulledURL, fmt.Sprintf("https://%s:%d", cluster.NodeAddress, pulledPort)} {
		for _, method := range []string{http.MethodGet, http.MethodPost} {
			for _, path := range []string{"/stats/summary?only_cpu_and_memory=true", "/stats/summary/?only_cpu_and_memory=true", "/stats/summary/"} {
				t.Run(method+" "+base+path, func(t *testing.T) {
					got, err := askWith(t.Context(), secure, "", method, base+path)
					if err != nil || got.status != http.StatusOK {
						t.Fatalf("status %d, %v: %.300s", got.status, err, got.body)
					}
					wantLastingPods(t, []byte(got.body))
					wantSummary(t, []byte(got.body), strings.Contains(path, "only_cpu_and_memory=true"))
				})
			}
		}
	}
}

// wantSummary reads what those clients read of a node: its name, and rates and bytes with their times. One of only CPU and memory has nothing else.
func wantSummary(t *testing.T, text []byte, only bool) {
	t.Helper()
	var summary v1alpha1.Summary
	if err := json.Unmarshal(text, &summary); err != nil {
		t.Fatalf("decode with the published types: %v", err)
	}
	n := summary.Node
	switch {
	case n.NodeName != cluster.NodeName:
		t.Errorf("node: got %q, want %q", n.NodeName, cluster.NodeName)
	case n.CPU == nil || n.CPU.UsageNanoCores == nil || n.CPU.Time.IsZero():
		t.Errorf("the node's CPU: got %+v", n.CPU)
	case n.Memory == nil || n.Memory.WorkingSetBytes == nil || n.Memory.Time.IsZero():
		t.Errorf("the node's memory: got %+v", n.Memory)
	}
	for _, pod := range summary.Pods {
		if pod.PodRef.UID == "" || pod.StartTime.IsZero() {
			t.Errorf("pod %s/%s: got UID %q and start %v", pod.PodRef.Namespace, pod.PodRef.Name, pod.PodRef.UID, pod.StartTime)
		}
	}
	besides := map[string]bool{
		"the node's fs": n.Fs != nil, "the node's network": n.Network != nil, "a pod's network": false,
	}
	if only && n.Runtime != nil {
		t.Errorf("the node's runtime is there: %+v", n.Runtime)
	}
	for i := range summary.Pods {
		pod := &summary.Pods[i]
		besides["a pod's network"] = besides["a pod's network"] || pod.Network != nil
		if only && (len(pod.VolumeStats) > 0 || pod.EphemeralStorage != nil || pod.ProcessStats != nil) {
			t.Errorf("pod %s has volumes %+v, storage %+v and processes %+v", pod.PodRef.Name, pod.VolumeStats, pod.EphemeralStorage, pod.ProcessStats)
		}
		for j := range pod.Containers {
			if c := &pod.Containers[j]; only && (c.Rootfs != nil || c.Logs != nil) {
				t.Errorf("container %s of pod %s has rootfs %+v and logs %+v", c.Name, pod.PodRef.Name, c.Rootfs, c.Logs)
			}
		}
	}
	for what, there := range besides {
		if there == only {
			t.Errorf("%s is there: %t, want %t", what, there, !only)
		}
	}
}
