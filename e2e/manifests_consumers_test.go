package e2e

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/yaml"

	"github.com/nodevitals/nodevitals/e2e/cluster"
	"github.com/nodevitals/nodevitals/e2e/prometheus"
)

// consumer is a test of one who reads the deployed agent.
type consumer func(*testing.T, *deployment, *reader)

// ownMetrics asks the deployed agent for its own metrics.
func (r *reader) ownMetrics(ctx context.Context) (string, error) {
	got, err := r.get(ctx, "/metrics")
	if err == nil && got.status != http.StatusOK {
		err = fmt.Errorf("/metrics: status %d: %.300s", got.status, got.body)
	}
	return got.body, err
}

// testMetricsServerReads has metrics-server ask the deployed agent for a while, in place of the one that the other tests have it ask.
func testMetricsServerReads(t *testing.T, _ *deployment, r *reader) {
	needMetricsServer(t)
	t.Cleanup(func() {
		if err := moveMetricsServer(context.WithoutCancel(t.Context()), pulledPort); err != nil {
			t.Errorf("have metrics-server ask as before: %v", err)
		}
	})
	before, err := answeredBy(t.Context(), resourcePath, r.ownMetrics)
	if err != nil {
		t.Fatal(err)
	}
	if err := moveMetricsServer(t.Context(), deployedPort); err != nil {
		t.Fatal(err)
	}
	// Its rates are of two readings.
	awaitAnswered(t, resourcePath, before, 2, r.ownMetrics)
}

// moveMetricsServer has metrics-server ask another port, and waits until it has samples that it took there.
func moveMetricsServer(ctx context.Context, port int) error {
	if err := applyMetricsServer(ctx, port); err != nil {
		return err
	}
	err := cluster.Await(ctx, rolloutLimit, "metrics-server that asks port "+fmt.Sprint(port), func(ctx context.Context) error {
		one, err := node.Client().AppsV1().Deployments("kube-system").Get(ctx, "metrics-server", meta.GetOptions{})
		if err != nil {
			return err
		}
		// The old pod is none of these, once it was told to end.
		status := one.Status
		if status.ObservedGeneration != one.Generation || status.Replicas != 1 || status.UpdatedReplicas != 1 || status.ReadyReplicas != 1 {
			said, _ := node.Kubectl(ctx, "", "logs", "--namespace=kube-system", "deployment/metrics-server", "--tail=5")
			return fmt.Errorf("generation %d, %+v; it says:\n%s", one.Generation, status, said)
		}
		return nil
	})
	if err != nil {
		return err
	}
	moved := time.Now()
	return cluster.Await(ctx, metricsServerLimit, "the node and a pod in metrics.k8s.io by samples that were taken since", func(ctx context.Context) error {
		nodes, err := nodeMetrics(ctx)
		if err != nil {
			return err
		}
		var pods podList
		if err := raw(ctx, "/apis/metrics.k8s.io/v1beta1/namespaces/monitoring/pods", &pods); err != nil {
			return err
		}
		taken := map[string]time.Time{}
		for _, one := range nodes.Items {
			taken[one.Metadata.Name] = one.Timestamp
		}
		for _, one := range pods.Items {
			taken[one.Metadata.Name] = one.Timestamp
		}
		for _, name := range []string{cluster.NodeName, "best-effort"} {
			if !taken[name].After(moved) {
				return fmt.Errorf("%s has a sample of %s, it is to be after %s", name, taken[name], moved)
			}
		}
		return nil
	})
}

