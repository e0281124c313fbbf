package e2e

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	core "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/nodevitals/nodevitals/e2e/cluster"
	"github.com/nodevitals/nodevitals/e2e/workload"
)

// awayFor is how long the API server stays away at least. On the emulated machine it is for as long as what is tested meanwhile takes.
const awayFor = 130 * time.Second

// behind is the pod that appears while the API server is away.
const behind = "behind"

// While the API server is away nothing is lost; after it is back with other pods they are seen. What asks for no API server is tested meanwhile.
func TestAPIServerAway(t *testing.T) {
	needAgent(t)
	needOnlyOnce(t)
	awaitPods(t)
	makePods(t, "early", 2, workload.Plain)
	makePods(t, "stricken", 1, workload.Scratch)
	apiAlone.awaitPodsSeen(t, "early", 2)
	stricken := findStricken(t)
	before := apiAlone.mustSummary(t)
	known := podsVersion(t)

	server, err := node.Kill("kube-apiserver")
	if err != nil {
		t.Fatal(err)
	}
	back := func() {
		if node.Process("kube-apiserver") == nil {
			if err := node.Again(t.Context(), server); err != nil {
				t.Fatal(err)
			}
		}
	}
	defer back()
	gone := time.Now()
	apiAlone.awaitSource(t, "api", false)
	apiAlone.awaitMetric(t, `nodevitals_pod_source_stale{source="api"}`, func(is float64) bool { return is == 1 })
	apiAlone.awaitHealth(t, "[-]pod-source")
	apiAlone.readies(t)

	late := startWithoutAPI(t)
	// One that the kubelet starts by itself is seen with the name that the runtime tells.
	addStaticPod(t, behind)
	runtimeAlone.awaitPodsSeen(t, behind, 1)
	stricken.hangVolume(t)
	t.Run("the runtime hangs", runtimeHangs)
	t.Run("the runtime is killed", runtimeKilled)
	pods := newCrowd()
	hasty.startForTest(t, "--max-age=1ms", "--spec-max-age=1ms", "--process-max-age=1ms")
	stop := hasty.askAllTheTime(t)
	for range wavesOfCrowd / 2 {
		pods.wave(t)
	}
	t.Run("a volume hangs", stricken.awaitHung)
	// Not before the runtime was killed: one that starts and cannot open a container's log gives the container up.
	stricken.loseLogs(t)
	for pods.left() && (!node.OwnNetwork() || time.Since(gone) < awayFor) {
		pods.wave(t)
	}
	t.Run("a log folder cannot be read", stricken.awaitLost)
	apiAlone.stillServes(t, before, strickenPod)
	if err := node.Forget(t.Context()); err != nil {
		t.Fatal(err)
	}
	if node.OwnNetwork() {
		time.Sleep(awayFor - time.Since(gone))
	}
	apiAlone.awaitSource(t, "api", false)
	t.Logf("the API server was away for %s", time.Since(gone).Round(time.Second))

	back()
	returned := time.Now()
	deletePods(t, "early", 2)
	makePods(t, "later", 2, workload.Plain)
	apiAlone.awaitSource(t, "api", true)
	t.Logf("connected %s after it was back", time.Since(returned).Round(100*time.Millisecond))
	for pods.left() {
		pods.wave(t)
	}
	t.Logf("%d answers while pods came and went, each with a sample of its own", stop())
	hasty.wantNoErrors(t, "runtime", "volumes")
	// The kubelet itself asks an API server that was away for minutes again only half a minute later.
	awaitRunning(t, "later-0", "later-1")
	running := time.Now()
	apiAlone.awaitPodsSeen(t, "later", 2)
	apiAlone.awaitPodsSeen(t, "early", 0)
	t.Logf("the pods are those of now %s after the API server knew", time.Since(running).Round(100*time.Millisecond))
	late.awaitPodsSeen(t, "later", 2)
	// What ran without it got a mirror there.
	apiAlone.awaitPodsSeen(t, behind, 1)
	pods.gone(t)
	apiAlone.awaitHealth(t, "[+]pod-source")
	wantExpired(t, known)
}

// podsVersion is the version of the list of pods, from which one would watch.
func podsVersion(t *testing.T) string {
	t.Helper()
	pods, err := node.Client().CoreV1().Pods(meta.NamespaceAll).List(t.Context(), meta.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return pods.ResourceVersion
}

// wantExpired fails unless the version is one from which nobody can go on to watch: then those who did had to begin anew.
func wantExpired(t *testing.T, version string) {
	t.Helper()
	watch, err := node.Client().CoreV1().Pods(meta.NamespaceAll).Watch(t.Context(), meta.ListOptions{ResourceVersion: version})
	if err != nil {
		if !apierrors.IsResourceExpired(err) && !apierrors.IsGone(err) {
			t.Errorf("watch from version %s: %v, want that it expired", version, err)
		}
		return
	}
	defer watch.Stop()
	select {
	case event := <-watch.ResultChan():
		if err := apierrors.FromObject(event.Object); !apierrors.IsResourceExpired(err) && !apierrors.IsGone(err) {
			t.Errorf("watch from version %s: got %s %v, want that it expired", version, event.Type, event.Object)
		}
	case <-time.After(time.Minute):
		t.Errorf("watch from version %s goes on, want that it expired", version)
	}
}

// An agent that starts without the API server shows every cgroup, and names once it is there.
func startWithoutAPI(t *testing.T) *agent {
	t.Helper()
	a := &agent{name: "nodevitals-late", url: "http://127.0.0.1:20258", source: "api", kubeconfig: true}
	a.startForTest(t)
	a.awaitHealth(t, "[-]pod-source")
	d := a.mustSummary(t)
	if _, ok := d["node.cpu.usageCoreNanoSeconds"]; !ok {
		t.Error("there is no CPU counter of the node")
	}
	if paths := podPaths(d); len(paths) > 0 {
		t.Errorf("got pods that nobody named: %v", paths)
	}
	return a
}

// awaitRunning waits until the API server says that the pods run.
func awaitRunning(t *testing.T, names ...string) {
	t.Helper()
	err := cluster.Await(t.Context(), podsLimit, "running pods "+strings.Join(names, ", "), func(ctx context.Context) error {
		for _, name := range names {
			pod, err := node.Client().CoreV1().Pods(meta.NamespaceDefault).Get(ctx, name, meta.GetOptions{})
			if err != nil {
				return err
			}
			if pod.Status.Phase != core.PodRunning {
				return fmt.Errorf("%s is %s", name, pod.Status.Phase)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
