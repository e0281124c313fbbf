package summary

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/kubelet/pkg/apis/stats/v1alpha1"

	"github.com/nodevitals/nodevitals/snapshot"
)

var update = flag.Bool("update", false, "write golden files anew")

// golden compares text with a file of testdata.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, append(got, '\n'), 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(strings.TrimSuffix(string(want), "\n"), string(got)); diff != "" {
		t.Errorf("%s (-want +got):\n%s", name, diff)
	}
}

func TestGolden(t *testing.T) {
	for _, test := range []struct {
		name     string
		snapshot *snapshot.Snapshot
		only     bool
	}{
		{"full.json", kubernetesNode(true), false},
		{"only-cpu-and-memory.json", kubernetesNode(true), true},
		{"no-psi.json", kubernetesNode(false), false},
		{"bare-host.json", bareHost(), true},
		{"unreadable.json", unreadable(), false},
	} {
		t.Run(test.name, func(t *testing.T) {
			text, err := Encode(Render(test.snapshot, Options{}, test.only))
			if err != nil {
				t.Fatal(err)
			}
			golden(t, test.name, text)
		})
	}
}

func names(containers []v1alpha1.ContainerStats) string {
	var all []string
	for _, one := range containers {
		all = append(all, one.Name)
	}
	return strings.Join(all, " ")
}

func TestSystemContainers(t *testing.T) {
	withKind := kubernetesNode(true)
	withKind.Cgroups = []snapshot.Cgroup{
		cgroup("/", 9, true), cgroup("/kubelet.slice", 1, true),
		cgroup("/kubelet.slice/kubelet-kubepods.slice", 2, true), cgroup("/kubelet.slice/kubelet.service", 3, true),
	}
	for _, test := range []struct {
		name     string
		snapshot *snapshot.Snapshot
		options  Options
		want     string
	}{
		{"found by their usual names", kubernetesNode(true), Options{}, "kubelet pods runtime"},
		{"configured", kubernetesNode(true), Options{SystemCgroups: "/system.slice", KubeletCgroups: "/init.scope"}, "kubelet misc pods runtime"},
		{"configured without a slash, with one at the end", kubernetesNode(true), Options{SystemCgroups: "system.slice/"}, "kubelet misc pods runtime"},
		{"configured and not there", kubernetesNode(true), Options{KubeletCgroups: "/none", RuntimeCgroups: "/none", PodsCgroup: "/none"}, ""},
		{"the root is none", kubernetesNode(true), Options{SystemCgroups: "/"}, "kubelet pods runtime"},
		{"pods elsewhere", kubernetesNode(true), Options{PodsCgroup: "/system.slice"}, "kubelet pods runtime"},
		{"kind", withKind, Options{}, "kubelet pods"},
		{"bare host", bareHost(), Options{}, "a a! system.slice user.slice"},
		{"bare host with something configured", bareHost(), Options{SystemCgroups: "/user.slice"}, "misc runtime"},
		{"no cgroups", &snapshot.Snapshot{}, Options{}, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := names(Render(test.snapshot, test.options, false).Node.SystemContainers); got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

func number(pointer *uint64) string { return formatPointer(pointer, formatCount) }

func TestAvailableMemory(t *testing.T) {
	for _, test := range []struct {
		name       string
		limit      snapshot.Optional
		workingSet uint64
		want       string
	}{
		{"limit", snapshot.Some(100), 30, "70"},
		{"above the limit", snapshot.Some(100), 130, "0"},
		{"no limit on v2", snapshot.Some(snapshot.Unlimited), 30, "-"},
		{"no limit on v1", snapshot.Some(9223372036854771712), 30, "-"},
		{"just a limit", snapshot.Some(1 << 62), 1 << 61, "2305843009213693952"},
		{"0 stands for the machine's", snapshot.Some(0), 1 << 30, "16106127360"},
		{"unknown", snapshot.Optional{}, 30, "-"},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := kubernetesNode(true)
			pods := s.Find("/kubepods.slice")
			pods.Spec.MemoryLimit = test.limit
			pods.Set(snapshot.MemoryWorkingSet, test.workingSet)
			for _, one := range Render(s, Options{}, false).Node.SystemContainers {
				if got := number(one.Memory.AvailableBytes); one.Name == "pods" && got != test.want {
					t.Errorf("got %s, want %s", got, test.want)
				}
			}
		})
	}
}

func TestAvailableMemoryOfNode(t *testing.T) {
	for _, test := range []struct {
		name             string
		total, hugePages snapshot.Optional
		workingSet       uint64
		want             string
	}{
		{"without huge pages", snapshot.Some(1000), snapshot.Optional{}, 300, "700"},
		{"with huge pages", snapshot.Some(1000), snapshot.Some(200), 300, "500"},
		{"more huge pages than there is", snapshot.Some(1000), snapshot.Some(900), 300, "0"},
		{"unknown total", snapshot.Optional{}, snapshot.Some(200), 300, "-"},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := kubernetesNode(true)
			s.Node.MemoryTotal, s.Node.HugePagesTotal = test.total, test.hugePages
			s.Cgroups[0].Set(snapshot.MemoryWorkingSet, test.workingSet)
			if got := number(Render(s, Options{}, true).Node.Memory.AvailableBytes); got != test.want {
				t.Errorf("got %s, want %s", got, test.want)
			}
		})
	}
}

