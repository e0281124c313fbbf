package exporter

import "github.com/nodevitals/nodevitals/snapshot"

var (
	labelDevice    = newLabelKey("device", containerLabels[:])
	labelMajor     = newLabelKey("major", containerLabels[:])
	labelMinor     = newLabelKey("minor", containerLabels[:])
	labelOperation = newLabelKey("operation", containerLabels[:])
)

// diskFamilies are of three kinds. Sizes come from the node's filesystems and are shown with the root, and with each
// container whose layer was measured. Most others have two sources: the io controller's rows of each cgroup (group io),
// and, with the root, the rows of /proc/diskstats for the devices of filesystems that the controller does not name
// (group storage).
var diskFamilies = []family{
	{
		name: "container_fs_inodes_free", kind: gauge, groups: snapshot.Filesystems, needs: snapshot.Layers,
		help:   "Number of available Inodes",
		cgroup: filesystems(func(f *snapshot.Filesystem) (uint64, bool) { return f.InodesFree, f.HasInodes }, nil),
	},
	{
		name: "container_fs_inodes_total", kind: gauge, groups: snapshot.Filesystems, needs: snapshot.Layers,
		help:   "Number of Inodes",
		cgroup: filesystems(func(f *snapshot.Filesystem) (uint64, bool) { return f.Inodes, f.HasInodes }, nil),
	},
	{
		name: "container_fs_limit_bytes", kind: gauge, groups: snapshot.Filesystems, needs: snapshot.Layers,
		help:   "Number of bytes that can be consumed by the container on this filesystem.",
		cgroup: filesystems(func(f *snapshot.Filesystem) (uint64, bool) { return f.Capacity, true }, nil),
	},
	{
		name: "container_fs_usage_bytes", kind: gauge, groups: snapshot.Filesystems, needs: snapshot.Layers,
		help:   "Number of bytes that are consumed by the container on this filesystem.",
		cgroup: filesystems(filesystemUsage, func(u *snapshot.Usage) snapshot.Optional { return u.Bytes }),
	},
	{
		name: "container_fs_reads_bytes_total", kind: counter, groups: snapshot.IO,
		help:   "Cumulative count of bytes read",
		cgroup: devices(snapshot.ServiceBytes, snapshot.OpRead, nil),
	},
	{
		name: "container_fs_writes_bytes_total", kind: counter, groups: snapshot.IO,
		help:   "Cumulative count of bytes written",
		cgroup: devices(snapshot.ServiceBytes, snapshot.OpWrite, nil),
	},
	{
		name: "container_fs_reads_total", kind: counter, groups: snapshot.IO | snapshot.Filesystems,
		help:   "Cumulative count of reads completed",
		cgroup: devices(snapshot.Serviced, snapshot.OpRead, func(d *snapshot.Disk) uint64 { return d.Reads }),
	},
	{
		name: "container_fs_writes_total", kind: counter, groups: snapshot.IO | snapshot.Filesystems,
		help:   "Cumulative count of writes completed",
		cgroup: devices(snapshot.Serviced, snapshot.OpWrite, func(d *snapshot.Disk) uint64 { return d.Writes }),
	},
	{
		name: "container_fs_sector_reads_total", kind: counter, groups: snapshot.IO | snapshot.Filesystems,
		help:   "Cumulative count of sector reads completed",
		cgroup: devices(snapshot.Sectors, snapshot.OpRead, func(d *snapshot.Disk) uint64 { return d.SectorsRead }),
	},
	{
		name: "container_fs_sector_writes_total", kind: counter, groups: snapshot.IO | snapshot.Filesystems,
		help:   "Cumulative count of sector writes completed",
		cgroup: devices(snapshot.Sectors, snapshot.OpWrite, func(d *snapshot.Disk) uint64 { return d.SectorsWritten }),
	},
	{
		name: "container_fs_reads_merged_total", kind: counter, groups: snapshot.IO | snapshot.Filesystems,
		help:   "Cumulative count of reads merged",
		cgroup: devices(snapshot.Merged, snapshot.OpRead, func(d *snapshot.Disk) uint64 { return d.ReadsMerged }),
	},
	{
		name: "container_fs_writes_merged_total", kind: counter, groups: snapshot.IO | snapshot.Filesystems,
		help:   "Cumulative count of writes merged",
		cgroup: devices(snapshot.Merged, snapshot.OpWrite, func(d *snapshot.Disk) uint64 { return d.WritesMerged }),
	},
	{
		name: "container_fs_read_seconds_total", kind: counter, groups: snapshot.IO | snapshot.Filesystems,
		help:   "Cumulative count of seconds spent reading",
		cgroup: devices(snapshot.ServiceTime, snapshot.OpRead, func(d *snapshot.Disk) uint64 { return d.ReadTime }),
	},
	{
		name: "container_fs_write_seconds_total", kind: counter, groups: snapshot.IO | snapshot.Filesystems,
		help:   "Cumulative count of seconds spent writing",
		cgroup: devices(snapshot.ServiceTime, snapshot.OpWrite, func(d *snapshot.Disk) uint64 { return d.WriteTime }),
	},
	{
		name: "container_fs_io_current", kind: gauge, groups: snapshot.IO | snapshot.Filesystems,
		help:   "Number of I/Os currently in progress",
		cgroup: devices(snapshot.Queued, snapshot.OpTotal, func(d *snapshot.Disk) uint64 { return d.InProgress }),
	},
	{
		name: "container_fs_io_time_seconds_total", kind: counter, groups: snapshot.IO | snapshot.Filesystems,
		help:   "Cumulative count of seconds spent doing I/Os",
		cgroup: devices(snapshot.ServiceTime, snapshot.OpTotal, func(d *snapshot.Disk) uint64 { return d.IOTime }),
	},
	{
		name: "container_fs_io_time_weighted_seconds_total", kind: counter, groups: snapshot.Filesystems,
		help:   "Cumulative weighted I/O time in seconds",
		cgroup: weightedIOTime,
	},
	{
		name: "container_fs_io_cost_usage_seconds_total", kind: counter, groups: snapshot.IO,
		help:   "Cumulative IOCost usage in seconds",
		cgroup: devices(snapshot.CostUsage, snapshot.OpCount, nil),
	},
	{
		name: "container_fs_io_cost_wait_seconds_total", kind: counter, groups: snapshot.IO,
		help:   "Cumulative IOCost wait in seconds",
		cgroup: devices(snapshot.CostWait, snapshot.OpCount, nil),
	},
	{
		name: "container_fs_io_cost_indebt_seconds_total", kind: counter, groups: snapshot.IO,
		help:   "Cumulative IOCost debt in seconds",
		cgroup: devices(snapshot.CostIndebt, snapshot.OpCount, nil),
	},
	{
		name: "container_fs_io_cost_indelay_seconds_total", kind: counter, groups: snapshot.IO,
		help:   "Cumulative IOCost delay in seconds",
		cgroup: devices(snapshot.CostIndelay, snapshot.OpCount, nil),
	},
	{
		name: "container_blkio_device_usage_total", kind: counter, groups: snapshot.IO,
		help:   "Blkio Device bytes usage",
		cgroup: deviceUsage,
	},
}

