package identity

import (
	"fmt"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/nodevitals/nodevitals/snapshot"
)

// label finds the labels in a line of the kubelet's /metrics/cadvisor.
var label = regexp.MustCompile(`(\w+)="([^"]*)"`)

// TestLabelsAreTheKubelets compares the six labels with those that the kubelet gave on the recorded node.
func TestLabelsAreTheKubelets(t *testing.T) {
	for _, folder := range recordings {
		for _, withRuntime := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s runtime=%t", folder, withRuntime), func(t *testing.T) {
				x := NewIndex()
				for _, pod := range recordedPods(t, folder) {
					r := fromPod(pod)
					x.put(fromAPI, r)
					if withRuntime {
						x.put(fromRuntime, &report{
							pod:       Pod{Name: r.pod.Name, Namespace: r.pod.Namespace, UID: r.pod.UID},
							sandboxes: []sandbox{recordedSandbox(t, folder, r.pod.UID, pod)},
						})
					}
				}
				lines, sandboxes := 0, 0
				for line := range strings.Lines(readFile(t, filepath.Join("testdata", folder, "labels.txt"))) {
					want := make(map[string]string)
					for _, pair := range label.FindAllStringSubmatch(line, -1) {
						want[pair[1]] = pair[2]
					}
					lines++
					isSandbox := want["name"] != "" && want["container"] == ""
					if isSandbox && !withRuntime {
						if want["pod"] == "crash" {
							// One of its containers waits for its next start, so what is no container's may yet be one.
							wantNameless(t, x, want["id"])
							continue
						}
						// The API server knows of no pause image.
						want["image"] = ""
					}
					got := wantLabels(t, x, want["id"], want["namespace"], want["pod"], want["container"], want["image"], want["name"])
					if isSandbox != (got.Kind == snapshot.SandboxCgroup) {
						t.Errorf("%s: got kind %d, want a sandbox: %t", want["id"], got.Kind, isSandbox)
					}
					if isSandbox {
						sandboxes++
					}
				}
				if lines < 15 || sandboxes < 4 {
					t.Errorf("got %d lines with %d sandboxes, want a node's", lines, sandboxes)
				}
			})
		}
	}
}

// recordedSandbox finds a pod's sandbox in the recorded cgroups: what is none of its containers'.
func recordedSandbox(t *testing.T, folder, uid string, pod *corev1.Pod) sandbox {
	t.Helper()
	known := fmt.Sprint(pod.Status)
	for line := range strings.Lines(readFile(t, filepath.Join("testdata", folder, "cgroups.txt"))) {
		path := ParsePath(strings.TrimPrefix(strings.TrimSpace(line), "/sys/fs/cgroup"))
		if path.PodUID == uid && path.ContainerID != "" && !strings.Contains(known, path.ContainerID) {
			return sandbox{id: path.ContainerID, image: "localhost/pause:1", created: began, ready: true}
		}
	}
	t.Fatalf("%s: pod %s has no sandbox", folder, pod.Name)
	return sandbox{}
}

func TestResolveKeepsPointers(t *testing.T) {
	x := NewIndex()
	x.put(fromAPI, fromPod(podOf("web", "app", idA)))
	paths := []string{"/", "/system.slice", pathOf(""), pathOf(idA), pathOf(idB)}
	var before []*snapshot.Identity
	for _, path := range paths {
		before = append(before, x.Resolve(path))
	}
	generation := x.Generation()
	// An update without news, as kubelets send them every few seconds.
	x.put(fromAPI, fromPod(podOf("web", "app", idA)))
	if got := x.Generation(); got != generation {
		t.Errorf("generation after an update without news: got %d, want %d", got, generation)
	}
	// Another pod's news change no answer for this one.
	other := podOf("other", "app", idC)
	other.UID = types.UID(hash)
	x.put(fromAPI, fromPod(other))
	if got := x.Generation(); got == generation {
		t.Errorf("generation after a new pod: got %d still", got)
	}
	for i, path := range paths {
		if got := x.Resolve(path); got != before[i] {
			t.Errorf("%s: got another pointer, %+v, want the same as %+v", path, got, before[i])
		}
	}
}

