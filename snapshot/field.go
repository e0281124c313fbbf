package snapshot

// Field names one number that a cgroup has at most once. Fields are dense: they index Values and Fields.
type Field uint8

// The fields. Unit, group and source of each stand in the table Fields.
const (
	CPUUsage Field = iota
	CPUUser
	CPUSystem
	CPUPeriods
	CPUThrottledPeriods
	CPUThrottledTime
	CPUBurstPeriods
	CPUBurstTime
	CPUNanoCores

	MemoryUsage
	MemoryPeak
	MemoryWorkingSet
	MemoryCache
	MemoryRSS
	MemorySwap
	MemoryMappedFile
	MemoryActiveFile
	MemoryInactiveFile
	MemoryDirty
	MemoryWriteback
	MemoryKernel
	MemoryFailcnt
	MemoryPgfault
	MemoryPgmajfault
	MemoryPgscan
	MemoryPgsteal
	MemoryRefaultFile
	MemoryRefaultAnon
	MemoryEventsHigh
	MemoryEventsMax
	MemoryOOMKills

	PidsCurrent

	CPUSomeTotal
	CPUSomeAvg10
	CPUSomeAvg60
	CPUSomeAvg300
	CPUFullTotal
	CPUFullAvg10
	CPUFullAvg60
	CPUFullAvg300
	MemorySomeTotal
	MemorySomeAvg10
	MemorySomeAvg60
	MemorySomeAvg300
	MemoryFullTotal
	MemoryFullAvg10
	MemoryFullAvg60
	MemoryFullAvg300
	IOSomeTotal
	IOSomeAvg10
	IOSomeAvg60
	IOSomeAvg300
	IOFullTotal
	IOFullAvg10
	IOFullAvg60
	IOFullAvg300

	ProcessCount
	ProcessFDs
	ProcessSockets
	ProcessNoFileSoft

	MemoryShmem
	MemorySlabReclaimable
	MemorySlabUnreclaimable

	// FieldCount is the number of fields.
	FieldCount
)

// The four figures of one line of a pressure file follow each other in this order, first the "some" line, then "full".
const (
	PressureTotal Field = iota
	PressureAvg10
	PressureAvg60
	PressureAvg300
	PressureLine
)

// Unit says what one step of a value is.
type Unit uint8

// The units of fields.
const (
	// Count is a plain number.
	Count Unit = iota
	// Bytes are bytes.
	Bytes
	// Nanoseconds are 1e-9 s.
	Nanoseconds
	// Microseconds are 1e-6 s.
	Microseconds
	// NanoCores are 1e-9 of one CPU.
	NanoCores
	// CentiPercent is a hundredth of a percent: the kernel prints averages with two decimals.
	CentiPercent
)

// Kind says whether a value can fall.
type Kind uint8

// The kinds of values.
const (
	// Gauge goes up and down.
	Gauge Kind = iota
	// Counter never falls while its cgroup lives.
	Counter
)

// FieldInfo is one row of the table of fields.
type FieldInfo struct {
	// Name is unique and stable: subsystem.value, lower case.
	Name string
	// Group is the reading group that fills the field.
	Group Groups
	// Kind tells counters from gauges.
	Kind Kind
	// Unit is what a value counts.
	Unit Unit
	// Source gives the kernel file and key on cgroup v2, then on v1; "-" where that version has none.
	Source string
}

