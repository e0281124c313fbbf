package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	meta "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/nodevitals/nodevitals/e2e/cluster"
	"github.com/nodevitals/nodevitals/e2e/compare"
	"github.com/nodevitals/nodevitals/e2e/workload"
)

// Two hundred pods come and go in waves, as fast as the node starts containers. On the emulated machine it is one small wave.
const (
	wavesOfCrowd = 10
	podsOfWave   = 20
	emulatedWave = 4
)

// crowd is pods that come and go in waves. The kubelet has them from files, so that they need no API server.
type crowd struct {
	waves, size, come int
	start             time.Time
}

func newCrowd() *crowd {
	c := &crowd{waves: wavesOfCrowd, size: podsOfWave, start: time.Now()}
	if !node.OwnNetwork() {
		c.waves, c.size = 1, emulatedWave
	}
	return c
}

// left tells whether there is a wave to come.
func (c *crowd) left() bool { return c.come < c.waves }

// wave has as many pods come at once, waits until those who ask the runtime show each with its name, and has them go. After the last it
// does nothing.
func (c *crowd) wave(t *testing.T) {
	t.Helper()
	if !c.left() {
		return
	}
	prefix := fmt.Sprintf("wave%d-", c.come)
	c.come++
	for i := range c.size {
		addStaticPod(t, fmt.Sprint(prefix, i))
	}
	for _, a := range []*agent{runtimeAlone, bothSources} {
		a.awaitPodsSeen(t, prefix, c.size)
	}
	for i := range c.size {
		if err := node.RemoveStaticPod(fmt.Sprint(prefix, i)); err != nil {
			t.Fatal(err)
		}
	}
}

// gone waits until no agent shows any of them.
func (c *crowd) gone(t *testing.T) {
	t.Helper()
	t.Logf("%d pods came and went in waves of %d within %s", c.come*c.size, c.size, time.Since(c.start).Round(time.Second))
	for _, a := range agents {
		a.awaitPodsSeen(t, "wave", 0)
		a.awaitNoSeries(t, `pod="wave`)
	}
}

// addStaticPod gives the kubelet the manifest of a plain pod, by its name.
func addStaticPod(t *testing.T, name string) {
	t.Helper()
	pod := workload.Plain(meta.NamespaceDefault, name)
	pod.Spec.NodeName = ""
	manifest, err := json.Marshal(pod)
	if err != nil {
		t.Fatal(err)
	}
	if err := node.AddStaticPod(name, manifest); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = node.RemoveStaticPod(name) }) // most are gone by then
}

// Pods that come and go through the API server are seen with their names by every source, and are gone when they are.
func TestPodsComeAndGo(t *testing.T) {
	needAgent(t)
	awaitPods(t)
	const count = 8
	makePods(t, "guest", count, workload.Plain)
	for _, a := range agents {
		a.awaitPodsSeen(t, "guest", count)
	}
	deletePods(t, "guest", count)
	for _, a := range agents {
		a.awaitPodsSeen(t, "guest", 0)
		a.awaitNoSeries(t, `pod="guest`)
	}
}

// hasty is an agent that takes a sample for each request, so that pods and containers end in the middle of a pass.
var hasty = &agent{name: "nodevitals-hasty", url: "http://127.0.0.1:20260", kubeconfig: true}

// askAllTheTime asks every endpoint again and again until the returned function is called, which tells how many answers there were. Each
// answer must be whole: it can be read, and no series is there twice.
func (a *agent) askAllTheTime(t *testing.T) (stop func() int) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan int)
	go func() {
		answers := 0
		defer func() { ended <- answers }()
		for ctx.Err() == nil {
			for _, path := range []string{summaryPath, cadvisorPath, resourcePath} {
				e := endpoint{path: path}
				text, err := node.Get(ctx, a.url+path)
				if err == nil {
					_, err = e.parse(text, compare.Moment{})
				}
				if err != nil && ctx.Err() == nil {
					t.Errorf("%s of %s: %v", path, a.name, err)
				}
				answers++
			}
		}
	}()
	return func() int {
		cancel()
		return <-ended
	}
}

// awaitNoSeries waits until no series has that label: the kubelet takes a pod's cgroup away some time after its containers'.
func (a *agent) awaitNoSeries(t *testing.T, label string) {
	t.Helper()
	err := cluster.Await(t.Context(), podsLimit, "no series with "+label+" in "+cadvisorPath+" of "+a.name, func(ctx context.Context) error {
		text, err := node.Get(ctx, a.url+cadvisorPath)
		if err != nil {
			return err
		}
		if at := strings.Index(string(text), label); at >= 0 {
			return fmt.Errorf("there are, such as %.40s", text[at:])
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

// wantNoErrors fails if the agent counted an error of any part but these, and but for what the kernel keeps even from root here.
func (a *agent) wantNoErrors(t *testing.T, but ...string) {
	t.Helper()
	text, err := node.Get(t.Context(), a.url+"/metrics")
	if err != nil {
		t.Fatal(err)
	}
	metrics, err := compare.ParseMetrics(text, compare.Moment{})
	if err != nil {
		t.Fatal(err)
	}
	for series, figure := range metrics.Only("nodevitals_errors_total{") {
		if figure.Number > 0 && compare.Label(series, "reason") != "not permitted" && !slices.Contains(but, compare.Label(series, "part")) {
			t.Errorf("%s counted an error: %s %v", a.name, series, figure.Number)
		}
	}
}
