package e2e

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nodevitals/nodevitals/e2e/cluster"
	"github.com/nodevitals/nodevitals/e2e/compare"
	"github.com/nodevitals/nodevitals/e2e/workload"
)

// scrapedAgent is where nodevitals answers when it also has the kubelet's series.
const scrapedAgent = "127.0.0.1:20265"

// startScraped runs nodevitals with the kubelet's series, once for all tests. While nobody asks it does nothing.
var startScraped = sync.OnceValues(func() (*cluster.Process, error) {
	return node.Start(context.Background(), cluster.Component{
		Name: "nodevitals-scraped", Path: node.Process("nodevitals").Path, Cgroup: node.Cgroup("nodevitals-scraped.service"),
		Args: []string{
			"--read-only-port=20265", "--healthz-port=0", "--secure-port=0", "--kubelet-series=on", "--tick=0",
			"--node-name=" + cluster.NodeName, "--root-dir=" + node.RootDir(), "--kubeconfig=" + node.Kubeconfig("nodevitals"),
		},
		Until: "both sources of names in its metrics at " + scrapedAgent, Limit: 2 * time.Minute,
		Ready: func(ctx context.Context) error { return namesKnown(ctx, "http://"+scrapedAgent) },
	})
})

// namesKnown returns an error while an agent says that it has not heard of both sources of names, or answers without pods.
func namesKnown(ctx context.Context, url string) error {
	text, err := node.Get(ctx, url+"/metrics")
	if err != nil {
		return err
	}
	for _, source := range []string{"api", "cri"} {
		if line := fmt.Sprintf("nodevitals_pod_source_connected{source=%q} 1\n", source); !strings.Contains(string(text), line) {
			return fmt.Errorf("lacks %s", line)
		}
	}
	// A pass from before may still be young enough to be answered with.
	const pod = "pod_cpu_usage_seconds_total{"
	if text, err = node.Get(ctx, url+resourcePath); err == nil && !strings.Contains(string(text), pod) {
		err = fmt.Errorf("%s lacks %s", resourcePath, pod)
	}
	return err
}

// needScraped is for tests that ask that agent.
func needScraped(t *testing.T) *cluster.Process {
	t.Helper()
	needAgent(t)
	awaitPods(t)
	p, err := startScraped()
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// The kubelet's series on our /metrics are those of its own: names, types, help, labels, and values within what moved meanwhile.
func TestKubeletSeriesAreTheKubelets(t *testing.T) {
	needScraped(t)
	ask := func(ctx context.Context, who string, get func(context.Context) ([]byte, error)) (compare.Metrics, error) {
		text, err := get(ctx)
		if err != nil {
			return compare.Metrics{}, err
		}
		if err := keepAnswer(who, "/metrics", text); err != nil {
			return compare.Metrics{}, cluster.Stop(err)
		}
		metrics, err := compare.ParseMetrics(text, compare.Moment{From: time.Now(), To: time.Now()})
		if err != nil {
			return compare.Metrics{}, cluster.Stop(fmt.Errorf("%s: %w", who, err))
		}
		return compare.KubeletSeries(metrics), nil
	}
	kubelet := func(ctx context.Context) ([]byte, error) { return node.Kubelet(ctx, "/metrics") }
	ours := func(ctx context.Context) ([]byte, error) { return node.Get(ctx, "http://"+scrapedAgent+"/metrics") }
	var differences []compare.Difference
	var values compare.Compared
	// The kubelet counts pods when it has listed them anew, and we look at volumes and logs once a minute.
	err := cluster.Await(t.Context(), 4*time.Minute, "the kubelet's series as the kubelet has them", func(ctx context.Context) error {
		before, err := ask(ctx, "kubelet-before", kubelet)
		if err != nil {
			return err
		}
		got, err := ask(ctx, "nodevitals", ours)
		if err != nil {
			return err
		}
		after, err := ask(ctx, "kubelet-after", kubelet)
		if err != nil {
			return err
		}
		documents := []compare.Document{before.Document, after.Document}
		values = compare.Values(documents, got.Document, compare.KubeletRules)
		differences = slices.Concat(compare.Families(before, got), compare.Paths(documents, got.Document), values.Differences)
		differences = slices.DeleteFunc(compare.Excuse(differences, compare.KubeletDeviations), ofFleeting)
		if left := compare.Unexcused(differences); len(left) > 0 {
			var lines []string
			for _, d := range left {
				lines = append(lines, d.String())
			}
			return fmt.Errorf("%d differences: %s", len(left), someOf(lines))
		}
		if claims := got.Only("kubelet_volume_stats_used_bytes{"); len(claims) == 0 {
			return fmt.Errorf("no volume of a claim among %d series", len(got.Document))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d figures are the kubelet's; deviations met: %s", values.Held, strings.Join(compare.Met(differences), "; "))
}

// ofFleeting tells of a container that comes and goes faster than both look.
func ofFleeting(d compare.Difference) bool {
	return (d.What == compare.Missing || d.What == compare.Extra) && slices.Contains(workload.Fleeting, compare.Label(d.Path, "container"))
}

func TestKubeletDeviationsAreDocumented(t *testing.T) {
	missing, err := compare.Undocumented("../docs/fidelity.md", compare.KubeletDeviations)
	if err != nil {
		t.Fatal(err)
	}
	if len(missing) > 0 {
		t.Errorf("docs/fidelity.md has no row for %v", missing)
	}
}
