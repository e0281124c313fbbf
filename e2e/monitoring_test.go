package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/resource"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/kubelet/pkg/apis/stats/v1alpha1"

	"github.com/nodevitals/nodevitals/e2e/cluster"
	"github.com/nodevitals/nodevitals/e2e/prometheus"
)

const (
	// monitorURL is reached from pods, too.
	monitorURL   = "http://" + cluster.NodeAddress + ":19090"
	exporterPort = ":19100"
)

// monitor is the Prometheus that discovers its targets. It runs until the cluster goes down, since prometheus-adapter asks it.
var monitor = &prometheus.Server{URL: monitorURL, Get: func(ctx context.Context, url string) ([]byte, error) { return node.Get(ctx, url) }}

// errAbsent is why a part that is a package of Debian's does not run.
var errAbsent = errors.New("not on this machine")

// monitorToken is the file of its account's token.
func monitorToken() string { return filepath.Join(node.StateDir(), "monitor", "token") }

// startMonitor starts Prometheus, which Debian builds without discovery, with docs/integrations/prometheus.yml and a service account's token, and a node-exporter.
var startMonitor = sync.OnceValue(func() error {
	ctx := context.Background()
	exporter, err := prometheus.Find("prometheus-node-exporter")
	if err != nil {
		return fmt.Errorf("%w: %w", errAbsent, err)
	}
	folder := filepath.Join(node.StateDir(), "monitor")
	if err := os.Mkdir(folder, 0o755); err != nil {
		return err
	}
	if err := applied(ctx, "prometheus-rbac.yaml", nil); err != nil {
		return err
	}
	token, err := node.Kubectl(ctx, "", "create", "token", "prometheus", "--namespace=monitoring", "--duration=2h")
	if err != nil {
		return err
	}
	if err := os.WriteFile(monitorToken(), []byte(strings.TrimSpace(token)), 0o600); err != nil {
		return err
	}
	text, err := manifest("prometheus.yml", map[string]string{
		"TOKEN_FILE": monitorToken(), "CA_FILE": node.CA(), "NODEVITALS_PORT": strconv.Itoa(pulledPort),
		"API_SERVER": "https://" + cluster.ServiceAddress, "EXPORTER": cluster.NodeAddress + exporterPort, "INTERVAL": "5s",
	})
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(folder, "prometheus.yml"), []byte(text), 0o600); err != nil {
		return err
	}
	_, err = node.Start(ctx, cluster.Component{
		Name: "node-exporter", Path: exporter, Args: []string{"--web.listen-address=" + exporterPort},
		Until: "node-exporter's metrics", Limit: 2 * time.Minute,
		Ready: func(ctx context.Context) error {
			_, err := node.Get(ctx, "http://"+cluster.NodeAddress+exporterPort+"/metrics")
			return err
		},
	})
	if err != nil {
		return err
	}
	_, err = node.Start(ctx, discovering("monitor", monitorURL, folder))
	return err
})

// discovering is a Prometheus, with discovery through Kubernetes, that answers at a URL and has its configuration and its data in a folder.
func discovering(name, url, folder string) cluster.Component {
	return cluster.Component{
		Name: name, Path: program("prometheus"),
		Args: []string{
			"--config.file=" + filepath.Join(folder, "prometheus.yml"), "--storage.tsdb.path=" + filepath.Join(folder, "data"),
			"--web.listen-address=" + strings.TrimPrefix(url, "http://"),
		},
		Until: "Prometheus to be ready at " + url, Limit: 3 * time.Minute,
		Ready: func(ctx context.Context) error {
			_, err := node.Get(ctx, url+"/-/ready")
			return err
		},
	}
}

