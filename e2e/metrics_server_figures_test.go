package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"testing"
	"time"

	"k8s.io/kubelet/pkg/apis/stats/v1alpha1"

	"github.com/nodevitals/nodevitals/e2e/cluster"
)

// testMetricsServerFigures holds memory against what the kubelet says now, and processor time against the kubelet's over a while. A busy
// machine gives a program more or less of its share from moment to moment, and the two look at other moments: what differs by chance
// does not do so in every look at the same container.
func testMetricsServerFigures(t *testing.T) {
	pending := lasting()
	err := cluster.Await(t.Context(), metricsServerLimit, "the kubelet's figures of every lasting container", func(ctx context.Context) error {
		kubelet, err := kubeletUsage(ctx)
		if err != nil {
			return err
		}
		got, err := podMetrics(ctx)
		if err != nil {
			return err
		}
		var differ []string
		pending = slices.DeleteFunc(pending, func(name string) bool {
			want, ok := kubelet[name]
			memory, cores := float64(got[name].bytes()), got[name].cores()
			if ok && want.near(memory, cores) {
				return true
			}
			differ = append(differ, fmt.Sprintf("%s: %.0f bytes and %.4f cores, the kubelet's (%t) %.0f and %.4f", name, memory, cores, ok, want.memory, want.cores))
			return false
		})
		if len(differ) > 0 {
			return fmt.Errorf("%d differ: %s", len(differ), someOf(differ))
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

// testMetricsServerNode holds a sample of the node between what nodevitals says before and after it, as near as those of containers are held.
func testMetricsServerNode(t *testing.T) {
	err := cluster.Await(t.Context(), metricsServerLimit, "a sample of the node between nodevitals' own figures", func(ctx context.Context) error {
		before, err := pulledUsage(ctx)
		if err != nil {
			return err
		}
		got, err := nodeSampleAfter(ctx, time.Now())
		if err != nil {
			return err
		}
		after, err := pulledUsage(ctx)
		if err != nil {
			return err
		}
		// The nearest figures that lie between the two.
		memory, cores := float64(got.bytes()), got.cores()
		nearest := used{
			memory: max(min(before.memory, after.memory), min(memory, max(before.memory, after.memory))),
			cores:  max(min(before.cores, after.cores), min(cores, max(before.cores, after.cores))),
		}
		if !nearest.near(memory, cores) {
			return fmt.Errorf("it has %.0f bytes and %.4f cores, nodevitals %+v before and %+v after", memory, cores, before, after)
		}
		t.Logf("%.0f bytes and %.4f cores lie near to nodevitals' own, %+v before and %+v after", memory, cores, before, after)
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

// nodeSampleAfter waits for a sample of the node that was taken after a moment.
func nodeSampleAfter(ctx context.Context, moment time.Time) (got usage, err error) {
	err = cluster.Await(ctx, metricsServerLimit, "a newer sample of the node in metrics.k8s.io", func(ctx context.Context) error {
		list, err := nodeMetrics(ctx)
		if err != nil {
			return err
		}
		for _, one := range list.Items {
			if one.Metadata.Name != cluster.NodeName {
				continue
			}
			if got = one.Usage; !one.Timestamp.After(moment) {
				return fmt.Errorf("the newest is of %s, and now it is %s", one.Timestamp, time.Now())
			}
			return nil
		}
		return fmt.Errorf("%s is not among %d nodes", cluster.NodeName, len(list.Items))
	})
	return got, err
}

// pulledUsage is the node's in nodevitals' own summary.
func pulledUsage(ctx context.Context) (used, error) {
	text, err := node.Get(ctx, pulledURL+summaryPath)
	if err != nil {
		return used{}, err
	}
	var summary v1alpha1.Summary
	if err := json.Unmarshal(text, &summary); err != nil {
		return used{}, err
	}
	n := summary.Node
	if n.CPU == nil || n.CPU.UsageNanoCores == nil || n.Memory == nil || n.Memory.WorkingSetBytes == nil {
		return used{}, fmt.Errorf("the summary lacks figures of the node: CPU %+v, memory %+v", n.CPU, n.Memory)
	}
	return used{float64(*n.Memory.WorkingSetBytes), float64(*n.CPU.UsageNanoCores) / 1e9}, nil
}

// used is what metrics-server tells of a node or a container, in bytes and in cores.
type used struct{ memory, cores float64 }

// near tells whether others are the same but for what a busy machine does from moment to moment.
func (u used) near(memory, cores float64) bool {
	return math.Abs(memory-u.memory) <= 2<<20+u.memory/10 && math.Abs(cores-u.cores) <= 0.05+u.cores/2
}

// kubeletUsage is the kubelet's own summary, by NAMESPACE/POD/CONTAINER.
func kubeletUsage(ctx context.Context) (map[string]used, error) {
	text, err := node.Kubelet(ctx, summaryPath)
	if err != nil {
		return nil, err
	}
	var summary v1alpha1.Summary
	if err := json.Unmarshal(text, &summary); err != nil {
		return nil, err
	}
	all := map[string]used{}
	for _, pod := range summary.Pods {
		for _, c := range pod.Containers {
			if c.CPU != nil && c.CPU.UsageNanoCores != nil && c.Memory != nil && c.Memory.WorkingSetBytes != nil {
				one := used{float64(*c.Memory.WorkingSetBytes), float64(*c.CPU.UsageNanoCores) / 1e9}
				all[pod.PodRef.Namespace+"/"+pod.PodRef.Name+"/"+c.Name] = one
			}
		}
	}
	return all, nil
}
