package compare

import (
	"strings"
	"testing"
)

// excused names the deviation that accounts for a difference, or nothing.
func excused(d Difference, deviations []Deviation) string {
	return Excuse([]Difference{d}, deviations)[0].Excuse
}

func TestKernelDecidesWhatMayBeAbsent(t *testing.T) {
	v1, v2 := Kernel{Swap: true, Peak: true}, Kernel{Unified: true, Pressure: true, Swap: true, Peak: true}
	const psi, swap = "pods[default/web].cpu.psi.some.total", "node.swap.swapUsageBytes"
	for _, test := range []struct {
		path     string
		kernel   Kernel
		excusing string
	}{
		{psi, v1, "absent-not-zero"},
		{psi, v2, ""},
		{swap, v1, ""},
		{swap, Kernel{}, "absent-not-zero"},
		{"pods[default/web].containers[app].memory.rssBytes", v1, ""},
		{"pods[default/web].volume[data].inodesFree", v2, "volume-without-inodes"},
		{`container_memory_events_max_total{id="/kubepods"}`, v1, "absent-not-zero"},
		{`container_memory_events_max_total{id="/kubepods"}`, v2, ""},
		{`container_memory_events_max_total{id="/"}`, v2, "absent-not-zero"},
		{`container_memory_failcnt{id="/kubepods"}`, v2, "absent-not-zero"},
		{`container_memory_failcnt{id="/kubepods"}`, v1, ""},
		{`container_memory_max_usage_bytes{id="/kubepods"}`, v2, ""},
		{`container_memory_max_usage_bytes{id="/kubepods"}`, Kernel{Unified: true}, "absent-not-zero"},
		{`container_threads{id="/"}`, v1, "absent-not-zero"},
		{`container_threads{id="/kubepods"}`, v1, ""},
		{`container_pressure_cpu_waiting_seconds_total{id="/kubepods"}`, v2, ""},
		{`container_fs_reads_total{device="/dev/shm",id="/"}`, v1, "absent-not-zero"},
		{`container_fs_reads_total{device="/dev/sda",id="/"}`, v1, ""},
		{`container_fs_reads_total{device="/dev/shm",id="/kubepods"}`, v1, ""},
		{"container_fs_reads_total", v2, "absent-not-zero"},
		{"container_memory_rss", v2, ""},
	} {
		deviations := append(SummaryDeviations(test.kernel), MetricDeviations(nil, test.kernel)...)
		if got := excused(Difference{Path: test.path, What: Missing, Zero: true}, deviations); got != test.excusing {
			t.Errorf("%s missing with %+v: excused by %q, want %q", test.path, test.kernel, got, test.excusing)
		}
		if got := excused(Difference{Path: test.path, What: Missing, Theirs: 1}, deviations); got != "" {
			t.Errorf("%s missing where the kubelet has more than 0: excused by %q, want by none", test.path, got)
		}
	}
}

