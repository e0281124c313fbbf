package e2e

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	core "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/nodevitals/nodevitals/e2e/cluster"
	"github.com/nodevitals/nodevitals/e2e/compare"
	"github.com/nodevitals/nodevitals/e2e/prometheus"
	"github.com/nodevitals/nodevitals/e2e/workload"
)

const (
	watchedAgent = "127.0.0.1:20275"
	// watchedSecure is that agent's port with TLS, for what it tells of certificates and reviews: nobody asks there.
	watchedSecure = "20276"
	// secondAgent and secondSecure are those of an agent with the flags' defaults, which Prometheus takes for that of another node.
	secondAgent    = "127.0.0.1:20277"
	secondSecure   = "20278"
	secondNode     = "e2e-second"
	watcherAddress = "127.0.0.1:20091"
	// limitedPod has limits of what it takes of the node's disk.
	limitedPod = "limited-disk"
)

// watching is a Prometheus that scrapes nodevitals with the labels that the monitors of the manifests give, and evaluates rules.
type watching struct {
	server *prometheus.Server
	// agent has all its series; second, of another node for Prometheus, those that it has by default. There is none where the host has had one.
	agent, second *cluster.Process
	interval      time.Duration
}

// startWatching has Debian's Prometheus scrape a nodevitals that serves all it can, for the length of a test. /metrics/cadvisor is there under two
// jobs, as for somebody who asks the kubelet's as well: whatever counts something twice then shows. A second nodevitals stands for that of
// another node: whatever takes two nodes for one shows as well. Rules are texts of rule files.
func startWatching(t *testing.T, rules ...string) *watching {
	t.Helper()
	program, err := prometheus.Find("prometheus")
	if err != nil {
		t.Skip(err)
	}
	needCluster(t)
	awaitPods(t)
	makeLimited(t)
	w := &watching{interval: 2 * time.Second, server: &prometheus.Server{URL: "http://" + watcherAddress, Get: node.Get}}
	if os.Getenv(machineVariable) != "" {
		w.interval = 20 * time.Second // everything takes some ten times longer there
	}
	w.startAgent(t)
	jobs := []prometheus.Job{
		watchedJob("cadvisor", "nodevitals", cadvisorPath, watchedAgent, cluster.NodeName),
		watchedJob("self", "nodevitals", "/metrics", watchedAgent, cluster.NodeName),
	}
	if !ranElsewhere() {
		w.second = w.startNodevitals(t, "nodevitals-second", secondAgent, secondSecure)
		jobs = append(jobs,
			watchedJob("kubelet", "kubelet", cadvisorPath, watchedAgent, cluster.NodeName),
			watchedJob("second-cadvisor", "nodevitals", cadvisorPath, secondAgent, secondNode),
			watchedJob("second-self", "nodevitals", "/metrics", secondAgent, secondNode),
		)
	}

	folder, err := os.MkdirTemp(node.StateDir(), "watching-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(folder) })
	var files []string
	for i, text := range rules {
		path := filepath.Join(folder, fmt.Sprintf("rules-%d.yaml", i))
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		files = append(files, path)
	}
	configuration := filepath.Join(folder, "prometheus.yml")
	if err := os.WriteFile(configuration, []byte(prometheus.Configuration(w.interval, jobs, files...)), 0o644); err != nil {
		t.Fatal(err)
	}
	w.run(t, cluster.Component{
		Name: "watcher", Path: program, Cgroup: node.Cgroup("watcher.service"),
		Args: []string{
			"--config.file=" + configuration, "--storage.tsdb.path=" + filepath.Join(folder, "data"), "--web.listen-address=" + watcherAddress,
		},
		Until: "Prometheus to be ready at " + watcherAddress, Limit: 3 * time.Minute,
		Ready: func(ctx context.Context) error {
			_, err := node.Get(ctx, w.server.URL+"/-/ready")
			return err
		},
	})
	return w
}

// watchedJob scrapes one path of an agent, with the labels that the monitors of the manifests give.
func watchedJob(name, job, path, target, node string) prometheus.Job {
	return prometheus.Job{Name: name, Target: target, Path: path, Labels: map[string]string{"job": job, "metrics_path": path, "node": node}}
}

// run starts a component that ends with the test, unless it has ended by then.
func (w *watching) run(t *testing.T, component cluster.Component) *cluster.Process {
	t.Helper()
	p, err := node.Start(t.Context(), component)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if p.Ended() != nil {
			return // the test has seen to that
		}
		if err := node.End(p); err != nil {
			t.Error(err)
		}
	})
	return p
}

