package identity

import (
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"
)

func TestVolumes(t *testing.T) {
	pod := podOf("web", "app", idA)
	pod.Spec.Volumes = []corev1.Volume{
		{Name: "disk", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}},
		{Name: "shm", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{Medium: corev1.StorageMediumMemory}}},
		{Name: "config", VolumeSource: corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{}}},
		{Name: "secret", VolumeSource: corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{}}},
		{Name: "token", VolumeSource: corev1.VolumeSource{Projected: &corev1.ProjectedVolumeSource{}}},
		{Name: "info", VolumeSource: corev1.VolumeSource{DownwardAPI: &corev1.DownwardAPIVolumeSource{}}},
		{Name: "host", VolumeSource: corev1.VolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: "/"}}},
		{Name: "nfs", VolumeSource: corev1.VolumeSource{NFS: &corev1.NFSVolumeSource{}}},
		{Name: "csi", VolumeSource: corev1.VolumeSource{CSI: &corev1.CSIVolumeSource{Driver: "secrets-store.csi.k8s.io"}}},
		{Name: "data", VolumeSource: corev1.VolumeSource{
			PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: "data-db-0"},
		}},
		{Name: "scratch", VolumeSource: corev1.VolumeSource{Ephemeral: &corev1.EphemeralVolumeSource{}}},
		{Name: "model", VolumeSource: corev1.VolumeSource{Image: &corev1.ImageVolumeSource{}}},
		{Name: "old", VolumeSource: corev1.VolumeSource{RBD: &corev1.RBDVolumeSource{}}},
	}
	want := []Volume{
		{Name: "disk", Plugin: EmptyDir},
		{Name: "shm", Plugin: EmptyDir, Medium: "Memory"},
		{Name: "config", Plugin: ConfigMap},
		{Name: "secret", Plugin: Secret},
		{Name: "token", Plugin: Projected},
		{Name: "info", Plugin: DownwardAPI},
		{Name: "host", Plugin: HostPath},
		{Name: "nfs", Plugin: NFS},
		{Name: "csi", Plugin: CSI, Driver: "secrets-store.csi.k8s.io"},
		{Name: "data", Plugin: PersistentVolumeClaim, Claim: "data-db-0"},
		{Name: "scratch", Plugin: GenericEphemeral, Claim: "web-scratch"},
		{Name: "model", Plugin: Image},
		{Name: "old", Plugin: Other},
	}
	x := NewIndex()
	x.put(fromAPI, fromPod(pod))
	if got := x.Pods()[0].Volumes; !slices.Equal(got, want) {
		t.Errorf("got %+v\nwant %+v", got, want)
	}
}

func TestImageName(t *testing.T) {
	const digest = "sha256:dcb49a224449ea1d4096a7d40e551c4bf57fbbf8717e8370f5cb4ca37efef628"
	for _, test := range []struct{ name, image, id, want string }{
		{"tagged", "docker.io/library/nginx:1.29", "docker.io/library/nginx@" + digest, "docker.io/library/nginx:1.29"},
		{"local", "localhost/app:1", digest, "localhost/app:1"},
		{"by digest", digest, "docker.io/library/nginx@" + digest, "docker.io/library/nginx@" + digest},
		{"cri-dockerd", digest, "docker-pullable://nginx@" + digest, "nginx@" + digest},
		{"an ID alone", digest, digest, digest},
		{"no image", "", digest, digest},
		{"nothing", "", "", ""},
	} {
		if got := imageName(test.image, test.id); got != test.want {
			t.Errorf("%s: got %q, want %q", test.name, got, test.want)
		}
	}
}
