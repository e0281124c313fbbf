package summary

import (
	"fmt"
	"time"

	"github.com/nodevitals/nodevitals/snapshot"
)

// base is when the snapshots of these tests were taken.
var base = time.Date(2026, 11, 24, 10, 30, 15, 250_000_000, time.UTC)

// values makes a cgroup's values, all different so that a swap of two shows. psi tells whether the kernel has pressure files.
func values(seed uint64, psi bool) snapshot.Values {
	var v snapshot.Values
	for i, field := range []snapshot.Field{
		snapshot.CPUUsage, snapshot.CPUNanoCores, snapshot.MemoryUsage, snapshot.MemoryWorkingSet, snapshot.MemoryRSS, snapshot.MemorySwap,
		snapshot.MemoryPgfault, snapshot.MemoryPgmajfault, snapshot.PidsCurrent,
	} {
		v.Set(field, seed*1_000_000+uint64(i)*1000)
	}
	if psi {
		for i, first := range []snapshot.Field{snapshot.CPUSomeTotal, snapshot.MemorySomeTotal, snapshot.IOSomeTotal} {
			for offset := range 2 * snapshot.PressureLine {
				v.Set(first+offset, seed*100+uint64(i)*10+uint64(offset))
			}
		}
	}
	return v
}

func cgroup(id string, seed uint64, psi bool) snapshot.Cgroup {
	return snapshot.Cgroup{
		Identity: &snapshot.Identity{ID: id},
		Values:   values(seed, psi),
		Spec: &snapshot.Spec{
			Created: base.Add(-time.Duration(seed) * time.Hour),
			HasCPU:  true, HasMemory: true, HasIO: true, HasPids: true,
			MemoryLimit: snapshot.Some(seed * 10_000_000), SwapLimit: snapshot.Some(seed * 2_000_000),
		},
	}
}

// kubernetesNode is a snapshot of a node with a kubelet, containerd and pods.
func kubernetesNode(psi bool) *snapshot.Snapshot {
	s := &snapshot.Snapshot{
		Sequence: 7, Taken: base, Groups: snapshot.All,
		Node: snapshot.Node{
			Name: "node-1", BootTime: base.Add(-48 * time.Hour),
			Versions:    snapshot.Versions{Kernel: "6.12.1", OS: "Debian GNU/Linux 13 (trixie)"},
			Machine:     &snapshot.Machine{Cores: 8},
			MemoryTotal: snapshot.Some(16 << 30), SwapTotal: snapshot.Some(4 << 30), SwapFree: snapshot.Some(3 << 30),
			HugePagesTotal: snapshot.Some(1 << 30),
			MaxPID:         snapshot.Some(4194304), Tasks: snapshot.Some(512), TasksTime: base,
			Filesystems: []snapshot.Filesystem{
				{Device: "/dev/nvme0n1p1", MountPoint: "/boot", Type: "vfat", Time: base, Capacity: 1 << 28, Free: 1 << 27, Available: 1 << 27},
				{
					Device: "/dev/nvme0n1p2", MountPoint: "/", Type: "ext4", Time: base.Add(-3 * time.Second),
					Capacity: 100 << 30, Free: 60 << 30, Available: 55 << 30, HasInodes: true, Inodes: 6_000_000, InodesFree: 5_500_000,
				},
			},
			RootFilesystem: 1,
		},
		Cgroups: []snapshot.Cgroup{
			cgroup("/", 90, psi),
			cgroup("/init.scope", 1, psi),
			cgroup("/kubepods.slice", 30, psi),
			cgroup("/kubepods.slice/kubepods-besteffort.slice", 20, psi),
			cgroup("/system.slice", 25, psi),
			cgroup("/system.slice/containerd.service", 11, psi),
			cgroup("/system.slice/kubelet.service", 12, psi),
			cgroup("/system.slice/ssh.service", 2, psi),
		},
	}
	for i := range s.Readings {
		s.Readings[i].Time = base.Add(time.Duration(i) * time.Second)
	}
	root := &s.Cgroups[0]
	root.Spec.MemoryLimit, root.Spec.SwapLimit = s.Node.MemoryTotal, s.Node.SwapTotal
	root.HasNetwork = true
	root.Interfaces = []snapshot.Interface{
		{Name: "ens3", RxBytes: 1, RxPackets: 2, RxErrors: 3, RxDropped: 4, TxBytes: 5, TxPackets: 6, TxErrors: 7, TxDropped: 8},
		{Name: "eth0", RxBytes: 1000, RxPackets: 20, RxErrors: 30, RxDropped: 40, TxBytes: 500, TxPackets: 60, TxErrors: 70, TxDropped: 80},
	}
	root.Devices = []snapshot.Device{{Major: 259, Name: "/dev/nvme0n1"}, {Major: 259, Minor: 3, Name: "/dev/nvme1n1"}}
	root.Devices[0].Set(snapshot.ServiceBytes, snapshot.OpRead, 3<<20)
	root.Devices[0].Set(snapshot.ServiceBytes, snapshot.OpWrite, 5<<30)
	root.Devices[1].Set(snapshot.ServiceBytes, snapshot.OpRead, 1<<20)
	return s
}

// bareHost is a snapshot of a host without Kubernetes.
func bareHost() *snapshot.Snapshot {
	s := kubernetesNode(true)
	s.Cgroups = []snapshot.Cgroup{
		cgroup("/", 90, true),
		cgroup("/a", 1, true),
		cgroup("/a!", 2, true),
		cgroup("/a/b", 3, true),
		cgroup("/system.slice", 25, true),
		cgroup("/system.slice/containerd.service", 11, true),
		cgroup("/user.slice", 4, true),
	}
	return s
}

// unreadable is a snapshot of a node of which nothing could be read.
func unreadable() *snapshot.Snapshot {
	s := &snapshot.Snapshot{Sequence: 1, Taken: base, Groups: snapshot.All}
	s.Node.Name, s.Node.RootFilesystem = "node-1", -1
	s.Cgroups = []snapshot.Cgroup{{Identity: &snapshot.Identity{ID: "/"}}, {Identity: &snapshot.Identity{ID: "/kubepods"}}}
	return s
}

// manyCgroups is a bare host with so many top-level cgroups.
func manyCgroups(count int) *snapshot.Snapshot {
	s := kubernetesNode(true)
	s.Cgroups = s.Cgroups[:1]
	for i := range count {
		s.Cgroups = append(s.Cgroups, cgroup(fmt.Sprintf("/service-%06d", i), uint64(i+1), true))
	}
	return s
}
