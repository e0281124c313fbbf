package summary

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/nodevitals/nodevitals/snapshot"
)

// The ends of the paths of the pods of podNode.
const (
	webUID    = "4dc4721b-3307-4087-8175-0ee0cec55258"
	staticUID = "c10fa9e0c4111421cd4faa58cea6169b"
	hostUID   = "e8711061-a799-4caa-87a2-c9b58ac3e43e"
)

// hexID makes the ID of a container.
func hexID(number int) string {
	return fmt.Sprintf("%012x%052x", (0x1132fd181443+number*0x9e3779b1)&(1<<48-1), number)
}

// podCgroups adds a pod's cgroups to the snapshot and returns where the pod's and the containers' records are. Records do not
// move any more once a pod points to them, so pods are made when all cgroups are there: see named.
func podCgroups(s *snapshot.Snapshot, parent, uid, namespace, pod string, seed uint64, containers ...string) {
	path := parent + "/pod" + uid
	add := func(id string, kind snapshot.CgroupKind, container, containerID string, seed uint64) {
		record := cgroup(id, seed, true)
		record.Set(snapshot.ProcessCount, seed%7+1)
		record.Identity = &snapshot.Identity{
			ID: id, Kind: kind, Namespace: namespace, Pod: pod, Container: container, PodUID: uid, ContainerID: containerID,
		}
		s.Cgroups = append(s.Cgroups, record)
	}
	add(path, snapshot.PodCgroup, "", "", seed)
	sandbox := hexID(int(seed) * 100)
	add(path+"/"+sandbox, snapshot.SandboxCgroup, "", sandbox, seed+1)
	for i, name := range containers {
		id := hexID(int(seed)*100 + i + 1)
		add(path+"/"+id, snapshot.ContainerCgroup, name, id, seed+2+uint64(i))
	}
}

// named makes the pods that the identities of the snapshot's cgroups tell of, sorted by namespace and name.
func named(s *snapshot.Snapshot) {
	slices.SortFunc(s.Cgroups, func(a, b snapshot.Cgroup) int {
		if a.Identity.ID < b.Identity.ID {
			return -1
		}
		return 1
	})
	for i := range s.Cgroups {
		record := &s.Cgroups[i]
		identity := record.Identity
		switch identity.Kind {
		case snapshot.PlainCgroup, snapshot.SandboxCgroup:
		case snapshot.PodCgroup:
			s.Pods = append(s.Pods, snapshot.Pod{
				Name: identity.Pod, Namespace: identity.Namespace, UID: identity.PodUID, Started: base.Add(-2 * time.Hour), Cgroup: record,
			})
		case snapshot.ContainerCgroup:
			pod := &s.Pods[len(s.Pods)-1]
			pod.Containers = append(pod.Containers, snapshot.Container{
				Name: identity.Container, ID: identity.ContainerID, Started: base.Add(-time.Hour), Cgroup: record,
			})
		}
	}
	slices.SortFunc(s.Pods, func(a, b snapshot.Pod) int {
		if a.Namespace+"/"+a.Name < b.Namespace+"/"+b.Name {
			return -1
		}
		return 1
	})
}

// usage is what was measured, so many seconds before the snapshot.
func usage(seconds int, bytes, inodes uint64) snapshot.Usage {
	return snapshot.Usage{Time: base.Add(-time.Duration(seconds) * time.Second), Bytes: snapshot.Some(bytes), Inodes: snapshot.Some(inodes)}
}

