package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	core "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/nodevitals/nodevitals/e2e/bench/report"
	"github.com/nodevitals/nodevitals/e2e/cluster"
)

const (
	// Where the agent and cAdvisor answer in the node's network: no ports of the kubelet's.
	agentSecure, agentPlain = ":20250", ":20255"
	kernelSecure            = ":20350"
	cadvisorPort            = ":20288"
	// containersOfPod is how many each pod has.
	containersOfPod = 2
	// together is how many pods come up at once, and patienceWithPods how long these may take.
	together         = 10
	patienceWithPods = 5 * time.Minute
)

// everyPath is what the kubelet and the agent are asked for.
var everyPath = map[string]string{
	report.CadvisorPath: report.CadvisorPath, report.ResourcePath: report.ResourcePath, report.SummaryPath: report.SummaryPath,
}

// makePods makes pods with some load, and waits until all run. They come up some at a time: all at once they would wait for each other.
func makePods(ctx context.Context, c *cluster.Cluster, count int) error {
	for made := 0; made < count; {
		for next := min(made+together, count); made < next; made++ {
			if _, err := c.Client().CoreV1().Pods(meta.NamespaceDefault).Create(ctx, pod(made), meta.CreateOptions{}); err != nil {
				return fmt.Errorf("make pod %d: %w", made, err)
			}
		}
		if err := awaitPods(ctx, c, made); err != nil {
			return err
		}
	}
	return nil
}

func awaitPods(ctx context.Context, c *cluster.Cluster, count int) error {
	return cluster.Await(ctx, patienceWithPods, fmt.Sprintf("%d pods to run", count), func(ctx context.Context) error {
		pods, err := c.Client().CoreV1().Pods(meta.NamespaceDefault).List(ctx, meta.ListOptions{})
		if err != nil {
			return err
		}
		running := 0
		for i := range pods.Items {
			if isReady(&pods.Items[i]) {
				running++
			}
			if err := fails(&pods.Items[i]); err != nil {
				return cluster.Stop(err)
			}
		}
		if running < count {
			return fmt.Errorf("%d do", running)
		}
		return nil
	})
}

func isReady(p *core.Pod) bool {
	for _, condition := range p.Status.Conditions {
		if condition.Type == core.PodReady {
			return condition.Status == core.ConditionTrue
		}
	}
	return false
}

// fails returns an error for a pod whose containers end again and again: they never run for long, then.
func fails(p *core.Pod) error {
	for i := range p.Status.ContainerStatuses {
		if status := &p.Status.ContainerStatuses[i]; status.State.Waiting != nil && status.RestartCount > 2 {
			return fmt.Errorf("container %s of pod %s ended %d times: %s", status.Name, p.Name, status.RestartCount, status.State.Waiting.Message)
		}
	}
	return nil
}

// pod is one with two containers: one that works a little and holds some memory, under limits, and one that waits for requests.
func pod(number int) *core.Pod {
	quantities := func(cpu, memory string) core.ResourceList {
		return core.ResourceList{core.ResourceCPU: resource.MustParse(cpu), core.ResourceMemory: resource.MustParse(memory)}
	}
	return &core.Pod{
		ObjectMeta: meta.ObjectMeta{
			Name: fmt.Sprintf("load-%03d", number), Namespace: meta.NamespaceDefault,
			Labels: map[string]string{"app.kubernetes.io/name": "load", "app.kubernetes.io/part-of": "bench"},
		},
		Spec: core.PodSpec{
			NodeName: cluster.NodeName, TerminationGracePeriodSeconds: new(int64(1)),
			Containers: []core.Container{
				{
					Name: "works", Image: cluster.AppImage, ImagePullPolicy: core.PullNever, Args: []string{"burn", "1", "4"},
					Resources: core.ResourceRequirements{Requests: quantities("2m", "16Mi"), Limits: quantities("100m", "64Mi")},
				},
				{
					Name: "serves", Image: cluster.AppImage, ImagePullPolicy: core.PullNever, Args: []string{"serve", "8080"},
					Resources: core.ResourceRequirements{Requests: quantities("1m", "8Mi")},
				},
			},
		},
	}
}

