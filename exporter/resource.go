package exporter

import "github.com/nodevitals/nodevitals/snapshot"

// resourceGroups are all that /metrics/resource shows.
const resourceGroups = snapshot.CPUUse | snapshot.MemoryUse

// resourceFamilies are the families of /metrics/resource, sorted by name. The words in brackets are the kubelet's
// promise of stability, which it puts into the help.
var resourceFamilies = sorted(resourcePodFamilies, []family{
	{
		name: "node_cpu_usage_seconds_total", kind: counter, groups: snapshot.CPUUse,
		help: "[STABLE] Cumulative cpu time consumed by the node in core-seconds",
		node: ofRoot(snapshot.CPUUsage),
	},
	{
		name: "node_memory_working_set_bytes", kind: gauge, groups: snapshot.MemoryUse,
		help: "[STABLE] Current working set of the node in bytes",
		node: ofRoot(snapshot.MemoryWorkingSet),
	},
	{
		name: "node_swap_usage_bytes", kind: gauge, groups: snapshot.MemoryUse,
		help: "[ALPHA] Current swap usage of the node in bytes. Reported only on non-windows systems",
		node: ofRoot(snapshot.MemorySwap),
	},
	{
		name: "resource_scrape_error", kind: gauge,
		help:  "[STABLE] 1 if there was an error while getting container metrics, 0 otherwise",
		stamp: stampNone,
		node:  func(e *encoder) { e.failed(e.snapshot == nil || e.snapshot.Find("/") == nil) },
	},
})

// ofRoot emits a number of the root cgroup as the node's.
func ofRoot(f snapshot.Field) func(*encoder) {
	return func(e *encoder) {
		root := e.snapshot.Find("/")
		if root == nil {
			return
		}
		if n, ok := root.Get(f); ok {
			e.sample(n, decimals[snapshot.Fields[f].Unit])
		}
	}
}