func TestDevicesDecideWhatMayDiffer(t *testing.T) {
	kubelet := Document{`container_fs_limit_bytes{device="overlay_0-40",id="/"}`: {}, `container_cpu_usage_seconds_total{id="/kubepods"}`: {}}
	for _, test := range []struct {
		difference Difference
		excusing   string
	}{
		{Difference{Path: `container_fs_limit_bytes{device="overlay_0-41",id="/"}`, What: Extra}, "filesystems-of-now"},
		{Difference{Path: `container_fs_limit_bytes{device="/var/lib/kubelet/pods/a/volumes/x",id="/"}`, What: Extra}, "filesystems-of-now"},
		{Difference{Path: `container_fs_limit_bytes{device="overlay_0-40",id="/"}`, What: Extra}, ""},
		{Difference{Path: `container_fs_limit_bytes{device="/dev/sdb",id="/"}`, What: Extra}, ""},
		{Difference{Path: `container_fs_reads_total{device="overlay_0-41",id="/"}`, What: Extra}, ""},
		{Difference{Path: `container_fs_reads_total{device="/dev/nvme0n1",id="/"}`, What: Outside, Zero: true}, "all-disks"},
		{Difference{Path: `container_fs_reads_total{device="/dev/vda",id="/"}`, What: Outside, Zero: true}, ""},
		{Difference{Path: `container_blkio_device_usage_total{device="/dev/loop0",id="/"}`, What: Extra}, "device-names"},
		{Difference{Path: `container_blkio_device_usage_total{device="/dev/vda",id="/"}`, What: Extra}, ""},
		{Difference{Path: `container_fs_io_time_seconds_total{device="/dev/vda",id="/"}`, What: Outside, Ours: 35, Low: 34e-6, High: 36e-6}, "fs-time-unit"},
		{Difference{Path: `container_fs_io_time_seconds_total{device="/dev/vda",id="/"}`, What: Outside, Ours: 37, Low: 34e-6, High: 36e-6}, ""},
		{Difference{Path: `container_memory_rss{id="/system.slice"}`, What: Extra}, "every-cgroup"},
		{Difference{Path: `container_memory_rss{id="/kubepods"}`, What: Extra}, ""},
		{Difference{Path: `container_memory_rss{id="/kubepods/pod1/a"}`, What: Extra}, ""},
		{Difference{Path: `container_start_time_seconds{id="/"}`, What: Missing, Theirs: yearOne}, "unknown-time-absent"},
		{Difference{Path: `container_start_time_seconds{id="/"}`, What: Missing, Theirs: 1.7e9}, ""},
		{Difference{Path: `container_oom_events_total{id="/"}`, What: Outside, Ours: 2, High: 0}, "oom-from-cgroup"},
		{Difference{Path: `container_sockets{id="/"}`, What: Missing, Theirs: 3}, "sockets-not-seen"},
		{Difference{Path: `container_sockets{id="/kubepods"}`, What: Missing, Theirs: 3}, ""},
		{Difference{Path: `container_creation_time_seconds{id="/kubepods/pod1/a",name="a"}`, What: Outside, Ours: 103, Low: 99, High: 101}, "created-by-cri"},
		{Difference{Path: `container_creation_time_seconds{id="/kubepods/pod1/a",name="a"}`, What: Outside, Ours: 98, Low: 99, High: 101}, ""},
		{Difference{Path: `container_creation_time_seconds{id="/kubepods/pod1/a",name="a"}`, What: Outside, Ours: 132, Low: 99, High: 101}, ""},
		{Difference{Path: `container_creation_time_seconds{id="/kubepods/pod1",name=""}`, What: Outside, Ours: 103, Low: 99, High: 101}, ""},
		{Difference{Path: `container_oom_events_total{id="/"}`, What: Outside, Ours: 0, Low: 1, High: 1}, ""},
	} {
		if got := excused(test.difference, MetricDeviations(kubelet, Kernel{})); got != test.excusing {
			t.Errorf("%v: excused by %q, want %q", test.difference, got, test.excusing)
		}
	}
}

// A container that the kubelet shows by the runtime's figures has PSI totals in nanoseconds: a thousand times ours, and nothing else.
func TestPressureInNanoseconds(t *testing.T) {
	const path = "pods[default/crash].containers[hungry].cpu.psi.full.total"
	at := func(second int64, number float64, asked bool) Document {
		d := Document{path: {Number: number, Taken: seconds(second, second)}}
		if asked {
			d.MarkAsked(seconds(second, second+1))
		}
		return d
	}
	for name, test := range map[string]struct {
		before, after Document
		ours          float64
		differs       int
		excusing      string
		unbounded     int
	}{
		"nanoseconds":                    {at(10, 54185000, true), at(30, 54185000, true), 54185, 1, "psi-in-microseconds", 0},
		"nanoseconds that grow":          {at(10, 54000000, true), at(30, 54999000, true), 54185, 1, "psi-in-microseconds", 0},
		"another figure":                 {at(10, 54185000, true), at(30, 54185000, true), 54186, 1, "", 0},
		"sampled by the kubelet":         {at(10, 54185000, false), at(30, 54185000, false), 54185, 1, "", 0},
		"one answer of each":             {at(10, 54185000, true), at(30, 54185, false), 54185, 0, "", 1},
		"microseconds, asked in between": {at(10, 54185, true), at(30, 54185, true), 54185, 0, "", 0},
	} {
		t.Run(name, func(t *testing.T) {
			ours := Document{path: {Number: test.ours, Taken: seconds(20, 20)}}
			got := Values([]Document{test.before, test.after}, ours, SummaryRules)
			if len(got.Differences) != test.differs || len(got.Unbounded) != test.unbounded {
				t.Fatalf("got %+v, want %d differences and %d unbounded", got, test.differs, test.unbounded)
			}
			for _, d := range Excuse(got.Differences, SummaryDeviations(Kernel{})) {
				if d.Excuse != test.excusing {
					t.Errorf("%v: want it excused by %q", d, test.excusing)
				}
			}
		})
	}
}

