package identity

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
)

func TestLimitsOfEphemeralStorage(t *testing.T) {
	limited := func(name, limit string, always bool) corev1.Container {
		c := corev1.Container{Name: name}
		if limit != "" {
			c.Resources.Limits = corev1.ResourceList{corev1.ResourceEphemeralStorage: resource.MustParse(limit)}
		}
		if always {
			policy := corev1.ContainerRestartPolicyAlways
			c.RestartPolicy = &policy
		}
		return c
	}
	type containers = []corev1.Container
	for _, test := range []struct {
		name      string
		init, all containers
		overhead  string
		want      uint64
	}{
		{name: "none", all: containers{limited("a", "", false)}},
		{name: "one of two", all: containers{limited("a", "2Gi", false), limited("b", "", false)}, want: 2 << 30},
		{name: "sum", all: containers{limited("a", "2Gi", false), limited("b", "1Gi", false)}, want: 3 << 30},
		{name: "sidecar", init: containers{limited("s", "1Gi", true)}, all: containers{limited("a", "2Gi", false)}, want: 3 << 30},
		{
			name: "large init after a sidecar", init: containers{limited("s", "1Gi", true), limited("i", "8Gi", false)},
			all: containers{limited("a", "2Gi", false)}, want: 9 << 30,
		},
		{
			name: "small init before a sidecar", init: containers{limited("i", "2Gi", false), limited("s", "1Gi", true)},
			all: containers{limited("a", "2Gi", false)}, want: 3 << 30,
		},
		{name: "overhead", all: containers{limited("a", "2Gi", false)}, overhead: "1Gi", want: 3 << 30},
		{name: "overhead alone", all: containers{limited("a", "", false)}, overhead: "1Gi"},
		{name: "negative", all: containers{limited("a", "-1Gi", false)}},
	} {
		t.Run(test.name, func(t *testing.T) {
			pod := podOf("web", "a", idA)
			pod.Spec.InitContainers, pod.Spec.Containers = test.init, test.all
			if test.overhead != "" {
				pod.Spec.Overhead = corev1.ResourceList{corev1.ResourceEphemeralStorage: resource.MustParse(test.overhead)}
			}
			x := NewIndex()
			x.put(fromAPI, fromPod(pod))
			if got := x.Pods()[0].EphemeralStorageLimit; got != test.want {
				t.Errorf("limit: got %d, want %d", got, test.want)
			}
			for _, c := range x.Pods()[0].Containers {
				want := uint64(0)
				for _, spec := range append(test.init, test.all...) {
					if spec.Name == c.Name {
						want = uint64(max(0, spec.Resources.Limits.StorageEphemeral().Value()))
					}
				}
				if c.EphemeralStorageLimit != want {
					t.Errorf("limit of %s: got %d, want %d", c.Name, c.EphemeralStorageLimit, want)
				}
			}
		})
	}
}

func TestSizeLimitOfAnEmptyDir(t *testing.T) {
	size := resource.MustParse("64Mi")
	pod := podOf("web", "app", idA)
	pod.Spec.Volumes = []corev1.Volume{
		{Name: "disk", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{SizeLimit: &size}}},
		{Name: "free", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}},
	}
	got := fromPod(pod).pod.Volumes
	if got[0].SizeLimit != 64<<20 || got[1].SizeLimit != 0 {
		t.Errorf("size limits: got %d and %d, want 64 MiB and none", got[0].SizeLimit, got[1].SizeLimit)
	}
}
