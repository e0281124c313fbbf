package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	meta "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/nodevitals/nodevitals/e2e/cluster"
	"github.com/nodevitals/nodevitals/e2e/prometheus"
	"github.com/nodevitals/nodevitals/e2e/workload"
)

// farPod is the second node's one pod.
const farPod = "of-neighbour"

// scrapes are the jobs of docs/integrations/prometheus.yml that ask nodevitals.
var scrapes = []string{"nodevitals-cadvisor", "nodevitals-resource", "nodevitals"}

// Two nodes under one metrics-server and one Prometheus: docs/integrations/many-nodes.md. The second dies and comes back, while the first one's
// figures go on.
func TestTwoNodes(t *testing.T) {
	needMonitor(t)
	needMetricsServer(t)
	// A server of metrics that has just begun, as after its API server was away, shows no node until it has asked twice.
	awaitNodes(t, cluster.NodeName)
	started := time.Now()
	neighbour := startNeighbour(t)
	first := watchFirst(t)

	awaitNodes(t, cluster.NodeName, cluster.NeighbourName)
	awaitFarPod(t, true)
	wantTop(t, cluster.NeighbourName, true)
	awaitUp(t, cluster.NeighbourName, 1)
	t.Run("the API server's proxy", testProxyToNeighbour)
	t.Run("Prometheus through the API server's proxy", testPrometheusThroughProxy)

	died := time.Now()
	agent := neighbour.die(t)
	awaitNodes(t, cluster.NodeName)
	t.Logf("metrics-server left the dead node out after %s", time.Since(died).Round(time.Second))
	awaitFarPod(t, false)
	wantTop(t, cluster.NeighbourName, false)
	awaitUp(t, cluster.NeighbourName, 0)
	awaitSeries(t, `container_memory_working_set_bytes{job="nodevitals-cadvisor",node="`+cluster.NeighbourName+`"}`, func(series []prometheus.Series) error {
		if len(series) > 0 {
			return fmt.Errorf("there still are %d, such as %v", len(series), series[0].Labels)
		}
		return nil
	})
	first.awaitSample(t, died)

	returned := time.Now()
	neighbour.comeBack(t, agent)
	awaitNodes(t, cluster.NodeName, cluster.NeighbourName)
	t.Logf("metrics-server showed the node again after %s", time.Since(returned).Round(time.Second))
	awaitFarPod(t, true)
	wantTop(t, cluster.NeighbourName, true)
	awaitUp(t, cluster.NeighbourName, 1)

	first.stop(t)
	// Prometheus has it of every scrape that the first was never down.
	since := fmt.Sprintf("[%ds]", int(time.Since(started).Seconds())+1)
	for _, job := range scrapes {
		awaitSeries(t, fmt.Sprintf(`min_over_time(up{job=%q,node=%q}%s)`, job, cluster.NodeName, since), func(series []prometheus.Series) error {
			if len(series) != 1 || series[0].Last().Value != 1 {
				return cluster.Stop(fmt.Errorf("got %v, want that it always was up", series))
			}
			return nil
		})
	}
}

// neighbour is the second node with its agent.
type neighbour struct{ *cluster.Neighbour }

// startNeighbour brings the second node up, as docs/integrations/many-nodes.md has it: its Node object, its agent, and a pod.
func startNeighbour(t *testing.T) neighbour {
	t.Helper()
	there, err := node.AddNeighbour()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := there.Remove(); err != nil {
			t.Error(err)
		}
	})
	binary, err := agentBinary()
	if err != nil {
		t.Fatal(err)
	}
	server := cluster.Server{Name: "nodevitals-neighbour", Hosts: []string{cluster.NeighbourName}, Addresses: []string{cluster.NeighbourAddress}}
	if err := node.Issue(server); err != nil {
		t.Fatal(err)
	}
	registerNode(t, cluster.NeighbourName, cluster.NeighbourAddress, pulledPort)
	certificate, key := node.Certificate(server.Name)
	_, err = there.Start(t.Context(), cluster.Component{
		Name: server.Name, Path: binary, Cgroup: node.Cgroup(server.Name + ".service"),
		Args: []string{
			"--secure-port=" + strconv.Itoa(pulledPort), "--tls-cert-file=" + certificate, "--tls-private-key-file=" + key,
			"--client-ca-file=" + node.CA(), "--kubeconfig=" + node.Kubeconfig("nodevitals"), "--node-name=" + cluster.NeighbourName,
			"--pod-source=api",
		},
		Until: "its health over the link", Limit: 2 * time.Minute, Ready: neighbourReady,
	})
	if err != nil {
		t.Fatal(err)
	}
	n := neighbour{there}
	n.runPod(t)
	return n
}

