// Package reference reads cgroups with cAdvisor's own code and holds the result against the fast reader's.
//
// It is how a user trusts the fast path on a kernel of their own (nodevitals verify), and how tests do. Every difference is
// either one of the named deviations of docs/fidelity.md or a fault.
package reference

import (
	"fmt"

	"github.com/google/cadvisor/lib/container"
	"github.com/google/cadvisor/lib/container/common"
	"github.com/google/cadvisor/lib/container/libcontainer"
	"github.com/google/cadvisor/lib/machine"
	"github.com/google/cadvisor/lib/model"
	"github.com/opencontainers/cgroups"

	"github.com/nodevitals/nodevitals/snapshot"
)

// metrics are the kinds that a kubelet's cAdvisor collects.
var metrics = container.MetricSet{
	container.CpuUsageMetrics:     {},
	container.MemoryUsageMetrics:  {},
	container.DiskIOMetrics:       {},
	container.NetworkUsageMetrics: {},
	container.ProcessMetrics:      {},
	container.OOMMetrics:          {},
	container.PressureMetrics:     {},
}

// Reader reads one cgroup as a kubelet's cAdvisor would: its libcontainer handler on opencontainers/cgroups' manager.
// It knows only the cgroups below /sys/fs/cgroup of its own mount namespace.
type Reader struct {
	paths   map[string]string
	manager cgroups.Manager
	handler *libcontainer.Handler
	root    bool
}

// NewReader prepares to read the cgroup id ("/system.slice").
func NewReader(id string) (*Reader, error) {
	mounts, err := libcontainer.GetCgroupSubsystems(metrics)
	if err != nil {
		return nil, fmt.Errorf("find cgroup mounts: %w", err)
	}
	r := &Reader{paths: common.MakeCgroupPaths(mounts, id), root: id == "/"}
	pid := 0
	if r.manager, err = libcontainer.NewCgroupManager(id, r.paths); err != nil {
		return nil, fmt.Errorf("make a manager of %s: %w", id, err)
	}
	if r.root {
		pid = 1
		// v1's root has no pids.current, over which the manager would stumble; it looks at this very map.
		delete(r.paths, "pids")
	}
	r.handler = libcontainer.NewHandler(r.manager, "/", pid, metrics)
	return r, nil
}

// Stats are the handler's figures. It returns an error for a cgroup of which the handler refuses the whole sample because
// one file was not to its liking.
func (r *Reader) Stats() (*model.ContainerStats, error) {
	stats, err := r.handler.GetStats()
	if err != nil {
		return nil, err
	}
	if stats == nil || stats.Cpu == nil || stats.Memory == nil {
		return nil, fmt.Errorf("the reference gave no figures")
	}
	if kills, err := r.manager.OOMKillCount(); err == nil {
		// cAdvisor leaves this to the kubelet, which counts lines of the kernel's log.
		stats.OOMEvents = kills
	}
	return stats, nil
}

// Spec are the limits by cAdvisor's rules, with those that its raw handler gives the root.
func (r *Reader) Spec() (model.ContainerSpec, error) {
	spec, err := common.GetSpec(r.paths, noMachine{}, false, r.root)
	if err != nil || !r.root {
		return spec, err
	}
	if spec.Memory.Limit, err = machine.GetMachineMemoryCapacity(); err != nil {
		return spec, err
	}
	spec.HasMemory = true
	spec.Memory.SwapLimit, err = machine.GetMachineSwapCapacity()
	return spec, err
}

// noMachine satisfies GetSpec, which asks for the number of cores to make a CPU mask that nobody exports.
type noMachine struct{}

func (noMachine) GetMachineInfo() (*model.MachineInfo, error) { return &model.MachineInfo{}, nil }
func (noMachine) GetVersionInfo() (*model.VersionInfo, error) { return &model.VersionInfo{}, nil }

// field is one number of the reference: what it is in a snapshot, and where the model has it.
type field struct {
	field snapshot.Field
	get   func(*model.ContainerStats) uint64
}

