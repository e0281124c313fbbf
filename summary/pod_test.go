package summary

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/kubelet/pkg/apis/stats/v1alpha1"

	"github.com/nodevitals/nodevitals/snapshot"
)

func TestPodGolden(t *testing.T) {
	for name, only := range map[string]bool{"pods.json": false, "pods-only-cpu-and-memory.json": true} {
		s := podNode()
		rendered := Render(s, Options{}, only)
		rendered.Node.SystemContainers = nil
		text, err := Encode(rendered)
		if err != nil {
			t.Fatal(err)
		}
		golden(t, name, text)
	}
}

// renderPod renders the web pod of podNode after a change.
func renderPod(change func(*snapshot.Snapshot, *snapshot.Pod)) v1alpha1.PodStats {
	s := podNode()
	change(s, &s.Pods[1])
	return Render(s, Options{}, false).Pods[1]
}

func TestPodWithoutCgroupIsTheSumOfItsContainers(t *testing.T) {
	none := func(*snapshot.Pod) {}
	for _, test := range []struct {
		name   string
		change func(*snapshot.Pod)
		// cpu, working set, its available, swap, its available
		want string
	}{
		{"all numbers", none, "125000000 125006000 1124994000 125010000 124990000"},
		{"one has no memory limit", func(p *snapshot.Pod) {
			p.Containers[1].Cgroup.Spec.MemoryLimit = snapshot.Some(snapshot.Unlimited)
		}, "125000000 125006000 - 125010000 124990000"},
		{"one has no limits read", func(p *snapshot.Pod) { p.Containers[0].Cgroup.Spec = nil }, "125000000 125006000 - 125010000 -"},
		{"one has no CPU time", func(p *snapshot.Pod) { p.Containers[0].Cgroup.Clear(snapshot.CPUUsage) }, "- 125006000 1124994000 125010000 124990000"},
		{"one has no cgroup", func(p *snapshot.Pod) { p.Containers[0].Cgroup = nil }, "- - - - -"},
		{"more is used than the limits allow", func(p *snapshot.Pod) {
			p.Containers[0].Cgroup.Set(snapshot.MemoryWorkingSet, 1<<40)
		}, "125000000 1099574630776 0 125010000 124990000"},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := renderPod(func(_ *snapshot.Snapshot, pod *snapshot.Pod) {
				pod.Cgroup = nil
				test.change(pod)
			})
			cpu, memory, swap := got.CPU, got.Memory, got.Swap
			if cpu == nil {
				cpu = &v1alpha1.CPUStats{}
			}
			if memory == nil {
				memory = &v1alpha1.MemoryStats{}
			}
			if swap == nil {
				swap = &v1alpha1.SwapStats{}
			}
			text := strings.Join([]string{
				number(cpu.UsageCoreNanoSeconds), number(memory.WorkingSetBytes), number(memory.AvailableBytes),
				number(swap.SwapUsageBytes), number(swap.SwapAvailableBytes),
			}, " ")
			if text != test.want {
				t.Errorf("got %s, want %s", text, test.want)
			}
			if cpu.PSI != nil || memory.PSI != nil || got.IO != nil && got.IO.PSI != nil {
				t.Error("got pressure, which does not add up")
			}
		})
	}
}

// On v1 a container may have no place in the blkio hierarchy; where limits were not read, nobody knows.
func TestIOOfPodWithoutCgroup(t *testing.T) {
	without, unread := &snapshot.Spec{}, (*snapshot.Spec)(nil)
	for _, test := range []struct {
		name         string
		app, sidecar *snapshot.Spec
		want         bool
	}{
		{"none accounted", without, without, false},
		{"one accounted", without, &snapshot.Spec{HasIO: true}, true},
		{"one unknown", unread, without, true},
	} {
		got := renderPod(func(_ *snapshot.Snapshot, pod *snapshot.Pod) {
			pod.Cgroup = nil
			pod.Containers[0].Cgroup.Spec, pod.Containers[1].Cgroup.Spec = test.app, test.sidecar
		})
		if (got.IO != nil) != test.want {
			t.Errorf("%s: got %+v, want some: %v", test.name, got.IO, test.want)
		}
	}
}

func TestContainerWithoutCgroup(t *testing.T) {
	got := renderPod(func(_ *snapshot.Snapshot, pod *snapshot.Pod) { pod.Containers[0].Cgroup = nil }).Containers[0]
	if got.Name != "app" || !got.StartTime.Time.Equal(base.Add(-30*time.Second)) {
		t.Errorf("got %s started at %v, want its name and start", got.Name, got.StartTime)
	}
	if got.CPU != nil || got.Memory != nil || got.Swap != nil || got.IO != nil {
		t.Errorf("got %+v, want nothing of its cgroup", got)
	}
	if got.Rootfs == nil || got.Logs == nil {
		t.Errorf("got %+v, want what was measured without its cgroup", got)
	}
}