func TestStaticPodHasTheKubeletsUID(t *testing.T) {
	x := NewIndex()
	mirror := podOf("static-lab-node", "s", idD)
	mirror.Annotations = map[string]string{configMirror: hash, configHash: hash}
	x.put(fromAPI, fromPod(mirror))
	wantLabels(t, x, "/kubepods/besteffort/pod"+hash, "default", "static-lab-node", "", "", "")
	wantLabels(t, x, "/kubepods/besteffort/pod"+hash+"/"+idD, "default", "static-lab-node", "s", "localhost/app:1", idD)
	pods := x.Pods()
	if len(pods) != 1 || pods[0].UID != hash || pods[0].APIUID != uid {
		t.Errorf("got %+v, want UID %s and APIUID %s", pods, hash, uid)
	}

	// Somebody deletes the mirror: the kubelet makes another, and the old one's end is told after that.
	again := mirror.DeepCopy()
	again.UID = "00000000-0000-4000-8000-000000000001"
	x.put(fromAPI, fromPod(again))
	x.removeFromAPI(hash, uid)
	wantLabels(t, x, "/kubepods/besteffort/pod"+hash, "default", "static-lab-node", "", "", "")
}

func TestKindsOfContainers(t *testing.T) {
	pod := podOf("web", "app", idA)
	always := corev1.ContainerRestartPolicyAlways
	pod.Spec.InitContainers = []corev1.Container{{Name: "setup"}, {Name: "mesh", RestartPolicy: &always}}
	pod.Status.InitContainerStatuses = []corev1.ContainerStatus{terminated("setup", idB, 0), running("mesh", idC, 2)}
	pod.Spec.EphemeralContainers = []corev1.EphemeralContainer{
		{EphemeralContainerCommon: corev1.EphemeralContainerCommon{Name: "debug"}},
	}
	pod.Status.EphemeralContainerStatuses = []corev1.ContainerStatus{running("debug", idD, 0)}
	x := NewIndex()
	x.put(fromAPI, fromPod(pod))
	want := []Container{
		{Name: "app", ID: idA, Kind: Regular, Running: true, Started: began.Add(time.Minute)},
		{Name: "debug", ID: idD, Kind: Ephemeral, Running: true, Started: began.Add(time.Minute)},
		{Name: "mesh", ID: idC, Kind: Sidecar, Running: true, Restarts: 2, Started: began.Add(3 * time.Minute)},
		{Name: "setup", ID: idB, Kind: Init, Started: began},
	}
	for i := range want {
		want[i].Image = "localhost/app:1"
	}
	if got := x.Pods()[0].Containers; !slices.Equal(got, want) {
		t.Errorf("got %+v\nwant %+v", got, want)
	}
	// A container's cgroup may outlive it for a moment, and has its name until then.
	wantLabels(t, x, pathOf(idB), "default", "web", "setup", "localhost/app:1", idB)
	wantLabels(t, x, pathOf(idC), "default", "web", "mesh", "localhost/app:1", idC)
	wantLabels(t, x, pathOf(idD), "default", "web", "debug", "localhost/app:1", idD)
}

// TestRestartedContainer follows a restart, of which the runtime tells before the API server does.
func TestRestartedContainer(t *testing.T) {
	x := NewIndex()
	x.put(fromAPI, fromPod(podOf("web", "app", idA)))
	told := func(containers ...container) *report {
		return &report{
			pod: Pod{Name: "web", Namespace: "default", UID: uid}, containers: containers,
			sandboxes: []sandbox{{id: idC, image: "localhost/pause:1", created: began, ready: true}},
		}
	}
	first := Container{Name: "app", ID: idA, Image: "localhost/app:1", Created: began.Add(time.Second)}
	second := Container{Name: "app", ID: idB, Image: "localhost/app:2", Created: began.Add(time.Hour), Restarts: 1}
	alive := func(c Container) container { c.Running = true; return container{Container: c} }

	x.put(fromRuntime, told(alive(first)))
	wantLabels(t, x, pathOf(idA), "default", "web", "app", "localhost/app:1", idA)
	x.put(fromRuntime, told(container{Container: first, exited: true}, alive(second)))
	got := wantNameless(t, x, pathOf(idA))
	if got.Kind != snapshot.ContainerCgroup || got.ContainerID != idA || !got.Created.Equal(first.Created) {
		t.Errorf("the old container: got %+v, want what is known of it but the names", got)
	}
	wantLabels(t, x, pathOf(idB), "default", "web", "app", "localhost/app:2", idB)
	if pods := x.Pods(); len(pods[0].Containers) != 1 || pods[0].Containers[0].ID != idB {
		t.Errorf("got %+v, want the new container alone", pods)
	}

	// The API server hears of it, and then the runtime is lost: the state of the sources is no part of the answer.
	restarted := podOf("web", "app", idB)
	restarted.Status.ContainerStatuses[0].RestartCount = 1
	x.put(fromAPI, fromPod(restarted))
	wantLabels(t, x, pathOf(idB), "default", "web", "app", "localhost/app:1", idB)
	wantNameless(t, x, pathOf(idA))
}