// Fields describes every field. verify prints these names, and the documentation of fields is this table.
var Fields = [FieldCount]FieldInfo{
	CPUUsage:            {"cpu.usage", CPU, Counter, Nanoseconds, "cpu.stat usage_usec | cpuacct.usage"},
	CPUUser:             {"cpu.user", CPU, Counter, Nanoseconds, "cpu.stat user_usec | cpuacct.stat user (10 ms ticks)"},
	CPUSystem:           {"cpu.system", CPU, Counter, Nanoseconds, "cpu.stat system_usec | cpuacct.stat system (10 ms ticks)"},
	CPUPeriods:          {"cpu.periods", CPU, Counter, Count, "cpu.stat nr_periods"},
	CPUThrottledPeriods: {"cpu.throttled_periods", CPU, Counter, Count, "cpu.stat nr_throttled"},
	CPUThrottledTime:    {"cpu.throttled_time", CPU, Counter, Nanoseconds, "cpu.stat throttled_usec | cpu.stat throttled_time"},
	CPUBurstPeriods:     {"cpu.burst_periods", CPU, Counter, Count, "cpu.stat nr_bursts"},
	CPUBurstTime:        {"cpu.burst_time", CPU, Counter, Nanoseconds, "cpu.stat burst_usec | cpu.stat burst_time"},
	CPUNanoCores:        {"cpu.nanocores", CPU, Gauge, NanoCores, "rate of cpu.usage over retained samples"},

	MemoryUsage:             {"memory.usage", Memory, Gauge, Bytes, "memory.current; root: memory.stat anon + file | memory.usage_in_bytes"},
	MemoryPeak:              {"memory.peak", Memory, Gauge, Bytes, "memory.peak (kernel ≥ 5.19, not in the root) | memory.max_usage_in_bytes"},
	MemoryWorkingSet:        {"memory.working_set", Memory, Gauge, Bytes, "memory.usage less memory.inactive_file, not below 0"},
	MemoryCache:             {"memory.cache", Memory, Gauge, Bytes, "memory.stat file | memory.stat total_cache"},
	MemoryRSS:               {"memory.rss", Memory, Gauge, Bytes, "memory.stat anon | memory.stat total_rss"},
	MemorySwap:              {"memory.swap", Memory, Gauge, Bytes, "memory.swap.current; root: meminfo SwapTotal - SwapFree | memory.stat total_swap"},
	MemoryMappedFile:        {"memory.mapped_file", Memory, Gauge, Bytes, "memory.stat file_mapped | memory.stat total_mapped_file"},
	MemoryActiveFile:        {"memory.active_file", Memory, Gauge, Bytes, "memory.stat active_file | memory.stat total_active_file"},
	MemoryInactiveFile:      {"memory.inactive_file", Memory, Gauge, Bytes, "memory.stat inactive_file | memory.stat total_inactive_file"},
	MemoryDirty:             {"memory.file_dirty", Memory, Gauge, Bytes, "memory.stat file_dirty | -"},
	MemoryWriteback:         {"memory.file_writeback", Memory, Gauge, Bytes, "memory.stat file_writeback | -"},
	MemoryKernel:            {"memory.kernel", Memory, Gauge, Bytes, "memory.stat kernel (kernel ≥ 5.18) | memory.kmem.usage_in_bytes"},
	MemoryShmem:             {"memory.shmem", Memory, Gauge, Bytes, "memory.stat shmem | memory.stat total_shmem"},
	MemorySlabReclaimable:   {"memory.slab_reclaimable", Memory, Gauge, Bytes, "memory.stat slab_reclaimable | -"},
	MemorySlabUnreclaimable: {"memory.slab_unreclaimable", Memory, Gauge, Bytes, "memory.stat slab_unreclaimable | -"},
	MemoryFailcnt:           {"memory.failcnt", Memory, Counter, Count, "- | memory.failcnt"},
	MemoryPgfault:           {"memory.pgfault", Memory, Counter, Count, "memory.stat pgfault"},
	MemoryPgmajfault:        {"memory.pgmajfault", Memory, Counter, Count, "memory.stat pgmajfault"},
	MemoryPgscan:            {"memory.pgscan", Memory, Counter, Count, "memory.stat pgscan | -"},
	MemoryPgsteal:           {"memory.pgsteal", Memory, Counter, Count, "memory.stat pgsteal | -"},
	MemoryRefaultFile:       {"memory.workingset_refault_file", Memory, Counter, Count, "memory.stat workingset_refault_file"},
	MemoryRefaultAnon:       {"memory.workingset_refault_anon", Memory, Counter, Count, "memory.stat workingset_refault_anon"},
	MemoryEventsHigh:        {"memory.events_high", Memory, Counter, Count, "memory.events high | -"},
	MemoryEventsMax:         {"memory.events_max", Memory, Counter, Count, "memory.events max | -"},
	MemoryOOMKills:          {"memory.oom_kills", Memory, Counter, Count, "memory.events oom_kill | memory.oom_control oom_kill"},

	PidsCurrent: {"pids.current", Pids, Gauge, Count, "pids.current; v2 root: lines of cgroup.procs | pids.current"},

	CPUSomeTotal:     {"psi.cpu_some_total", Pressure, Counter, Microseconds, "cpu.pressure some total | -"},
	CPUSomeAvg10:     {"psi.cpu_some_avg10", Pressure, Gauge, CentiPercent, "cpu.pressure some avg10 | -"},
	CPUSomeAvg60:     {"psi.cpu_some_avg60", Pressure, Gauge, CentiPercent, "cpu.pressure some avg60 | -"},
	CPUSomeAvg300:    {"psi.cpu_some_avg300", Pressure, Gauge, CentiPercent, "cpu.pressure some avg300 | -"},
	CPUFullTotal:     {"psi.cpu_full_total", Pressure, Counter, Microseconds, "cpu.pressure full total | -"},
	CPUFullAvg10:     {"psi.cpu_full_avg10", Pressure, Gauge, CentiPercent, "cpu.pressure full avg10 | -"},
	CPUFullAvg60:     {"psi.cpu_full_avg60", Pressure, Gauge, CentiPercent, "cpu.pressure full avg60 | -"},
	CPUFullAvg300:    {"psi.cpu_full_avg300", Pressure, Gauge, CentiPercent, "cpu.pressure full avg300 | -"},
	MemorySomeTotal:  {"psi.memory_some_total", Pressure, Counter, Microseconds, "memory.pressure some total | -"},
	MemorySomeAvg10:  {"psi.memory_some_avg10", Pressure, Gauge, CentiPercent, "memory.pressure some avg10 | -"},
	MemorySomeAvg60:  {"psi.memory_some_avg60", Pressure, Gauge, CentiPercent, "memory.pressure some avg60 | -"},
	MemorySomeAvg300: {"psi.memory_some_avg300", Pressure, Gauge, CentiPercent, "memory.pressure some avg300 | -"},
	MemoryFullTotal:  {"psi.memory_full_total", Pressure, Counter, Microseconds, "memory.pressure full total | -"},
	MemoryFullAvg10:  {"psi.memory_full_avg10", Pressure, Gauge, CentiPercent, "memory.pressure full avg10 | -"},
	MemoryFullAvg60:  {"psi.memory_full_avg60", Pressure, Gauge, CentiPercent, "memory.pressure full avg60 | -"},
	MemoryFullAvg300: {"psi.memory_full_avg300", Pressure, Gauge, CentiPercent, "memory.pressure full avg300 | -"},
	IOSomeTotal:      {"psi.io_some_total", Pressure, Counter, Microseconds, "io.pressure some total | -"},
	IOSomeAvg10:      {"psi.io_some_avg10", Pressure, Gauge, CentiPercent, "io.pressure some avg10 | -"},
	IOSomeAvg60:      {"psi.io_some_avg60", Pressure, Gauge, CentiPercent, "io.pressure some avg60 | -"},
	IOSomeAvg300:     {"psi.io_some_avg300", Pressure, Gauge, CentiPercent, "io.pressure some avg300 | -"},
	IOFullTotal:      {"psi.io_full_total", Pressure, Counter, Microseconds, "io.pressure full total | -"},
	IOFullAvg10:      {"psi.io_full_avg10", Pressure, Gauge, CentiPercent, "io.pressure full avg10 | -"},
	IOFullAvg60:      {"psi.io_full_avg60", Pressure, Gauge, CentiPercent, "io.pressure full avg60 | -"},
	IOFullAvg300:     {"psi.io_full_avg300", Pressure, Gauge, CentiPercent, "io.pressure full avg300 | -"},

	ProcessCount:      {"process.count", Processes, Gauge, Count, "lines of the cgroup's own cgroup.procs | the cpu controller's"},
	ProcessFDs:        {"process.fds", ProcessDetail, Gauge, Count, "size of /proc/PID/fd (kernel ≥ 6.2) or its entries, summed"},
	ProcessSockets:    {"process.sockets", ProcessDetail, Gauge, Count, "links of /proc/PID/fd/* to socket:[…], summed"},
	ProcessNoFileSoft: {"process.nofile_soft", ProcessDetail, Gauge, Count, "/proc/PID/limits Max open files, soft; Unlimited where it says so"},
}

