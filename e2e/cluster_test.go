package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	core "k8s.io/api/core/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/nodevitals/nodevitals/e2e/cluster"
	"github.com/nodevitals/nodevitals/e2e/workload"
)

// Pods come up together, slowly on an emulated processor.
const podsLimit = 6 * time.Minute

func TestNodeIsOfTheVersionThatWasBuilt(t *testing.T) {
	needCluster(t)
	got, err := node.Client().CoreV1().Nodes().Get(t.Context(), cluster.NodeName, meta.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	server, err := node.Client().Discovery().ServerVersion()
	if err != nil {
		t.Fatal(err)
	}
	info := got.Status.NodeInfo
	t.Logf("kubelet %s, API server %s, %s, kernel %s", info.KubeletVersion, server.GitVersion, info.ContainerRuntimeVersion, info.KernelVersion)
	if info.KubeletVersion != server.GitVersion || !strings.HasPrefix(info.KubeletVersion, "v1.37.") {
		t.Errorf("the kubelet is %s and the API server %s, want both of one release of 1.37", info.KubeletVersion, server.GitVersion)
	}
	if !strings.HasPrefix(info.ContainerRuntimeVersion, "containerd://") {
		t.Errorf("the runtime is %s, want containerd", info.ContainerRuntimeVersion)
	}
	if address := got.Status.Addresses[0]; address.Type != core.NodeInternalIP || address.Address != cluster.NodeAddress {
		t.Errorf("the node's address is %v, want the internal one %s", address, cluster.NodeAddress)
	}
}

func TestPodsReachTheirStates(t *testing.T) {
	needCluster(t)
	awaitPods(t)
}

// awaitPods is for every test that needs the pods: it waits only the first time.
func awaitPods(t *testing.T) {
	t.Helper()
	if err := workload.AwaitStates(t.Context(), node, podsLimit); err != nil {
		t.Fatal(err)
	}
}

// A pod with the account that every pod gets reaches the API server at its service's address, as an agent in a pod will.
func TestPodsHaveAccounts(t *testing.T) {
	needCluster(t)
	awaitPods(t)
	pod, err := node.Client().CoreV1().Pods(workload.Monitoring).Get(t.Context(), "best-effort", meta.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if pod.Spec.ServiceAccountName != "default" {
		t.Errorf("the pod's account is %q, want default", pod.Spec.ServiceAccountName)
	}
	for _, volume := range pod.Spec.Volumes {
		if volume.Projected != nil {
			return
		}
	}
	t.Errorf("the pod has no volume with a token: %v", pod.Spec.Volumes)
}

func TestKubeletAnswers(t *testing.T) {
	needCluster(t)
	awaitPods(t)
	t.Run("summary", func(t *testing.T) {
		// The kubelet lists a container once it has sampled it.
		awaitAnswer(t, "every pod that runs, in /stats/summary", "/stats/summary", func(text []byte) error {
			var summary struct {
				Pods []struct {
					PodRef     struct{ Name, Namespace string }
					Containers []struct{ Name string }
				}
			}
			if err := json.Unmarshal(text, &summary); err != nil {
				return cluster.Stop(err)
			}
			seen := map[string]int{}
			for _, pod := range summary.Pods {
				seen[pod.PodRef.Namespace+"/"+pod.PodRef.Name] = len(pod.Containers)
			}
			for _, pod := range workload.Pods() {
				if seen[pod.Key()] == 0 && pod.Name != "completed" {
					return fmt.Errorf("pod %s has no containers there; seen: %v", pod.Key(), seen)
				}
			}
			return nil
		})
	})
	for path, family := range map[string]string{
		"/metrics/cadvisor": "container_cpu_usage_seconds_total", "/metrics/resource": "container_memory_working_set_bytes",
	} {
		t.Run(path, func(t *testing.T) {
			awaitAnswer(t, family+" of container only, in "+path, path, func(text []byte) error {
				for line := range strings.Lines(string(text)) {
					if strings.HasPrefix(line, family+"{") && strings.Contains(line, `container="only"`) {
						return nil
					}
				}
				return fmt.Errorf("%d bytes without it", len(text))
			})
		})
	}
}

// awaitAnswer asks the kubelet until the answer is as wanted.
func awaitAnswer(t *testing.T, what, path string, wanted func([]byte) error) {
	t.Helper()
	ctx := t.Context()
	err := cluster.Await(ctx, 2*time.Minute, what, func(ctx context.Context) error {
		text, err := node.Kubelet(ctx, path)
		if err != nil {
			return err
		}
		return wanted(text)
	})
	if err != nil {
		t.Fatal(err)
	}
}