// podNode is a node with a web server that has been restarted and has volumes, a static pod, and one in the host's network.
func podNode() *snapshot.Snapshot {
	s := kubernetesNode(true)
	podCgroups(s, "/kubepods.slice", hostUID, "default", "host", 40, "agent")
	podCgroups(s, "/kubepods.slice", staticUID, "kube-system", "static-node-1", 50, "s")
	podCgroups(s, "/kubepods.slice", webUID, "default", "web", 60, "app", "sidecar")
	named(s)
	s.Node.Filesystems = append(s.Node.Filesystems, snapshot.Filesystem{
		Device: "/dev/nvme1n1", MountPoint: "/var/lib/containerd", Type: "xfs", Time: base.Add(-time.Second),
		Capacity: 500 << 30, Free: 400 << 30, Available: 390 << 30, HasInodes: true, Inodes: 9_000_000, InodesFree: 8_000_000,
	})
	const layers = "/var/lib/containerd/io.containerd.snapshotter.v1.overlayfs"
	s.Node.Images = &snapshot.ImageFilesystem{
		Time: base.Add(-6 * time.Second), MountPoint: layers, Bytes: snapshot.Some(7 << 30), Inodes: snapshot.Some(70_000),
	}

	host, web, static := &s.Pods[0], &s.Pods[1], &s.Pods[2]
	host.HostNetwork = true
	root := s.Find("/")
	host.HasNetwork, host.Interfaces = root.HasNetwork, root.Interfaces
	host.Containers[0].WritableLayer = usage(7, 4096, 3)
	host.Containers[0].Logs = usage(1, 8192, 2)

	web.HasNetwork, web.Interfaces = true, []snapshot.Interface{
		{Name: "eth0", RxBytes: 446, RxErrors: 1, TxBytes: 796, TxErrors: 2},
		{Name: "net1", RxBytes: 44, RxErrors: 3, TxBytes: 79, TxErrors: 4},
	}
	web.Containers[0].Started = base.Add(-30 * time.Second)
	web.Containers[0].WritableLayer = usage(5, 1<<20, 12)
	web.Containers[1].WritableLayer = usage(9, 2<<20, 9)
	for i := range web.Containers {
		web.Containers[i].WritableLayer.MountPoint = layers
		web.Containers[i].Logs = usage(2, 40960<<i, 3)
	}
	web.Logs, web.EtcHosts = usage(2, 512, 1), usage(2, 4096, 1)
	figure := snapshot.Some
	web.Volumes = []snapshot.Volume{
		{
			Name: "data", Claim: "data-web-0", ClaimNamespace: "default", Time: base.Add(-50 * time.Second),
			Capacity: figure(10 << 30), Available: figure(6 << 30), Used: figure(4 << 30),
			Inodes: figure(655360), InodesFree: figure(655000), InodesUsed: figure(360),
		},
		{Name: "raw", Claim: "raw-web-0", ClaimNamespace: "default", Time: base.Add(-50 * time.Second), Capacity: figure(1 << 30)},
		{
			Name: "scratch", Ephemeral: true, Time: base.Add(-40 * time.Second),
			Capacity: figure(100 << 30), Available: figure(55 << 30), Used: figure(12 << 20),
			Inodes: figure(6_000_000), InodesFree: figure(5_500_000), InodesUsed: figure(2),
		},
	}
	static.HasNetwork = true
	return s
}

// manyPods is a node of so many pods of three containers each, with all that a pod can have.
func manyPods(count int) *snapshot.Snapshot {
	s := kubernetesNode(true)
	for i := range count {
		uid := fmt.Sprintf("2fbcb859-a59b-4c7b-93c4-%012d", i)
		podCgroups(s, "/kubepods.slice", uid, "production", fmt.Sprintf("web-7d4b9c6f5-%05d", i), uint64(1000+i*10), "app", "proxy", "sidecar")
	}
	named(s)
	for i := range s.Pods {
		pod := &s.Pods[i]
		pod.HasNetwork, pod.Interfaces = true, []snapshot.Interface{{Name: "eth0", RxBytes: uint64(i), TxBytes: uint64(i)}}
		pod.Logs, pod.EtcHosts = usage(2, 0, 0), usage(2, 4096, 1)
		for j := range pod.Containers {
			pod.Containers[j].WritableLayer, pod.Containers[j].Logs = usage(5, uint64(i*j), 8), usage(2, uint64(i), 1)
		}
		volume := snapshot.Volume{Name: "scratch", Ephemeral: true, Time: base, Used: snapshot.Some(uint64(i))}
		pod.Volumes = []snapshot.Volume{{Name: "data", Claim: "c", ClaimNamespace: "production", Time: base}, volume}
	}
	return s
}

// randomPods is podNode with parts of its pods gone, at random: each test of an invariant must hold for all of them.
func randomPods(seed uint64) *snapshot.Snapshot {
	random := rand.New(rand.NewPCG(seed, 7))
	often := func(n int) bool { return random.IntN(n) == 0 }
	s := manyPods(4)
	if often(4) {
		s.Node.RootFilesystem = -1
	}
	spoil := func(usage *snapshot.Usage) {
		switch random.IntN(5) {
		case 0:
			*usage = snapshot.Usage{}
		case 1:
			usage.Bytes = snapshot.Optional{}
		case 2:
			usage.Inodes = snapshot.Optional{}
		case 3:
			usage.MountPoint = []string{"/boot/x", "/nowhere", "/", "relative"}[random.IntN(4)]
		}
	}
	for i := range s.Cgroups[1:] {
		record := &s.Cgroups[i+1]
		for field := range snapshot.FieldCount {
			if often(8) {
				record.Clear(field)
			}
		}
		switch random.IntN(4) {
		case 0:
			record.Spec = nil
		case 1:
			record.Spec.MemoryLimit, record.Spec.SwapLimit = snapshot.Some(snapshot.Unlimited), snapshot.Optional{}
		}
	}
	for i := range s.Pods {
		pod := &s.Pods[i]
		if often(2) {
			pod.Cgroup = nil
		}
		pod.HasNetwork, pod.HostNetwork = often(2), often(3)
		pod.Volumes = pod.Volumes[:random.IntN(3)]
		pod.Containers = pod.Containers[:random.IntN(4)]
		spoil(&pod.Logs)
		spoil(&pod.EtcHosts)
		for j := range pod.Containers {
			spoil(&pod.Containers[j].WritableLayer)
			spoil(&pod.Containers[j].Logs)
			if often(5) {
				pod.Containers[j].Cgroup = nil
			}
		}
	}
	return s
}
