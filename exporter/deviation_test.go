package exporter

import (
	"errors"
	"io/fs"
	"os"
	"path"
	"strings"
	"testing"

	"github.com/nodevitals/nodevitals/snapshot"
)

// deviation names a way in which we differ from cAdvisor on purpose. Each is a row of docs/fidelity.md.
type deviation string

const (
	// What the kernel does not tell is left out, where cAdvisor prints 0.
	absentNotZero deviation = "absent-not-zero"
	// A cgroup whose time of creation is unknown has no such time, where cAdvisor prints that of the year 1.
	unknownTimeAbsent deviation = "unknown-time-absent"
	// The milliseconds of /proc/diskstats are shown as seconds, where cAdvisor divides them by 1e9.
	fsTimeUnit deviation = "fs-time-unit"
	// A device has one series in a family, where cAdvisor emits two and a kubelet's answer depends on their order.
	oneSeriesPerDevice deviation = "one-series-per-device"
	// Samples have no explicit timestamp unless asked for.
	noExplicitTimestamps deviation = "no-explicit-timestamps"
	// Asked for, timestamps are those of the group that was read, where cAdvisor has one for all.
	timestampPerGroup deviation = "timestamp-per-group"
	// Bytes that are not UTF-8 are replaced, where cAdvisor panics.
	invalidUTF8 deviation = "invalid-utf8"
	// A container has rows for its layer's filesystem, where a kubelet has none with containerd.
	containerFilesystem deviation = "container-filesystem"
)

var deviations = []deviation{
	absentNotZero, unknownTimeAbsent, fsTimeUnit, oneSeriesPerDevice, noExplicitTimestamps, timestampPerGroup, invalidUTF8,
	containerFilesystem,
}

// checkDeviations requires that each deviation was met, so that none stays listed that is none, and is documented.
func checkDeviations(t *testing.T, met map[deviation]int) {
	t.Helper()
	page, err := os.ReadFile("../docs/fidelity.md")
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	for _, d := range deviations {
		if met[d] == 0 {
			t.Errorf("deviation %s was never met: is it still one?", d)
		}
		if err == nil && !strings.Contains(string(page), "\n| "+string(d)+" |") && !strings.Contains(string(page), "\n| `"+string(d)+"` |") {
			t.Errorf("deviation %s has no row in docs/fidelity.md", d)
		}
	}
	t.Logf("deviations met: %v", met)
}

// truth answers, from the record alone and apart from the tables under test, what a family should show.
type truth struct {
	s *snapshot.Snapshot
	c *snapshot.Cgroup
	sampleRead
}

// lacks tells whether the record really has no value for the sample that cAdvisor printed as 0.
func (r truth) lacks() bool {
	if row, ok := ioFamilies[r.name]; ok {
		_, found := r.device(row)
		return !found
	}
	if f, ok := plainFields[r.name]; ok {
		_, present := r.c.Get(f)
		return !present
	}
	spec := r.c.Spec
	switch r.name {
	case "container_memory_failures_total":
		f := map[string]snapshot.Field{"pgfault": snapshot.MemoryPgfault, "pgmajfault": snapshot.MemoryPgmajfault}[r.labels["failure_type"]]
		_, present := r.c.Get(f)
		return !present
	case "container_threads_max":
		return spec == nil || !spec.PidsLimit.Present
	case "container_spec_cpu_period":
		return !spec.CPUPeriod.Present
	case "container_spec_cpu_shares":
		return !spec.CPUShares.Present
	case "container_spec_memory_limit_bytes":
		return !spec.MemoryLimit.Present
	case "container_spec_memory_reservation_limit_bytes":
		return !spec.MemoryReservation.Present
	case "container_spec_memory_swap_limit_bytes":
		return !spec.SwapLimit.Present
	}
	f := r.filesystem()
	if f == nil {
		return false
	}
	switch r.name {
	case "container_fs_inodes_free", "container_fs_inodes_total":
		return f.Time.IsZero() || !f.HasInodes
	case "container_fs_limit_bytes":
		return f.Time.IsZero()
	case "container_fs_usage_bytes":
		return f.Time.IsZero() || f.Free > f.Capacity
	case "container_fs_io_time_weighted_seconds_total":
		return f.Disk == nil
	}
	return false
}

// filesystem returns the filesystem that the sample's device label names, or nil.
func (r truth) filesystem() *snapshot.Filesystem {
	for i := range r.s.Node.Filesystems {
		if f := &r.s.Node.Filesystems[i]; isRoot(r.c) && strings.ToValidUTF8(f.Device, "\uFFFD") == r.labels["device"] {
			return f
		}
	}
	return nil
}

