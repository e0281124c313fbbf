package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	core "k8s.io/api/core/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/kubelet/pkg/apis/stats/v1alpha1"

	"github.com/nodevitals/nodevitals/e2e/cluster"
	"github.com/nodevitals/nodevitals/e2e/workload"
)

// telemetryLimit is how long a collector may take to start and to read the node twice, ten seconds apart.
const telemetryLimit = 3 * time.Minute

const otelcolImage = "localhost/otelcol:0.145.0"

// A collector of OpenTelemetry reads nodevitals in place of the kubelet, as docs/integrations/opentelemetry.md says.
func TestOpenTelemetry(t *testing.T) {
	needServedPods(t)
	if err := node.ImportProgram(t.Context(), otelcolImage, program("otelcol")); err != nil {
		t.Fatal(err)
	}
	appliedForTest(t, "opentelemetry.yaml", map[string]string{"OTELCOL_IMAGE": otelcolImage, "NODEVITALS_PORT": strconv.Itoa(servedPodsPort)})
	without := collectorWithoutPods(t)
	collector := awaitCollector(t)
	seen := awaitTelemetry(t, collector)
	t.Run("labels of the pods' specs", func(t *testing.T) { wantLabelsOfPods(t, seen) })
	t.Run("use of limits", func(t *testing.T) { wantUtilization(t, seen) })
	t.Run("figures of the summary", func(t *testing.T) { wantSummarysFigures(t, collector) })
	t.Run("without the pods' specs", func(t *testing.T) { wantTelemetryWithoutPods(t, without) })
}

// awaitCollector returns the DaemonSet's pod.
func awaitCollector(t *testing.T) *core.Pod {
	t.Helper()
	var collector *core.Pod
	err := cluster.Await(t.Context(), telemetryLimit, "the collector's pod to run", func(ctx context.Context) error {
		pods, err := node.Client().CoreV1().Pods(workload.Monitoring).List(ctx, meta.ListOptions{LabelSelector: "app=otelcol"})
		if err != nil {
			return err
		}
		for i := range pods.Items {
			if collector = &pods.Items[i]; collector.Status.Phase == core.PodRunning {
				return nil
			}
		}
		return fmt.Errorf("%d pods, none of which runs", len(pods.Items))
	})
	if err != nil {
		t.Fatal(err)
	}
	return collector
}

// wholeTelemetry is the newest reading, if it has every pod that runs.
func wholeTelemetry(ctx context.Context, collector *core.Pod) (telemetry, error) {
	seen, err := newestTelemetry(collector, "metrics.json")
	if err != nil {
		return nil, fmt.Errorf("%w; it says:\n%s", err, lastWords(ctx, collector))
	}
	pods, err := node.Client().CoreV1().Pods(meta.NamespaceAll).List(ctx, meta.ListOptions{})
	if err != nil {
		return nil, err
	}
	memory, cores := seen.with("k8s.pod.memory.working_set"), seen.with("k8s.pod.cpu.time")
	for _, pod := range pods.Items {
		key := pod.Namespace + "/" + pod.Name
		if pod.Status.Phase == core.PodRunning && pod.DeletionTimestamp == nil && (memory[key] == nil || cores[key] == nil) {
			return nil, fmt.Errorf("pod %s runs and has no figures among %d pods", key, len(memory))
		}
	}
	for _, name := range lasting() {
		if c := seen.with("container.memory.working_set")[name]; c == nil || c.labels["container.id"] == "" {
			return nil, fmt.Errorf("container %s: got %+v", name, c)
		}
	}
	return seen, nil
}

