package identity

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/nodevitals/nodevitals/snapshot"
)

const (
	uid      = "4dc4721b-3307-4087-8175-0ee0cec55258"
	uidSlice = "4dc4721b_3307_4087_8175_0ee0cec55258"
	hash     = "c10fa9e0c4111421cd4faa58cea6169b"
	idA      = "8a1b07e53cee821161b5562f8d245fd908a9f4a2a75a427e8e1ab5472abb0805"
	idB      = "09b26301615015c3b61b899154683611a22978d9bcc1391c6b5fbc2da452a8b2"
	idC      = "913a7ed8dbbf5fe85df4199ac47948e1d6451dcd866d8e9ba157fb86fb08a2df"
	idD      = "192560ab35a3e7e49d4f3716a4ca3181d74a937f8c754f70d14f56b381807cd9"
)

func TestParsePath(t *testing.T) {
	plain := Path{}
	pod := Path{Kind: snapshot.PodCgroup, PodUID: uid}
	static := Path{Kind: snapshot.PodCgroup, PodUID: hash}
	container := Path{Kind: snapshot.ContainerCgroup, PodUID: uid, ContainerID: idA}
	crio := Path{Kind: snapshot.ContainerCgroup, PodUID: uid, ContainerID: idA, crio: true}
	for _, test := range []struct {
		name, path string
		want       Path
	}{
		{"root", "/", plain},
		{"nothing", "", plain},
		{"service", "/system.slice/cron.service", plain},
		{"all pods", "/kubepods", plain},
		{"quality of service", "/kubepods/burstable", plain},
		{"pod of a quality", "/kubepods/burstable/pod" + uid, pod},
		{"guaranteed pod", "/kubepods/pod" + uid, pod},
		{"static pod", "/kubepods/besteffort/pod" + hash, static},
		{"pod without a UID", "/kubepods/pod", plain},
		{"no pod", "/kubepods/burstable/other", plain},
		{"container", "/kubepods/burstable/pod" + uid + "/" + idA, container},
		{"container of a guaranteed pod", "/kubepods/pod" + uid + "/" + idA, container},
		{"short ID", "/kubepods/pod" + uid + "/" + idA[:63], plain},
		{"capitals", "/kubepods/pod" + uid + "/" + strings.ToUpper(idA), plain},
		{"below a container", "/kubepods/pod" + uid + "/" + idA + "/system.slice", plain},
		{"ID below a container", "/kubepods/pod" + uid + "/" + idA + "/" + idB, plain},
		{"kubelet in a container", "/kubepods/pod" + uid + "/" + idA + "/kubepods/pod" + hash + "/" + idB, plain},
		{"below a container that crun splits", "/kubepods/pod" + uid + "/crio-" + idA + "/container", plain},
		{"CRI-O, cgroupfs", "/kubepods/burstable/pod" + uid + "/crio-" + idA, crio},
		{"CRI-O's monitor, cgroupfs", "/kubepods/burstable/pod" + uid + "/crio-conmon-" + idA, plain},

		{"all pods, systemd", "/kubepods.slice", plain},
		{"quality, systemd", "/kubepods.slice/kubepods-burstable.slice", plain},
		{"pod, systemd", "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod" + uidSlice + ".slice", pod},
		{"guaranteed pod, systemd", "/kubepods.slice/kubepods-pod" + uidSlice + ".slice", pod},
		{"static pod, systemd", "/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod" + hash + ".slice", static},
		{
			"containerd, systemd",
			"/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod" + uidSlice + ".slice/cri-containerd-" + idA + ".scope", container,
		},
		{"CRI-O, systemd", "/kubepods.slice/kubepods-pod" + uidSlice + ".slice/crio-" + idA + ".scope", crio},
		{"CRI-O's monitor, systemd", "/kubepods.slice/kubepods-pod" + uidSlice + ".slice/crio-conmon-" + idA + ".scope", plain},
		{"CRI-O with crun", "/kubepods.slice/kubepods-pod" + uidSlice + ".slice/crio-" + idA + ".scope/container", plain},
		{"docker, systemd", "/kubepods.slice/kubepods-pod" + uidSlice + ".slice/docker-" + idA + ".scope", container},
		{"a parent that is not repeated", "/kubepods.slice/burstable-pod" + uidSlice + ".slice", plain},
		{"a slice with a longer name", "/notkubepods.slice/notkubepods-pod" + uidSlice + ".slice", plain},
		{
			"runtime without systemd",
			"/system.slice/containerd.service/kubepods-burstable-pod" + uidSlice + ".slice:cri-containerd:" + idA, container,
		},
		{"below it", "/kubepods-burstable-pod" + uidSlice + ".slice:cri-containerd:" + idA + "/init", plain},
		{"its own slice", "/my-pod" + uidSlice + ".slice:cri-containerd:" + idA, plain},

		{"kind", "/docker/" + idB + "/kubelet/kubepods/burstable/pod" + uid + "/" + idA, container},
		{
			"kind, systemd", "/docker/" + idB + "/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-burstable.slice/" +
				"kubelet-kubepods-burstable-pod" + uidSlice + ".slice/cri-containerd-" + idA + ".scope", container,
		},
		{"k3d, systemd outside", "/system.slice/docker-" + idB + ".scope/kubepods/pod" + uid + "/" + idA, container},
		{"the node's container", "/docker/" + idB, plain},
		{"cgroup root", "/my/root/kubepods/pod" + uid, pod},
		{"cgroup root, systemd", "/my.slice/my-root.slice/my-root-kubepods.slice/my-root-kubepods-pod" + uidSlice + ".slice", pod},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := ParsePath(test.path); got != test.want {
				t.Errorf("%s: got %+v, want %+v", test.path, got, test.want)
			}
		})
	}
}

