package exporter

import (
	"flag"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/nodevitals/nodevitals/snapshot"
)

var update = flag.Bool("update", false, "write the golden files anew")

// smallSnapshot is a node with one pod of one container, with a figure of every kind.
func smallSnapshot() *snapshot.Snapshot {
	at := time.Date(2026, 11, 24, 12, 0, 0, 125e6, time.UTC)
	s := &snapshot.Snapshot{
		Sequence: 1,
		Groups:   snapshot.All,
		Node: snapshot.Node{
			Name:     "node-a",
			Versions: snapshot.Versions{Kernel: "6.1.0", OS: "Debian GNU/Linux 12 (bookworm)"},
			Machine: &snapshot.Machine{
				ID: "m", SystemUUID: "u", BootID: "b", Cores: 4, PhysicalCores: 2, Sockets: 1,
				MemoryBytes: 8 << 30, SwapBytes: 1 << 30,
				DIMMs: []snapshot.DIMM{{Type: "Unbuffered-DDR4", Count: 2, Bytes: 8 << 30}},
			},
			Filesystems: []snapshot.Filesystem{
				{
					Device: "/dev/vda", MountPoint: "/", Type: "ext4", Time: at, HasInodes: true,
					Capacity: 100 << 30, Free: 40 << 30, Available: 35 << 30, Inodes: 1000, InodesFree: 900,
					Disk: &snapshot.Disk{Reads: 10, ReadTime: 20, Writes: 30, WriteTime: 40, IOTime: 1500, WeightedIOTime: 2500},
				},
				{Device: "/run", MountPoint: "/run", Type: "tmpfs", Time: at, Capacity: 1 << 30, Free: 1 << 29},
			},
		},
	}
	s.Groups.Each(func(i int, _ string) { s.Readings[i].Time = at.Add(time.Duration(i) * time.Millisecond) })

	root := snapshot.Cgroup{Identity: &snapshot.Identity{ID: "/"}, HasNetwork: true, Interfaces: []snapshot.Interface{
		{Name: "eth0", RxBytes: 1, RxPackets: 2, RxErrors: 3, RxDropped: 4, TxBytes: 5, TxPackets: 6, TxErrors: 7, TxDropped: 8},
	}}
	root.Spec = &snapshot.Spec{Created: at.Add(-time.Hour), HasCPU: true, HasMemory: true, MemoryLimit: snapshot.Some(8 << 30)}
	app := snapshot.Cgroup{Identity: &snapshot.Identity{
		ID: "/kubepods/pod1/c1", Name: "c1", Image: "registry/app:1", Pod: "web", Namespace: "default", Container: "app",
		Kind: snapshot.ContainerCgroup,
	}}
	app.Spec = &snapshot.Spec{
		Created: at.Add(-time.Minute), HasCPU: true, HasMemory: true, HasIO: true, HasPids: true,
		CPUShares: snapshot.Some(204), CPUQuota: snapshot.Some(20000), CPUPeriod: snapshot.Some(100000),
		MemoryLimit: snapshot.Some(snapshot.Unlimited), MemoryReservation: snapshot.Some(0), SwapLimit: snapshot.Some(0),
		PidsLimit: snapshot.Some(snapshot.Unlimited),
	}
	for f := range snapshot.FieldCount {
		root.Set(f, uint64(f)*1_000_000_007)
		app.Set(f, uint64(f)*1_000_003)
	}
	app.Set(snapshot.ProcessNoFileSoft, snapshot.Unlimited)
	root.Clear(snapshot.MemoryPeak)
	disk := snapshot.Device{Major: 254, Minor: 0, Name: "/dev/vda"}
	for stat := range snapshot.DeviceStatCount {
		disk.Set(stat, snapshot.OpRead, 1000+uint64(stat))
		disk.Set(stat, snapshot.OpWrite, 2000+uint64(stat))
	}
	disk.Set(snapshot.CostUsage, snapshot.OpCount, 1500)
	app.Devices = []snapshot.Device{disk}
	pod := snapshot.Cgroup{Identity: &snapshot.Identity{
		ID: "/kubepods/pod1", Pod: "web", Namespace: "default", Kind: snapshot.PodCgroup,
	}}
	sandbox := snapshot.Cgroup{
		Identity: &snapshot.Identity{
			ID: "/kubepods/pod1/c0", Name: "c0", Image: "registry/pause:3", Pod: "web", Namespace: "default", Kind: snapshot.SandboxCgroup,
		},
		HasNetwork: true, Interfaces: []snapshot.Interface{{Name: "eth0", RxBytes: 446, RxPackets: 5, TxBytes: 796, TxPackets: 9}},
	}
	for _, f := range []snapshot.Field{snapshot.CPUUsage, snapshot.MemoryWorkingSet, snapshot.MemorySwap} {
		pod.Set(f, uint64(f+1)*2_000_003)
		sandbox.Set(f, uint64(f+1)*7)
	}
	s.Cgroups = []snapshot.Cgroup{root, pod, sandbox, app}
	s.Pods = []snapshot.Pod{{
		Name: "web", Namespace: "default", UID: "1", Started: at.Add(-2 * time.Minute), Cgroup: &s.Cgroups[1],
		HasNetwork: true, Interfaces: sandbox.Interfaces,
		Containers: []snapshot.Container{{
			Name: "app", ID: "c1", Started: at.Add(-time.Minute + 123456789), Cgroup: &s.Cgroups[3],
			WritableLayer: snapshot.Usage{Time: at, Bytes: snapshot.Some(28672), Inodes: snapshot.Some(10)},
		}},
	}}
	return s
}

func TestGolden(t *testing.T) {
	var r Renderer
	for _, test := range []struct {
		file   string
		render func(*snapshot.Snapshot, Options) []byte
		o      Options
	}{
		{"cadvisor.txt", r.Cadvisor, Options{}},
		{"cadvisor-timestamps.txt", r.Cadvisor, Options{Timestamps: true}},
		{"cadvisor.openmetrics", r.Cadvisor, Options{Format: OpenMetrics, Timestamps: true}},
		{"cadvisor-no-container-filesystems.txt", r.Cadvisor, Options{NoContainerFilesystems: true}},
		{"resource.txt", r.Resource, Options{}},
		{"resource.openmetrics", r.Resource, Options{Format: OpenMetrics}},
	} {
		t.Run(test.file, func(t *testing.T) {
			test.o.Groups = snapshot.All
			test.o.Now = time.Date(2026, 11, 24, 12, 0, 1, 0, time.UTC)
			got := test.render(smallSnapshot(), test.o)
			path := filepath.Join("testdata", test.file)
			if *update {
				if err := os.WriteFile(path, got, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), string(got)); diff != "" {
				t.Errorf("%s (-want +got):\n%s", path, diff)
			}
			parse(t, got, test.o.Format)
		})
	}
}
