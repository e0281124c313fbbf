package summary

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/kubelet/pkg/apis/stats/v1alpha1"

	"github.com/nodevitals/nodevitals/snapshot"
)

// A kubelet's pods, taken apart into what the kernel and the runtime told and put together by us, are the same pods: sums,
// differences, what is nested in what, and what is left out.
func TestPodsAreTheKubelets(t *testing.T) {
	for _, version := range []string{"cgroup-v1", "cgroup-v2"} {
		t.Run(version, func(t *testing.T) {
			recorded := readRecorded(t, version)
			got := Render(takenApart(recorded), Options{}, false)
			want, have := asJSON(t, recorded.Pods), asJSON(t, got.Pods)
			if version == "cgroup-v1" {
				// absent-not-zero: that kernel has no pressure for cgroups of v1, and the kubelet prints zeros.
				withoutKey(want, "psi")
			}
			if diff := cmp.Diff(want, have); diff != "" {
				t.Errorf("pods (-kubelet +ours):\n%s", diff)
			}
			for name, pair := range map[string][2]*v1alpha1.FsStats{
				"imageFs":     {recorded.Node.Runtime.ImageFs, got.Node.Runtime.ImageFs},
				"containerFs": {recorded.Node.Runtime.ContainerFs, got.Node.Runtime.ContainerFs},
			} {
				if diff := cmp.Diff(pair[0], pair[1]); diff != "" {
					t.Errorf("%s (-kubelet +ours):\n%s", name, diff)
				}
			}
		})
	}
}

func readRecorded(t *testing.T, version string) *v1alpha1.Summary {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", "kubelet-1.37.2-"+version+"-pods.json"))
	if err != nil {
		t.Fatal(err)
	}
	summary := new(v1alpha1.Summary)
	if err := json.Unmarshal(text, summary); err != nil {
		t.Fatal(err)
	}
	return summary
}

// takenApart makes the snapshot that a recorded answer is of. Of sums it has the parts alone, and the one part that no
// answer shows: every pod had an etc-hosts file of one block.
func takenApart(recorded *v1alpha1.Summary) *snapshot.Snapshot {
	fs := recorded.Node.Fs
	s := &snapshot.Snapshot{Taken: base, Groups: snapshot.All, Cgroups: []snapshot.Cgroup{{Identity: &snapshot.Identity{ID: "/"}}}}
	for i := range s.Readings {
		s.Readings[i].Time = base
	}
	s.Node.Filesystems = []snapshot.Filesystem{{
		Device: "/dev/vda", MountPoint: "/", Time: fs.Time.Time, Capacity: *fs.CapacityBytes, Available: *fs.AvailableBytes,
		Free: *fs.CapacityBytes - *fs.UsedBytes, HasInodes: true, Inodes: *fs.Inodes, InodesFree: *fs.InodesFree,
	}}
	images := recorded.Node.Runtime.ImageFs
	s.Node.Images = &snapshot.ImageFilesystem{
		Time: images.Time.Time, MountPoint: "/var/lib/containerd", Bytes: some(images.UsedBytes), Inodes: some(images.InodesUsed),
	}
	for i := range recorded.Pods {
		pod := &recorded.Pods[i]
		one := snapshot.Pod{
			Name: pod.PodRef.Name, Namespace: pod.PodRef.Namespace, UID: pod.PodRef.UID, Started: pod.StartTime.Time,
			Cgroup: recordedCgroup(pod.CPU, pod.Memory, pod.Swap, pod.IO), HasNetwork: true,
			EtcHosts: snapshot.Usage{Time: fs.Time.Time, Bytes: snapshot.Some(4096), Inodes: snapshot.Some(1)},
		}
		processes := *pod.ProcessStats.ProcessCount
		for j := range pod.Containers {
			container := &pod.Containers[j]
			cgroup := recordedCgroup(container.CPU, container.Memory, container.Swap, container.IO)
			cgroup.Set(snapshot.ProcessCount, processes/uint64(len(pod.Containers)))
			one.Containers = append(one.Containers, snapshot.Container{
				Name: container.Name, Started: container.StartTime.Time, Cgroup: cgroup,
				WritableLayer: recordedUsage(container.Rootfs, "/var/lib/containerd"), Logs: recordedUsage(container.Logs, ""),
			})
		}
		for _, face := range pod.Network.Interfaces {
			one.Interfaces = append(one.Interfaces, snapshot.Interface{
				Name: face.Name, RxBytes: *face.RxBytes, RxErrors: *face.RxErrors, TxBytes: *face.TxBytes, TxErrors: *face.TxErrors,
			})
		}
		for _, volume := range pod.VolumeStats {
			one.Volumes = append(one.Volumes, snapshot.Volume{
				Name: volume.Name, Time: volume.Time.Time, Ephemeral: slices.Contains([]string{"cfg", "scratch"}, volume.Name),
				Capacity: some(volume.CapacityBytes), Available: some(volume.AvailableBytes), Used: some(volume.UsedBytes),
				Inodes: some(volume.Inodes), InodesFree: some(volume.InodesFree), InodesUsed: some(volume.InodesUsed),
			})
		}
		s.Pods = append(s.Pods, one)
	}
	return s
}