func TestSwap(t *testing.T) {
	for _, test := range []struct {
		name  string
		limit snapshot.Optional
		used  uint64
		want  string
	}{
		{"limit", snapshot.Some(100), 30, "70"},
		{"above the limit", snapshot.Some(100), 130, "0"},
		{"none allowed", snapshot.Some(0), 0, "0"},
		{"no limit", snapshot.Some(snapshot.Unlimited), 30, "-"},
		{"no such file", snapshot.Optional{}, 30, "-"},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := kubernetesNode(true)
			s.Find("/kubepods.slice").Spec.SwapLimit = test.limit
			s.Find("/kubepods.slice").Set(snapshot.MemorySwap, test.used)
			for _, one := range Render(s, Options{}, true).Node.SystemContainers {
				if got := number(one.Swap.SwapAvailableBytes); one.Name == "pods" && got != test.want {
					t.Errorf("got %s, want %s", got, test.want)
				}
			}
		})
	}
	s := kubernetesNode(true)
	s.Cgroups[0].Clear(snapshot.MemorySwap)
	if got := Render(s, Options{}, true).Node.Swap; got != nil {
		t.Errorf("without swap accounting: got %+v, want none", got)
	}
}

func TestStartTime(t *testing.T) {
	s := kubernetesNode(true)
	if got := Render(s, Options{}, false).Node.StartTime; !got.Time.Equal(s.Node.BootTime) {
		t.Errorf("full: got %v, want the boot at %v", got, s.Node.BootTime)
	}
	if got := Render(s, Options{}, true).Node.StartTime; !got.Time.Equal(s.Cgroups[0].Spec.Created) {
		t.Errorf("short: got %v, want the root cgroup's %v", got, s.Cgroups[0].Spec.Created)
	}
	s.Cgroups[0].Spec = nil
	if got := Render(s, Options{}, true).Node.StartTime; !got.Time.Equal(s.Node.BootTime) {
		t.Errorf("short, without limits: got %v, want the boot at %v", got, s.Node.BootTime)
	}
}

func TestNetworkWithoutEth0(t *testing.T) {
	s := kubernetesNode(true)
	s.Cgroups[0].Interfaces = s.Cgroups[0].Interfaces[:1]
	got := Render(s, Options{}, false).Node.Network
	if got == nil || got.Name != "" || got.RxBytes != nil || len(got.Interfaces) != 1 || got.Interfaces[0].Name != "ens3" {
		t.Errorf("got %+v, want the list alone", got)
	}
	s.Cgroups[0].HasNetwork = false
	if got := Render(s, Options{}, false).Node.Network; got != nil {
		t.Errorf("not read: got %+v, want none", got)
	}
}

