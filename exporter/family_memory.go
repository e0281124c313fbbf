package exporter

import "github.com/nodevitals/nodevitals/snapshot"

var (
	labelFailureType = newLabelKey("failure_type", containerLabels[:])
	labelScope       = newLabelKey("scope", containerLabels[:])
)

// memoryFamilies are memory in use and what its lack caused.
var memoryFamilies = []family{
	{
		name: "container_memory_cache", kind: gauge, groups: snapshot.Memory,
		help:  "Number of bytes of page cache memory.",
		field: snapshot.MemoryCache,
	},
	{
		name: "container_memory_rss", kind: gauge, groups: snapshot.Memory,
		help:  "Size of RSS in bytes.",
		field: snapshot.MemoryRSS,
	},
	{
		name: "container_memory_kernel_usage", kind: gauge, groups: snapshot.Memory,
		help:  "Size of kernel memory allocated in bytes.",
		field: snapshot.MemoryKernel,
	},
	{
		name: "container_memory_mapped_file", kind: gauge, groups: snapshot.Memory,
		help:  "Size of memory mapped files in bytes.",
		field: snapshot.MemoryMappedFile,
	},
	{
		name: "container_memory_swap", kind: gauge, groups: snapshot.Memory,
		help:  "Container swap usage in bytes.",
		field: snapshot.MemorySwap,
	},
	{
		name: "container_memory_failcnt", kind: counter, groups: snapshot.Memory,
		help:  "Number of memory usage hits limits",
		field: snapshot.MemoryFailcnt,
	},
	{
		name: "container_memory_usage_bytes", kind: gauge, groups: snapshot.Memory,
		help:  "Current memory usage in bytes, including all memory regardless of when it was accessed",
		field: snapshot.MemoryUsage,
	},
	{
		name: "container_memory_max_usage_bytes", kind: gauge, groups: snapshot.Memory,
		help:  "Maximum memory usage recorded in bytes",
		field: snapshot.MemoryPeak,
	},
	{
		name: "container_memory_working_set_bytes", kind: gauge, groups: snapshot.Memory,
		help:  "Current working set in bytes.",
		field: snapshot.MemoryWorkingSet,
	},
	{
		name: "container_memory_total_active_file_bytes", kind: gauge, groups: snapshot.Memory,
		help:  "Current total active file in bytes.",
		field: snapshot.MemoryActiveFile,
	},
	{
		name: "container_memory_total_inactive_file_bytes", kind: gauge, groups: snapshot.Memory,
		help:  "Current total inactive file in bytes.",
		field: snapshot.MemoryInactiveFile,
	},
	{
		name: "container_memory_failures_total", kind: counter, groups: snapshot.Memory,
		help:   "Cumulative count of memory allocation failures.",
		cgroup: pageFaults,
	},
	{
		name: "container_memory_events_high_total", kind: counter, groups: snapshot.Memory,
		help:  "Cumulative count of memory.high throttle events for the container",
		field: snapshot.MemoryEventsHigh,
	},
	{
		name: "container_memory_events_max_total", kind: counter, groups: snapshot.Memory,
		help:  "Cumulative count of memory.max limit hit events for the container",
		field: snapshot.MemoryEventsMax,
	},
	{
		name: "container_memory_file_dirty_bytes", kind: gauge, groups: snapshot.Memory,
		help:  "Number of bytes of file cache that has been modified but not yet written back to disk.",
		field: snapshot.MemoryDirty,
	},
	{
		name: "container_memory_file_writeback_bytes", kind: gauge, groups: snapshot.Memory,
		help:  "Number of bytes of file cache that is currently being written back to disk.",
		field: snapshot.MemoryWriteback,
	},
	{
		name: "container_memory_pgscan_total", kind: counter, groups: snapshot.Memory,
		help:  "Cumulative number of pages scanned by the page reclaim algorithm.",
		field: snapshot.MemoryPgscan,
	},
	{
		name: "container_memory_pgsteal_total", kind: counter, groups: snapshot.Memory,
		help:  "Cumulative number of pages reclaimed by the page reclaim algorithm.",
		field: snapshot.MemoryPgsteal,
	},
	{
		name: "container_memory_workingset_refault_file_total", kind: counter, groups: snapshot.Memory,
		help:  "Cumulative number of refaults of previously evicted file pages.",
		field: snapshot.MemoryRefaultFile,
	},
	{
		name: "container_memory_workingset_refault_anon_total", kind: counter, groups: snapshot.Memory,
		help:  "Cumulative number of refaults of previously evicted anonymous pages.",
		field: snapshot.MemoryRefaultAnon,
	},
	{
		name: "container_oom_events_total", kind: counter, groups: snapshot.Memory,
		help:  "Count of out of memory events observed for the container",
		field: snapshot.MemoryOOMKills,
	},
}

// pageFaults emits each count under both scopes: the kernel counts a cgroup with all below it, and cAdvisor shows
// that one number as the container's own as well.
func pageFaults(e *encoder, c *snapshot.Cgroup) {
	for _, scope := range [...]string{"container", "hierarchy"} {
		if n, ok := c.Get(snapshot.MemoryPgfault); ok {
			e.sample(n, 0, labelFailureType.of("pgfault"), labelScope.of(scope))
		}
		if n, ok := c.Get(snapshot.MemoryPgmajfault); ok {
			e.sample(n, 0, labelFailureType.of("pgmajfault"), labelScope.of(scope))
		}
	}
}