// TestTwoRunningContainersOfOneName: the newest has the name, or of two equally old ones that with more restarts.
func TestTwoRunningContainersOfOneName(t *testing.T) {
	for _, test := range []struct {
		name     string
		old, new Container
	}{
		{"created", Container{Created: began}, Container{Created: began.Add(time.Second)}},
		{"restarts", Container{Created: began}, Container{Created: began, Restarts: 1}},
		{"running", Container{Created: began.Add(time.Second)}, Container{Created: began, Running: true}},
	} {
		t.Run(test.name, func(t *testing.T) {
			for _, swapped := range []bool{false, true} {
				ids := [...]string{idA, idB}
				if swapped {
					ids = [...]string{idB, idA}
				}
				test.old.Name, test.new.Name = "app", "app"
				test.old.ID, test.new.ID = ids[0], ids[1]
				x := NewIndex()
				x.put(fromRuntime, &report{
					pod: Pod{Name: "web", Namespace: "default", UID: uid}, containers: []container{{Container: test.old}, {Container: test.new}},
				})
				wantNameless(t, x, pathOf(ids[0]))
				wantLabels(t, x, pathOf(ids[1]), "default", "web", "app", "", ids[1])
			}
		})
	}
}

// TestTwoPodsOfOneName: a StatefulSet's pod was deleted by force and made anew while the old one still ends.
func TestTwoPodsOfOneName(t *testing.T) {
	x := NewIndex()
	old := &report{
		pod: Pod{Name: "db-0", Namespace: "default", UID: hash}, made: began,
		containers: []container{{Container: Container{Name: "app", ID: idA, Running: true, Created: began}}},
		sandboxes:  []sandbox{{id: idC, created: began, ready: true}},
	}
	x.put(fromRuntime, old)
	oldPath := "/kubepods/burstable/pod" + hash
	wantLabels(t, x, oldPath, "default", "db-0", "", "", "")

	replacement := podOf("db-0", "app", "")
	replacement.CreationTimestamp = metav1.NewTime(began.Add(time.Hour))
	replacement.Status.ContainerStatuses = nil
	x.put(fromAPI, fromPod(replacement))
	wantLabels(t, x, oldPath, "default", "db-0", "", "", "")
	wantNameless(t, x, pathOf(""))

	replacement.Status.ContainerStatuses = []corev1.ContainerStatus{running("app", idB, 0)}
	x.put(fromAPI, fromPod(replacement))
	for _, path := range []string{oldPath, oldPath + "/" + idA, oldPath + "/" + idC} {
		wantNameless(t, x, path)
	}
	wantLabels(t, x, pathOf(""), "default", "db-0", "", "", "")
	wantLabels(t, x, pathOf(idB), "default", "db-0", "app", "localhost/app:1", idB)
	if pods := x.Pods(); len(pods) != 1 || pods[0].UID != uid {
		t.Errorf("got %+v, want the new pod alone", pods)
	}

	x.removeFromAPI(uid, uid)
	wantLabels(t, x, oldPath+"/"+idA, "default", "db-0", "app", "", idA)
}

func TestCRIONames(t *testing.T) {
	x := NewIndex()
	x.put(fromRuntime, &report{
		crio: true, pod: Pod{Name: "web", Namespace: "default", UID: uid},
		containers: []container{{Container: Container{Name: "app", ID: idA, Image: "quay.io/app:1", Running: true, Restarts: 3}}},
		sandboxes:  []sandbox{{id: idB, image: "quay.io/pause:3", ready: true, attempt: 1}},
	})
	slice := "/kubepods.slice/kubepods-pod" + uidSlice + ".slice"
	wantLabels(t, x, slice+"/crio-"+idA+".scope", "default", "web", "app", "quay.io/app:1", "k8s_app_web_default_"+uid+"_3")
	wantLabels(t, x, slice+"/crio-"+idB+".scope", "default", "web", "POD", "quay.io/pause:3", "k8s_POD_web_default_"+uid+"_1")
	wantNameless(t, x, slice+"/crio-conmon-"+idA+".scope")
}

