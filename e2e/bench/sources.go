package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/nodevitals/nodevitals/e2e/bench/report"
	"github.com/nodevitals/nodevitals/e2e/cluster"
)

// sourcePort is where an agent answers that is there to be weighed.
const sourcePort = "20455"

// weighSources starts an agent with each source of names in turn, and says what memory it takes once it has shown all pods.
func weighSources(ctx context.Context, c *cluster.Cluster, files binaries, pods int) (all []report.Source, err error) {
	for _, source := range []struct {
		name      string
		arguments []string
	}{
		{"none", nil},
		{"api", []string{"--kubeconfig=" + c.Kubeconfig("nodevitals")}},
		{"cri", nil},
		{"auto", []string{"--kubeconfig=" + c.Kubeconfig("nodevitals")}},
	} {
		one, err := weighSource(ctx, c, files, pods, source.name, source.arguments)
		if err != nil {
			return nil, fmt.Errorf("weigh --pod-source=%s: %w", source.name, err)
		}
		all = append(all, one)
	}
	return all, nil
}

func weighSource(ctx context.Context, c *cluster.Cluster, files binaries, pods int, name string, arguments []string) (report.Source, error) {
	agent := &program{name: name, base: "http://127.0.0.1:" + sourcePort, paths: everyPath, own: "/metrics", client: newClient(c.Dial, nil)}
	component := "nodevitals-" + name
	err := start(ctx, c, agent, "/readyz", cluster.Component{Name: component, Path: files.nodevitals, Args: append([]string{
		"--read-only-port=" + sourcePort, "--healthz-port=0", "--secure-port=0", "--pod-source=" + name, "--reader=files",
		"--node-name=" + cluster.NodeName, "--root-dir=" + c.RootDir(),
	}, arguments...)})
	if err != nil {
		return report.Source{}, err
	}
	if name != "none" {
		err := cluster.Await(ctx, 2*time.Minute, "the names of all containers", func(ctx context.Context) error {
			text, err := agent.text(ctx, report.ResourcePath)
			if err != nil {
				return err
			}
			if seen := strings.Count(string(text), "\ncontainer_start_time_seconds{"); seen < pods*containersOfPod {
				return fmt.Errorf("there are those of %d", seen)
			}
			return nil
		})
		if err != nil {
			return report.Source{}, err
		}
	}
	// As a scraper has it: one answer after the other, each from a pass of its own.
	for range 3 {
		for _, path := range []string{report.CadvisorPath, report.ResourcePath, report.SummaryPath} {
			if _, err := agent.ask(ctx, path, nil); err != nil {
				return report.Source{}, err
			}
		}
		if err := sleep(ctx, 1100*time.Millisecond); err != nil {
			return report.Source{}, err
		}
	}
	memory, err := memoryOf(agent.pid)
	if err != nil {
		return report.Source{}, err
	}
	var state report.Program
	if err := agent.state(ctx, &state); err != nil {
		return report.Source{}, err
	}
	return report.Source{Name: name, Resident: memory.most, Own: memory.own, Heap: state.Heap, Goroutines: state.Goroutines}, c.End(c.Process(component))
}
