package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/resource"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/nodevitals/nodevitals/e2e/cluster"
	"github.com/nodevitals/nodevitals/e2e/workload"
)

// metricsServerLimit is how long metrics-server may take to start and to read a node twice: rates need two readings, fifteen seconds apart.
const metricsServerLimit = 4 * time.Minute

const metricsServerImage = "localhost/metrics-server:0.9.0"

// applyMetricsServer has metrics-server ask a port of each node.
func applyMetricsServer(ctx context.Context, port int) error {
	ca, err := bundle()
	if err != nil {
		return err
	}
	return applied(ctx, "metrics-server.yaml", map[string]string{
		"METRICS_SERVER_IMAGE": metricsServerImage, "NODEVITALS_PORT": strconv.Itoa(port), "CA_BUNDLE": ca,
	})
}

// startMetricsServer installs metrics-server as docs/integrations/metrics-server.md says, and waits until the aggregated API has the node.
var startMetricsServer = sync.OnceValue(func() error {
	ctx := context.Background()
	if err := node.ImportProgram(ctx, metricsServerImage, program("metrics-server")); err != nil {
		return err
	}
	server := cluster.Server{Name: "metrics-server", Hosts: []string{"metrics-server.kube-system.svc"}}
	if err := secret(ctx, "kube-system", server); err != nil {
		return err
	}
	if err := applyMetricsServer(ctx, pulledPort); err != nil {
		return err
	}
	return cluster.Await(ctx, metricsServerLimit, "the node in metrics.k8s.io", func(ctx context.Context) error {
		nodes, err := nodeMetrics(ctx)
		if err != nil {
			logs, _ := node.Kubectl(ctx, "", "logs", "--namespace=kube-system", "deployment/metrics-server", "--tail=5")
			return fmt.Errorf("%w\nmetrics-server says:\n%s", err, logs)
		}
		if len(nodes.Items) == 0 {
			return errors.New("there is none")
		}
		return nil
	})
})

func needMetricsServer(t *testing.T) {
	t.Helper()
	needPulled(t)
	if err := startMetricsServer(); err != nil {
		t.Fatal(err)
	}
}

// usage is what metrics.k8s.io says of a node or a container.
type usage struct {
	CPU    resource.Quantity `json:"cpu"`
	Memory resource.Quantity `json:"memory"`
}

func (u usage) bytes() int64   { return u.Memory.Value() }
func (u usage) cores() float64 { return u.CPU.AsApproximateFloat64() }

type metadata struct {
	Name      string `json:"name"`
	Namespace string `json:"namespace"`
}

type nodeList struct {
	Items []struct {
		Metadata  metadata  `json:"metadata"`
		Timestamp time.Time `json:"timestamp"`
		Usage     usage     `json:"usage"`
	} `json:"items"`
}

// podSample is what metrics.k8s.io says of a pod.
type podSample struct {
	Metadata   metadata  `json:"metadata"`
	Timestamp  time.Time `json:"timestamp"`
	Window     string    `json:"window"`
	Containers []struct {
		Name  string `json:"name"`
		Usage usage  `json:"usage"`
	} `json:"containers"`
}

type podList struct {
	Items []podSample `json:"items"`
}

func nodeMetrics(ctx context.Context) (list nodeList, err error) {
	return list, raw(ctx, "/apis/metrics.k8s.io/v1beta1/nodes", &list)
}

// podMetrics returns what the API has of each container, by NAMESPACE/POD/CONTAINER.
func podMetrics(ctx context.Context) (map[string]usage, error) {
	var list podList
	if err := raw(ctx, "/apis/metrics.k8s.io/v1beta1/pods", &list); err != nil {
		return nil, err
	}
	all := map[string]usage{}
	for _, pod := range list.Items {
		for _, container := range pod.Containers {
			all[pod.Metadata.Namespace+"/"+pod.Metadata.Name+"/"+container.Name] = container.Usage
		}
	}
	return all, nil
}

// raw asks the API server for a path by kubectl, and decodes the answer.
func raw(ctx context.Context, path string, into any) error {
	text, err := node.Kubectl(ctx, "", "get", "--raw", path)
	if err != nil {
		return err
	}
	return json.Unmarshal([]byte(text), into)
}