func TestStarted(t *testing.T) {
	acknowledged, made := metav1.NewTime(began.Add(time.Second)), began.Add(2*time.Second)
	pod := podOf("web", "app", idA)
	pod.Status.StartTime = &acknowledged
	for _, test := range []struct {
		name         string
		api, runtime bool
		crio         bool
		want         time.Time
	}{
		{"API server alone", true, false, false, acknowledged.Time},
		{"containerd alone", false, true, false, made},
		{"both", true, true, false, made},
		{"both, CRI-O", true, true, true, acknowledged.Time},
		{"CRI-O alone", false, true, true, made},
	} {
		t.Run(test.name, func(t *testing.T) {
			x := NewIndex()
			if test.api {
				x.put(fromAPI, fromPod(pod))
			}
			if test.runtime {
				x.put(fromRuntime, &report{
					crio: test.crio, pod: Pod{Name: "web", Namespace: "default", UID: uid}, sandboxes: []sandbox{{id: idB, created: made}},
				})
			}
			if got := x.Pods()[0].Started; !got.Equal(test.want) {
				t.Errorf("got %s, want %s", got, test.want)
			}
		})
	}
}

// TestChurnLeavesNothing runs ten thousand pods through an index, three at a time.
func TestChurnLeavesNothing(t *testing.T) {
	x := NewIndex()
	churn := func(from, to int) {
		for i := from; i < to; i++ {
			pod := podOf(fmt.Sprintf("job-%d", i), "app", fmt.Sprintf("%064x", i))
			pod.UID = types.UID(fmt.Sprintf("%08x-0000-4000-8000-000000000000", i))
			x.put(fromAPI, fromPod(pod))
			path := "/kubepods/pod" + string(pod.UID)
			if got := x.Resolve(path + "/" + fmt.Sprintf("%064x", i)); got.Pod != pod.Name {
				t.Fatalf("%s: got pod %q", path, got.Pod)
			}
			// The sandbox's, the pod's, and one of the pod before that is gone from the list.
			x.Resolve(path + "/" + fmt.Sprintf("%064x", i+1<<40))
			x.Resolve(path)
			if i >= 3 {
				gone := fmt.Sprintf("%08x-0000-4000-8000-000000000000", i-3)
				x.removeFromAPI(gone, gone)
			}
		}
	}
	churn(0, 2000)
	before := heap()
	churn(2000, 10000)
	if len(x.pods) != 3 || len(x.names) != 3 || len(x.reports[fromAPI]) != 3 {
		t.Errorf("got %d pods, %d names and %d reports, want 3 of each", len(x.pods), len(x.names), len(x.reports[fromAPI]))
	}
	if kept := len(x.interner.young) + len(x.interner.old); kept > 3*newcomersPerTurn {
		t.Errorf("got %d kept identities, want at most two turns' newcomers and the living", kept)
	}
	if after := heap(); after > before+1<<20 {
		t.Errorf("the heap grew from %d to %d bytes over 8000 pods", before, after)
	}
	runtime.KeepAlive(x)
}

func heap() uint64 {
	runtime.GC()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return stats.HeapAlloc
}

// TestConcurrentUse is for the race detector.
func TestConcurrentUse(t *testing.T) {
	x := NewIndex()
	var all sync.WaitGroup
	for worker := range 4 {
		all.Go(func() {
			for i := range 200 {
				pod := podOf("web", "app", fmt.Sprintf("%064x", i%3))
				if worker%2 == 0 {
					x.put(fromAPI, fromPod(pod))
					x.heard(apiName)
				} else {
					x.removeFromAPI(uid, uid)
					x.lost(apiName, fmt.Errorf("attempt %d", i))
				}
				x.Resolve(pathOf(idA))
				for _, p := range x.Pods() {
					_ = p.Containers[0].Name
				}
				x.Sources()
				x.Generation()
			}
		})
	}
	all.Wait()
}

func TestStateOfSources(t *testing.T) {
	x := NewIndex()
	if got := x.Sources(); len(got) != 0 {
		t.Errorf("without sources: got %+v", got)
	}
	x.expect(runtimeName)
	x.expect(apiName)
	if got := x.Sources(); len(got) != 2 || got[0].Name != "api" || got[1].Name != "cri" || got[0].Connected || got[0].Stale {
		t.Errorf("before any answer: got %+v", got)
	}
	x.lost(apiName, fmt.Errorf("refused"))
	if got := stateOf(x, apiName); got.Connected || got.Stale || got.Err != "refused" {
		t.Errorf("lost before any answer: got %+v, want no stale names: there are none", got)
	}
	x.heard(apiName)
	if got := stateOf(x, apiName); !got.Connected || got.Stale || got.Err != "" || got.LastSync.IsZero() {
		t.Errorf("connected: got %+v", got)
	}
	x.put(fromAPI, fromPod(podOf("web", "app", idA)))
	x.lost(apiName, fmt.Errorf("refused"))
	if got := stateOf(x, apiName); got.Connected || !got.Stale || got.LastSync.IsZero() {
		t.Errorf("lost: got %+v, want stale", got)
	}
	wantLabels(t, x, pathOf(idA), "default", "web", "app", "localhost/app:1", idA)
}