// TestParseRecordedPaths reads the cgroups of a real node's pods on each version.
func TestParseRecordedPaths(t *testing.T) {
	prefix := regexp.MustCompile(`^/sys/fs/cgroup(/[a-z_,]+)?(/kubepods.*)$`)
	want := regexp.MustCompile(`^/kubepods(?:/burstable|/besteffort)?(?:/pod([0-9a-f-]+)(?:/([0-9a-f]{64}))?)?$`)
	for _, folder := range recordings {
		pods, containers := 0, 0
		for line := range strings.Lines(readFile(t, filepath.Join("testdata", folder, "cgroups.txt"))) {
			parts := prefix.FindStringSubmatch(strings.TrimSpace(line))
			if parts == nil {
				continue
			}
			path := parts[2]
			names := want.FindStringSubmatch(path)
			if names == nil {
				t.Fatalf("%s: %s is not of the expected form", folder, path)
			}
			got := ParsePath(path)
			if got.PodUID != names[1] || got.ContainerID != names[2] {
				t.Errorf("%s: %s: got %+v, want pod %q and container %q", folder, path, got, names[1], names[2])
			}
			switch got.Kind {
			case snapshot.PodCgroup:
				pods++
			case snapshot.ContainerCgroup:
				containers++
			}
		}
		if pods == 0 || containers == 0 {
			t.Errorf("%s: got %d pods and %d containers, want some", folder, pods, containers)
		}
	}
}

// FuzzParsePath checks what holds of any path: a container is in a pod, IDs are IDs, and nothing below a container is one.
func FuzzParsePath(f *testing.F) {
	for _, folder := range recordings {
		text, err := os.ReadFile(filepath.Join("testdata", folder, "cgroups.txt"))
		if err != nil {
			f.Fatal(err)
		}
		for line := range strings.Lines(string(text)) {
			f.Add(strings.TrimPrefix(strings.TrimSpace(line), "/sys/fs/cgroup"))
		}
	}
	f.Add("/kubepods.slice/kubepods-pod" + uidSlice + ".slice/crio-" + idA + ".scope")
	f.Add("/kubepods-burstable-pod" + uidSlice + ".slice:cri-containerd:" + idA)
	f.Fuzz(func(t *testing.T, path string) {
		got := ParsePath(path)
		switch got.Kind {
		case snapshot.PlainCgroup:
			if got.PodUID != "" || got.ContainerID != "" {
				t.Errorf("%q: a plain cgroup has names: %+v", path, got)
			}
		case snapshot.PodCgroup:
			if got.PodUID == "" || got.ContainerID != "" {
				t.Errorf("%q: got %+v", path, got)
			}
		case snapshot.ContainerCgroup:
			if got.PodUID == "" || !isContainerID(got.ContainerID) || !strings.Contains(path, got.ContainerID) {
				t.Errorf("%q: got %+v", path, got)
			}
			if below := ParsePath(path + "/" + idA); below != (Path{}) {
				t.Errorf("%q: below it: got %+v, want a plain cgroup", path, below)
			}
		default:
			t.Errorf("%q: got kind %d, which no path tells", path, got.Kind)
		}
		if strings.Contains(got.PodUID, "/") {
			t.Errorf("%q: got %+v", path, got)
		}
	})
}
