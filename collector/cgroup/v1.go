package cgroup

import "github.com/nodevitals/nodevitals/snapshot"

// legacyFiles are the files of cgroup v1 that a pass reads, in reading order. Their formats are in the kernel's
// Documentation/admin-guide/cgroup-v1/.
func legacyFiles(devices *deviceList) []file {
	const tick = 10_000_000 // nanoseconds of USER_HZ, which is 100 on every architecture that matters
	files := []file{
		{name: "cpuacct.usage", controller: "cpuacct", group: snapshot.CPUUse, parser: single(snapshot.CPUUsage)},
		{name: "cpuacct.stat", controller: "cpuacct", group: snapshot.CPUDetail, still: &still{
			stillSplit, []snapshot.Field{snapshot.CPUUser, snapshot.CPUSystem}, usageKey,
		}, parser: newKeyed(
			key{"user", snapshot.CPUUser, tick},
			key{"system", snapshot.CPUSystem, tick},
		)},
		{name: "cpu.stat", controller: "cpu", group: snapshot.CPUDetail, still: &still{stillPeriods, []snapshot.Field{
			snapshot.CPUPeriods, snapshot.CPUThrottledPeriods, snapshot.CPUThrottledTime, snapshot.CPUBurstPeriods, snapshot.CPUBurstTime,
		}, noQuotaKey}, parser: newKeyed(
			key{"nr_periods", snapshot.CPUPeriods, 1},
			key{"nr_throttled", snapshot.CPUThrottledPeriods, 1},
			key{"throttled_time", snapshot.CPUThrottledTime, 1},
			key{"nr_bursts", snapshot.CPUBurstPeriods, 1},
			key{"burst_time", snapshot.CPUBurstTime, 1},
		)},
		// The total_ lines are right whatever memory.use_hierarchy says: without it they repeat the cgroup's own.
		{name: "memory.stat", controller: "memory", group: snapshot.MemoryUse, parser: newKeyed(
			key{"pgfault", snapshot.MemoryPgfault, 1},
			key{"pgmajfault", snapshot.MemoryPgmajfault, 1},
			key{"workingset_refault_anon", snapshot.MemoryRefaultAnon, 1},
			key{"workingset_refault_file", snapshot.MemoryRefaultFile, 1},
			key{"total_cache", snapshot.MemoryCache, 1},
			key{"total_rss", snapshot.MemoryRSS, 1},
			key{"total_shmem", snapshot.MemoryShmem, 1},
			key{"total_swap", snapshot.MemorySwap, 1},
			key{"total_mapped_file", snapshot.MemoryMappedFile, 1},
			key{"total_inactive_file", snapshot.MemoryInactiveFile, 1},
			key{"total_active_file", snapshot.MemoryActiveFile, 1},
		)},
		{name: "memory.usage_in_bytes", controller: "memory", group: snapshot.MemoryUse, parser: single(snapshot.MemoryUsage)},
		{name: "memory.max_usage_in_bytes", controller: "memory", group: snapshot.MemoryDetail, parser: single(snapshot.MemoryPeak)},
		{name: failuresFile, controller: "memory", group: snapshot.MemoryDetail, still: &still{
			stillFailures, []snapshot.Field{snapshot.MemoryFailcnt}, noLimitKey,
		}, parser: single(snapshot.MemoryFailcnt)},
		{name: "memory.kmem.usage_in_bytes", controller: "memory", group: snapshot.MemoryDetail, parser: single(snapshot.MemoryKernel)},
		{name: "memory.oom_control", controller: "memory", group: snapshot.MemoryDetail, still: &still{
			stillKills, []snapshot.Field{snapshot.MemoryOOMKills}, killsKey,
		}, parser: newKeyed(
			key{"oom_kill", snapshot.MemoryOOMKills, 1},
		)},
		{name: "pids.current", controller: "pids", group: snapshot.Pids, parser: single(snapshot.PidsCurrent)},
	}
	for set, names := range blkioSets {
		for at, entry := range names {
			files = append(files, file{
				name: entry.name, controller: "blkio", group: snapshot.IO,
				parser: blkio{list: devices, stat: entry.stat, first: at == 0},
				set:    set + 1, first: at == 0,
			})
		}
	}
	return files
}