// filesystems emits, with the root, a number of each filesystem whose statfs has answered, and with a container that of the
// filesystem that holds its layer. What the layer itself has goes first, if there is such a number.
func filesystems(
	get func(*snapshot.Filesystem) (uint64, bool), ofLayer func(*snapshot.Usage) snapshot.Optional,
) func(*encoder, *snapshot.Cgroup) {
	return func(e *encoder, c *snapshot.Cgroup) {
		if !isRoot(c) {
			if l, ok := e.layers[c.Identity]; ok {
				e.layer(l, get, ofLayer)
			}
			return
		}
		for i := range e.snapshot.Node.Filesystems {
			f := &e.snapshot.Node.Filesystems[i]
			if f.Time.IsZero() {
				continue
			}
			if n, ok := get(f); ok {
				e.sample(n, 0, labelDevice.of(f.Device))
			}
		}
	}
}

// filesystemUsage counts the blocks reserved for the superuser as not in use, as df does.
func filesystemUsage(f *snapshot.Filesystem) (uint64, bool) {
	if f.Free > f.Capacity {
		// A filesystem that counts inconsistently has no usage; the difference would wrap around.
		return 0, false
	}
	return f.Capacity - f.Free, true
}

// statDecimals turns a kind of figure into its base unit.
var statDecimals = [snapshot.DeviceStatCount]int{
	snapshot.ServiceTime: 9,
	snapshot.WaitTime:    9,
	snapshot.DeviceTime:  3,
	snapshot.CostUsage:   6,
	snapshot.CostWait:    6,
	snapshot.CostIndebt:  6,
	snapshot.CostIndelay: 6,
}