func some(value *uint64) snapshot.Optional {
	if value == nil {
		return snapshot.Optional{}
	}
	return snapshot.Some(*value)
}

func recordedUsage(stats *v1alpha1.FsStats, mountPoint string) snapshot.Usage {
	return snapshot.Usage{Time: stats.Time.Time, Bytes: some(stats.UsedBytes), Inodes: some(stats.InodesUsed), MountPoint: mountPoint}
}

func recordedCgroup(cpu *v1alpha1.CPUStats, memory *v1alpha1.MemoryStats, swap *v1alpha1.SwapStats, io *v1alpha1.IOStats) *snapshot.Cgroup {
	limit := func(available *uint64, used uint64) snapshot.Optional {
		if available == nil {
			return snapshot.Some(snapshot.Unlimited)
		}
		return snapshot.Some(*available + used)
	}
	cgroup := &snapshot.Cgroup{Identity: &snapshot.Identity{ID: "/x"}, Spec: &snapshot.Spec{
		HasCPU: true, HasMemory: true, HasIO: true,
		MemoryLimit: limit(memory.AvailableBytes, *memory.WorkingSetBytes), SwapLimit: limit(swap.SwapAvailableBytes, *swap.SwapUsageBytes),
	}}
	for field, value := range map[snapshot.Field]*uint64{
		snapshot.CPUUsage: cpu.UsageCoreNanoSeconds, snapshot.CPUNanoCores: cpu.UsageNanoCores,
		snapshot.MemoryUsage: memory.UsageBytes, snapshot.MemoryWorkingSet: memory.WorkingSetBytes, snapshot.MemoryRSS: memory.RSSBytes,
		snapshot.MemoryPgfault: memory.PageFaults, snapshot.MemoryPgmajfault: memory.MajorPageFaults, snapshot.MemorySwap: swap.SwapUsageBytes,
	} {
		cgroup.Set(field, *value)
	}
	for first, psi := range map[snapshot.Field]*v1alpha1.PSIStats{
		snapshot.CPUSomeTotal: cpu.PSI, snapshot.MemorySomeTotal: memory.PSI, snapshot.IOSomeTotal: io.PSI,
	} {
		if *psi == (v1alpha1.PSIStats{}) && cpu.PSI.Some.Total == 0 {
			// Where no CPU pressure ever was there is no PSI, and these zeros are made up.
			continue
		}
		setLine(cgroup, first, psi.Some)
		setLine(cgroup, first+snapshot.PressureLine, psi.Full)
	}
	return cgroup
}

func setLine(cgroup *snapshot.Cgroup, total snapshot.Field, line v1alpha1.PSIData) {
	cgroup.Set(total, line.Total)
	for offset, average := range map[snapshot.Field]float64{
		snapshot.PressureAvg10: line.Avg10, snapshot.PressureAvg60: line.Avg60, snapshot.PressureAvg300: line.Avg300,
	} {
		cgroup.Set(total+offset, uint64(average*100+0.5))
	}
}

// asJSON returns pods as decoded JSON without the times of samples: ours has one for each reading group, a kubelet one for each
// cgroup.
func asJSON(t *testing.T, pods []v1alpha1.PodStats) any {
	t.Helper()
	text, err := json.Marshal(pods)
	if err != nil {
		t.Fatal(err)
	}
	var decoded any
	if err := json.Unmarshal(text, &decoded); err != nil {
		t.Fatal(err)
	}
	withoutSampleTimes(t, decoded)
	return decoded
}

func withoutSampleTimes(t *testing.T, value any) {
	t.Helper()
	switch value := value.(type) {
	case []any:
		for _, below := range value {
			withoutSampleTimes(t, below)
		}
	case map[string]any:
		for key, below := range value {
			withoutSampleTimes(t, below)
			if !slices.Contains([]string{"cpu", "memory", "swap", "io", "network"}, key) {
				continue
			}
			part := below.(map[string]any)
			if _, err := time.Parse(time.RFC3339, part["time"].(string)); err != nil {
				t.Errorf("%s: %v", key, err)
			}
			delete(part, "time")
		}
	}
}

func withoutKey(value any, key string) {
	switch value := value.(type) {
	case []any:
		for _, below := range value {
			withoutKey(below, key)
		}
	case map[string]any:
		delete(value, key)
		for _, below := range value {
			withoutKey(below, key)
		}
	}
}