// Unlimited is the value of a limit that the kernel prints as "max" or "unlimited".
const Unlimited = ^uint64(0)

// Values holds a number for each field that the kernel gave, and nothing for the others: absent is not 0.
// The zero Values has every field absent.
type Values struct {
	numbers [FieldCount]uint64
	present [(FieldCount + 63) / 64]uint64
}

// Get returns the value of f in the unit of Fields[f], and whether the kernel gave one.
func (v *Values) Get(f Field) (uint64, bool) {
	return v.numbers[f], v.present[f/64]&(1<<(f%64)) != 0
}

// Set stores the value of f, in the unit of Fields[f].
func (v *Values) Set(f Field, number uint64) {
	v.numbers[f] = number
	v.present[f/64] |= 1 << (f % 64)
}

// Clear makes f absent.
func (v *Values) Clear(f Field) {
	v.numbers[f] = 0
	v.present[f/64] &^= 1 << (f % 64)
}

// Take copies those fields of other that belong to groups. Fields of other groups stay as they are.
func (v *Values) Take(other *Values, groups Groups) {
	for f := range FieldCount {
		if Fields[f].Group&groups == 0 {
			continue
		}
		if number, ok := other.Get(f); ok {
			v.Set(f, number)
		} else {
			v.Clear(f)
		}
	}
}
