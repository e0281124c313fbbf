package cgroup

import "github.com/nodevitals/nodevitals/snapshot"

// unifiedFiles are the files of cgroup v2 that a pass reads, in reading order. Adding one is a row here and, for a new
// number, a row in snapshot.Fields. Their format is in the kernel's Documentation/admin-guide/cgroup-v2.rst.
func unifiedFiles(devices *deviceList) []file {
	const microseconds = 1000 // in nanoseconds
	return []file{
		{name: "cpu.stat", controller: "", group: snapshot.CPUUse, parser: newKeyed(
			key{"usage_usec", snapshot.CPUUsage, microseconds},
			key{"user_usec", snapshot.CPUUser, microseconds},
			key{"system_usec", snapshot.CPUSystem, microseconds},
			key{"nr_periods", snapshot.CPUPeriods, 1},
			key{"nr_throttled", snapshot.CPUThrottledPeriods, 1},
			key{"throttled_usec", snapshot.CPUThrottledTime, microseconds},
			key{"nr_bursts", snapshot.CPUBurstPeriods, 1},
			key{"burst_usec", snapshot.CPUBurstTime, microseconds},
		)},
		{name: "memory.stat", controller: "memory", group: snapshot.MemoryUse, parser: newKeyed(
			key{"anon", snapshot.MemoryRSS, 1},
			key{"file", snapshot.MemoryCache, 1},
			key{"kernel", snapshot.MemoryKernel, 1},
			key{"shmem", snapshot.MemoryShmem, 1},
			key{"file_mapped", snapshot.MemoryMappedFile, 1},
			key{"file_dirty", snapshot.MemoryDirty, 1},
			key{"file_writeback", snapshot.MemoryWriteback, 1},
			key{"inactive_file", snapshot.MemoryInactiveFile, 1},
			key{"active_file", snapshot.MemoryActiveFile, 1},
			key{"slab_reclaimable", snapshot.MemorySlabReclaimable, 1},
			key{"slab_unreclaimable", snapshot.MemorySlabUnreclaimable, 1},
			key{"workingset_refault_anon", snapshot.MemoryRefaultAnon, 1},
			key{"workingset_refault_file", snapshot.MemoryRefaultFile, 1},
			key{"pgscan", snapshot.MemoryPgscan, 1},
			key{"pgsteal", snapshot.MemoryPgsteal, 1},
			key{"pgfault", snapshot.MemoryPgfault, 1},
			key{"pgmajfault", snapshot.MemoryPgmajfault, 1},
		)},
		{name: "memory.current", controller: "memory", group: snapshot.MemoryUse, parser: single(snapshot.MemoryUsage)},
		{name: "memory.peak", controller: "memory", group: snapshot.MemoryDetail, parser: single(snapshot.MemoryPeak)},
		{name: "memory.swap.current", controller: "memory", group: snapshot.MemoryUse, parser: single(snapshot.MemorySwap)},
		{name: "memory.events", controller: "memory", group: snapshot.MemoryDetail, parser: newKeyed(
			key{"high", snapshot.MemoryEventsHigh, 1},
			key{"max", snapshot.MemoryEventsMax, 1},
			key{"oom_kill", snapshot.MemoryOOMKills, 1},
		)},
		{name: "io.stat", controller: "io", group: snapshot.IO, parser: ioStat{devices}},
		{name: "pids.current", controller: "pids", group: snapshot.Pids, parser: single(snapshot.PidsCurrent)},
		// The root has no pids.current. cAdvisor then counts the root's own processes, and so do we; a name in the table
		// of other cgroups too would only be read where pids.current is absent.
		{name: "cgroup.procs", controller: "", group: snapshot.Pids, parser: lines(snapshot.PidsCurrent), rootOnly: true, manyReads: true},
		{name: "cpu.pressure", controller: "", group: snapshot.Pressure, parser: pressure(snapshot.CPUSomeTotal)},
		{name: "memory.pressure", controller: "", group: snapshot.Pressure, parser: pressure(snapshot.MemorySomeTotal)},
		{name: "io.pressure", controller: "", group: snapshot.Pressure, parser: pressure(snapshot.IOSomeTotal)},
	}
}

// unifiedLimits are the files of cgroup v2 that make a Spec.
var unifiedLimits = []limitFile{
	{name: "cpu.weight", controller: "", set: func(s *snapshot.Spec, text []byte) {
		if weight := parseLimit(text); weight.Present && weight.Value >= 1 && weight.Value <= 10000 {
			s.CPUWeight = weight
			// The kubelet's linear rule, which a dashboard expects, although runtimes convert the other way by another.
			s.CPUShares = snapshot.Some(2 + (weight.Value-1)*262142/9999)
		}
	}},
	{name: "cpu.max", controller: "", set: func(s *snapshot.Spec, text []byte) {
		quota, period := nextWord(text)
		if string(quota) != "max" {
			s.CPUQuota = parseLimit(quota)
		}
		s.CPUPeriod = parseLimit(period)
	}},
	{name: "memory.max", controller: "memory", set: func(s *snapshot.Spec, text []byte) {
		s.MemoryLimit, s.HasMemory = parseLimit(text), true
	}},
	{name: "memory.min", controller: "memory", set: func(s *snapshot.Spec, text []byte) { s.MemoryReservation = parseLimit(text) }},
	{name: "memory.swap.max", controller: "memory", set: func(s *snapshot.Spec, text []byte) { s.SwapLimit = parseLimit(text) }},
	{name: "pids.max", controller: "pids", set: func(s *snapshot.Spec, text []byte) { s.PidsLimit = parseLimit(text) }},
}