func needMonitor(t *testing.T) {
	t.Helper()
	needPulled(t)
	err := startMonitor()
	if errors.Is(err, errAbsent) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// awaitSeries waits until an expression has an answer that is wanted.
func awaitSeries(t *testing.T, expression string, wanted func([]prometheus.Series) error) {
	t.Helper()
	awaitSeriesOf(t, monitor, expression, wanted)
}

// awaitSeriesOf waits for it of any Prometheus.
func awaitSeriesOf(t *testing.T, server *prometheus.Server, expression string, wanted func([]prometheus.Series) error) {
	t.Helper()
	err := cluster.Await(t.Context(), 4*time.Minute, "an answer to "+expression, func(ctx context.Context) error {
		series, err := server.Query(ctx, expression, 0)
		if err != nil {
			return err
		}
		return wanted(series)
	})
	if err != nil {
		t.Error(err)
	}
}

// A Prometheus that finds the nodes through the API server has every target up, verified by the cluster's authority and let in by its token.
func TestPrometheusDiscovers(t *testing.T) {
	needMonitor(t)
	for _, job := range []string{"nodevitals-cadvisor", "nodevitals-resource", "nodevitals", "kubelet", "node-exporter"} {
		awaitSeries(t, fmt.Sprintf("sum_over_time(up{job=%q}[1m])", job), func(series []prometheus.Series) error {
			if len(series) != 1 || series[0].Last().Value < 2 {
				return fmt.Errorf("got %v, want one target that was up twice", series)
			}
			return nil
		})
	}
	for job, series := range map[string]string{
		"nodevitals": "nodevitals_build_info", "nodevitals-resource": "node_cpu_usage_seconds_total", "nodevitals-cadvisor": "machine_cpu_cores",
	} {
		awaitSeries(t, fmt.Sprintf(`%s{job=%q,node=%q}`, series, job, cluster.NodeName), func(series []prometheus.Series) error {
			if len(series) != 1 {
				return fmt.Errorf("got %v, want one", series)
			}
			return nil
		})
	}
	awaitSeries(t, `count by (pod) (container_memory_working_set_bytes{job="nodevitals-cadvisor",container!="",node="`+cluster.NodeName+`"})`,
		func(series []prometheus.Series) error {
			var missing []string
			for _, name := range lasting() {
				pod := strings.Split(name, "/")[1]
				if !slices.ContainsFunc(series, func(s prometheus.Series) bool { return s.Labels["pod"] == pod }) {
					missing = append(missing, pod)
				}
			}
			if len(missing) > 0 {
				return fmt.Errorf("no series of %v", missing)
			}
			return nil
		})
}

// node-exporter and nodevitals serve no series of one name, but for what every Go program says of itself.
func TestNamesBesideNodeExporter(t *testing.T) {
	needMonitor(t)
	names := func(job string) (got []string) {
		err := cluster.Await(t.Context(), 2*time.Minute, "names of job "+job, func(ctx context.Context) (err error) {
			if got, err = monitor.Names(ctx, fmt.Sprintf(`{job=%q}`, job)); err == nil && len(got) < 10 {
				err = fmt.Errorf("got %v", got)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	theirs := names("node-exporter")
	for _, job := range []string{"nodevitals-cadvisor", "nodevitals-resource", "nodevitals"} {
		for _, name := range names(job) {
			ofItself := name == "up" || strings.HasPrefix(name, "scrape_") || strings.HasPrefix(name, "go_") || strings.HasPrefix(name, "process_")
			if !ofItself && slices.Contains(theirs, name) {
				t.Errorf("%s is served by %s and by node-exporter", name, job)
			}
		}
	}
}

// custom.metrics.k8s.io from series of nodevitals, and a deployment that scales on its own requests: docs/integrations/prometheus-adapter.md.
func TestPrometheusAdapter(t *testing.T) {
	needMonitor(t)
	ctx := t.Context()
	const image = "localhost/prometheus-adapter:0.12.0"
	if err := node.ImportProgram(ctx, image, program("adapter")); err != nil {
		t.Fatal(err)
	}
	if err := secret(ctx, "monitoring", cluster.Server{Name: "prometheus-adapter", Hosts: []string{"prometheus-adapter.monitoring.svc"}}); err != nil {
		t.Fatal(err)
	}
	ca, err := bundle()
	if err != nil {
		t.Fatal(err)
	}
	appliedForTest(t, "prometheus-adapter.yaml", map[string]string{
		"ADAPTER_IMAGE": image, "APP_IMAGE": cluster.AppImage, "PROMETHEUS_URL": monitorURL, "CA_BUNDLE": ca,
	})
	for metric, ofContainer := range map[string]func(*v1alpha1.ContainerStats) float64{
		"fs_usage_bytes":           func(c *v1alpha1.ContainerStats) float64 { return float64(*c.Rootfs.UsedBytes) },
		"memory_working_set_bytes": func(c *v1alpha1.ContainerStats) float64 { return float64(*c.Memory.WorkingSetBytes) },
		"cpu_usage":                func(c *v1alpha1.ContainerStats) float64 { return float64(*c.CPU.UsageNanoCores) / 1e9 },
	} {
		t.Run(metric, func(t *testing.T) { awaitCustomMetric(t, metric, ofContainer) })
	}
	// The only pod that says where its own metrics are.
	awaitSeries(t, `up{job="pods",namespace="monitoring",pod=~"scales-on-requests-.*"}`, func(series []prometheus.Series) error {
		if len(series) != 1 || series[0].Last().Value != 1 {
			return fmt.Errorf("got %v, want one target that is up", series)
		}
		return nil
	})
	t.Run("autoscaling", testScalesOnRequests)
}

// awaitCustomMetric waits until the adapter has a figure of the pod in namespace monitoring, near to the sum of its containers' in nodevitals' summary:
// not twice as much, as where two jobs have the same series.
func awaitCustomMetric(t *testing.T, metric string, ofContainer func(*v1alpha1.ContainerStats) float64) {
	var list struct {
		Items []struct {
			DescribedObject metadata          `json:"describedObject"`
			Value           resource.Quantity `json:"value"`
		} `json:"items"`
	}
	path := "/apis/custom.metrics.k8s.io/v1beta1/namespaces/monitoring/pods/*/" + metric
	err := cluster.Await(t.Context(), 5*time.Minute, "best-effort's "+metric+" as in the summary, give or take a half", func(ctx context.Context) error {
		list.Items = nil
		if err := raw(ctx, path, &list); err != nil {
			said, _ := node.Kubectl(ctx, "", "logs", "--namespace=monitoring", "deployment/prometheus-adapter", "--tail=5")
			return fmt.Errorf("%w\nprometheus-adapter says:\n%s", err, said)
		}
		want, err := sumOfPod(ctx, "best-effort", ofContainer)
		if err != nil {
			return err
		}
		for _, item := range list.Items {
			if item.DescribedObject.Name != "best-effort" {
				continue
			}
			got := item.Value.AsApproximateFloat64()
			if got == 0 || got < want/2 || got > want*3/2 {
				return fmt.Errorf("it is %v, in the summary %v", got, want)
			}
			t.Logf("%s: %v, in the summary %v", metric, got, want)
			return nil
		}
		return fmt.Errorf("got %v", list.Items)
	})
	if err != nil {
		t.Fatal(err)
	}
}

// sumOfPod adds a figure of a pod's containers up. One that is not there makes it an error.
func sumOfPod(ctx context.Context, name string, ofContainer func(*v1alpha1.ContainerStats) float64) (sum float64, err error) {
	text, err := node.Get(ctx, pulledURL+summaryPath)
	if err != nil {
		return 0, err
	}
	var summary v1alpha1.Summary
	if err := json.Unmarshal(text, &summary); err != nil {
		return 0, err
	}
	for _, pod := range summary.Pods {
		if pod.PodRef.Name != name {
			continue
		}
		for i := range pod.Containers {
			c := &pod.Containers[i]
			if c.CPU == nil || c.CPU.UsageNanoCores == nil || c.Memory == nil || c.Memory.WorkingSetBytes == nil || c.Rootfs == nil || c.Rootfs.UsedBytes == nil {
				return 0, fmt.Errorf("the summary lacks figures of container %s of %s", c.Name, name)
			}
			sum += ofContainer(c)
		}
		return sum, nil
	}
	return 0, fmt.Errorf("the summary has no pod %s among %d", name, len(summary.Pods))
}

// testScalesOnRequests asks the one pod many times a second until there are two, and then no more until there is one.
func testScalesOnRequests(t *testing.T) {
	const namespace, name = "monitoring", "scales-on-requests"
	pods, err := node.Client().CoreV1().Pods(namespace).List(t.Context(), meta.ListOptions{LabelSelector: "app=" + name})
	if err != nil || len(pods.Items) == 0 {
		t.Fatalf("pods of %s: got %v and error %v", name, pods, err)
	}
	awaitReplicas(t, namespace, name, 1)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var asking sync.WaitGroup
	asking.Go(func() {
		for ctx.Err() == nil {
			_, _ = node.Get(ctx, "http://"+pods.Items[0].Status.PodIP+":8080/")
			time.Sleep(50 * time.Millisecond)
		}
	})
	awaitReplicas(t, namespace, name, 2)
	stop()
	asking.Wait()
	awaitReplicas(t, namespace, name, 1)
}
