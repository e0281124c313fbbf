package e2e

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/nodevitals/nodevitals/e2e/cluster"
	"github.com/nodevitals/nodevitals/e2e/compare"
	"github.com/nodevitals/nodevitals/e2e/workload"
)

// settle waits until both sides have what they measure in the background.
func settle(ctx context.Context) error {
	volume, layers := []string{"pods[default/volumes].volume[scratch].usedBytes"}, lastingLayers()
	err := awaitFigures(ctx, 3*time.Minute, "the kubelet's", slices.Concat(volume, layers), func(ctx context.Context) ([]byte, error) {
		return node.Kubelet(ctx, summaryPath)
	})
	if err != nil {
		return err
	}
	for a, want := range map[*agent][]string{bothSources: slices.Concat(volume, layers), apiAlone: volume, runtimeAlone: layers} {
		// That we never have them is no reason not to compare the rest: the paths will tell.
		_ = awaitFigures(ctx, 90*time.Second, a.name+"'s", want, func(ctx context.Context) ([]byte, error) {
			return node.Get(ctx, a.url+summaryPath)
		})
	}
	if err := awaitSandboxes(ctx); err != nil {
		return err
	}
	awaitOwnFigures(ctx)
	return nil
}

// lastingLayers are the layer of each container that lasts, of which the runtime tells late.
func lastingLayers() []string {
	var paths []string
	for _, pod := range workload.Pods() {
		for _, container := range pod.Spec.Containers {
			if pod.Name != "completed" && !slices.Contains(workload.Fleeting, container.Name) {
				paths = append(paths, fmt.Sprintf("pods[%s].containers[%s].rootfs.usedBytes", pod.Key(), container.Name))
			}
		}
	}
	return paths
}

// awaitFigures waits until a summary has them.
func awaitFigures(ctx context.Context, limit time.Duration, whose string, figures []string, ask func(context.Context) ([]byte, error)) error {
	return cluster.Await(ctx, limit, "volumes and layers in "+whose+" summary", func(ctx context.Context) error {
		text, err := ask(ctx)
		if err != nil {
			return err
		}
		document, err := compare.ParseSummary(text)
		if err != nil {
			return cluster.Stop(err)
		}
		for _, path := range figures {
			if _, ok := document[path]; !ok {
				return fmt.Errorf("there is no %s", path)
			}
		}
		return nil
	})
}

// awaitOwnFigures waits until the kubelet has samples of its own of all containers that last. Until then it shows the runtime's figures, of the
// moment of asking, in which PSI totals are nanoseconds and not the microseconds of its own. Such figures have a new time whenever one asks.
// On a slow machine some containers never get there: the comparisons set them aside.
func awaitOwnFigures(ctx context.Context) {
	type seen struct{ asked, taken time.Time }
	last, settled := map[string]seen{}, map[string]bool{}
	_ = cluster.Await(ctx, 90*time.Second, "the kubelet's own samples of all containers", func(ctx context.Context) error {
		asked := time.Now()
		text, err := node.Kubelet(ctx, summaryPath)
		if err != nil {
			return err
		}
		document, err := compare.ParseSummary(text)
		if err != nil {
			return cluster.Stop(err)
		}
		waiting := 0
		for path, figure := range document.Only("pods[") {
			if !ofLastingContainer(path) || settled[path] {
				continue
			}
			before, ok := last[path]
			// Times are whole seconds: asked twice within two, also figures of the moment may have the same.
			if ok && asked.Sub(before.asked) >= 2*time.Second && figure.Taken.From.Equal(before.taken) {
				settled[path] = true
				continue
			}
			waiting++
			if !ok || !figure.Taken.From.Equal(before.taken) {
				last[path] = seen{asked, figure.Taken.From}
			}
		}
		if waiting > 0 {
			return fmt.Errorf("%d containers have none", waiting)
		}
		return nil
	})
}

// ofLastingContainer tells whether a path is the processor time of a container that is there to stay.
func ofLastingContainer(path string) bool {
	return strings.Contains(path, ".containers[") && strings.HasSuffix(path, "].cpu.usageCoreNanoSeconds") &&
		!slices.ContainsFunc(workload.Fleeting, func(name string) bool { return strings.Contains(path, ".containers["+name+"].") })
}

// awaitSandboxes waits until those who ask the runtime know every sandbox's image, which it tells after the API server has told of the pod.
func awaitSandboxes(ctx context.Context) error {
	for _, a := range []*agent{bothSources, runtimeAlone} {
		if err := awaitSandboxesOf(ctx, a); err != nil {
			return err
		}
	}
	return nil
}

func awaitSandboxesOf(ctx context.Context, a *agent) error {
	return cluster.Await(ctx, 2*time.Minute, "the image of every sandbox in "+cadvisorPath+" of "+a.name, func(ctx context.Context) error {
		text, err := node.Get(ctx, a.url+cadvisorPath)
		if err != nil {
			return err
		}
		for line := range strings.Lines(string(text)) {
			if strings.HasPrefix(line, "container_memory_usage_bytes{") && strings.Contains(line, `image=""`) && !strings.Contains(line, `name=""`) {
				return fmt.Errorf("one has none: %.200s", line)
			}
		}
		return nil
	})
}