// startAgent starts nodevitals with all its series.
func (w *watching) startAgent(t *testing.T) {
	t.Helper()
	w.agent = w.startNodevitals(t, "nodevitals-watched", watchedAgent, watchedSecure,
		"--extra-series=all", "--kubelet-series=on", "--kubelet-cgroups="+node.KubeletCgroup(), "--runtime-cgroups="+node.ContainerdCgroup())
}

// startNodevitals starts one that answers at an address, and with TLS at a port.
func (w *watching) startNodevitals(t *testing.T, name, address, secure string, besides ...string) *cluster.Process {
	t.Helper()
	binary, err := agentBinary()
	if err != nil {
		t.Fatal(err)
	}
	return w.run(t, cluster.Component{
		Name: name, Path: binary, Cgroup: node.Cgroup(name + ".service"),
		Args: append([]string{
			"--read-only-port=" + address[strings.LastIndexByte(address, ':')+1:], "--healthz-port=0", "--secure-port=" + secure,
			"--node-name=" + cluster.NodeName, "--root-dir=" + node.RootDir(), "--kubeconfig=" + node.Kubeconfig("nodevitals"),
		}, besides...),
		Until: "its health at http://" + address + "/readyz", Limit: 2 * time.Minute,
		Ready: func(ctx context.Context) error {
			_, err := node.Get(ctx, "http://"+address+"/readyz")
			return err
		},
	})
}

