package e2e

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nodevitals/nodevitals/e2e/cluster"
	"github.com/nodevitals/nodevitals/e2e/compare"
	"github.com/nodevitals/nodevitals/e2e/workload"
)

// Where the agent with all sources answers, beside the kubelet's own ports: 10248, 10250 and 10255.
const (
	agentURL    = "http://127.0.0.1:20255"
	agentHealth = "http://127.0.0.1:20148"
)

// agent is nodevitals as it runs beside the kubelet, with some sources of names.
type agent struct {
	// name is the component's, url that of its read-only port.
	name, url string
	// source is what --pod-source says, or empty.
	source string
	// kubeconfig says that it gets one.
	kubeconfig bool
	// lacks are the deviations that come of a source that is not asked; nil if all are.
	lacks func(*endpoint) []compare.Deviation
	// reads is how the kubelet's metrics read to whom such a source is missing; nil: as they are.
	reads func(compare.Document) compare.Document
}

var (
	bothSources = &agent{name: "nodevitals", url: agentURL, kubeconfig: true}
	apiAlone    = &agent{
		name: "nodevitals-api", url: "http://127.0.0.1:20256", source: "api", kubeconfig: true,
		reads: compare.Document.WithoutSandboxImages,
		lacks: func(e *endpoint) []compare.Deviation {
			if e.path == summaryPath {
				return compare.APIAloneSummary()
			}
			return compare.APIAloneMetrics(e.first.Document, workload.Changing())
		},
	}
	runtimeAlone = &agent{
		name: "nodevitals-cri", url: "http://127.0.0.1:20257", source: "cri",
		lacks: func(e *endpoint) []compare.Deviation {
			if e.path == summaryPath {
				return compare.RuntimeAloneSummary(e.first.Document)
			}
			return nil
		},
	}

	// agents are all that run beside the kubelet.
	agents = []*agent{bothSources, apiAlone, runtimeAlone}
)

// The readers of cgroups, as --reader and nodevitals_reader call them.
const (
	readerOfFiles  = "files"
	readerInKernel = "bpf"
)

// reader is what reads cgroups for the agent: in the emulated machine, whose kernel is known, in the kernel for that of both sources, and
// from files for the others. So either reader is held against the kubelet's figures.
func (a *agent) reader() string {
	if a == bothSources && os.Getenv(machineVariable) != "" && compare.KernelHere().Unified {
		return readerInKernel
	}
	return readerOfFiles
}

// arguments are how it runs on the node, with what it is told besides.
func (a *agent) arguments(besides ...string) []string {
	arguments := []string{
		"--read-only-port=" + a.url[strings.LastIndexByte(a.url, ':')+1:], "--secure-port=0",
		"--node-name=" + cluster.NodeName, "--root-dir=" + node.RootDir(),
		"--kubelet-cgroups=" + node.KubeletCgroup(), "--runtime-cgroups=" + node.ContainerdCgroup(),
		"--reader=" + a.reader(),
		// Figures of disks must be of between two of the kubelet's answers, as all others are.
		"--storage-max-age=1s",
	}
	health := "--healthz-port=0"
	if a == bothSources {
		health = "--healthz-port=" + agentHealth[strings.LastIndexByte(agentHealth, ':')+1:]
	}
	arguments = append(arguments, health)
	if a.source != "" {
		arguments = append(arguments, "--pod-source="+a.source)
	}
	if a.kubeconfig {
		arguments = append(arguments, "--kubeconfig="+node.Kubeconfig("nodevitals"))
	}
	return append(arguments, besides...)
}

// start runs the agent until the cluster goes down.
func (a *agent) start(ctx context.Context, binary string, besides ...string) (*cluster.Process, error) {
	return node.Start(ctx, cluster.Component{
		Name: a.name, Path: binary, Args: a.arguments(besides...), Cgroup: node.Cgroup(a.name + ".service"),
		Until: "its health at " + a.url + "/readyz", Limit: 2 * time.Minute,
		Ready: func(ctx context.Context) error {
			_, err := node.Get(ctx, a.url+"/readyz")
			return err
		},
	})
}

// startForTest runs a further agent for the length of a test.
func (a *agent) startForTest(t *testing.T, besides ...string) {
	t.Helper()
	p, err := a.start(t.Context(), node.Process(bothSources.name).Path, besides...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := node.End(p); err != nil {
			t.Error(err)
		}
	})
}

// agentBinary is nodevitals' program.
var agentBinary = sync.OnceValues(func() (string, error) {
	binary, err := given(binaryVariable, func() (string, error) {
		path := filepath.Join(node.StateDir(), "nodevitals")
		return path, command("go", "-C", "..", "build", "-o", path, "./cmd/nodevitals").Run()
	})
	if err != nil {
		return "", fmt.Errorf("build nodevitals: %w", err)
	}
	return binary, nil
})

// startAgents starts nodevitals once for all tests, with all sources and with each alone, and returns the reason if one does not run.
var startAgents = sync.OnceValue(func() error {
	binary, err := agentBinary()
	if err != nil {
		return err
	}
	for _, a := range agents {
		if _, err := a.start(context.Background(), binary); err != nil {
			return err
		}
	}
	return nil
})

// needAgent starts nodevitals beside the kubelet.
func needAgent(t *testing.T) {
	t.Helper()
	needCluster(t)
	if err := startAgents(); err != nil {
		t.Fatal(err)
	}
}

func TestAgentAnswersBesideTheKubelet(t *testing.T) {
	needAgent(t)
	for path, want := range map[string]string{
		"/stats/summary":    `"nodeName":"` + cluster.NodeName + `"`,
		"/metrics/cadvisor": "container_cpu_usage_seconds_total{",
		"/metrics/resource": "node_cpu_usage_seconds_total",
		"/metrics":          "nodevitals_build_info",
	} {
		t.Run(path, func(t *testing.T) {
			text, err := node.Get(t.Context(), agentURL+path)
			if err != nil {
				t.Fatal(err)
			}
			// JSON may have blanks after its colons.
			if !strings.Contains(strings.ReplaceAll(string(text), `": "`, `":"`), want) {
				t.Errorf("%s answers without %q:\n%.600s", path, want, text)
			}
		})
	}
	for _, url := range []string{agentURL, agentHealth} {
		if said, err := node.Get(t.Context(), url+"/healthz"); err != nil || string(said) != "ok" {
			t.Errorf("%s/healthz: got %q and error %v, want ok", url, said, err)
		}
	}
}

// The cgroups are read by whom the command line says, and no agent has fallen back to files.
func TestAgentReadsAsTold(t *testing.T) {
	needAgent(t)
	eachAgent(t, func(t *testing.T, a *agent) {
		if _, err := node.Get(t.Context(), a.url+cadvisorPath); err != nil {
			t.Fatal(err)
		}
		text, err := node.Get(t.Context(), a.url+"/metrics")
		if err != nil {
			t.Fatal(err)
		}
		if want := `nodevitals_reader{reader="` + a.reader() + `"} 1`; !strings.Contains(string(text), want) {
			t.Errorf("/metrics has no %s", want)
		}
	})
}