// lasting are the containers of all pods that run until they are deleted, as NAMESPACE/POD/CONTAINER.
func lasting() []string {
	var names []string
	for _, pod := range workload.Pods() {
		for _, container := range append(slices.Clone(pod.Spec.Containers), pod.Spec.InitContainers...) {
			ends := slices.Contains(container.Args, "exit") || slices.Contains(container.Args, "oom")
			// metrics-server leaves out a pod of which one container has no figures at the moment.
			if !ends && !slices.Contains(workload.Changing(), pod.Key()) {
				names = append(names, pod.Key()+"/"+container.Name)
			}
		}
	}
	return names
}

func TestMetricsServer(t *testing.T) {
	needMetricsServer(t)
	t.Run("no name resolves", func(t *testing.T) {
		if got, err := net.DefaultResolver.LookupHost(t.Context(), cluster.NodeName); err == nil {
			t.Errorf("the node's name resolves to %v: that metrics-server asks by address shows nothing here", got)
		}
	})
	t.Run("asks nodevitals", func(t *testing.T) {
		before, err := answeredBy(t.Context(), resourcePath, pulledMetrics)
		if err != nil {
			t.Fatal(err)
		}
		awaitAnswered(t, resourcePath, before, 2, pulledMetrics)
	})
	t.Run("every running container", func(t *testing.T) {
		err := cluster.Await(t.Context(), metricsServerLimit, "every lasting container in metrics.k8s.io", func(ctx context.Context) error {
			got, err := podMetrics(ctx)
			if err != nil {
				return err
			}
			for _, name := range lasting() {
				if got[name].bytes() == 0 {
					return fmt.Errorf("%s: got %+v among %d containers", name, got[name], len(got))
				}
			}
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	})
	t.Run("kubectl top", testTop)
	t.Run("the kubelet's figures", testMetricsServerFigures)
	t.Run("nodevitals' figures of the node", testMetricsServerNode)
	t.Run("a new pod", testNewPod)
}

func testTop(t *testing.T) {
	said, err := node.Kubectl(t.Context(), "", "top", "node")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(said, cluster.NodeName) || strings.Contains(said, "unknown") {
		t.Errorf("kubectl top node: got\n%s", said)
	}
	t.Logf("kubectl top node:\n%s", said)
	// A pod is left out when one of metrics-server's readings came late, until the next.
	err = cluster.Await(t.Context(), metricsServerLimit, "a line of kubectl top pod for every lasting container", func(ctx context.Context) error {
		if said, err = node.Kubectl(ctx, "", "top", "pod", "--containers", "--all-namespaces"); err != nil {
			return err
		}
		lines := map[string]bool{}
		for line := range strings.Lines(said) {
			if fields := strings.Fields(line); len(fields) == 5 {
				lines[strings.Join(fields[:3], "/")] = true
			}
		}
		for _, name := range lasting() {
			if !lines[name] {
				return fmt.Errorf("none for %s", name)
			}
		}
		return nil
	})
	t.Logf("kubectl top pod --containers --all-namespaces:\n%s", said)
	if err != nil {
		t.Error(err)
	}
}

// testNewPod: metrics-server has a pod within two of its readings, which nodevitals must not spoil. How long it took is by what the answers say of
// the container's start and of the sample, and not by when this test looked.
func testNewPod(t *testing.T) {
	makePods(t, "young", 1, workload.Plain)
	var first podSample
	err := cluster.Await(t.Context(), metricsServerLimit, "the new pod in metrics.k8s.io", func(ctx context.Context) error {
		// Until there is one, kubectl says that it is not found.
		if err := raw(ctx, "/apis/metrics.k8s.io/v1beta1/namespaces/default/pods/young-0", &first); err != nil {
			return err
		}
		if len(first.Containers) != 1 || first.Containers[0].Usage.bytes() == 0 {
			return fmt.Errorf("got %+v", first)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	pod, err := node.Client().CoreV1().Pods(meta.NamespaceDefault).Get(t.Context(), "young-0", meta.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if len(pod.Status.ContainerStatuses) != 1 || pod.Status.ContainerStatuses[0].State.Running == nil {
		t.Fatalf("its container does not run: %+v", pod.Status.ContainerStatuses)
	}
	started := pod.Status.ContainerStatuses[0].State.Running.StartedAt.Time
	took := first.Timestamp.Sub(started)
	t.Logf("the first sample is of %s after the container's start, over a window of %s", took, first.Window)
	// Two resolutions of docs/integrations/metrics-server.yaml, the time that metrics-server gives one scrape, and a second of which the start is not told.
	if limit := 2*15*time.Second + 10*time.Second + time.Second; took < 0 || took > limit {
		t.Errorf("the first sample is of %s after the container's start at %s, want %s at most", took, started, limit)
	}
}