// fields is the table of all numbers that both readers have. A test holds it against snapshot.Fields.
var fields = []field{
	{snapshot.CPUUsage, func(s *model.ContainerStats) uint64 { return s.Cpu.Usage.Total }},
	{snapshot.CPUUser, func(s *model.ContainerStats) uint64 { return s.Cpu.Usage.User }},
	{snapshot.CPUSystem, func(s *model.ContainerStats) uint64 { return s.Cpu.Usage.System }},
	{snapshot.CPUPeriods, func(s *model.ContainerStats) uint64 { return s.Cpu.CFS.Periods }},
	{snapshot.CPUThrottledPeriods, func(s *model.ContainerStats) uint64 { return s.Cpu.CFS.ThrottledPeriods }},
	{snapshot.CPUThrottledTime, func(s *model.ContainerStats) uint64 { return s.Cpu.CFS.ThrottledTime }},
	{snapshot.CPUBurstPeriods, func(s *model.ContainerStats) uint64 { return s.Cpu.CFS.BurstsPeriods }},
	{snapshot.CPUBurstTime, func(s *model.ContainerStats) uint64 { return s.Cpu.CFS.BurstTime }},
	{snapshot.MemoryUsage, func(s *model.ContainerStats) uint64 { return s.Memory.Usage }},
	{snapshot.MemoryPeak, func(s *model.ContainerStats) uint64 { return s.Memory.MaxUsage }},
	{snapshot.MemoryWorkingSet, func(s *model.ContainerStats) uint64 { return s.Memory.WorkingSet }},
	{snapshot.MemoryCache, func(s *model.ContainerStats) uint64 { return s.Memory.Cache }},
	{snapshot.MemoryRSS, func(s *model.ContainerStats) uint64 { return s.Memory.RSS }},
	{snapshot.MemorySwap, func(s *model.ContainerStats) uint64 { return s.Memory.Swap }},
	{snapshot.MemoryMappedFile, func(s *model.ContainerStats) uint64 { return s.Memory.MappedFile }},
	{snapshot.MemoryActiveFile, func(s *model.ContainerStats) uint64 { return s.Memory.TotalActiveFile }},
	{snapshot.MemoryInactiveFile, func(s *model.ContainerStats) uint64 { return s.Memory.TotalInactiveFile }},
	{snapshot.MemoryDirty, func(s *model.ContainerStats) uint64 { return s.Memory.FileDirty }},
	{snapshot.MemoryWriteback, func(s *model.ContainerStats) uint64 { return s.Memory.FileWriteback }},
	{snapshot.MemoryKernel, func(s *model.ContainerStats) uint64 { return s.Memory.KernelUsage }},
	{snapshot.MemoryFailcnt, func(s *model.ContainerStats) uint64 { return s.Memory.Failcnt }},
	{snapshot.MemoryPgfault, func(s *model.ContainerStats) uint64 { return s.Memory.ContainerData.Pgfault }},
	{snapshot.MemoryPgmajfault, func(s *model.ContainerStats) uint64 { return s.Memory.ContainerData.Pgmajfault }},
	{snapshot.MemoryPgscan, func(s *model.ContainerStats) uint64 { return s.Memory.Pgscan }},
	{snapshot.MemoryPgsteal, func(s *model.ContainerStats) uint64 { return s.Memory.Pgsteal }},
	{snapshot.MemoryRefaultFile, func(s *model.ContainerStats) uint64 { return s.Memory.WorkingsetRefaultFile }},
	{snapshot.MemoryRefaultAnon, func(s *model.ContainerStats) uint64 { return s.Memory.WorkingsetRefaultAnon }},
	{snapshot.MemoryEventsHigh, func(s *model.ContainerStats) uint64 { return s.Memory.Events.High }},
	{snapshot.MemoryEventsMax, func(s *model.ContainerStats) uint64 { return s.Memory.Events.Max }},
	{snapshot.MemoryOOMKills, func(s *model.ContainerStats) uint64 { return s.OOMEvents }},
	{snapshot.PidsCurrent, func(s *model.ContainerStats) uint64 { return s.Processes.ThreadsCurrent }},
	{snapshot.ProcessCount, func(s *model.ContainerStats) uint64 { return s.Processes.ProcessCount }},
	{snapshot.ProcessFDs, func(s *model.ContainerStats) uint64 { return s.Processes.FdCount }},
	{snapshot.ProcessSockets, func(s *model.ContainerStats) uint64 { return s.Processes.SocketCount }},
	{snapshot.ProcessNoFileSoft, softLimit},
}

func init() {
	for _, resource := range []struct {
		some snapshot.Field
		psi  func(*model.ContainerStats) *model.PSIStats
	}{
		{snapshot.CPUSomeTotal, func(s *model.ContainerStats) *model.PSIStats { return &s.Cpu.PSI }},
		{snapshot.MemorySomeTotal, func(s *model.ContainerStats) *model.PSIStats { return &s.Memory.PSI }},
		{snapshot.IOSomeTotal, func(s *model.ContainerStats) *model.PSIStats { return &s.DiskIo.PSI }},
	} {
		some := func(s *model.ContainerStats) *model.PSIData { return &resource.psi(s).Some }
		full := func(s *model.ContainerStats) *model.PSIData { return &resource.psi(s).Full }
		for at, data := range [...]func(*model.ContainerStats) *model.PSIData{some, full} {
			base := resource.some + snapshot.Field(at)*snapshot.PressureLine
			fields = append(fields,
				field{base + snapshot.PressureTotal, func(s *model.ContainerStats) uint64 { return data(s).Total }},
				field{base + snapshot.PressureAvg10, func(s *model.ContainerStats) uint64 { return hundredths(data(s).Avg10) }},
				field{base + snapshot.PressureAvg60, func(s *model.ContainerStats) uint64 { return hundredths(data(s).Avg60) }},
				field{base + snapshot.PressureAvg300, func(s *model.ContainerStats) uint64 { return hundredths(data(s).Avg300) }})
		}
	}
}

