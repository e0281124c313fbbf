package identity

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/nodevitals/nodevitals/snapshot"
)

// recordings are the folders of testdata: what a kubelet with containerd and the kernel of that version showed at one moment.
var recordings = []string{"v1-6.18.44", "v2-6.1.0"}

func readFile(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// recordedPods returns the kubelet's pods as the API server has them: a static pod as its mirror, with another UID.
func recordedPods(t *testing.T, folder string) []*corev1.Pod {
	t.Helper()
	var list corev1.PodList
	if err := json.Unmarshal([]byte(readFile(t, filepath.Join("testdata", folder, "pods.json"))), &list); err != nil {
		t.Fatal(err)
	}
	var pods []*corev1.Pod
	for i := range list.Items {
		pod := &list.Items[i]
		if pod.Annotations["kubernetes.io/config.source"] == "file" {
			pod.Annotations[configMirror] = pod.Annotations[configHash]
			pod.UID = "7d3a3bd2-6c23-4d69-8b6a-3a1b1c3f2a10"
		}
		pods = append(pods, pod)
	}
	return pods
}

// began is when everything in these tests began.
var began = time.Date(2026, 11, 24, 2, 38, 0, 0, time.UTC)

// podOf returns a pod of the API server with running containers, given as name and ID in turns.
func podOf(name string, containers ...string) *corev1.Pod {
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Name: name, Namespace: "default", UID: types.UID(uid), CreationTimestamp: metav1.NewTime(began), ResourceVersion: "7",
		},
		Spec:   corev1.PodSpec{NodeName: "lab-node", RestartPolicy: corev1.RestartPolicyAlways},
		Status: corev1.PodStatus{Phase: corev1.PodRunning},
	}
	for i := 0; i < len(containers); i += 2 {
		pod.Spec.Containers = append(pod.Spec.Containers, corev1.Container{Name: containers[i]})
		pod.Status.ContainerStatuses = append(pod.Status.ContainerStatuses, running(containers[i], containers[i+1], 0))
	}
	return pod
}

func running(name, id string, restarts int32) corev1.ContainerStatus {
	return corev1.ContainerStatus{
		Name: name, ContainerID: "containerd://" + id, Image: "localhost/app:1", RestartCount: restarts,
		State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{
			StartedAt: metav1.NewTime(began.Add(time.Duration(restarts+1) * time.Minute)),
		}},
	}
}

func terminated(name, id string, code int32) corev1.ContainerStatus {
	return corev1.ContainerStatus{
		Name: name, ContainerID: "containerd://" + id, Image: "localhost/app:1",
		State: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: code, StartedAt: metav1.NewTime(began)}},
	}
}

func waiting(name, id string) corev1.ContainerStatus {
	status := corev1.ContainerStatus{Name: name, State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{}}}
	if id != "" {
		status.ContainerID = "containerd://" + id
	}
	return status
}

// pathOf returns the path of a container of the usual pod, or of the pod if there is no ID.
func pathOf(id string) string {
	path := "/kubepods/burstable/pod" + uid
	if id != "" {
		path += "/" + id
	}
	return path
}

// wantLabels checks the six labels of a cgroup.
func wantLabels(t *testing.T, x *Index, path, namespace, pod, container, image, name string) *snapshot.Identity {
	t.Helper()
	got := x.Resolve(path)
	have := [...]string{got.ID, got.Namespace, got.Pod, got.Container, got.Image, got.Name}
	want := [...]string{path, namespace, pod, container, image, name}
	if have != want {
		t.Errorf("id, namespace, pod, container, image, name:\n got %q\nwant %q", have, want)
	}
	return got
}

// wantNameless checks that a cgroup has no names.
func wantNameless(t *testing.T, x *Index, path string) *snapshot.Identity {
	t.Helper()
	return wantLabels(t, x, path, "", "", "", "", "")
}

// eventually waits until a condition holds; how long that takes is no part of any test.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	deadline := time.Now().Add(time.Minute)
	for !holds() {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain: %s", what)
		}
		time.Sleep(2 * time.Millisecond)
	}
}

// stateOf returns the state of a source.
func stateOf(x *Index, name string) SourceState {
	for _, state := range x.Sources() {
		if state.Name == name {
			return state
		}
	}
	return SourceState{}
}
