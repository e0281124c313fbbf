package snapshot

import (
	"math"

	"github.com/google/cadvisor/lib/model"
)

// The labels by which the kubelet finds a container's Kubernetes names in cAdvisor's data.
const (
	LabelPod       = "io.kubernetes.pod.name"
	LabelNamespace = "io.kubernetes.pod.namespace"
	LabelContainer = "io.kubernetes.container.name"
)

// ContainerInfo converts the record of one cgroup of s to cAdvisor's type, with exactly one ContainerStats, for
// comparison with cAdvisor's own reader and renderer. That type cannot say "absent": what the record lacks is 0 in
// it, or nil where a whole part of it was not read.
func (s *Snapshot) ContainerInfo(c *Cgroup) *model.ContainerInfo {
	id := c.Identity
	info := &model.ContainerInfo{
		ContainerReference: model.ContainerReference{Name: id.ID},
		Spec:               containerSpec(c),
		Stats:              []*model.ContainerStats{s.containerStats(c)},
	}
	if id.Name != "" {
		info.Aliases = []string{id.Name}
	}
	return info
}

func containerSpec(c *Cgroup) model.ContainerSpec {
	id := c.Identity
	spec := model.ContainerSpec{
		Image:         id.Image,
		HasNetwork:    c.HasNetwork,
		HasFilesystem: id.ID == "/",
		Labels:        make(map[string]string, 3),
	}
	for _, label := range [...]struct{ name, value string }{
		{LabelPod, id.Pod}, {LabelNamespace, id.Namespace}, {LabelContainer, id.Container},
	} {
		if label.value != "" {
			spec.Labels[label.name] = label.value
		}
	}
	if c.Spec == nil {
		return spec
	}
	spec.CreationTime = c.Spec.Created
	if !id.Created.IsZero() {
		spec.CreationTime = id.Created
	}
	spec.StartTime = c.Spec.Created
	spec.HasCpu = c.Spec.HasCPU
	spec.HasMemory = c.Spec.HasMemory
	spec.HasDiskIo = c.Spec.HasIO
	spec.HasProcesses = c.Spec.HasPids
	spec.Cpu.Limit = c.Spec.CPUShares.Or(0)
	spec.Cpu.Quota = c.Spec.CPUQuota.Or(0)
	spec.Cpu.Period = c.Spec.CPUPeriod.Or(0)
	spec.Memory.Limit = c.Spec.MemoryLimit.Or(0)
	spec.Memory.Reservation = c.Spec.MemoryReservation.Or(0)
	spec.Memory.SwapLimit = c.Spec.SwapLimit.Or(0)
	spec.Processes.Limit = limited(c.Spec.PidsLimit)
	return spec
}

// limited returns a limit on tasks, 0 if there is none.
func limited(limit Optional) uint64 {
	if limit.Value == Unlimited {
		return 0
	}
	return limit.Or(0)
}

func (s *Snapshot) containerStats(c *Cgroup) *model.ContainerStats {
	stats := &model.ContainerStats{Timestamp: s.Time(All)}
	root := c.Identity.ID == "/"
	// Pressure belongs to these three in cAdvisor's type, so that each exists if either was read.
	if s.Groups&(CPU|Pressure) != 0 {
		stats.Cpu = cpuStats(c)
	}
	if s.Groups&(Memory|Pressure) != 0 {
		stats.Memory = memoryStats(c)
	}
	if s.Groups&(IO|Pressure) != 0 || root && s.Groups.Has(Filesystems) {
		stats.DiskIo = diskStats(c)
	}
	stats.OOMEvents = c.number(MemoryOOMKills)
	if c.HasNetwork {
		stats.Network = networkStats(c)
	}
	if s.Groups&(Process|Pids|Limits) != 0 {
		stats.Processes = processStats(c)
	}
	if root {
		stats.Filesystem = filesystemStats(s.Node.Filesystems)
	}
	return stats
}

// number returns the value of f, 0 if absent.
func (v *Values) number(f Field) uint64 {
	n, _ := v.Get(f)
	return n
}