// diskTimeDecimals: the times of /proc/diskstats are milliseconds.
const diskTimeDecimals = 3

// devices emits one figure of each device that the cgroup used and, with the root, disk's figure of the other
// devices that hold filesystems. One device has one series: what the io controller says goes first, since it
// counts this cgroup and diskstats counts all; with the root they are the same traffic.
func devices(stat snapshot.DeviceStat, op snapshot.Op, disk func(*snapshot.Disk) uint64) func(*encoder, *snapshot.Cgroup) {
	diskDecimals := 0
	if stat == snapshot.ServiceTime {
		diskDecimals = diskTimeDecimals
	}
	return func(e *encoder, c *snapshot.Cgroup) {
		inIO := e.groups.Has(snapshot.IO)
		if inIO {
			for i := range c.Devices {
				d := &c.Devices[i]
				if n, ok := d.Get(stat, op); ok && !named(c.Devices[:i], stat, op, d.Name) {
					e.sample(n, statDecimals[stat], labelDevice.of(d.Name))
				}
			}
		}
		if disk == nil || !isRoot(c) || !e.groups.Has(snapshot.Filesystems) {
			return
		}
		e.atReading(snapshot.Filesystems)
		for i := range e.snapshot.Node.Filesystems {
			f := &e.snapshot.Node.Filesystems[i]
			if f.Disk == nil || inIO && named(c.Devices, stat, op, f.Device) {
				continue
			}
			e.sample(disk(f.Disk), diskDecimals, labelDevice.of(f.Device))
		}
		e.atReading(snapshot.IO)
	}
}

// named tells whether a device of this name has the figure. The kernel's devices without a name share the empty one.
func named(devices []snapshot.Device, stat snapshot.DeviceStat, op snapshot.Op, name string) bool {
	for i := range devices {
		if devices[i].Name == name {
			if _, ok := devices[i].Get(stat, op); ok {
				return true
			}
		}
	}
	return false
}

// weightedIOTime has no counterpart in the io controller.
func weightedIOTime(e *encoder, c *snapshot.Cgroup) {
	if !isRoot(c) {
		return
	}
	for i := range e.snapshot.Node.Filesystems {
		if f := &e.snapshot.Node.Filesystems[i]; f.Disk != nil {
			e.sample(f.Disk.WeightedIOTime, diskTimeDecimals, labelDevice.of(f.Device))
		}
	}
}

// deviceUsage emits bytes by device and operation.
func deviceUsage(e *encoder, c *snapshot.Cgroup) {
	for i := range c.Devices {
		d := &c.Devices[i]
		if !d.Has(snapshot.ServiceBytes) {
			continue
		}
		for op, name := range snapshot.OpNames {
			if n, ok := d.Get(snapshot.ServiceBytes, snapshot.Op(op)); ok {
				e.sample(n, 0, labelDevice.of(d.Name), labelMajor.ofNumber(d.Major), labelMinor.ofNumber(d.Minor),
					labelOperation.of(name))
			}
		}
	}
}