// neighbourReady asks the second node's agent over the link.
func neighbourReady(ctx context.Context) error {
	secure, err := node.AdminTLS()
	if err != nil {
		return err
	}
	got, err := askWith(ctx, secure, "", "GET", fmt.Sprintf("https://%s:%d/readyz", cluster.NeighbourAddress, pulledPort))
	if err == nil && got.body != "ok" {
		err = fmt.Errorf("status %d: %s", got.status, got.body)
	}
	return err
}

// runPod makes the second node's pod, for the length of the test. It is busy once it is asked to be.
func (n neighbour) runPod(t *testing.T) {
	t.Helper()
	pods := node.Client().CoreV1().Pods(meta.NamespaceDefault)
	pod := workload.Plain(meta.NamespaceDefault, farPod)
	pod.Spec.NodeName = cluster.NeighbourName
	pod.Spec.Containers[0].Args = []string{"load", "8080"}
	made, err := pods.Create(t.Context(), pod, meta.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		// No kubelet would end it.
		if err := pods.Delete(context.WithoutCancel(t.Context()), farPod, meta.DeleteOptions{GracePeriodSeconds: new(int64(0))}); err != nil {
			t.Error(err)
		}
	})
	load := "http://" + cluster.NeighbourAddress + ":8080/load?millicores=50&mebibytes=16"
	err = n.Run(t.Context(), made, "an answer of "+load, func(ctx context.Context) error {
		_, err := node.Get(ctx, load)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// die takes the link down and kills the agent, as the end of a machine would.
func (n neighbour) die(t *testing.T) *cluster.Process {
	t.Helper()
	if err := n.Unplug(); err != nil {
		t.Fatal(err)
	}
	agent, err := node.Kill("nodevitals-neighbour")
	if err != nil {
		t.Fatal(err)
	}
	return agent
}

// comeBack undoes it.
func (n neighbour) comeBack(t *testing.T, agent *cluster.Process) {
	t.Helper()
	if err := n.Plug(); err != nil {
		t.Fatal(err)
	}
	if err := node.Again(t.Context(), agent); err != nil {
		t.Fatal(err)
	}
}

// awaitNodes waits until metrics.k8s.io has these nodes and no others.
func awaitNodes(t *testing.T, names ...string) {
	t.Helper()
	err := cluster.Await(t.Context(), metricsServerLimit, "nodes "+strings.Join(names, ", ")+" alone in metrics.k8s.io", func(ctx context.Context) error {
		list, err := nodeMetrics(ctx)
		if err != nil {
			return err
		}
		var got []string
		for _, one := range list.Items {
			got = append(got, one.Metadata.Name)
			if one.Usage.bytes() == 0 || one.Usage.cores() == 0 {
				return fmt.Errorf("%s: got %+v", one.Metadata.Name, one.Usage)
			}
		}
		slices.Sort(got)
		if want := slices.Sorted(slices.Values(names)); !slices.Equal(got, want) {
			return fmt.Errorf("got %v", got)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// awaitFarPod waits until metrics.k8s.io has the second node's pod, or has it no more; those of the first it always has.
func awaitFarPod(t *testing.T, there bool) {
	t.Helper()
	name := "default/" + farPod + "/only"
	what := fmt.Sprintf("%s in metrics.k8s.io: %t", name, there)
	err := cluster.Await(t.Context(), metricsServerLimit, what, func(ctx context.Context) error {
		got, err := podMetrics(ctx)
		if err != nil {
			return err
		}
		for _, near := range lasting() {
			if got[near].bytes() == 0 {
				return fmt.Errorf("%s of the first node: got %+v among %d containers", near, got[near], len(got))
			}
		}
		if (got[name].bytes() > 0) != there {
			return fmt.Errorf("got %+v among %d containers", got[name], len(got))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// wantTop wants a line of figures for the first node from kubectl top, and one for another, which has figures or is unknown.
func wantTop(t *testing.T, other string, known bool) {
	t.Helper()
	said, err := node.Kubectl(t.Context(), "", "top", "node")
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("kubectl top node:\n%s", said)
	lines := map[string]string{}
	for line := range strings.Lines(said) {
		name, rest, _ := strings.Cut(line, " ")
		lines[name] = rest
	}
	if line, ok := lines[cluster.NodeName]; !ok || strings.Contains(line, "unknown") {
		t.Errorf("kubectl top node has no figures of %s", cluster.NodeName)
	}
	// It has a line for each Node object.
	if line, ok := lines[other]; !ok || known == strings.Contains(line, "unknown") {
		t.Errorf("kubectl top node has figures of %s: want %t, got %q", other, known, line)
	}
}

// awaitUp waits until Prometheus says of each scrape of a node whether it is up.
func awaitUp(t *testing.T, of string, want float64) {
	t.Helper()
	awaitSeries(t, fmt.Sprintf(`up{job=~%q,node=%q}`, strings.Join(scrapes, "|"), of), func(series []prometheus.Series) error {
		if len(series) != len(scrapes) {
			return fmt.Errorf("got %d series, want one of each job of %v", len(series), scrapes)
		}
		for _, one := range series {
			if one.Last().Value != want {
				return fmt.Errorf("%s is %v, want %v", one.Labels["job"], one.Last().Value, want)
			}
		}
		return nil
	})
}

// testProxyToNeighbour: the second node's endpoint is nodevitals, at an address of its own.
func testProxyToNeighbour(t *testing.T) {
	for path, want := range map[string]string{"/healthz": "ok", summaryPath: farPod, cadvisorPath: `pod="` + farPod + `"`} {
		said, err := node.Kubectl(t.Context(), "", "get", "--raw", "/api/v1/nodes/"+cluster.NeighbourName+"/proxy"+path)
		if err != nil || !strings.Contains(said, want) {
			t.Errorf("%s: got error %v and %d bytes without %q: %.200s", path, err, len(said), want, said)
		}
		if strings.Contains(said, "best-effort") {
			t.Errorf("%s has pods of the first node", path)
		}
	}
}

// firstWatch looks all the time whether metrics.k8s.io has the first node.
type firstWatch struct {
	end  context.CancelFunc
	done sync.WaitGroup

	mutex  sync.Mutex
	looks  int
	newest time.Time
	failed []error
}

// watchFirst looks until it is stopped, or the test ends.
func watchFirst(t *testing.T) *firstWatch {
	t.Helper()
	ctx, end := context.WithCancel(t.Context())
	w := &firstWatch{end: end}
	w.done.Go(func() {
		for ctx.Err() == nil {
			at, err := firstNode(ctx)
			if ctx.Err() == nil {
				w.note(at, err)
			}
			time.Sleep(500 * time.Millisecond)
		}
	})
	t.Cleanup(func() {
		end()
		w.done.Wait()
	})
	return w
}

// firstNode is the time of metrics-server's newest sample of the first node.
func firstNode(ctx context.Context) (time.Time, error) {
	// A kubectl for each look would be much of what a small machine does.
	text, err := node.Client().Discovery().RESTClient().Get().AbsPath("/apis/metrics.k8s.io/v1beta1/nodes").DoRaw(ctx)
	if err != nil {
		return time.Time{}, err
	}
	var list nodeList
	if err := json.Unmarshal(text, &list); err != nil {
		return time.Time{}, err
	}
	for _, one := range list.Items {
		if one.Metadata.Name == cluster.NodeName {
			return one.Timestamp, nil
		}
	}
	return time.Time{}, fmt.Errorf("metrics.k8s.io has no %s among %d nodes", cluster.NodeName, len(list.Items))
}

func (w *firstWatch) note(at time.Time, err error) {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	w.looks++
	switch {
	case err != nil:
		w.failed = append(w.failed, err)
	case at.Before(w.newest):
		w.failed = append(w.failed, fmt.Errorf("a sample of %s after one of %s", at, w.newest))
	default:
		w.newest = at
	}
}

// awaitSample waits until both readers have samples of the first node that were taken after a moment.
func (w *firstWatch) awaitSample(t *testing.T, after time.Time) {
	t.Helper()
	err := cluster.Await(t.Context(), metricsServerLimit, "a sample of the first node after the second died, in metrics.k8s.io", func(context.Context) error {
		w.mutex.Lock()
		defer w.mutex.Unlock()
		if !w.newest.After(after) {
			return fmt.Errorf("the newest is %s older", after.Sub(w.newest))
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	expression := `timestamp(container_cpu_usage_seconds_total{job="nodevitals-cadvisor",id="/",node="` + cluster.NodeName + `"})`
	awaitSeries(t, expression, func(series []prometheus.Series) error {
		if len(series) == 0 || series[0].Last().Value <= float64(after.Unix()) {
			return fmt.Errorf("got %v, want one after %d", series, after.Unix())
		}
		return nil
	})
}

// stop fails the test if the first node was missing once.
func (w *firstWatch) stop(t *testing.T) {
	t.Helper()
	w.end()
	w.done.Wait()
	if len(w.failed) > 0 {
		t.Errorf("%d of %d looks at the first node failed: %v", len(w.failed), w.looks, errors.Join(w.failed[:min(5, len(w.failed))]...))
	}
	t.Logf("metrics.k8s.io had the first node in each of %d answers", w.looks-len(w.failed))
}