// layer returns what a row of a container's layer should show, and whether there should be one at all. It looks for the
// filesystem by walking up the layer's folder.
func (r truth) layer() (uint64, bool) {
	for i := range r.s.Pods {
		for j := range r.s.Pods[i].Containers {
			container := &r.s.Pods[i].Containers[j]
			usage := container.WritableLayer
			if container.Cgroup != r.c || usage.Time.IsZero() {
				continue
			}
			f := r.s.Node.RootFS()
			if usage.MountPoint != "" {
				f = nil
				for folder, last := usage.MountPoint, ""; f == nil && folder != last; last, folder = folder, path.Dir(folder) {
					for k := range r.s.Node.Filesystems {
						if one := &r.s.Node.Filesystems[k]; one.MountPoint == folder {
							f = one
						}
					}
				}
			}
			if f == nil || strings.ToValidUTF8(f.Device, "\uFFFD") != r.labels["device"] {
				return 0, false
			}
			switch r.name {
			case "container_fs_usage_bytes":
				return usage.Bytes.Value, usage.Bytes.Present
			case "container_fs_limit_bytes":
				return f.Capacity, !f.Time.IsZero()
			case "container_fs_inodes_total":
				return f.Inodes, f.HasInodes && !f.Time.IsZero()
			case "container_fs_inodes_free":
				return f.InodesFree, f.HasInodes && !f.Time.IsZero()
			}
		}
	}
	return 0, false
}

// ioFamily says where a family about devices finds its numbers.
type ioFamily struct {
	stat    snapshot.DeviceStat
	op      snapshot.Op
	divisor float64
	disk    func(*snapshot.Disk) uint64
	// diskDivisor is 1e3 for times, 1 for counts.
	diskDivisor float64
}

var ioFamilies = map[string]ioFamily{
	"container_fs_reads_bytes_total":             {stat: snapshot.ServiceBytes, op: snapshot.OpRead, divisor: 1},
	"container_fs_writes_bytes_total":            {stat: snapshot.ServiceBytes, op: snapshot.OpWrite, divisor: 1},
	"container_fs_reads_total":                   {snapshot.Serviced, snapshot.OpRead, 1, func(d *snapshot.Disk) uint64 { return d.Reads }, 1},
	"container_fs_writes_total":                  {snapshot.Serviced, snapshot.OpWrite, 1, func(d *snapshot.Disk) uint64 { return d.Writes }, 1},
	"container_fs_sector_reads_total":            {snapshot.Sectors, snapshot.OpRead, 1, func(d *snapshot.Disk) uint64 { return d.SectorsRead }, 1},
	"container_fs_sector_writes_total":           {snapshot.Sectors, snapshot.OpWrite, 1, func(d *snapshot.Disk) uint64 { return d.SectorsWritten }, 1},
	"container_fs_reads_merged_total":            {snapshot.Merged, snapshot.OpRead, 1, func(d *snapshot.Disk) uint64 { return d.ReadsMerged }, 1},
	"container_fs_writes_merged_total":           {snapshot.Merged, snapshot.OpWrite, 1, func(d *snapshot.Disk) uint64 { return d.WritesMerged }, 1},
	"container_fs_read_seconds_total":            {snapshot.ServiceTime, snapshot.OpRead, 1e9, func(d *snapshot.Disk) uint64 { return d.ReadTime }, 1e3},
	"container_fs_write_seconds_total":           {snapshot.ServiceTime, snapshot.OpWrite, 1e9, func(d *snapshot.Disk) uint64 { return d.WriteTime }, 1e3},
	"container_fs_io_current":                    {snapshot.Queued, snapshot.OpTotal, 1, func(d *snapshot.Disk) uint64 { return d.InProgress }, 1},
	"container_fs_io_time_seconds_total":         {snapshot.ServiceTime, snapshot.OpTotal, 1e9, func(d *snapshot.Disk) uint64 { return d.IOTime }, 1e3},
	"container_fs_io_cost_usage_seconds_total":   {stat: snapshot.CostUsage, op: snapshot.OpCount, divisor: 1e6},
	"container_fs_io_cost_wait_seconds_total":    {stat: snapshot.CostWait, op: snapshot.OpCount, divisor: 1e6},
	"container_fs_io_cost_indebt_seconds_total":  {stat: snapshot.CostIndebt, op: snapshot.OpCount, divisor: 1e6},
	"container_fs_io_cost_indelay_seconds_total": {stat: snapshot.CostIndelay, op: snapshot.OpCount, divisor: 1e6},
}

// ioTruth is what a device's series should be.
type ioTruth struct {
	value float64
	// fromDisk tells that no row of the cgroup has the figure, so that it is /proc/diskstats'.
	fromDisk bool
	// hidden tells that an earlier row of that name lacks the operation, so that cAdvisor prints 0 and drops the rest.
	hidden bool
}

