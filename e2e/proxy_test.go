package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	core "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/util/retry"
	"k8s.io/kubelet/pkg/apis/stats/v1alpha1"

	"github.com/nodevitals/nodevitals/e2e/cluster"
)

// What the API server's proxies forward, and to whom they show which certificate: docs/integrations/node-proxy.md. A node whose
// endpoint is nodevitals is asked with the API server's own.
func TestNodeProxy(t *testing.T) {
	needPulled(t)
	stand := registerNode(t, "without-kubelet", cluster.NodeAddress, pulledPort)
	for _, address := range []string{stand, fmt.Sprintf("https:%s:%d", stand, pulledPort)} {
		t.Run(address, func(t *testing.T) {
			path := "/api/v1/nodes/" + address + "/proxy"
			for _, ask := range []struct{ path, want string }{
				{"/metrics/cadvisor", `container_cpu_usage_seconds_total{`},
				{"/metrics/resource", `pod_cpu_usage_seconds_total{`},
				{"/metrics", `nodevitals_build_info{`},
				{"/healthz", "ok"},
			} {
				said, err := node.Kubectl(t.Context(), "", "get", "--raw", path+ask.path)
				if err != nil || !strings.Contains(said, ask.want) {
					t.Errorf("%s: got error %v and %d bytes without %q: %.200s", ask.path, err, len(said), ask.want, said)
				}
			}
			said, err := node.Kubectl(t.Context(), "", "get", "--raw", path+summaryPath)
			if err != nil {
				t.Fatal(err)
			}
			wantLastingPods(t, []byte(said))
		})
	}
}

// The API server shows its certificate to a node's own port alone, and the caller's token to nobody. Another port of a node, a service or a pod is
// asked as nobody, and the secure port lets nobody in.
func TestProxyIsNobodyElsewhere(t *testing.T) {
	needPulled(t)
	const service = "nodevitals-pulled"
	// The API server goes to pods alone, and this one has the node's address.
	_, err := node.Kubectl(t.Context(), fmt.Sprintf(`
apiVersion: v1
kind: Service
metadata: {name: %s, namespace: default}
spec: {selector: {app: host-network}, ports: [{name: https, port: %d}]}
`, service, pulledPort), "apply", "-f", "-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if _, err := node.Kubectl(context.WithoutCancel(t.Context()), "", "delete", "service/"+service); err != nil {
			t.Log(err)
		}
	})
	// Who may do all of it, and is let in by the agent itself.
	account := scraper(t, "e2e-proxying", "nodes/proxy", "nodes/metrics", "services/proxy", "pods/proxy")
	caller := sender{token: tokenOf(t, account)}
	agent := fmt.Sprintf("https://%s:%d", cluster.NodeAddress, pulledPort)
	err = cluster.Await(t.Context(), secureLimit, "the account's right to metrics at "+agent, func(ctx context.Context) error {
		got, err := caller.ask(ctx, node.CA(), http.MethodGet, agent+resourcePath)
		if err == nil && got.status != http.StatusOK {
			err = fmt.Errorf("status %d: %.300s", got.status, got.body)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{
		fmt.Sprintf("/api/v1/nodes/https:%s:%d/proxy", cluster.NodeName, pulledPort),
		fmt.Sprintf("/api/v1/namespaces/default/services/https:%s:https/proxy", service),
		fmt.Sprintf("/api/v1/namespaces/default/pods/https:host-network:%d/proxy", pulledPort),
	} {
		err := cluster.Await(t.Context(), 2*time.Minute, "a refusal at "+path, func(ctx context.Context) error {
			said, err := node.Kubectl(ctx, "", "get", "--raw", path+resourcePath)
			if err == nil {
				return cluster.Stop(fmt.Errorf("it let somebody in: %.100q", said))
			}
			if !strings.Contains(err.Error(), "You must be logged in") {
				return err
			}
			return nil
		})
		if err != nil {
			t.Error(err)
		}
		err = cluster.Await(t.Context(), secureLimit, "a refusal of a caller with a token at "+path, func(ctx context.Context) error {
			got, err := caller.ask(ctx, node.CA(), http.MethodGet, "https://"+cluster.ServiceAddress+path+resourcePath)
			if err != nil {
				return err
			}
			if got.status == http.StatusOK {
				return cluster.Stop(fmt.Errorf("the token was passed on: %.100q", got.body))
			}
			// In nodevitals' words. The API server's own would be an object, such as that it does not know the caller or that he may not.
			if got.status != http.StatusUnauthorized || !strings.HasPrefix(got.body, "Unauthorized") {
				return fmt.Errorf("status %d: %.300q", got.status, got.body)
			}
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	}
}

// registerNode makes a node as one without a kubelet would stand in the API: with an address, the port that is asked in place of a kubelet's, and what
// this machine has, of which kubectl top makes percentages.
func registerNode(t *testing.T, name, address string, port int32) string {
	t.Helper()
	ctx := t.Context()
	nodes := node.Client().CoreV1().Nodes()
	made, err := nodes.Create(ctx, &core.Node{
		ObjectMeta: meta.ObjectMeta{Name: name}, Spec: core.NodeSpec{Unschedulable: true},
	}, meta.CreateOptions{})
	if err != nil {
		t.Fatalf("register node %s: %v", name, err)
	}
	t.Cleanup(func() {
		if _, err := node.Kubectl(context.WithoutCancel(t.Context()), "", "delete", "node", name); err != nil {
			t.Log(err)
		}
	})
	first, err := nodes.Get(ctx, cluster.NodeName, meta.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	err = retry.RetryOnConflict(retry.DefaultBackoff, func() error {
		made.Status.Capacity, made.Status.Allocatable = first.Status.Capacity, first.Status.Allocatable
		made.Status.Addresses = []core.NodeAddress{{Type: core.NodeInternalIP, Address: address}}
		made.Status.DaemonEndpoints.KubeletEndpoint.Port = port
		_, err := nodes.UpdateStatus(ctx, made, meta.UpdateOptions{})
		if apierrors.IsConflict(err) {
			made, _ = nodes.Get(ctx, name, meta.GetOptions{}) // the controllers have written to it
		}
		return err
	})
	if err != nil {
		t.Fatalf("give node %s its address: %v", name, err)
	}
	return name
}

// wantLastingPods wants every pod that is there to stay in a summary, with its CPU and memory.
func wantLastingPods(t *testing.T, text []byte) {
	t.Helper()
	var summary v1alpha1.Summary
	if err := json.Unmarshal(text, &summary); err != nil {
		t.Fatalf("decode a summary: %v", err)
	}
	got := map[string]bool{}
	for _, pod := range summary.Pods {
		for _, c := range pod.Containers {
			if c.CPU != nil && c.CPU.UsageCoreNanoSeconds != nil && c.Memory != nil && c.Memory.WorkingSetBytes != nil {
				got[pod.PodRef.Namespace+"/"+pod.PodRef.Name+"/"+c.Name] = true
			}
		}
	}
	for _, name := range lasting() {
		if !got[name] {
			t.Errorf("the summary has no CPU and memory of %s", name)
		}
	}
}