func TestFilesystem(t *testing.T) {
	for _, test := range []struct {
		name   string
		change func(*snapshot.Filesystem)
		want   string // used, inodesUsed
	}{
		{"plain", func(*snapshot.Filesystem) {}, "42949672960 500000"},
		{"no inodes", func(f *snapshot.Filesystem) { f.HasInodes = false }, "42949672960 -"},
		{"more free than there is", func(f *snapshot.Filesystem) { f.Free, f.InodesFree = 1<<50, 1<<50 }, "- -"},
		{"never answered", func(f *snapshot.Filesystem) { f.Time = time.Time{} }, "none"},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := kubernetesNode(true)
			test.change(&s.Node.Filesystems[1])
			got := "none"
			if fs := Render(s, Options{}, false).Node.Fs; fs != nil {
				got = number(fs.UsedBytes) + " " + number(fs.InodesUsed)
			}
			if got != test.want {
				t.Errorf("got %s, want %s", got, test.want)
			}
		})
	}
}

// Linux before 5.13 has no "full" line for the CPU; "some" is shown nevertheless.
func TestPressureWithoutFull(t *testing.T) {
	s := kubernetesNode(true)
	for offset := range snapshot.PressureLine {
		s.Cgroups[0].Clear(snapshot.CPUFullTotal + offset)
	}
	got := Render(s, Options{}, true).Node.CPU.PSI
	if got == nil || got.Some.Total != 9000 || got.Some.Avg10 != 90.01 || got.Full != (v1alpha1.PSIData{}) {
		t.Errorf("got %+v, want some alone", got)
	}
}

// On v1 a cgroup may have no place in the blkio hierarchy.
func TestIOOnlyWhereItIsAccounted(t *testing.T) {
	s := kubernetesNode(false)
	s.Find("/kubepods.slice").Spec.HasIO = false
	for _, one := range Render(s, Options{}, false).Node.SystemContainers {
		if (one.IO == nil) != (one.Name == "pods") {
			t.Errorf("%s: got io %+v", one.Name, one.IO)
		}
	}
	s.Groups &^= snapshot.IO | snapshot.Pressure
	if got := Render(s, Options{}, false).Node.IO; got == nil || got.Time.IsZero() {
		t.Errorf("no devices read, as for a summary: got %+v, want a time", got)
	}
	s.Groups &^= snapshot.CPU
	if got := Render(s, Options{}, false).Node.IO; got != nil {
		t.Errorf("no sample: got %+v, want none", got)
	}
}

// All containers' numbers share a few slices.
func TestNumbersOfManyContainersAreTheirOwn(t *testing.T) {
	s := manyCgroups(300)
	for i, one := range Render(s, Options{}, false).Node.SystemContainers {
		want, _ := s.Cgroups[i+1].Get(snapshot.CPUUsage)
		if got := one.CPU.UsageCoreNanoSeconds; got == nil || *got != want {
			t.Fatalf("%s: got %s, want %d", one.Name, number(got), want)
		}
	}
}

// A snapshot is shared by all who render it.
func TestRenderChangesNothing(t *testing.T) {
	s := kubernetesNode(true)
	for _, only := range []bool{false, true} {
		Render(s, Options{}, only)
	}
	if diff := cmp.Diff(kubernetesNode(true), s, cmp.AllowUnexported(snapshot.Snapshot{}, snapshot.Values{}, snapshot.Device{})); diff != "" {
		t.Errorf("(-before +after):\n%s", diff)
	}
}

func BenchmarkRender(b *testing.B) {
	for _, count := range []int{10, 100, 1000} {
		s := manyCgroups(count)
		b.Run(formatCount(uint64(count)), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := Encode(Render(s, Options{}, false)); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
