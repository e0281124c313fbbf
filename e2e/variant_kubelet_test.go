package e2e

import (
	"context"
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nodevitals/nodevitals/e2e/cluster"
	"github.com/nodevitals/nodevitals/e2e/compare"
)

// statsFromRuntime is the gate by which a kubelet asks the runtime for what it otherwise reads in cgroups.
const statsFromRuntime = "PodAndContainerStatsFromCRI"

// besidePage has the list of what a kubelet with that gate lacks, below a heading of its own.
const (
	besidePage  = "../docs/integrations/beside-and-instead.md"
	lacksHeader = "### What the kubelet then lacks"
)

// A kubelet that asks the runtime lacks what docs/integrations/beside-and-instead.md lists, no more and no less, and nodevitals beside it still
// gives all of it.
func TestBesideKubeletThatAsksTheRuntime(t *testing.T) {
	needAgent(t)
	// On the emulated machine, too: what is lacking differs between the versions of cgroups.
	awaitPods(t)
	plain := asUsual(t)
	before := bothSources.mustSummary(t)
	restartKubelet(t, "--feature-gates="+statsFromRuntime+"=true")
	listed, atTimes, err := lackingInPage()
	if err != nil {
		t.Fatal(err)
	}
	var lacking, given shown
	err = cluster.Await(t.Context(), 4*time.Minute, "a kubelet that lacks what "+besidePage+" lists", func(ctx context.Context) error {
		if lacking, given, err = lack(ctx, plain); err != nil {
			return err
		}
		unlisted, wrong := lacking.without(listed).without(atTimes), listed.without(lacking)
		if len(unlisted)+len(wrong) > 0 {
			return fmt.Errorf("it also lacks %v, and it has %v", unlisted, wrong)
		}
		return nil
	})
	t.Logf("the kubelet lacks and nodevitals gives: %s", someOf(lacking.names()))
	t.Logf("the kubelet lacks and nodevitals does not give: %s", someOf(plain.without(given).without(lacking).names()))
	if err != nil {
		t.Error(err)
	}
	bothSources.stillServes(t, before)
}

// lack is what a kubelet had as it was, lacks now, and nodevitals has; and what the two have together.
func lack(ctx context.Context, plain shown) (lacking, together shown, err error) {
	if err := wantGate(ctx); err != nil {
		return nil, nil, err
	}
	kubelet, err := show(ctx, "kubelet-"+statsFromRuntime, node.Kubelet)
	if err != nil {
		return nil, nil, err
	}
	ours, err := show(ctx, bothSources.name+"-"+statsFromRuntime, func(ctx context.Context, path string) ([]byte, error) {
		return node.Get(ctx, bothSources.url+path)
	})
	if err != nil {
		return nil, nil, err
	}
	lacking, together = shown{}, maps.Clone(kubelet)
	maps.Copy(together, ours)
	for name := range plain.without(kubelet) {
		if ours[name] {
			lacking[name] = true
		}
	}
	return lacking.inShort(kubelet), together, nil
}

// wantGate wants the kubelet to say that it has the gate.
func wantGate(ctx context.Context) error {
	text, err := node.Kubelet(ctx, "/metrics")
	if err != nil {
		return err
	}
	for line := range strings.Lines(string(text)) {
		if strings.HasPrefix(line, "kubernetes_feature_enabled{") && strings.Contains(line, `"`+statsFromRuntime+`"`) {
			if !strings.HasSuffix(strings.TrimSpace(line), " 1") {
				return cluster.Stop(fmt.Errorf("the gate is off: %s", line))
			}
			return nil
		}
	}
	return cluster.Stop(fmt.Errorf("the kubelet does not know gate %s", statsFromRuntime))
}

// restartKubelet has the kubelet run with further flags for the length of the test.
func restartKubelet(t *testing.T, flags ...string) {
	t.Helper()
	component := stopKubelet(t).Component
	component.Args = append(slices.Clone(component.Args), flags...)
	if _, err := node.Start(t.Context(), component); err != nil {
		t.Fatal(err)
	}
	awaitKubelet(t.Context(), t)
}

// stopKubelet ends the kubelet, whose pods go on, and at the end of the test has it as it was.
func stopKubelet(t *testing.T) *cluster.Process {
	t.Helper()
	asItWas := node.Process("kubelet")
	t.Cleanup(func() {
		if now := node.Process("kubelet"); now != nil {
			if err := node.End(now); err != nil {
				t.Error(err)
			}
		}
		ctx := context.WithoutCancel(t.Context())
		if err := node.Again(ctx, asItWas); err != nil {
			t.Fatal(err)
		}
		awaitKubelet(ctx, t)
	})
	if err := node.End(asItWas); err != nil {
		t.Fatal(err)
	}
	return asItWas
}