func awaitTelemetry(t *testing.T, collector *core.Pod) (seen telemetry) {
	t.Helper()
	err := cluster.Await(t.Context(), telemetryLimit, "every pod and container that runs, from the collector", func(ctx context.Context) (err error) {
		seen, err = wholeTelemetry(ctx, collector)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return seen
}

// lastWords is the end of a pod's log.
func lastWords(ctx context.Context, pod *core.Pod) string {
	said, err := node.Client().CoreV1().Pods(pod.Namespace).GetLogs(pod.Name, &core.PodLogOptions{TailLines: new(int64(5))}).DoRaw(ctx)
	if err != nil {
		return err.Error()
	}
	return string(said)
}

// wantLabelsOfPods: the receiver finds a pod of /pods by the UID of the summary, that of a static pod too, and in it the container's ID and
// what kind of volume it has.
func wantLabelsOfPods(t *testing.T, seen telemetry) {
	pods, err := node.Client().CoreV1().Pods(meta.NamespaceAll).List(t.Context(), meta.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	containers, found := seen.with("container.memory.working_set"), 0
	for _, pod := range pods.Items {
		for _, status := range slices.Concat(pod.Status.InitContainerStatuses, pod.Status.ContainerStatuses) {
			name := pod.Namespace + "/" + pod.Name + "/" + status.Name
			if !slices.Contains(lasting(), name) {
				continue
			}
			found++
			if got, want := containers[name].labels["container.id"], strings.TrimPrefix(status.ContainerID, "containerd://"); got != want {
				t.Errorf("%s: got container.id %q, want %q", name, got, want)
			}
		}
	}
	if found != len(lasting()) {
		t.Errorf("got %d of %d containers", found, len(lasting()))
	}
	volumes := seen.with("k8s.volume.capacity")
	for name, want := range map[string]string{
		"scratch": "emptyDir", "memory": "emptyDir", "data": "persistentVolumeClaim", "settings": "configMap", "info": "downwardAPI",
	} {
		volume := volumes["default/volumes/"+name]
		if volume == nil {
			t.Errorf("volume %s has no figures; there are %d volumes", name, len(volumes))
			continue
		}
		if got := volume.labels["k8s.volume.type"]; got != want {
			t.Errorf("volume %s: got type %q, want %q", name, got, want)
		}
	}
}

// wantUtilization: limits come from /pods, and what is used of them from the summary.
func wantUtilization(t *testing.T, seen telemetry) {
	for _, one := range []struct {
		key, ratio, used string
		limit            float64
	}{
		{"default/guaranteed", "k8s.pod.memory_limit_utilization", "k8s.pod.memory.usage", 96 << 20},
		{"default/guaranteed", "k8s.pod.cpu_limit_utilization", "k8s.pod.cpu.usage", 0.150},
		{"default/guaranteed/second", "k8s.container.memory_limit_utilization", "container.memory.usage", 32 << 20},
		{"default/guaranteed/first", "k8s.container.cpu_limit_utilization", "container.cpu.usage", 0.100},
	} {
		r := seen.with(one.ratio)[one.key]
		if r == nil {
			t.Errorf("%s has no %s", one.key, one.ratio)
			continue
		}
		if got, want := r.metrics[one.ratio], r.metrics[one.used]/one.limit; math.Abs(got-want) > want*1e-6 {
			t.Errorf("%s: %s is %v, want %v of a limit of %v", one.key, one.ratio, got, r.metrics[one.used], one.limit)
		}
	}
	if r := seen.with("k8s.pod.memory_limit_utilization")["monitoring/best-effort"]; r != nil {
		t.Errorf("a pod without limits uses %v of them", r.metrics["k8s.pod.memory_limit_utilization"])
	}
}

// servedSummary is what the agent that the collector reads says itself.
func servedSummary(t *testing.T) *v1alpha1.Summary {
	t.Helper()
	got := servedPods(t, "/stats/summary")
	summary := &v1alpha1.Summary{}
	if err := json.Unmarshal([]byte(got.body), summary); err != nil {
		t.Fatal(err)
	}
	return summary
}

// figure is one metric beside what the summary says of the same.
type figure struct {
	value *uint64
	// unit is how many of the summary's make one of the metric's, and slack how much of it a figure that goes up and down may be off
	// besides a tenth; below 0: it only rises.
	unit, slack float64
}

const onlyRises = -1

// summaryFigures are figures of a summary by the receiver's names, as KEY METRIC: of the node, as far as they rise or stay, and of those of the
// workload's pods whose containers last.
func summaryFigures(s *v1alpha1.Summary) map[string]figure {
	var steady []string
	for _, pod := range workload.Pods() {
		if !slices.Contains(workload.Changing(), pod.Key()) {
			steady = append(steady, pod.Key())
		}
	}
	all := map[string]figure{}
	cpu := func(key, prefix string, c *v1alpha1.CPUStats) {
		if c != nil {
			all[key+" "+prefix+".cpu.time"] = figure{c.UsageCoreNanoSeconds, 1e9, onlyRises}
			all[key+" "+prefix+".cpu.usage"] = figure{c.UsageNanoCores, 1e9, 0.1}
		}
	}
	memory := func(key, prefix string, m *v1alpha1.MemoryStats) {
		if m != nil {
			all[key+" "+prefix+".memory.working_set"] = figure{m.WorkingSetBytes, 1, 4 << 20}
			all[key+" "+prefix+".memory.usage"] = figure{m.UsageBytes, 1, 4 << 20}
			all[key+" "+prefix+".memory.rss"] = figure{m.RSSBytes, 1, 4 << 20}
			all[key+" "+prefix+".memory.page_faults"] = figure{m.PageFaults, 1, onlyRises}
		}
	}
	network := func(key, prefix string, n *v1alpha1.NetworkStats) {
		if n != nil {
			all[key+" "+prefix+".network.io/receive"] = figure{n.RxBytes, 1, onlyRises}
			all[key+" "+prefix+".network.io/transmit"] = figure{n.TxBytes, 1, onlyRises}
		}
	}
	filesystem := func(key, prefix string, f *v1alpha1.FsStats) {
		if f != nil {
			all[key+" "+prefix+".filesystem.capacity"] = figure{f.CapacityBytes, 1, 0}
			all[key+" "+prefix+".filesystem.usage"] = figure{f.UsedBytes, 1, 64 << 20}
		}
	}
	cpu(s.Node.NodeName, "k8s.node", s.Node.CPU)
	delete(all, s.Node.NodeName+" k8s.node.cpu.usage") // other tests' doing too, from moment to moment
	network(s.Node.NodeName, "k8s.node", s.Node.Network)
	filesystem(s.Node.NodeName, "k8s.node", s.Node.Fs)
	for _, pod := range s.Pods {
		key := pod.PodRef.Namespace + "/" + pod.PodRef.Name
		if !slices.Contains(steady, key) {
			continue
		}
		cpu(key, "k8s.pod", pod.CPU)
		memory(key, "k8s.pod", pod.Memory)
		network(key, "k8s.pod", pod.Network)
		filesystem(key, "k8s.pod", pod.EphemeralStorage)
		for _, c := range pod.Containers {
			cpu(key+"/"+c.Name, "container", c.CPU)
			memory(key+"/"+c.Name, "container", c.Memory)
			filesystem(key+"/"+c.Name, "container", c.Rootfs)
		}
		for _, v := range pod.VolumeStats {
			all[key+"/"+v.Name+" k8s.volume.capacity"] = figure{v.CapacityBytes, 1, 0}
			all[key+"/"+v.Name+" k8s.volume.inodes"] = figure{v.Inodes, 1, 0}
		}
	}
	return all
}

// wantSummarysFigures holds a reading against what the agent itself says before and after it.
func wantSummarysFigures(t *testing.T, collector *core.Pod) {
	before, start := summaryFigures(servedSummary(t)), time.Now()
	var seen telemetry
	err := cluster.Await(t.Context(), telemetryLimit, "a reading after the first summary", func(ctx context.Context) (err error) {
		if seen, err = wholeTelemetry(ctx, collector); err == nil && !seen.at().After(start) {
			err = fmt.Errorf("the newest is of %s, %s before", seen.at(), start.Sub(seen.at()))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	after := summaryFigures(servedSummary(t))
	compared := 0
	for name, first := range before {
		last := after[name]
		if first.value == nil || last.value == nil {
			continue
		}
		compared++
		key, metric, _ := strings.Cut(name, " ")
		r := seen.with(metric)[key]
		if r == nil {
			t.Errorf("%s has no %s", key, metric)
			continue
		}
		low, high := float64(*first.value)/first.unit, float64(*last.value)/first.unit
		if first.slack != onlyRises {
			low, high = min(low, high), max(low, high)
			low, high = low-first.slack-low/10, high+first.slack+high/10
		}
		// A number of OTLP may be rounded in its last place.
		if got := r.metrics[metric]; got < low*(1-1e-9) || got > high*(1+1e-9) {
			t.Errorf("%s: %s is %v, want from %v to %v", key, metric, got, low, high)
		}
	}
	t.Logf("%d figures lie between the agent's own before and after them", compared)
	if want := 10 * len(lasting()); compared < want {
		t.Errorf("compared %d figures, want %d at least", compared, want)
	}
}

// collectorWithoutPods starts a second collector, which reads an agent that serves no pods: by the same configuration, and by one that asks for
// nothing of them.
func collectorWithoutPods(t *testing.T) *core.Pod {
	t.Helper()
	ctx, client := t.Context(), node.Client()
	set, err := client.AppsV1().DaemonSets(workload.Monitoring).Get(ctx, "otelcol", meta.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	endpoint := fmt.Sprintf("https://%s:%d", cluster.NodeAddress, pulledPort)
	changes, err := json.Marshal(map[string]any{
		"receivers": map[string]any{
			"kubeletstats":       map[string]any{"endpoint": endpoint},
			"kubeletstats/plain": map[string]any{"auth_type": "serviceAccount", "endpoint": endpoint, "ca_file": "/ca/ca.crt"},
		},
		"exporters": map[string]any{"file/plain": map[string]any{"path": "/out/plain.json"}},
		"service": map[string]any{"pipelines": map[string]any{
			"metrics/plain": map[string]any{"receivers": []string{"kubeletstats/plain"}, "exporters": []string{"file/plain"}},
		}},
	})
	if err != nil {
		t.Fatal(err)
	}
	pod := &core.Pod{ObjectMeta: meta.ObjectMeta{Name: "otelcol-without-pods"}, Spec: set.Spec.Template.Spec}
	pod.Spec.Containers[0].Args = append(pod.Spec.Containers[0].Args, "--config=yaml:"+string(changes))
	pod, err = client.CoreV1().Pods(workload.Monitoring).Create(ctx, pod, meta.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := client.CoreV1().Pods(pod.Namespace).Delete(context.WithoutCancel(ctx), pod.Name, meta.DeleteOptions{}); err != nil {
			t.Error(err)
		}
	})
	return pod
}

// wantTelemetryWithoutPods: a receiver that wants labels of /pods and does not get them gives nothing at all and says why; one that wants none
// is content.
func wantTelemetryWithoutPods(t *testing.T, pod *core.Pod) {
	var plain telemetry
	err := cluster.Await(t.Context(), telemetryLimit, "a reading without labels of pods' specs", func(ctx context.Context) (err error) {
		if plain, err = newestTelemetry(pod, "plain.json"); err != nil {
			return fmt.Errorf("%w; it says:\n%s", err, lastWords(ctx, pod))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	containers := plain.with("container.memory.working_set")
	for _, name := range lasting() {
		if c := containers[name]; c == nil || c.labels["container.id"] != "" {
			t.Errorf("%s: got %+v, want figures, and no container.id", name, c)
		}
	}
	const complaint = "call to /pods endpoint failed"
	var line string
	err = cluster.Await(t.Context(), telemetryLimit, "the other receiver's complaint: "+complaint, func(ctx context.Context) error {
		said, err := node.Client().CoreV1().Pods(pod.Namespace).GetLogs(pod.Name, &core.PodLogOptions{}).DoRaw(ctx)
		if err != nil {
			return err
		}
		for line = range strings.Lines(string(said)) {
			if strings.Contains(line, complaint) {
				return nil
			}
		}
		return fmt.Errorf("it says:\n%s", said)
	})
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(line, "404 Not Found") {
		t.Errorf("the complaint does not tell that there is no such path: %s", line)
	}
	// It passes on an empty reading.
	seen, err := newestTelemetry(pod, "metrics.json")
	if err != nil && !errors.Is(err, errNoTelemetry) {
		t.Error(err)
	}
	if len(seen) > 0 {
		t.Errorf("it has %d resources all the same", len(seen))
	}
}