// failuresFile counts how often a limit of memory was hit.
const failuresFile = "memory.failcnt"

// blkioSets are alternatives: which scheduler keeps figures differs by kernel and device. As in opencontainers/cgroups, the
// first set whose first file names a device is the one that counts.
var blkioSets = [][]struct {
	name string
	stat snapshot.DeviceStat
}{
	{ // bfq with CONFIG_BFQ_CGROUP_DEBUG
		{"blkio.bfq.sectors_recursive", snapshot.Sectors},
		{"blkio.bfq.io_service_time_recursive", snapshot.ServiceTime},
		{"blkio.bfq.io_wait_time_recursive", snapshot.WaitTime},
		{"blkio.bfq.io_merged_recursive", snapshot.Merged},
		{"blkio.bfq.io_queued_recursive", snapshot.Queued},
		{"blkio.bfq.time_recursive", snapshot.DeviceTime},
		{"blkio.bfq.io_serviced_recursive", snapshot.Serviced},
		{"blkio.bfq.io_service_bytes_recursive", snapshot.ServiceBytes},
	},
	{ // bfq
		{"blkio.bfq.io_serviced_recursive", snapshot.Serviced},
		{"blkio.bfq.io_service_bytes_recursive", snapshot.ServiceBytes},
	},
	{ // cfq, up to Linux 4.20
		{"blkio.sectors_recursive", snapshot.Sectors},
		{"blkio.io_service_time_recursive", snapshot.ServiceTime},
		{"blkio.io_wait_time_recursive", snapshot.WaitTime},
		{"blkio.io_merged_recursive", snapshot.Merged},
		{"blkio.io_queued_recursive", snapshot.Queued},
		{"blkio.time_recursive", snapshot.DeviceTime},
		{"blkio.io_serviced_recursive", snapshot.Serviced},
		{"blkio.io_service_bytes_recursive", snapshot.ServiceBytes},
	},
	{ // throttling, since Linux 4.17 with sums of all below
		{"blkio.throttle.io_serviced_recursive", snapshot.Serviced},
		{"blkio.throttle.io_service_bytes_recursive", snapshot.ServiceBytes},
	},
	{
		{"blkio.throttle.io_serviced", snapshot.Serviced},
		{"blkio.throttle.io_service_bytes", snapshot.ServiceBytes},
	},
}

// legacyLimits are the files of cgroup v1 that make a Spec.
var legacyLimits = []limitFile{
	{name: "cpu.shares", controller: "cpu", set: func(s *snapshot.Spec, text []byte) { s.CPUShares = parseLimit(text) }},
	{name: "cpu.cfs_period_us", controller: "cpu", set: func(s *snapshot.Spec, text []byte) { s.CPUPeriod = parseLimit(text) }},
	// -1 is no limit and no number either, so the quota stays absent.
	{name: "cpu.cfs_quota_us", controller: "cpu", set: func(s *snapshot.Spec, text []byte) { s.CPUQuota = parseLimit(text) }},
	{name: "memory.limit_in_bytes", controller: "memory", set: func(s *snapshot.Spec, text []byte) { s.MemoryLimit = parseLimit(text) }},
	{name: "memory.soft_limit_in_bytes", controller: "memory", set: func(s *snapshot.Spec, text []byte) { s.MemoryReservation = parseLimit(text) }},
	{name: "memory.memsw.limit_in_bytes", controller: "memory", set: func(s *snapshot.Spec, text []byte) {
		s.SwapLimit, s.SwapWithMemory = parseLimit(text), true
	}},
	{name: "pids.max", controller: "pids", set: func(s *snapshot.Spec, text []byte) { s.PidsLimit = parseLimit(text) }},
}
