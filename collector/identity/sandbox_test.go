package identity

import (
	"testing"

	corev1 "k8s.io/api/core/v1"

	"github.com/nodevitals/nodevitals/snapshot"
)

// wantSandbox checks that a cgroup was found to be the pod's sandbox.
func wantSandbox(t *testing.T, x *Index, id string) {
	t.Helper()
	if got := wantLabels(t, x, pathOf(id), "default", "web", "", "", id); got.Kind != snapshot.SandboxCgroup {
		t.Errorf("%s: got kind %d, want a sandbox", id, got.Kind)
	}
}

// TestSandboxByElimination: a cgroup without a container is the sandbox only while no container can be missing.
func TestSandboxByElimination(t *testing.T) {
	always := corev1.ContainerRestartPolicyAlways
	for _, test := range []struct {
		name   string
		change func(*corev1.Pod)
		want   bool
	}{
		{"all run", func(*corev1.Pod) {}, true},
		{"one waits", func(p *corev1.Pod) { p.Status.ContainerStatuses[0] = waiting("app", "") }, false},
		{"one waits after a crash", func(p *corev1.Pod) { p.Status.ContainerStatuses[0] = waiting("app", idB) }, false},
		{"no status yet", func(p *corev1.Pod) { p.Status.ContainerStatuses = nil }, false},
		{"one ended and will be restarted", func(p *corev1.Pod) { p.Status.ContainerStatuses[0] = terminated("app", idA, 0) }, false},
		{"one ended for good", func(p *corev1.Pod) {
			p.Spec.RestartPolicy = corev1.RestartPolicyOnFailure
			p.Status.ContainerStatuses[0] = terminated("app", idA, 0)
		}, true},
		{"one failed", func(p *corev1.Pod) {
			p.Spec.RestartPolicy = corev1.RestartPolicyOnFailure
			p.Status.ContainerStatuses[0] = terminated("app", idA, 1)
		}, false},
		{"one failed and is left", func(p *corev1.Pod) {
			p.Spec.RestartPolicy = corev1.RestartPolicyNever
			p.Status.ContainerStatuses[0] = terminated("app", idA, 1)
		}, true},
		{"the pod failed", func(p *corev1.Pod) {
			p.Status.Phase = corev1.PodFailed
			p.Status.ContainerStatuses[0] = terminated("app", idA, 1)
		}, true},
		{"an init container ended", func(p *corev1.Pod) {
			p.Spec.InitContainers = []corev1.Container{{Name: "setup"}}
			p.Status.InitContainerStatuses = []corev1.ContainerStatus{terminated("setup", idB, 0)}
		}, true},
		{"a sidecar ended", func(p *corev1.Pod) {
			p.Spec.InitContainers = []corev1.Container{{Name: "mesh", RestartPolicy: &always}}
			p.Status.InitContainerStatuses = []corev1.ContainerStatus{terminated("mesh", idB, 0)}
		}, false},
		{"an ephemeral one comes", func(p *corev1.Pod) {
			p.Spec.EphemeralContainers = []corev1.EphemeralContainer{
				{EphemeralContainerCommon: corev1.EphemeralContainerCommon{Name: "debug"}},
			}
		}, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			pod := podOf("web", "app", idA)
			test.change(pod)
			x := NewIndex()
			x.put(fromAPI, fromPod(pod))
			if test.want {
				wantSandbox(t, x, idC)
			} else {
				wantNameless(t, x, pathOf(idC))
			}
		})
	}
}

// TestSandboxStands follows a pod through a restart and a new sandbox, with the API server alone.
func TestSandboxStands(t *testing.T) {
	x := NewIndex()
	pod := podOf("web", "app", idA)
	tell := func() { x.put(fromAPI, fromPod(pod)) }
	tell()
	wantSandbox(t, x, idC)

	// The container is restarted: the new one's cgroup is there before its ID is told.
	wantNameless(t, x, pathOf(idB))
	pod.Status.ContainerStatuses[0] = terminated("app", idA, 1)
	tell()
	wantSandbox(t, x, idC)
	wantNameless(t, x, pathOf(idB))
	pod.Status.ContainerStatuses[0] = running("app", idB, 1)
	tell()
	wantSandbox(t, x, idC)
	wantLabels(t, x, pathOf(idB), "default", "web", "app", "localhost/app:1", idB)

	// The node is restarted: all is new, and the old sandbox is not there to be asked for.
	pod.Status.ContainerStatuses[0] = running("app", idA, 2)
	tell()
	wantSandbox(t, x, idD)
	wantNameless(t, x, pathOf(idC))

	// The runtime comes, which knows.
	x.put(fromRuntime, &report{
		pod: Pod{Name: "web", Namespace: "default", UID: uid}, sandboxes: []sandbox{{id: idC, image: "localhost/pause:1", ready: true}},
	})
	wantLabels(t, x, pathOf(idC), "default", "web", "", "localhost/pause:1", idC)
	wantNameless(t, x, pathOf(idD))
}

// TestWrongConclusionIsPutRight: the agent starts between the start of a restarted container and the news of it.
func TestWrongConclusionIsPutRight(t *testing.T) {
	x := NewIndex()
	pod := podOf("web", "app", idA)
	x.put(fromAPI, fromPod(pod))
	wantSandbox(t, x, idB)
	wantNameless(t, x, pathOf(idC))
	pod.Status.ContainerStatuses[0] = running("app", idB, 1)
	x.put(fromAPI, fromPod(pod))
	wantLabels(t, x, pathOf(idB), "default", "web", "app", "localhost/app:1", idB)
	wantSandbox(t, x, idC)
}
