package compare

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
)

// Deviation is a way in which ours differs on purpose. Its name is a row of docs/fidelity.md, where the reason stands.
type Deviation struct {
	Name    string
	excuses func(Difference) bool
}

// Figures of which some deviations of the summary are.
var (
	pressure      = regexp.MustCompile(`\.(cpu|memory|io)\.psi\.(some|full)\.(total|avg10|avg60|avg300)$`)
	pressureTotal = regexp.MustCompile(`^pods\[[^]]+\]\.containers\[[^]]+\]\.(cpu|memory|io)\.psi\.(some|full)\.total$`)
	swap          = regexp.MustCompile(`(^|\.)swap\.(swapUsageBytes|swapAvailableBytes)$`)
	inodes        = regexp.MustCompile(`^node\.(fs|runtime\.\w+)\.(inodes|inodesFree|inodesUsed)$|\.(rootfs|logs|ephemeral-storage)\.(inodes|inodesFree)$`)
	volumeInodes  = regexp.MustCompile(`\.volume\[[^]]+\]\.(inodes|inodesFree)$`)
	foundByName   = regexp.MustCompile(`^node\.systemContainers\[(kubelet|runtime|pods)\]\.`)
)

// SummaryDeviations are those that show in /stats/summary, in the order in which they are tried.
func SummaryDeviations(kernel Kernel) []Deviation {
	return []Deviation{
		{"container-start", func(d Difference) bool {
			return d.What == Other && d.Path == "node.systemContainers[kubelet].startTime"
		}},
		{"auto-containers", func(d Difference) bool { return d.What == Extra && foundByName.MatchString(d.Path) }},
		{"root-of-any-type", func(d Difference) bool { return d.What == Extra && strings.HasPrefix(d.Path, "node.fs.") }},
		{"rate-window", func(d Difference) bool {
			return leaf(d.Path) == "usageNanoCores" && (d.What == Missing || d.What == Outside && d.Zero)
		}},
		{"psi-in-microseconds", func(d Difference) bool {
			const nanoseconds = 1000 // in a microsecond
			return d.What == Outside && d.Asked && pressureTotal.MatchString(d.Path) && d.Low <= d.Ours*nanoseconds && d.Ours*nanoseconds <= d.High
		}},
		{"volume-without-inodes", func(d Difference) bool { return d.What == Missing && d.Zero && volumeInodes.MatchString(d.Path) }},
		{"absent-not-zero", func(d Difference) bool {
			return d.What == Missing && d.Zero &&
				(!kernel.Pressure && pressure.MatchString(d.Path) || !kernel.Swap && swap.MatchString(d.Path) || inodes.MatchString(d.Path))
		}},
	}
}

// Families of which some deviations of the metrics are.
var (
	ofFilesystem    = regexp.MustCompile(`^container_fs_(usage_bytes|limit_bytes|inodes_total|inodes_free){`)
	timeOfContainer = regexp.MustCompile(`^container_(creation|start)_time_seconds\b`)
	timeOfDisk      = regexp.MustCompile(`^container_fs_(read|write|io_time|io_time_weighted)_seconds_total{`)
)

// Devices of which some deviations are, by the label's value.
var (
	// What a node mounts for its pods: layers, and what the kubelet and the runtime keep in memory.
	mountedForPods = regexp.MustCompile(`^overlay_\d+-\d+$|/(kubelet|containerd)(/|$)`)
	// Disks of kinds that cAdvisor does not know, and devices that it has no name for.
	disksUnknown   = regexp.MustCompile(`^/dev/(nvme|mmcblk|md)\d`)
	devicesUnnamed = regexp.MustCompile(`^/dev/(loop|ram|zram|fd|sr)\d`)
)

// yearOne is what a time that is not known comes to in seconds.
const yearOne = -62135596800

// longestCreation is, in seconds, how long a runtime on a slow machine takes from its own record of a new container to that of its CRI.
const longestCreation = 30