func TestOneSourceAloneLacksWhatTheOtherTells(t *testing.T) {
	const sandbox = `container_memory_rss{container="",id="/kubepods/pod1/s",image="localhost/pause:1",name="s",namespace="default",pod="crash"}`
	kubelet := Document{sandbox: {}, "pods[default/volumes].volume[data].usedBytes": {}}
	anonymous := strings.NewReplacer(`"localhost/pause:1"`, `""`, `name="s"`, `name=""`, `"default"`, `""`, `"crash"`, `""`).Replace(sandbox)
	const created = `container_creation_time_seconds{container="app",id="/kubepods/pod1/a",name="a",namespace="default",pod="web"}`
	changing := []string{"default/crash"}
	for _, test := range []struct {
		difference Difference
		deviations []Deviation
		excusing   string
	}{
		{Difference{Path: "node.runtime.imageFs.time", What: Missing}, APIAloneSummary(), "runtime-needs-cri"},
		{Difference{Path: "pods[default/web].containers[app].rootfs.usedBytes", What: Missing}, APIAloneSummary(), "api-only-layers"},
		{Difference{Path: "pods[default/web].containers[app].logs.usedBytes", What: Missing}, APIAloneSummary(), ""},
		{Difference{Path: "pods[default/web].volume[data].usedBytes", What: Missing}, APIAloneSummary(), ""},
		{started("pods[default/web].containers[app].startTime", "10:00:03", "10:00:01"), APIAloneSummary(), "api-only-created"},
		{started("pods[default/web].containers[app].startTime", "10:00:01", "10:00:03"), APIAloneSummary(), ""},
		{started("pods[default/web].containers[app].startTime", "11:00:01", "10:00:03"), APIAloneSummary(), ""},
		{started("pods[default/web].startTime", "10:00:01", "10:00:03"), APIAloneSummary(), "api-only-created"},
		{started("pods[default/web].startTime", "10:00:03", "10:00:01"), APIAloneSummary(), ""},
		{Difference{Path: sandbox, What: Missing}, APIAloneMetrics(kubelet, changing), "api-only-sandbox"},
		{Difference{Path: created, What: Outside, Ours: 102, Low: 99, High: 101}, APIAloneMetrics(kubelet, nil), "api-only-created"},
		{Difference{Path: created, What: Outside, Ours: 98, Low: 99, High: 101}, APIAloneMetrics(kubelet, nil), ""},
		{Difference{Path: created, What: Outside, Ours: 402, Low: 99, High: 101}, APIAloneMetrics(kubelet, nil), ""},
		{Difference{Path: anonymous, What: Extra}, APIAloneMetrics(kubelet, changing), "api-only-sandbox"},
		{Difference{Path: `container_network_receive_bytes_total{container="",id="/kubepods/pod1",interface="eth0"}`, What: Extra}, APIAloneMetrics(kubelet, changing), "api-only-sandbox"},
		{Difference{Path: strings.ReplaceAll(anonymous, "pod1/s", "pod1/new"), What: Extra}, APIAloneMetrics(kubelet, changing), "api-only-young"},
		{Difference{Path: strings.ReplaceAll(anonymous, "pod1/s", "pod2/new"), What: Extra}, APIAloneMetrics(kubelet, changing), ""},
		{Difference{Path: strings.ReplaceAll(sandbox, "pod1/s", "pod1/new"), What: Extra}, APIAloneMetrics(kubelet, changing), ""},
		{Difference{Path: sandbox, What: Missing}, APIAloneMetrics(kubelet, nil), ""},
		{Difference{Path: anonymous, What: Extra}, APIAloneMetrics(kubelet, nil), ""},
		{Difference{Path: "pods[default/volumes].volume[data].usedBytes", What: Missing}, RuntimeAloneSummary(kubelet), "cri-only-volumes"},
		{Difference{Path: "pods[default/volumes].ephemeral-storage.usedBytes", What: Outside, Ours: 1, Low: 2, High: 3}, RuntimeAloneSummary(kubelet), "cri-only-volumes"},
		{Difference{Path: "pods[default/volumes].ephemeral-storage.usedBytes", What: Outside, Ours: 4, Low: 2, High: 3}, RuntimeAloneSummary(kubelet), ""},
		{Difference{Path: "pods[default/web].ephemeral-storage.usedBytes", What: Outside, Ours: 1, Low: 2, High: 3}, RuntimeAloneSummary(kubelet), ""},
	} {
		if got := excused(test.difference, test.deviations); got != test.excusing {
			t.Errorf("%v: excused by %q, want %q", test.difference, got, test.excusing)
		}
	}
	if _, ok := kubelet.WithoutSandboxImages()[strings.Replace(sandbox, "localhost/pause:1", "", 1)]; !ok {
		t.Errorf("without images of sandboxes there is %v", kubelet.WithoutSandboxImages())
	}
}

func started(path, ours, theirs string) Difference {
	const day = "2026-11-25T"
	return Difference{Path: path, What: Other, Text: day + ours + "Z", Texts: []string{day + theirs + "Z"}}
}
