package e2e

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	meta "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/nodevitals/nodevitals/e2e/cluster"
	"github.com/nodevitals/nodevitals/e2e/compare"
)

// A node without a kubelet: containerd alone tells names, nodevitals has the kubelet's ports, and the API server's node proxy asks it.
// docs/integrations/beside-and-instead.md.
func TestNodeWithoutKubelet(t *testing.T) {
	needAgent(t)
	needOnlyOnce(t)
	awaitPods(t)
	stopKubelet(t)
	startAlone(t)
	pod := &cluster.RuntimePod{
		Namespace: meta.NamespaceDefault, Name: "by-runtime", UID: "5f0c6f3e-2a55-4a0e-9f0e-6a5d1f6f7c01", Args: []string{"burn", "20", "8"},
	}
	if err := pod.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := pod.Remove(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	})
	t.Run("curl 127.0.0.1:10248/healthz", func(t *testing.T) {
		said, err := node.Get(t.Context(), "http://127.0.0.1:10248/healthz")
		if err != nil || string(said) != "ok" {
			t.Errorf("got %q and error %v, want ok", said, err)
		}
	})
	t.Run("names of the runtime", func(t *testing.T) { testNamesOfRuntime(t, pod) })
	t.Run("the API server's proxy", func(t *testing.T) { testProxyInstead(t, pod) })
}

// startAlone runs nodevitals with the kubelet's ports, which are its own defaults, and the runtime as its source of names.
func startAlone(t *testing.T) {
	t.Helper()
	binary, err := agentBinary()
	if err != nil {
		t.Fatal(err)
	}
	server := cluster.Server{Name: "nodevitals-instead", Hosts: []string{cluster.NodeName}, Addresses: []string{cluster.NodeAddress, "127.0.0.1"}}
	if err := node.Issue(server); err != nil {
		t.Fatal(err)
	}
	certificate, key := node.Certificate(server.Name)
	_, err = node.Start(t.Context(), cluster.Component{
		Name: server.Name, Path: binary, Cgroup: node.Cgroup(server.Name + ".service"),
		Args: []string{
			"--pod-source=cri", "--container-runtime-endpoint=unix://" + node.RuntimeSocket(), "--runtime-cgroups=" + node.ContainerdCgroup(),
			"--kubeconfig=" + node.Kubeconfig("nodevitals"), "--client-ca-file=" + node.CA(),
			"--tls-cert-file=" + certificate, "--tls-private-key-file=" + key, "--node-name=" + cluster.NodeName, "--root-dir=" + node.RootDir(),
		},
		Until: "its health at 127.0.0.1:10248/readyz", Limit: 2 * time.Minute,
		Ready: func(ctx context.Context) error {
			_, err := node.Get(ctx, "http://127.0.0.1:10248/readyz")
			return err
		},
	})
	// Its ports must be free for the kubelet before that comes back.
	t.Cleanup(func() {
		if p := node.Process(server.Name); p != nil {
			if err := node.End(p); err != nil {
				t.Error(err)
			}
		}
	})
	if err != nil {
		t.Fatal(err)
	}
}

// testNamesOfRuntime wants every pod by its names, those that the kubelet left running and the one that it never knew.
func testNamesOfRuntime(t *testing.T, pod *cluster.RuntimePod) {
	const readOnly = "http://127.0.0.1:10255"
	usage := fmt.Sprintf("pods[%s/%s].containers[only].cpu.usageCoreNanoSeconds", pod.Namespace, pod.Name)
	var text []byte
	err := cluster.Await(t.Context(), 2*time.Minute, usage+" in the summary", func(ctx context.Context) (err error) {
		if text, err = node.Get(ctx, readOnly+summaryPath); err != nil {
			return err
		}
		document, err := compare.ParseSummary(text)
		if err != nil {
			return cluster.Stop(err)
		}
		if document[usage].Number == 0 {
			return fmt.Errorf("it has %d figures and not that", len(document))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	wantLastingPods(t, text)
	for path, want := range map[string]string{
		cadvisorPath: fmt.Sprintf(`image=%q,name=`, cluster.AppImage),
		resourcePath: fmt.Sprintf(`pod_memory_working_set_bytes{namespace=%q,pod=%q}`, pod.Namespace, pod.Name),
		"/metrics":   "nodevitals_pod_source_connected{source=\"cri\"} 1\n",
	} {
		said, err := node.Get(t.Context(), readOnly+path)
		if err != nil || !strings.Contains(string(said), want) {
			t.Errorf("%s: got error %v and %d bytes without %q", path, err, len(said), want)
		}
		if strings.Contains(string(said), `nodevitals_pod_source_connected{source="api"}`) {
			t.Error("the API server is asked for names, too")
		}
	}
}

// testProxyInstead asks through the API server: the Node object says the kubelet's port, and nodevitals has it.
func testProxyInstead(t *testing.T, pod *cluster.RuntimePod) {
	object, err := node.Client().CoreV1().Nodes().Get(t.Context(), cluster.NodeName, meta.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if port := object.Status.DaemonEndpoints.KubeletEndpoint.Port; port != 10250 {
		t.Errorf("the Node object's port is %d, want 10250", port)
	}
	for path, want := range map[string]string{
		"/healthz": "ok", cadvisorPath: `pod="` + pod.Name + `"`, resourcePath: `pod="` + pod.Name + `"`, "/metrics": "nodevitals_build_info{",
		summaryPath: pod.UID,
	} {
		said, err := node.Kubectl(t.Context(), "", "get", "--raw", "/api/v1/nodes/"+cluster.NodeName+"/proxy"+path)
		if err != nil || !strings.Contains(said, want) {
			t.Errorf("%s: got error %v and %d bytes without %q: %.200s", path, err, len(said), want, said)
		}
	}
}