// testPrometheusReads has a Prometheus scrape the deployed agent as the Prometheus Operator would configure it by the choice's own monitor, with the
// token and the authority that are named there.
func testPrometheusReads(t *testing.T, d *deployment, r *reader) {
	const url = "http://" + cluster.NodeAddress + ":19092"
	folder, err := os.MkdirTemp(node.StateDir(), "deployed-")
	if err != nil {
		t.Fatal(err)
	}
	ownToken := filepath.Join(folder, "own-token")
	if err := os.WriteFile(ownToken, []byte(r.token), 0o600); err != nil {
		t.Fatal(err)
	}
	discoverer(t)
	by := prometheus.Discovery{
		Server: "https://" + cluster.ServiceAddress, TLS: &prometheus.TLS{CA: node.CA()}, Authorization: &prometheus.Authorization{File: ownToken},
	}
	jobs, err := prometheus.ScrapeConfigs(objectIn(t, choice(t, d.name), "ServiceMonitor", "PodMonitor"), by, func(name string) (string, error) {
		if name == "/var/run/secrets/kubernetes.io/serviceaccount/token" {
			return ownToken, nil
		}
		return fileOfSecret(t.Context(), folder, name)
	})
	if err != nil {
		t.Fatal(err)
	}
	for i := range jobs {
		if jobs[i].TLS.InsecureSkipVerify || jobs[i].TLS.CA == "" || jobs[i].Authorization == nil {
			t.Errorf("%s would verify nobody, or show no token: %+v", jobs[i].JobName, jobs[i])
		}
		jobs[i].ScrapeInterval = "5s"
	}
	text, err := prometheus.DiscoveringConfiguration(jobs)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(folder, "prometheus.yml"), text, 0o600); err != nil {
		t.Fatal(err)
	}
	p, err := node.Start(t.Context(), discovering("prometheus-of-deployed", url, folder))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := node.End(p); err != nil {
			t.Error(err)
		}
	})
	server := &prometheus.Server{URL: url, Get: node.Get}
	for path, series := range map[string]string{
		// By the pod's own names, and not those of the agent that told of it.
		cadvisorPath: `container_memory_working_set_bytes{namespace="monitoring",pod="best-effort",container="only",`,
		"/metrics":   `nodevitals_build_info{namespace="` + deployed + `",`,
	} {
		labels := fmt.Sprintf(`job="nodevitals",metrics_path=%q,node=%q}`, path, cluster.NodeName)
		awaitSeriesOf(t, server, "up{"+labels, func(got []prometheus.Series) error {
			if len(got) != 1 || got[0].Last().Value != 1 {
				return fmt.Errorf("got %v, want one target that is up; Prometheus has %s", got, targets(t.Context(), server))
			}
			return nil
		})
		awaitSeriesOf(t, server, series+labels, func(got []prometheus.Series) error {
			if len(got) != 1 {
				return fmt.Errorf("got %v, want one", got)
			}
			return nil
		})
	}
	awaitSeriesOf(t, server, "up", func(got []prometheus.Series) error {
		if len(got) != len(jobs) {
			return fmt.Errorf("%d targets of %d jobs: %v", len(got), len(jobs), got)
		}
		return nil
	})
}

// discoverer lets the reader find targets in the API, as an operated Prometheus may in the namespaces of its monitors.
func discoverer(t *testing.T) {
	t.Helper()
	mustApply(t, `
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: reader-discovers, labels: {app.kubernetes.io/name: `+deployed+`}}
rules:
  - {apiGroups: [""], resources: [services, pods], verbs: [get, list, watch]}
  - {apiGroups: [discovery.k8s.io], resources: [endpointslices], verbs: [get, list, watch]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: reader-discovers, labels: {app.kubernetes.io/name: `+deployed+`}}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: reader-discovers}
subjects: [{kind: ServiceAccount, name: reader-of-the-test, namespace: `+deployed+`}]
`)
}

// fileOfSecret puts a SECRET/KEY of the manifests' namespace into a file, once it is there: the token of an account comes later than its Secret.
func fileOfSecret(ctx context.Context, folder, name string) (string, error) {
	secret, key, _ := strings.Cut(name, "/")
	path := filepath.Join(folder, secret+"-"+key)
	return path, cluster.Await(ctx, 2*time.Minute, "secret "+name, func(ctx context.Context) error {
		got, err := node.Client().CoreV1().Secrets(deployed).Get(ctx, secret, meta.GetOptions{})
		if err != nil {
			return err
		}
		if len(got.Data[key]) == 0 {
			return fmt.Errorf("it has %d other keys", len(got.Data))
		}
		return os.WriteFile(path, got.Data[key], 0o600)
	})
}

// targets is what Prometheus says of its own, to tell why one is not up.
func targets(ctx context.Context, server *prometheus.Server) string {
	text, err := server.Get(ctx, server.URL+"/api/v1/targets?state=active")
	if err != nil {
		return err.Error()
	}
	return fmt.Sprintf("%.2000s", text)
}

// objectIn is the one object of some kind in a text.
func objectIn(t *testing.T, text string, kinds ...string) []byte {
	t.Helper()
	var found []byte
	for decoder := yaml.NewYAMLOrJSONDecoder(strings.NewReader(text), 4096); ; {
		var one unstructured.Unstructured
		err := decoder.Decode(&one.Object)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Contains(kinds, one.GetKind()) {
			continue
		}
		if found != nil {
			t.Fatalf("there are several of %v", kinds)
		}
		if found, err = one.MarshalJSON(); err != nil {
			t.Fatal(err)
		}
	}
	if found == nil {
		t.Fatalf("there is none of %v", kinds)
	}
	return found
}