func TestProcessesOfPod(t *testing.T) {
	for _, test := range []struct {
		name   string
		change func(*snapshot.Pod)
		want   string
	}{
		{"sandbox not counted", func(*snapshot.Pod) {}, "15"},
		{"one container not counted yet", func(p *snapshot.Pod) { p.Containers[1].Cgroup.Clear(snapshot.ProcessCount) }, "10"},
		{"one container without cgroup", func(p *snapshot.Pod) { p.Containers[1].Cgroup = nil }, "10"},
		{"none counted", func(p *snapshot.Pod) { p.Containers[0].Cgroup, p.Containers[1].Cgroup = nil, nil }, "none"},
	} {
		got := "none"
		if stats := renderPod(func(_ *snapshot.Snapshot, pod *snapshot.Pod) {
			pod.Containers[0].Cgroup.Set(snapshot.ProcessCount, 10)
			pod.Containers[1].Cgroup.Set(snapshot.ProcessCount, 5)
			test.change(pod)
		}).ProcessStats; stats != nil {
			got = number(stats.ProcessCount)
		}
		if got != test.want {
			t.Errorf("%s: got %s, want %s", test.name, got, test.want)
		}
	}
}

func TestNetworkOfPod(t *testing.T) {
	for _, test := range []struct {
		name   string
		change func(*snapshot.Snapshot, *snapshot.Pod)
		want   string // the default interface, its bytes received, the names of all
	}{
		{"own namespace", func(*snapshot.Snapshot, *snapshot.Pod) {}, `"eth0" 446 [eth0 net1]`},
		{"no eth0", func(_ *snapshot.Snapshot, p *snapshot.Pod) { p.Interfaces = p.Interfaces[1:] }, `"" - [net1]`},
		{"none but loopback", func(_ *snapshot.Snapshot, p *snapshot.Pod) { p.Interfaces = nil }, `"" - []`},
		{"not read", func(_ *snapshot.Snapshot, p *snapshot.Pod) { p.HasNetwork = false }, "none"},
		{"the host's, left out", func(_ *snapshot.Snapshot, p *snapshot.Pod) { p.HostNetwork, p.HasNetwork = true, false }, "none"},
		{"the host's", func(_ *snapshot.Snapshot, p *snapshot.Pod) { p.HostNetwork = true }, `"eth0" 446 [eth0 net1]`},
	} {
		got := "none"
		if stats := renderPod(test.change).Network; stats != nil {
			var names []string
			for _, one := range stats.Interfaces {
				names = append(names, one.Name)
			}
			got = fmt.Sprintf("%q %s %v", stats.Name, number(stats.RxBytes), names)
		}
		if got != test.want {
			t.Errorf("%s: got %s, want %s", test.name, got, test.want)
		}
	}
}

// What is not asked for in short must not be there, whatever the snapshot holds.
func TestShortPodHasCPUMemoryAndSwapAlone(t *testing.T) {
	for _, pod := range Render(podNode(), Options{}, true).Pods {
		if pod.IO != nil || pod.Network != nil || pod.VolumeStats != nil || pod.EphemeralStorage != nil || pod.ProcessStats != nil {
			t.Errorf("%s: got %+v", pod.PodRef.Name, pod)
		}
		if pod.CPU == nil || pod.CPU.PSI == nil || pod.Memory == nil || pod.Memory.PSI == nil || pod.Swap == nil {
			t.Errorf("%s: got %+v, want CPU, memory and swap with pressure", pod.PodRef.Name, pod)
		}
		for _, container := range pod.Containers {
			if container.IO != nil || container.Rootfs != nil || container.Logs != nil {
				t.Errorf("%s: %s: got %+v", pod.PodRef.Name, container.Name, container)
			}
		}
	}
}