// makeLimited makes a pod that may take so much of the node's disk, and no more: none of the others has such limits.
func makeLimited(t *testing.T) {
	t.Helper()
	pods := node.Client().CoreV1().Pods(meta.NamespaceDefault)
	p := workload.Scratch(meta.NamespaceDefault, limitedPod)
	p.Spec.Containers[0].Resources.Limits = core.ResourceList{core.ResourceEphemeralStorage: resource.MustParse("64Mi")}
	p.Spec.Volumes[0].EmptyDir.SizeLimit = new(resource.MustParse("32Mi"))
	if _, err := pods.Create(t.Context(), p, meta.CreateOptions{}); err != nil {
		t.Fatalf("make pod %s: %v", limitedPod, err)
	}
	t.Cleanup(func() {
		ctx := context.WithoutCancel(t.Context())
		if err := pods.Delete(ctx, limitedPod, meta.DeleteOptions{GracePeriodSeconds: new(int64)}); err != nil {
			t.Error(err)
		}
		// The next test makes it anew.
		err := cluster.Await(ctx, podsLimit, "pod "+limitedPod+" to be gone", func(ctx context.Context) error {
			_, err := pods.Get(ctx, limitedPod, meta.GetOptions{})
			if err == nil {
				return errors.New("it is still there")
			}
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	})
}

// asked is one expression that must have an answer.
type asked struct {
	// name is what it stands for: a panel, a rule.
	name, expression string
}

// lacking is why an expression may have no answer here, and when that holds; when is nil for always.
type lacking struct {
	reason string
	when   func() bool
}

// withoutPressure tells whether the kernel here keeps none.
func withoutPressure() bool {
	_, err := os.Stat("/proc/pressure/cpu")
	return err != nil || !compare.KernelHere().Unified
}

// numbers is how many of the series have a number: 0 divided by 0 is a series as well, and shows nothing.
func numbers(series []prometheus.Series) (count int) {
	for _, one := range series {
		if !math.IsNaN(one.Last().Value) {
			count++
		}
	}
	return count
}

// awaitAnswers waits until each expression has an answer with a number in it, but for those that may lack one, which it tells with the reason.
func (w *watching) awaitAnswers(t *testing.T, all []asked, may map[string]lacking) {
	t.Helper()
	var must []asked
	for _, one := range all {
		if excuse, ok := may[one.name]; !ok || excuse.when != nil && !excuse.when() {
			must = append(must, one)
		}
	}
	for name := range may {
		if !slices.ContainsFunc(all, func(one asked) bool { return one.name == name }) {
			t.Errorf("%q may lack an answer, and nobody asks it", name)
		}
	}
	err := cluster.Await(t.Context(), 6*time.Minute, fmt.Sprintf("answers to %d expressions", len(must)), func(ctx context.Context) error {
		if err := w.agent.Ended(); err != nil {
			return cluster.Stop(err)
		}
		if w.second != nil && w.second.Ended() != nil {
			return cluster.Stop(w.second.Ended())
		}
		var empty []string
		for _, one := range must {
			series, err := w.server.Query(ctx, one.expression, 0)
			if err != nil {
				return cluster.Stop(fmt.Errorf("%s: %s: %w", one.name, one.expression, err))
			}
			if numbers(series) == 0 {
				empty = append(empty, fmt.Sprintf("%s (%d are no number): %s", one.name, len(series), one.expression))
			}
		}
		if len(empty) > 0 {
			return fmt.Errorf("%d have none:\n%s", len(empty), strings.Join(empty, "\n"))
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	t.Logf("%d expressions have answers", len(must))
	for _, one := range all {
		if slices.Contains(must, one) {
			continue
		}
		series, err := w.server.Query(t.Context(), one.expression, 0)
		if err != nil {
			t.Errorf("%s: %v", one.name, err)
			continue
		}
		t.Logf("not held to an answer: %s has %d series, %d of them numbers: %s", one.name, len(series), numbers(series), may[one.name].reason)
	}
}

// rulesOf reads a file of the checkout, and returns it with the names of what it records.
func rulesOf(t *testing.T, path string) (text string, recorded []asked) {
	t.Helper()
	read, err := os.ReadFile(filepath.Join("..", path))
	if err != nil {
		t.Fatal(err)
	}
	for _, match := range regexp.MustCompile(`(?m)^ +- record: (\S+)$`).FindAllStringSubmatch(string(read), -1) {
		recorded = append(recorded, asked{match[1], match[1]})
	}
	if len(recorded) < 10 {
		t.Fatalf("%s records %d series only", path, len(recorded))
	}
	return string(read), recorded
}

// awaitHealthy waits until Prometheus has evaluated each rule without an error.
func (w *watching) awaitHealthy(t *testing.T) {
	t.Helper()
	err := cluster.Await(t.Context(), 4*time.Minute, "every rule to be healthy", func(ctx context.Context) error {
		rules, err := w.server.Rules(ctx)
		if err != nil {
			return err
		}
		if len(rules) == 0 {
			return cluster.Stop(errors.New("Prometheus has no rules"))
		}
		for _, rule := range rules {
			switch rule.Health {
			case "ok":
			case "err":
				return cluster.Stop(fmt.Errorf("%s: %s", rule.Name, rule.LastError))
			default:
				return fmt.Errorf("%s is %s", rule.Name, rule.Health)
			}
		}
		t.Logf("%d rules are healthy", len(rules))
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

// awaitEachNode waits until an expression gives each of the two nodes about what a reference gives it. The reference is of one job and of one node
// alone; a factor of two, which is what this looks for, is not about.
func (w *watching) awaitEachNode(t *testing.T, name, expression, reference string) {
	t.Helper()
	ask := fmt.Sprintf("(%s) / on (node) (%s)", expression, reference)
	err := cluster.Await(t.Context(), 6*time.Minute, name+" to be about that of one node: "+reference, func(ctx context.Context) error {
		series, err := w.server.Query(ctx, ask, 0)
		if err != nil {
			return cluster.Stop(fmt.Errorf("%s: %w", ask, err))
		}
		good := map[string]float64{}
		all := map[string]float64{}
		for _, one := range series {
			ratio := one.Last().Value
			all[one.Labels["node"]] = ratio
			if ratio > 0.7 && ratio < 1.4 {
				good[one.Labels["node"]] = ratio
			}
		}
		if len(good) != 2 || len(all) != 2 {
			return fmt.Errorf("it is so many times that much: %v", all)
		}
		t.Logf("%s is %v times that of one node", name, good)
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}