// awaitKubelet waits until the kubelet has every lasting pod: that the node is ready the API server says of the kubelet before it, too.
func awaitKubelet(ctx context.Context, t *testing.T) {
	t.Helper()
	err := cluster.Await(ctx, 4*time.Minute, "every lasting pod in the kubelet's summary", func(ctx context.Context) error {
		got, err := kubeletUsage(ctx)
		if err != nil {
			return err
		}
		for _, name := range lasting() {
			if _, ok := got[name]; !ok {
				return fmt.Errorf("%s is not among %d containers", name, len(got))
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// shown are names of what there is in the answers of an agent, whatever and however many it is of:
//
//	pods[].containers[].cpu.usageNanoCores   a path of the summary
//	container_memory_rss{pod}                a series of /metrics/cadvisor or /metrics/resource, and what it is of: see kindOf
//	id=                                      a label with a value
type shown map[string]bool

// names are sorted.
func (s shown) names() []string { return slices.Sorted(maps.Keys(s)) }

// without are those that another has not.
func (s shown) without(other shown) shown {
	rest := shown{}
	for name := range s {
		if !other[name] {
			rest[name] = true
		}
	}
	return rest
}

// inShort says in one name what a whole family, or all of one kind, is lacking of: "container_memory_rss" and "{pod}". The other is who lacks it.
func (s shown) inShort(other shown) shown {
	families, kinds := map[string]bool{}, map[string]bool{}
	for name := range other {
		if family, kind, ok := strings.Cut(name, "{"); ok {
			families[family], kinds["{"+kind] = true, true
		}
	}
	short := shown{}
	for name := range s {
		family, kind, ok := strings.Cut(name, "{")
		switch {
		case ok && !kinds["{"+kind]:
			name = "{" + kind
		case ok && !families[family]:
			name = family
		}
		short[name] = true
	}
	return short
}

var (
	element = regexp.MustCompile(`\[[^]]*\]`)
	// identifying are the labels that every row of /metrics/cadvisor has.
	identifying = []string{"id", "name", "image", "namespace", "pod", "container"}
)

// show asks for all endpoints, and keeps the answers.
func show(ctx context.Context, who string, ask func(context.Context, string) ([]byte, error)) (shown, error) {
	s := shown{}
	text, err := askAndKeep(ctx, who, summaryPath, ask)
	if err != nil {
		return nil, err
	}
	summary, err := compare.ParseSummary(text)
	if err != nil {
		return nil, cluster.Stop(err)
	}
	for path := range summary {
		s[element.ReplaceAllString(path, "[]")] = true
	}
	for _, path := range []string{cadvisorPath, resourcePath} {
		if text, err = askAndKeep(ctx, who, path, ask); err != nil {
			return nil, err
		}
		metrics, err := compare.ParseMetrics(text, compare.Moment{})
		if err != nil {
			return nil, cluster.Stop(err)
		}
		for series := range metrics.Document {
			family, _, _ := strings.Cut(series, "{")
			s[family+"{"+kindOf(series)+"}"] = true
			for _, label := range identifying {
				if compare.Label(series, label) != "" { // an empty one is none
					s[label+"="] = true
				}
			}
		}
	}
	return s, nil
}

func askAndKeep(ctx context.Context, who, path string, ask func(context.Context, string) ([]byte, error)) ([]byte, error) {
	text, err := ask(ctx, path)
	if err != nil {
		return nil, err
	}
	return text, keepAnswer(who, path, text)
}

// asUsual is what the kubelet shows once it is at work: one that has just begun knows neither whose a pod's cgroup is nor its volumes.
func asUsual(t *testing.T) (s shown) {
	t.Helper()
	err := cluster.Await(t.Context(), 4*time.Minute, "a kubelet that shows cgroups of every kind, and volumes", func(ctx context.Context) (err error) {
		if s, err = show(ctx, "kubelet-as-usual", node.Kubelet); err != nil {
			return err
		}
		for _, one := range []string{
			"container_memory_rss{root}", "container_memory_rss{cgroup}", "container_memory_rss{pod}", "container_memory_rss{sandbox}",
			"container_memory_rss{container}", "container_network_receive_bytes_total{network}", "pods[].volume[].name",
		} {
			if !s[one] {
				return fmt.Errorf("%s is not among %d names", one, len(s))
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// kindOf tells what a series is of: a container, a pod, its sandbox, its network, all cgroups together, another cgroup, or what is none. A pod's
// own series of /metrics/resource, which name no cgroup, are a kind of their own.
func kindOf(series string) string {
	id, ofPod := compare.Label(series, "id"), compare.Label(series, "pod") != ""
	switch {
	case compare.Label(series, "container") != "":
		return "container"
	case ofPod && strings.HasPrefix(series, "container_network_"):
		return "network"
	case ofPod && id == "":
		return "resources"
	// A runtime tells its ID, and a kubelet the cgroup and a name.
	case ofPod && (compare.Label(series, "name") != "" || !strings.HasPrefix(id, "/")):
		return "sandbox"
	case ofPod:
		return "pod"
	case id == "/":
		return "root"
	case id == "":
		return "machine"
	}
	return "cgroup"
}

// inBackticks is one name of the list, which is the table's last column. Where it is lacking with one version of cgroups alone, the row begins with
// that; and where it depends on what containers have done, the row goes on with a comma and says of what.
var inBackticks = regexp.MustCompile("`([^`]+)`")

// lackingInPage reads the list of the page, for this machine's version of cgroups: what is lacking always, and what at times.
func lackingInPage() (always, atTimes shown, err error) {
	text, err := os.ReadFile(besidePage)
	if err != nil {
		return nil, nil, err
	}
	_, list, ok := strings.Cut(string(text), lacksHeader+"\n")
	if !ok {
		return nil, nil, fmt.Errorf("%s has no %q", besidePage, lacksHeader)
	}
	list, _, _ = strings.Cut(list, "\n#")
	other := "cgroup v2"
	if compare.KernelHere().Unified {
		other = "cgroup v1"
	}
	always, atTimes = shown{}, shown{}
	for line := range strings.Lines(list) {
		if !strings.HasPrefix(line, "| ") || strings.HasPrefix(line, "| "+other) {
			continue
		}
		columns := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		s := always
		if strings.Contains(columns[0], ",") {
			s = atTimes
		}
		for _, name := range inBackticks.FindAllStringSubmatch(columns[len(columns)-1], -1) {
			s[name[1]] = true
		}
	}
	if len(always) == 0 {
		return nil, nil, fmt.Errorf("%s: nothing is listed below %q", besidePage, lacksHeader)
	}
	return always, atTimes, nil
}
