package e2e

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	core "k8s.io/api/core/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/nodevitals/nodevitals/e2e/cluster"
	"github.com/nodevitals/nodevitals/e2e/compare"
	"github.com/nodevitals/nodevitals/e2e/workload"
)

// What is awaited in bad weather comes within seconds, and on an emulated processor within a minute.
const weatherLimit = 4 * time.Minute

// summary is an agent's summary now.
func (a *agent) summary(ctx context.Context) (compare.Document, error) {
	text, err := node.Get(ctx, a.url+summaryPath)
	if err != nil {
		return nil, err
	}
	return compare.ParseSummary(text)
}

// mustSummary is the same for a test that needs it.
func (a *agent) mustSummary(t *testing.T) compare.Document {
	t.Helper()
	d, err := a.summary(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// podPaths are the paths of pods, without what comes and goes by itself: containers that end again and again.
func podPaths(d compare.Document) map[string]bool {
	paths := make(map[string]bool)
next:
	for path := range d.Only("pods[") {
		for _, name := range workload.Fleeting {
			if strings.Contains(path, ".containers["+name+"].") {
				continue next
			}
		}
		paths[path] = true
	}
	return paths
}

// stillServes fails if the agent's summary lacks what it had before, but for what the test says may be.
func (a *agent) stillServes(t *testing.T, before compare.Document, but ...string) {
	t.Helper()
	now := a.mustSummary(t)
	var lost []string
next:
	for path := range podPaths(before) {
		for _, part := range but {
			if strings.HasPrefix(path, part) {
				continue next
			}
		}
		if _, ok := now[path]; !ok {
			lost = append(lost, path)
		}
	}
	if len(lost) > 0 {
		t.Errorf("%s lost %d paths: %s", a.name, len(lost), someOf(lost))
	}
}

// awaitHealth waits until /healthz?verbose has the words.
func (a *agent) awaitHealth(t *testing.T, words string) {
	t.Helper()
	err := cluster.Await(t.Context(), weatherLimit, words+" in /healthz?verbose of "+a.name, func(ctx context.Context) error {
		// Health tells of the last time that somebody was asked, which is when figures are.
		if _, err := a.summary(ctx); err != nil {
			return err
		}
		text, err := node.Get(ctx, a.url+"/healthz?verbose")
		if err != nil {
			text = []byte(err.Error()) // it has the body
		}
		if !strings.Contains(string(text), words) {
			return fmt.Errorf("it says %s", text)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

// readies fails if the agent says that it is not ready, or not alive: nothing that a restart would mend has happened.
func (a *agent) readies(t *testing.T) {
	t.Helper()
	for _, path := range []string{"/readyz", "/livez"} {
		if text, err := node.Get(t.Context(), a.url+path); err != nil {
			t.Errorf("%s fails, and a restart would mend nothing: %s %v", path, text, err)
		}
	}
}

// selfMetric is a line of the agent's own metrics that starts like this, and its number.
func (a *agent) selfMetric(ctx context.Context, start string) (line string, number float64, err error) {
	text, err := node.Get(ctx, a.url+"/metrics")
	if err != nil {
		return "", 0, err
	}
	for line := range strings.Lines(string(text)) {
		if strings.HasPrefix(line, start) {
			line = strings.TrimSpace(line)
			_, err := fmt.Sscan(line[strings.LastIndexByte(line, ' ')+1:], &number)
			return line, number, err
		}
	}
	return "", 0, nil
}

// awaitMetric waits until a line of the agent's own metrics is as wanted.
func (a *agent) awaitMetric(t *testing.T, series string, wanted func(float64) bool) {
	t.Helper()
	err := cluster.Await(t.Context(), weatherLimit, series+" of "+a.name, func(ctx context.Context) error {
		line, number, err := a.selfMetric(ctx, series)
		if err == nil && (line == "" || !wanted(number)) {
			err = fmt.Errorf("seen: %q", line)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// awaitSource waits until the agent says that a source of names is connected, or away.
func (a *agent) awaitSource(t *testing.T, source string, connected bool) {
	t.Helper()
	want := map[bool]float64{true: 1}[connected]
	a.awaitMetric(t, `nodevitals_pod_source_connected{source="`+source+`"}`, func(is float64) bool { return is == want })
}

// makePods makes so many pods at once, for the length of the test.
func makePods(t *testing.T, prefix string, count int, build func(namespace, name string) *core.Pod) {
	t.Helper()
	for i := range count {
		pod := build(meta.NamespaceDefault, fmt.Sprintf("%s-%d", prefix, i))
		if _, err := node.Client().CoreV1().Pods(pod.Namespace).Create(t.Context(), pod, meta.CreateOptions{}); err != nil {
			t.Fatalf("make pod %s: %v", pod.Name, err)
		}
		t.Cleanup(func() { deletePod(t, pod.Name) })
	}
}

// deletePods deletes those that makePods made.
func deletePods(t *testing.T, prefix string, count int) {
	t.Helper()
	for i := range count {
		deletePod(t, fmt.Sprintf("%s-%d", prefix, i))
	}
}

func deletePod(t *testing.T, name string) {
	t.Helper()
	// Deleted twice, by the test and at its end, is no fault.
	_ = node.Client().CoreV1().Pods(meta.NamespaceDefault).Delete(context.WithoutCancel(t.Context()), name, meta.DeleteOptions{})
}

// awaitPodsSeen waits until the agent shows so many pods with this prefix, each with its container's CPU counter.
func (a *agent) awaitPodsSeen(t *testing.T, prefix string, count int) {
	t.Helper()
	what := fmt.Sprintf("%d pods %s* in the summary of %s", count, prefix, a.name)
	err := cluster.Await(t.Context(), podsLimit, what, func(ctx context.Context) error {
		d, err := a.summary(ctx)
		if err != nil {
			return err
		}
		seen := 0
		for path := range d {
			if strings.HasPrefix(path, "pods[default/"+prefix) && strings.HasSuffix(path, ".containers[only].cpu.usageCoreNanoSeconds") {
				seen++
			}
		}
		if seen != count {
			return fmt.Errorf("%d", seen)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
