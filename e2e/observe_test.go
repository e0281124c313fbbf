package e2e

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nodevitals/nodevitals/e2e/cluster"
	"github.com/nodevitals/nodevitals/e2e/compare"
)

// A cgroup that idles is sampled by the kubelet every 15 to 30 s, and on an emulated processor a good deal later.
const observeLimit = 3 * time.Minute

// The kernel adds up the totals of pressure every two seconds unless somebody reads their files; on an emulated processor later.
const pressureAge = 5 * time.Second

const (
	summaryPath  = "/stats/summary"
	cadvisorPath = "/metrics/cadvisor"
	resourcePath = "/metrics/resource"
)

// observation is what the kubelet said around one answer of each agent of ours, on every endpoint.
type observation struct {
	summary, cadvisor, resource endpoint
}

// endpoint is one endpoint's part: the kubelet's answers in order, and ours.
type endpoint struct {
	path    string
	kubelet []compare.Document
	// first is the kubelet's first answer, which has the families of metrics.
	first compare.Metrics
	ours  map[*agent]compare.Metrics
	// waiting are the paths for which the kubelet gave no newer sample in time.
	waiting []string
}

// observe takes an answer of each agent, and the kubelet's before and after them until its samples are newer. It does so once for all tests.
var observe = sync.OnceValues(func() (*observation, error) {
	ctx := context.Background()
	o := &observation{
		summary: endpoint{path: summaryPath}, cadvisor: endpoint{path: cadvisorPath}, resource: endpoint{path: resourcePath},
	}
	endpoints := []*endpoint{&o.summary, &o.cadvisor, &o.resource}
	if err := settle(ctx); err != nil {
		return nil, err
	}
	for _, e := range endpoints {
		if err := e.askKubelet(ctx); err != nil {
			return nil, err
		}
	}
	for _, e := range endpoints {
		for _, a := range agents {
			if err := e.askAgent(ctx, a); err != nil {
				return nil, err
			}
		}
	}
	// Not an error: what waits in vain is told by the tests, by name.
	_ = cluster.Await(ctx, observeLimit, "newer samples of the kubelet", func(ctx context.Context) error {
		waiting := 0
		for _, e := range endpoints {
			if err := e.askKubelet(ctx); err != nil {
				return err
			}
			waiting += len(e.waiting)
		}
		if waiting > 0 {
			return fmt.Errorf("%d figures have none", waiting)
		}
		return nil
	})
	return o, nil
})

// askKubelet adds the kubelet's answer of now.
func (e *endpoint) askKubelet(ctx context.Context) error {
	asked := time.Now()
	text, err := node.Kubelet(ctx, e.path)
	if err != nil {
		return err
	}
	answered := time.Now()
	metrics, err := e.parse(text, compare.Moment{From: answered, To: answered})
	if err != nil {
		return fmt.Errorf("the kubelet's %s: %w", e.path, err)
	}
	metrics.MarkAsked(compare.Moment{From: asked, To: answered})
	if len(e.kubelet) == 0 {
		e.first = metrics
	}
	e.kubelet = append(e.kubelet, metrics.Document)
	e.waiting = nil
	for a, ours := range e.ours {
		e.waiting = append(e.waiting, compare.Waiting(a.read(metrics.Document), ours.Document, e.rules())...)
	}
	return keepAnswer(fmt.Sprintf("kubelet-%03d", len(e.kubelet)), e.path, text)
}

// askAgent takes our answer, once it is newer than the kubelet's: what was asked for a moment ago may still be served.
func (e *endpoint) askAgent(ctx context.Context, a *agent) error {
	const maxAge = time.Second
	return cluster.Await(ctx, time.Minute, "an answer of "+a.name+" that is newer than the kubelet's", func(ctx context.Context) error {
		asked := time.Now()
		text, err := node.Get(ctx, a.url+e.path)
		if err != nil {
			return err
		}
		metrics, err := e.parse(text, compare.Moment{From: asked.Add(-maxAge), To: time.Now()})
		if err != nil {
			return cluster.Stop(fmt.Errorf("%s of %s: %w", e.path, a.name, err))
		}
		if a.reader() == readerInKernel {
			metrics.PressureSince(pressureAge)
		}
		if early := compare.Early(a.read(e.kubelet[0]), metrics.Document, e.rules()); len(early) > 0 {
			return fmt.Errorf("%d counters are not, such as %s", len(early), early[0])
		}
		if e.ours == nil {
			e.ours = map[*agent]compare.Metrics{}
		}
		e.ours[a] = metrics
		return keepAnswer(a.name, e.path, text)
	})
}

func (e *endpoint) parse(text []byte, taken compare.Moment) (compare.Metrics, error) {
	if e.path != summaryPath {
		return compare.ParseMetrics(text, taken)
	}
	document, err := compare.ParseSummary(text)
	return compare.Metrics{Document: document}, err
}

func (e *endpoint) rules() compare.Rules {
	if e.path != summaryPath {
		return compare.MetricRules(e.first.Families)
	}
	return compare.SummaryRules
}

// deviations are those that an agent's answers may show here.
func (e *endpoint) deviations(a *agent) []compare.Deviation {
	deviations := compare.SummaryDeviations(compare.KernelHere())
	if e.path != summaryPath {
		deviations = compare.MetricDeviations(e.first.Document, compare.KernelHere())
	}
	if a.lacks != nil {
		deviations = slices.Concat(a.lacks(e), deviations)
	}
	return deviations
}

// theirs are the kubelet's answers as they are held against an agent's.
func (e *endpoint) theirs(a *agent) []compare.Document {
	var all []compare.Document
	for _, document := range e.kubelet {
		all = append(all, a.read(document))
	}
	return all
}

// read is how one of the kubelet's answers reads without the sources that the agent does not ask.
func (a *agent) read(kubelet compare.Document) compare.Document {
	if a.reads == nil {
		return kubelet
	}
	return a.reads(kubelet)
}

// keepAnswer writes an answer beside the logs, for whoever reads a failure.
func keepAnswer(who, path string, text []byte) error {
	folder := filepath.Join(logs, "answers")
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(folder, strings.ReplaceAll(strings.Trim(path, "/"), "/", "-")+"-"+who), text, 0o644)
}

// needObservation is for tests that compare.
func needObservation(t *testing.T) *observation {
	t.Helper()
	needAgent(t)
	awaitPods(t)
	o, err := observe()
	if err != nil {
		t.Fatal(err)
	}
	return o
}
