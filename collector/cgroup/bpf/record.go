package bpf

import (
	"github.com/nodevitals/nodevitals/snapshot"
)

// What follows is shared with walk.bpf.c, member for member.

const (
	stateCount    = 13
	eventCount    = 10
	pressureCount = 6
	deviceCount   = 6
	// nowhere is the place of an event that the kernel has not.
	nowhere = 0xff
)

// wants are the bits of control.want, by group.
var wants = [...]struct {
	group snapshot.Groups
	bit   uint64
}{{snapshot.CPU, 1}, {snapshot.Memory, 2}, {snapshot.IO, 4}, {snapshot.Pids, 8}, {snapshot.Pressure, 16}}

// The bits of record.has.
const (
	hasBandwidth = 1 << iota
	hasMemory
	hasPids
	hasIO
	hasPressure
	busyPressure
	torn
)

type device struct {
	major, minor               uint32
	rbytes, wbytes, rios, wios uint64
}

type record struct {
	id, has                                     uint64
	runtime, utime, stime, prevUtime, prevStime uint64
	periods, throttledPeriods, burstPeriods     uint64
	throttled, burst                            uint64
	usage, peak, swap                           uint64
	high, max, oomKill                          uint64
	state                                       [stateCount]int64
	event                                       [eventCount]uint64
	pids                                        uint64
	pressureNow, pressureLast, pressureNext     uint64
	pressureTotal, pressureAverageTotal         [pressureCount]uint64
	pressureAverage                             [pressureCount][3]uint64
	devices                                     uint64
	device                                      [deviceCount]device
}

type control struct {
	want, count  uint64
	ahead        int64
	state, event [16]uint8
}

// peek is the context of the program of that name.
type peek struct {
	address uint64
	size    uint32
	bytes   [252]uint8
}

// states are the memory states of a record: their field, the kernel's enum with their number, and whether it counts pages.
var states = [stateCount]struct {
	field snapshot.Field
	enum  string
	name  string
	pages bool
}{
	{snapshot.MemoryRSS, nodeItems, "NR_ANON_MAPPED", true},
	{snapshot.MemoryCache, nodeItems, "NR_FILE_PAGES", true},
	{snapshot.MemoryKernel, memoryItems, "MEMCG_KMEM", true},
	{snapshot.MemoryMappedFile, nodeItems, "NR_FILE_MAPPED", true},
	{snapshot.MemoryDirty, nodeItems, "NR_FILE_DIRTY", true},
	{snapshot.MemoryWriteback, nodeItems, "NR_WRITEBACK", true},
	{snapshot.MemoryInactiveFile, nodeItems, "NR_INACTIVE_FILE", true},
	{snapshot.MemoryActiveFile, nodeItems, "NR_ACTIVE_FILE", true},
	{snapshot.MemoryShmem, nodeItems, "NR_SHMEM", true},
	{snapshot.MemorySlabReclaimable, nodeItems, "NR_SLAB_RECLAIMABLE_B", false},
	{snapshot.MemorySlabUnreclaimable, nodeItems, "NR_SLAB_UNRECLAIMABLE_B", false},
	{snapshot.MemoryRefaultAnon, nodeItems, "WORKINGSET_REFAULT_ANON", false},
	{snapshot.MemoryRefaultFile, nodeItems, "WORKINGSET_REFAULT_FILE", false},
}

const (
	nodeItems   = "node_stat_item"
	memoryItems = "memcg_stat_item"
)

// The places of events in a record. Scans and steals are counted by who does them, for which there is room of four.
const (
	eventFault = iota
	eventMajorFault
	eventScan
	eventSteal  = eventScan + eventActors
	eventActors = 4
	eventsInUse = eventSteal + eventActors
	_           = uint(eventCount - eventsInUse)
)

// pressures are the lines of the pressure files in the order of a record.
var pressures = [pressureCount]snapshot.Field{
	snapshot.CPUSomeTotal, snapshot.CPUFullTotal,
	snapshot.MemorySomeTotal, snapshot.MemoryFullTotal,
	snapshot.IOSomeTotal, snapshot.IOFullTotal,
}