func hundredths(percent float64) uint64 { return uint64(percent*100 + 0.5) }

func softLimit(s *model.ContainerStats) uint64 {
	for _, limit := range s.Processes.Ulimits {
		if limit.Name == "max_open_files" {
			// Unlimited is -1 there and the largest number here.
			return uint64(limit.SoftLimit)
		}
	}
	return 0
}

// deviceFigures are the figures of block devices that both readers have.
var deviceFigures = []struct {
	name string
	stat snapshot.DeviceStat
	get  func(*model.DiskIoStats) []model.PerDiskStats
}{
	{"io.service_bytes", snapshot.ServiceBytes, func(s *model.DiskIoStats) []model.PerDiskStats { return s.IoServiceBytes }},
	{"io.serviced", snapshot.Serviced, func(s *model.DiskIoStats) []model.PerDiskStats { return s.IoServiced }},
	{"io.queued", snapshot.Queued, func(s *model.DiskIoStats) []model.PerDiskStats { return s.IoQueued }},
	{"io.merged", snapshot.Merged, func(s *model.DiskIoStats) []model.PerDiskStats { return s.IoMerged }},
	{"io.service_time", snapshot.ServiceTime, func(s *model.DiskIoStats) []model.PerDiskStats { return s.IoServiceTime }},
	{"io.wait_time", snapshot.WaitTime, func(s *model.DiskIoStats) []model.PerDiskStats { return s.IoWaitTime }},
	{"io.time", snapshot.DeviceTime, func(s *model.DiskIoStats) []model.PerDiskStats { return s.IoTime }},
	{"io.sectors", snapshot.Sectors, func(s *model.DiskIoStats) []model.PerDiskStats { return s.Sectors }},
	{"io.cost_usage", snapshot.CostUsage, func(s *model.DiskIoStats) []model.PerDiskStats { return s.IoCostUsage }},
	{"io.cost_wait", snapshot.CostWait, func(s *model.DiskIoStats) []model.PerDiskStats { return s.IoCostWait }},
	{"io.cost_indebt", snapshot.CostIndebt, func(s *model.DiskIoStats) []model.PerDiskStats { return s.IoCostIndebt }},
	{"io.cost_indelay", snapshot.CostIndelay, func(s *model.DiskIoStats) []model.PerDiskStats { return s.IoCostIndelay }},
}

// interfaceFigures are the counters of interfaces that both readers have.
var interfaceFigures = []struct {
	name      string
	ours      func(*snapshot.Interface) uint64
	reference func(*model.InterfaceStats) uint64
}{
	{"rx_bytes", func(i *snapshot.Interface) uint64 { return i.RxBytes }, func(i *model.InterfaceStats) uint64 { return i.RxBytes }},
	{"rx_packets", func(i *snapshot.Interface) uint64 { return i.RxPackets }, func(i *model.InterfaceStats) uint64 { return i.RxPackets }},
	{"rx_errors", func(i *snapshot.Interface) uint64 { return i.RxErrors }, func(i *model.InterfaceStats) uint64 { return i.RxErrors }},
	{"rx_dropped", func(i *snapshot.Interface) uint64 { return i.RxDropped }, func(i *model.InterfaceStats) uint64 { return i.RxDropped }},
	{"tx_bytes", func(i *snapshot.Interface) uint64 { return i.TxBytes }, func(i *model.InterfaceStats) uint64 { return i.TxBytes }},
	{"tx_packets", func(i *snapshot.Interface) uint64 { return i.TxPackets }, func(i *model.InterfaceStats) uint64 { return i.TxPackets }},
	{"tx_errors", func(i *snapshot.Interface) uint64 { return i.TxErrors }, func(i *model.InterfaceStats) uint64 { return i.TxErrors }},
	{"tx_dropped", func(i *snapshot.Interface) uint64 { return i.TxDropped }, func(i *model.InterfaceStats) uint64 { return i.TxDropped }},
}