func (r truth) device(row ioFamily) (ioTruth, bool) {
	hidden := false
	for i := range r.c.Devices {
		d := &r.c.Devices[i]
		if strings.ToValidUTF8(d.Name, "\uFFFD") != r.labels["device"] || !d.Has(row.stat) {
			continue
		}
		if n, ok := d.Get(row.stat, row.op); ok {
			return ioTruth{value: float64(n) / row.divisor, hidden: hidden}, true
		}
		hidden = true
	}
	if f := r.filesystem(); row.disk != nil && f != nil && f.Disk != nil {
		return ioTruth{value: float64(row.disk(f.Disk)) / row.diskDivisor, fromDisk: true, hidden: hidden}, true
	}
	return ioTruth{}, false
}

// plainFields are the families that show one field each.
var plainFields = map[string]snapshot.Field{
	"container_cpu_user_seconds_total":                snapshot.CPUUser,
	"container_cpu_system_seconds_total":              snapshot.CPUSystem,
	"container_cpu_cfs_periods_total":                 snapshot.CPUPeriods,
	"container_cpu_cfs_throttled_periods_total":       snapshot.CPUThrottledPeriods,
	"container_cpu_cfs_throttled_seconds_total":       snapshot.CPUThrottledTime,
	"container_cpu_cfs_burst_periods_total":           snapshot.CPUBurstPeriods,
	"container_cpu_cfs_burst_seconds_total":           snapshot.CPUBurstTime,
	"container_memory_cache":                          snapshot.MemoryCache,
	"container_memory_rss":                            snapshot.MemoryRSS,
	"container_memory_kernel_usage":                   snapshot.MemoryKernel,
	"container_memory_mapped_file":                    snapshot.MemoryMappedFile,
	"container_memory_swap":                           snapshot.MemorySwap,
	"container_memory_failcnt":                        snapshot.MemoryFailcnt,
	"container_memory_usage_bytes":                    snapshot.MemoryUsage,
	"container_memory_max_usage_bytes":                snapshot.MemoryPeak,
	"container_memory_working_set_bytes":              snapshot.MemoryWorkingSet,
	"container_memory_total_active_file_bytes":        snapshot.MemoryActiveFile,
	"container_memory_total_inactive_file_bytes":      snapshot.MemoryInactiveFile,
	"container_memory_events_high_total":              snapshot.MemoryEventsHigh,
	"container_memory_events_max_total":               snapshot.MemoryEventsMax,
	"container_memory_file_dirty_bytes":               snapshot.MemoryDirty,
	"container_memory_file_writeback_bytes":           snapshot.MemoryWriteback,
	"container_memory_pgscan_total":                   snapshot.MemoryPgscan,
	"container_memory_pgsteal_total":                  snapshot.MemoryPgsteal,
	"container_memory_workingset_refault_file_total":  snapshot.MemoryRefaultFile,
	"container_memory_workingset_refault_anon_total":  snapshot.MemoryRefaultAnon,
	"container_oom_events_total":                      snapshot.MemoryOOMKills,
	"container_processes":                             snapshot.ProcessCount,
	"container_file_descriptors":                      snapshot.ProcessFDs,
	"container_sockets":                               snapshot.ProcessSockets,
	"container_threads":                               snapshot.PidsCurrent,
	"container_pressure_cpu_stalled_seconds_total":    snapshot.CPUFullTotal,
	"container_pressure_cpu_waiting_seconds_total":    snapshot.CPUSomeTotal,
	"container_pressure_io_stalled_seconds_total":     snapshot.IOFullTotal,
	"container_pressure_io_waiting_seconds_total":     snapshot.IOSomeTotal,
	"container_pressure_memory_stalled_seconds_total": snapshot.MemoryFullTotal,
	"container_pressure_memory_waiting_seconds_total": snapshot.MemorySomeTotal,
}

// group returns the reading group whose time the sample should carry; 0 for those that belong to none.
func (r truth) group() snapshot.Groups {
	if row, ok := ioFamilies[r.name]; ok {
		if v, _ := r.device(row); v.fromDisk {
			return snapshot.Storage
		}
		return snapshot.IO
	}
	if f, ok := plainFields[r.name]; ok {
		return snapshot.Fields[f].Group
	}
	for _, rule := range []struct {
		prefix string
		group  snapshot.Groups
	}{
		{"container_cpu_usage", snapshot.CPU},
		{"container_memory_failures", snapshot.Memory},
		{"container_blkio", snapshot.IO},
		{"container_fs_", snapshot.Storage},
		{"container_network_", snapshot.Network},
		{"container_threads_max", snapshot.Limits},
		{"container_ulimits", snapshot.Process},
	} {
		if strings.HasPrefix(r.name, rule.prefix) {
			return rule.group
		}
	}
	return 0
}