// Hold for any pods: nothing is made up, nothing lost, the same snapshot gives the same bytes.
func TestInvariantsOfPods(t *testing.T) {
	for seed := range uint64(500) {
		s := randomPods(seed)
		rendered := Render(s, Options{}, false)
		if len(rendered.Pods) != len(s.Pods) {
			t.Fatalf("seed %d: %d pods, want %d", seed, len(rendered.Pods), len(s.Pods))
		}
		for i := range s.Pods {
			checkPod(t, seed, s, &s.Pods[i], &rendered.Pods[i])
		}
		first, err := Encode(rendered)
		if err != nil {
			t.Fatal(err)
		}
		second, err := Encode(Render(s, Options{}, false))
		if err != nil || !bytes.Equal(first, second) {
			t.Fatalf("seed %d: rendered twice, it differs (%v)", seed, err)
		}
		if diff := cmp.Diff(randomPods(seed), s, cmp.AllowUnexported(snapshot.Snapshot{}, snapshot.Values{}, snapshot.Device{})); diff != "" {
			t.Fatalf("seed %d: rendering changed it:\n%s", seed, diff)
		}
		if t.Failed() {
			t.Fatalf("seed %d fails; further seeds are left out", seed)
		}
	}
}

func checkPod(t *testing.T, seed uint64, s *snapshot.Snapshot, pod *snapshot.Pod, got *v1alpha1.PodStats) {
	t.Helper()
	if got.Containers == nil || len(got.Containers) != len(pod.Containers) {
		t.Errorf("seed %d: %s: containers %v, want %d", seed, pod.Name, got.Containers, len(pod.Containers))
		return
	}
	if len(got.VolumeStats) != len(pod.Volumes) {
		t.Errorf("seed %d: %s: %d volumes, want %d", seed, pod.Name, len(got.VolumeStats), len(pod.Volumes))
	}
	// All that is shown of a pod's disk is in its sum, and the pod's own files, which are not shown.
	used, inodes := pod.Logs.Bytes.Or(0)+pod.EtcHosts.Bytes.Or(0), pod.Logs.Inodes.Or(0)+pod.EtcHosts.Inodes.Or(0)
	count := func(stats *v1alpha1.FsStats) {
		if stats == nil {
			return
		}
		for sum, part := range map[*uint64]*uint64{&used: stats.UsedBytes, &inodes: stats.InodesUsed} {
			if part != nil {
				*sum += *part
			}
		}
	}
	for i := range got.Containers {
		container := &got.Containers[i]
		if container.Name != pod.Containers[i].Name {
			t.Errorf("seed %d: %s: container %s stands at %d, want %s", seed, pod.Name, container.Name, i, pod.Containers[i].Name)
		}
		if pod.Containers[i].Cgroup == nil && (container.CPU != nil || container.Memory != nil || container.Swap != nil || container.IO != nil) {
			t.Errorf("seed %d: %s: %s has figures without a cgroup", seed, pod.Name, container.Name)
		}
		count(container.Rootfs)
		count(container.Logs)
	}
	for i := range got.VolumeStats {
		if volume := &got.VolumeStats[i]; volume.Name == "scratch" {
			count(&volume.FsStats)
		}
	}
	sum := got.EphemeralStorage
	if sum == nil {
		if used+inodes > 0 || s.Node.RootFS() != nil {
			t.Errorf("seed %d: %s: no ephemeral storage, want %d bytes", seed, pod.Name, used)
		}
		return
	}
	if is := snapshot.Some(used); sum.UsedBytes != nil && *sum.UsedBytes != is.Value || sum.UsedBytes == nil && used > 0 {
		t.Errorf("seed %d: %s: ephemeral storage of %s bytes, want %d", seed, pod.Name, number(sum.UsedBytes), used)
	}
	if sum.InodesUsed != nil && *sum.InodesUsed != inodes || sum.InodesUsed == nil && inodes > 0 {
		t.Errorf("seed %d: %s: ephemeral storage of %s inodes, want %d", seed, pod.Name, number(sum.InodesUsed), inodes)
	}
}

func TestNoPodsAreAnEmptyList(t *testing.T) {
	text, err := Encode(Render(kubernetesNode(true), Options{}, false))
	if err != nil || !strings.Contains(string(text), `"pods": []`) {
		t.Errorf("got %v, %.200s, want an empty list", err, text)
	}
	s := podNode()
	s.Pods[0].Containers = nil
	text, err = Encode(Render(s, Options{}, false))
	if err != nil || !strings.Contains(string(text), `"containers": []`) {
		t.Errorf("got %v, want an empty list of containers", err)
	}
}

func BenchmarkRenderPods(b *testing.B) {
	s := manyPods(110)
	for name, only := range map[string]bool{"full": false, "short": true} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			size := 0
			for b.Loop() {
				text, err := Encode(Render(s, Options{}, only))
				if err != nil {
					b.Fatal(err)
				}
				size = len(text)
			}
			b.ReportMetric(float64(size)/float64(len(s.Pods)), "bytes/pod")
		})
	}
}