// MetricDeviations are those that show in /metrics/cadvisor and /metrics/resource. The kubelet's cgroups are those that it has rows of, and its
// filesystems likewise.
func MetricDeviations(kubelet Document, kernel Kernel) []Deviation {
	cgroups, devices := map[string]bool{}, map[string]bool{}
	for path := range kubelet {
		cgroups[Label(path, "id")] = true
		devices[Label(path, "device")] = true
	}
	absent := absentFamilies(kernel)
	return []Deviation{
		{"every-cgroup", func(d Difference) bool {
			id := Label(d.Path, "id")
			return d.What == Extra && id != "" && !cgroups[id] && !strings.HasPrefix(id, "/kubepods/")
		}},
		{"container-filesystem", func(d Difference) bool {
			return d.What == Extra && Label(d.Path, "container") != "" && ofFilesystem.MatchString(d.Path)
		}},
		{"filesystems-of-now", func(d Difference) bool {
			device := Label(d.Path, "device")
			return d.What == Extra && Label(d.Path, "id") == "/" && ofFilesystem.MatchString(d.Path) &&
				!devices[device] && mountedForPods.MatchString(device)
		}},
		{"unknown-time-absent", func(d Difference) bool {
			return d.What == Missing && timeOfContainer.MatchString(d.Path) && d.Theirs == yearOne
		}},
		{"created-by-cri", func(d Difference) bool {
			return d.What == Outside && strings.HasPrefix(d.Path, "container_creation_time_seconds{") && Label(d.Path, "name") != "" &&
				d.Ours > d.High && d.Ours-d.High <= longestCreation
		}},
		{"fs-time-unit", func(d Difference) bool {
			return d.What == Outside && timeOfDisk.MatchString(d.Path) && d.Low <= d.Ours/1e6 && d.Ours/1e6 <= d.High
		}},
		{"device-names", func(d Difference) bool {
			return strings.HasPrefix(d.Path, "container_") &&
				(d.What == Missing && strings.Contains(d.Path, `device=""`) || d.What == Extra && devicesUnnamed.MatchString(Label(d.Path, "device")))
		}},
		{"all-disks", func(d Difference) bool {
			return d.What == Outside && d.Zero && strings.HasPrefix(d.Path, "container_fs_") && disksUnknown.MatchString(Label(d.Path, "device"))
		}},
		{"kernel-memory-v2", func(d Difference) bool {
			return kernel.Unified && d.What == Outside && d.Zero && strings.HasPrefix(d.Path, "container_memory_kernel_usage{")
		}},
		{"bursts-v1", func(d Difference) bool {
			return !kernel.Unified && d.What == Outside && d.Zero && strings.HasPrefix(d.Path, "container_cpu_cfs_burst_")
		}},
		{"oom-from-cgroup", func(d Difference) bool {
			return d.What == Outside && strings.HasPrefix(d.Path, "container_oom_events_total{") && d.Ours > d.High
		}},
		{"sockets-not-seen", func(d Difference) bool {
			return d.What == Missing && strings.HasPrefix(d.Path, "container_sockets{") && Label(d.Path, "id") == "/"
		}},
		{"absent-not-zero", func(d Difference) bool { return d.What == Missing && d.Zero && absent(d.Path) }},
	}
}

// Families whose zeros are no measurement, by where that is so.
var (
	ofVersion1 = regexp.MustCompile(`^container_memory_(events_(high|max)_total|file_(dirty|writeback)_bytes|pg(scan|steal)_total)$`)
	ofVersion2 = regexp.MustCompile(`^container_memory_failcnt$`)
	// The root cgroup of version 2 lacks these files; that of version 1 has no count of processes.
	ofRoot2 = regexp.MustCompile(`^container_(memory_events_(high|max)_total|memory_max_usage_bytes|oom_events_total|` +
		`spec_cpu_(period|shares)|spec_memory_reservation_limit_bytes|threads|threads_max)$`)
	ofRoot1    = regexp.MustCompile(`^container_threads(_max)?$`)
	ofPressure = regexp.MustCompile(`^container_pressure_(cpu|memory|io)_(waiting|stalled)_seconds_total$`)
	ofDisk     = regexp.MustCompile(`^container_fs_(io_current|(io_time|io_time_weighted|read|write)_seconds_total|` +
		`(reads|writes)(_merged)?_total|sector_(reads|writes)_total)$`)
	blockDevice = regexp.MustCompile(`^/dev/([^s]|s[^h])`) // /dev/shm is a filesystem in memory
)

// absentFamilies tells of a path, or of a family's name alone, whether this kernel has no such value there.
func absentFamilies(kernel Kernel) func(string) bool {
	return func(path string) bool {
		family, labels, series := strings.Cut(path, "{")
		root := series && Label(path, "id") == "/"
		switch {
		case ofDisk.MatchString(family):
			// A filesystem without a disk has no requests of one. A family is absent if there is no disk at all.
			return !series || root && !blockDevice.MatchString(Label("{"+labels, "device"))
		case ofPressure.MatchString(family):
			return !kernel.Pressure
		case family == "container_memory_swap":
			return !kernel.Swap
		case family == "container_memory_max_usage_bytes" && !kernel.Peak:
			return true
		case kernel.Unified:
			return ofVersion2.MatchString(family) || root && ofRoot2.MatchString(family)
		default:
			return ofVersion1.MatchString(family) || root && ofRoot1.MatchString(family)
		}
	}
}

// Excuse gives each difference the first deviation that accounts for it.
func Excuse(differences []Difference, deviations []Deviation) []Difference {
	for i, d := range differences {
		for _, deviation := range deviations {
			if deviation.excuses(d) {
				differences[i].Excuse = deviation.Name
				break
			}
		}
	}
	return differences
}

// A row of the table of deviations: | name | where | what differs, and why |
var row = regexp.MustCompile(`(?m)^\| ([a-z0-9-]+) \|`)

// Undocumented returns the names of deviations that have no row in the page.
func Undocumented(page string, deviations []Deviation) ([]string, error) {
	text, err := os.ReadFile(page)
	if err != nil {
		return nil, fmt.Errorf("read the list of deviations: %w", err)
	}
	var rows, missing []string
	for _, match := range row.FindAllSubmatch(text, -1) {
		rows = append(rows, string(match[1]))
	}
	for _, deviation := range deviations {
		if !slices.Contains(rows, deviation.Name) {
			missing = append(missing, deviation.Name)
		}
	}
	return missing, nil
}