// pressure converts the two lines of a pressure file whose first fields are some and full.
func (v *Values) pressure(some, full Field) model.PSIStats {
	line := func(first Field) model.PSIData {
		const hundredth = 100
		return model.PSIData{
			Total:  v.number(first + PressureTotal),
			Avg10:  float64(v.number(first+PressureAvg10)) / hundredth,
			Avg60:  float64(v.number(first+PressureAvg60)) / hundredth,
			Avg300: float64(v.number(first+PressureAvg300)) / hundredth,
		}
	}
	return model.PSIStats{Some: line(some), Full: line(full)}
}

func cpuStats(c *Cgroup) *model.CpuStats {
	return &model.CpuStats{
		Usage: model.CpuUsage{
			Total:  c.number(CPUUsage),
			User:   c.number(CPUUser),
			System: c.number(CPUSystem),
		},
		CFS: model.CpuCFS{
			Periods:          c.number(CPUPeriods),
			ThrottledPeriods: c.number(CPUThrottledPeriods),
			ThrottledTime:    c.number(CPUThrottledTime),
			BurstsPeriods:    c.number(CPUBurstPeriods),
			BurstTime:        c.number(CPUBurstTime),
		},
		PSI: c.pressure(CPUSomeTotal, CPUFullTotal),
	}
}

func memoryStats(c *Cgroup) *model.MemoryStats {
	faults := model.MemoryStatsMemoryData{
		Pgfault:    c.number(MemoryPgfault),
		Pgmajfault: c.number(MemoryPgmajfault),
	}
	return &model.MemoryStats{
		Usage:                 c.number(MemoryUsage),
		MaxUsage:              c.number(MemoryPeak),
		Cache:                 c.number(MemoryCache),
		RSS:                   c.number(MemoryRSS),
		Swap:                  c.number(MemorySwap),
		MappedFile:            c.number(MemoryMappedFile),
		WorkingSet:            c.number(MemoryWorkingSet),
		TotalActiveFile:       c.number(MemoryActiveFile),
		TotalInactiveFile:     c.number(MemoryInactiveFile),
		FileDirty:             c.number(MemoryDirty),
		FileWriteback:         c.number(MemoryWriteback),
		Pgscan:                c.number(MemoryPgscan),
		Pgsteal:               c.number(MemoryPgsteal),
		WorkingsetRefaultFile: c.number(MemoryRefaultFile),
		WorkingsetRefaultAnon: c.number(MemoryRefaultAnon),
		Failcnt:               c.number(MemoryFailcnt),
		KernelUsage:           c.number(MemoryKernel),
		ContainerData:         faults,
		HierarchicalData:      faults,
		PSI:                   c.pressure(MemorySomeTotal, MemoryFullTotal),
		Events: model.MemoryEvents{
			High: c.number(MemoryEventsHigh),
			Max:  c.number(MemoryEventsMax),
		},
	}
}

func diskStats(c *Cgroup) *model.DiskIoStats {
	return &model.DiskIoStats{
		IoServiceBytes: perDisk(c.Devices, ServiceBytes),
		IoServiced:     perDisk(c.Devices, Serviced),
		IoQueued:       perDisk(c.Devices, Queued),
		Sectors:        perDisk(c.Devices, Sectors),
		IoServiceTime:  perDisk(c.Devices, ServiceTime),
		IoWaitTime:     perDisk(c.Devices, WaitTime),
		IoMerged:       perDisk(c.Devices, Merged),
		IoTime:         perDisk(c.Devices, DeviceTime),
		IoCostUsage:    perDisk(c.Devices, CostUsage),
		IoCostWait:     perDisk(c.Devices, CostWait),
		IoCostIndebt:   perDisk(c.Devices, CostIndebt),
		IoCostIndelay:  perDisk(c.Devices, CostIndelay),
		PSI:            c.pressure(IOSomeTotal, IOFullTotal),
	}
}

func perDisk(devices []Device, stat DeviceStat) []model.PerDiskStats {
	var rows []model.PerDiskStats
	for i := range devices {
		d := &devices[i]
		if !d.Has(stat) {
			continue
		}
		row := model.PerDiskStats{
			Device: d.Name, Major: uint64(d.Major), Minor: uint64(d.Minor),
			Stats: make(map[string]uint64),
		}
		for op, name := range OpNames {
			if n, ok := d.Get(stat, Op(op)); ok {
				row.Stats[name] = n
			}
		}
		rows = append(rows, row)
	}
	return rows
}