// startPrograms starts the agent and cAdvisor beside the kubelet, and returns all, the agent first. The agent and the kubelet are there
// twice, once for each of their ports. With cgroup v2 there is a second agent, whose reader is in the kernel.
func startPrograms(ctx context.Context, c *cluster.Cluster, files binaries) ([]*program, error) {
	secure, err := c.AdminTLS()
	if err != nil {
		return nil, err
	}
	agent, err := startAgent(ctx, c, files, report.Nodevitals, agentSecure, "--read-only-port="+agentPlain[1:], "--reader=files")
	if err != nil {
		return nil, err
	}
	programs := []*program{
		agent,
		{name: report.NodevitalsPlain, pid: agent.pid, base: "http://127.0.0.1" + agentPlain, paths: everyPath, client: newClient(c.Dial, nil)},
	}
	if cgroupVersion() == 2 {
		kernel, err := startAgent(ctx, c, files, report.NodevitalsKernel, kernelSecure, "--read-only-port=0", "--reader=bpf")
		if err != nil {
			return nil, err
		}
		programs = append(programs, kernel)
	}
	cadvisor := &program{
		name: report.Cadvisor, base: "http://127.0.0.1" + cadvisorPort, paths: map[string]string{report.CadvisorPath: "/metrics"}, own: "/metrics",
		client: newClient(c.Dial, nil),
	}
	err = start(ctx, c, cadvisor, "/metrics", cluster.Component{
		Name: "cadvisor", Path: files.cadvisor, Args: []string{"-listen=127.0.0.1" + cadvisorPort},
	})
	if err != nil {
		return nil, err
	}
	kubelet := c.Process("kubelet")
	if kubelet == nil {
		return nil, errors.New("the kubelet does not run")
	}
	return append(programs,
		&program{
			name: report.Kubelet, pid: kubelet.PID(), base: "https://" + cluster.NodeAddress + ":10250", paths: everyPath, own: "/metrics",
			client: newClient(c.Dial, secure),
		},
		&program{
			name: report.KubeletPlain, pid: kubelet.PID(), base: "http://" + cluster.NodeAddress + ":10255", paths: everyPath,
			client: newClient(c.Dial, nil),
		},
		cadvisor,
	), nil
}

// startAgent starts nodevitals with all sources of names, and with a secure port that asks for certificates as the kubelet's does.
func startAgent(ctx context.Context, c *cluster.Cluster, files binaries, name, port string, arguments ...string) (*program, error) {
	secure, err := c.AdminTLS()
	if err != nil {
		return nil, err
	}
	agent := &program{
		name: name, base: "https://" + cluster.NodeAddress + port, paths: everyPath, own: "/metrics", client: newClient(c.Dial, secure),
	}
	pki := func(name string) string { return filepath.Join(c.StateDir(), "pki", name) }
	err = start(ctx, c, agent, "/readyz", cluster.Component{
		Name: "nodevitals-" + port[1:], Path: files.nodevitals, Args: append([]string{
			"--healthz-port=0", "--secure-port=" + port[1:],
			"--client-ca-file=" + pki("ca.crt"), "--tls-cert-file=" + pki("kubelet.crt"), "--tls-private-key-file=" + pki("kubelet.key"),
			"--node-name=" + cluster.NodeName, "--root-dir=" + c.RootDir(), "--kubeconfig=" + c.Kubeconfig("nodevitals"),
			"--kubelet-cgroups=" + c.KubeletCgroup(), "--runtime-cgroups=" + c.ContainerdCgroup(),
			// Each answer from a pass of its own: requests follow each other faster here than any scraper asks.
			"--max-age=0",
		}, arguments...),
	})
	return agent, err
}

// start runs a program in a cgroup of its own until it answers.
func start(ctx context.Context, c *cluster.Cluster, p *program, path string, component cluster.Component) error {
	component.Cgroup = c.Cgroup(component.Name + ".service")
	component.Until, component.Limit = "an answer at "+p.base+path, 10*time.Minute
	component.Ready = func(ctx context.Context) error {
		_, err := p.ask(ctx, path, nil)
		return err
	}
	process, err := c.Start(ctx, component)
	if err != nil {
		return err
	}
	p.pid = process.PID()
	return nil
}

// awaitFigures waits until every program shows every container: a kubelet takes some time until it has sampled them.
func awaitFigures(ctx context.Context, programs []*program, pods int) error {
	for _, p := range programs {
		what := fmt.Sprintf("%s to show the containers of %d pods", p.name, pods)
		err := cluster.Await(ctx, 5*time.Minute, what, func(ctx context.Context) error {
			text, err := p.text(ctx, p.paths[report.CadvisorPath])
			if err != nil {
				return err
			}
			if seen := containersIn(text); seen < pods*containersOfPod {
				return fmt.Errorf("it shows %d", seen)
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// containersIn counts the containers of the load in a text of metrics, by a family that each has once, and by the cgroups' paths, which
// all programs show alike.
func containersIn(text []byte) int {
	count := 0
	for line := range strings.Lines(string(text)) {
		if !strings.HasPrefix(line, "container_memory_working_set_bytes{") || !strings.Contains(line, `image="`+cluster.AppImage+`"`) {
			continue
		}
		count++
	}
	return count
}