func networkStats(c *Cgroup) *model.NetworkStats {
	stats := &model.NetworkStats{}
	for i := range c.Interfaces {
		n := &c.Interfaces[i]
		stats.Interfaces = append(stats.Interfaces, model.InterfaceStats{
			Name:    n.Name,
			RxBytes: n.RxBytes, RxPackets: n.RxPackets, RxErrors: n.RxErrors, RxDropped: n.RxDropped,
			TxBytes: n.TxBytes, TxPackets: n.TxPackets, TxErrors: n.TxErrors, TxDropped: n.TxDropped,
		})
	}
	if len(stats.Interfaces) > 0 {
		// cAdvisor's flat numbers are those of the first interface that it read.
		stats.InterfaceStats = stats.Interfaces[0]
	}
	return stats
}

func processStats(c *Cgroup) *model.ProcessStats {
	stats := &model.ProcessStats{
		ProcessCount:   c.number(ProcessCount),
		FdCount:        c.number(ProcessFDs),
		SocketCount:    c.number(ProcessSockets),
		ThreadsCurrent: c.number(PidsCurrent),
	}
	if c.Spec != nil {
		stats.ThreadsMax = limited(c.Spec.PidsLimit)
	}
	if soft, ok := c.Get(ProcessNoFileSoft); ok {
		limit := int64(-1)
		if soft <= math.MaxInt64 {
			limit = int64(soft)
		}
		// The record has no hard limit, so that HardLimit says nothing.
		stats.Ulimits = []model.UlimitSpec{{Name: "max_open_files", SoftLimit: limit}}
	}
	return stats
}

func filesystemStats(filesystems []Filesystem) []model.FsStats {
	stats := make([]model.FsStats, 0, len(filesystems))
	for i := range filesystems {
		f := &filesystems[i]
		row := model.FsStats{
			Device: f.Device, Type: f.Type,
			HasInodes: f.HasInodes,
		}
		if !f.Time.IsZero() {
			row.Limit, row.Available = f.Capacity, f.Available
			row.Usage = f.Capacity - min(f.Free, f.Capacity)
			if f.HasInodes {
				row.Inodes, row.InodesFree = f.Inodes, f.InodesFree
			}
		}
		if d := f.Disk; d != nil {
			row.ReadsCompleted, row.ReadsMerged, row.SectorsRead, row.ReadTime = d.Reads, d.ReadsMerged, d.SectorsRead, d.ReadTime
			row.WritesCompleted, row.WritesMerged, row.SectorsWritten, row.WriteTime = d.Writes, d.WritesMerged, d.SectorsWritten, d.WriteTime
			row.IoInProgress, row.IoTime, row.WeightedIoTime = d.InProgress, d.IOTime, d.WeightedIOTime
		}
		stats = append(stats, row)
	}
	return stats
}

// MachineInfo converts the hardware's description to cAdvisor's type; nil if it could not be read. Its Timestamp is
// zero, as the kubelet makes it: a machine is not a sample of a moment.
func (n *Node) MachineInfo() *model.MachineInfo {
	m := n.Machine
	if m == nil {
		return nil
	}
	info := &model.MachineInfo{
		MachineID:        m.ID,
		SystemUUID:       m.SystemUUID,
		BootID:           m.BootID,
		NumCores:         m.Cores,
		NumPhysicalCores: m.PhysicalCores,
		NumSockets:       m.Sockets,
		NumBooks:         m.Books,
		NumDrawers:       m.Drawers,
		MemoryCapacity:   m.MemoryBytes,
		SwapCapacity:     m.SwapBytes,
		NVMInfo: model.NVMInfo{
			MemoryModeCapacity:    m.NVMMemoryMode,
			AppDirectModeCapacity: m.NVMAppDirect,
			AvgPowerBudget:        uint(m.NVMPowerBudget),
		},
		MemoryByType: make(map[string]*model.MemoryInfo, len(m.DIMMs)),
	}
	for _, d := range m.DIMMs {
		info.MemoryByType[d.Type] = &model.MemoryInfo{Capacity: d.Bytes, DimmCount: uint(d.Count)}
	}
	return info
}

// VersionInfo converts the versions to cAdvisor's type. Those of Docker and of cAdvisor are empty, as in a kubelet.
func (n *Node) VersionInfo() *model.VersionInfo {
	return &model.VersionInfo{
		KernelVersion:      n.Versions.Kernel,
		ContainerOsVersion: n.Versions.OS,
	}
}
