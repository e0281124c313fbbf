package exporter

import (
	"math"

	"github.com/nodevitals/nodevitals/snapshot"
)

var labelUlimit = newLabelKey("ulimit", containerLabels[:])

// processFamilies are about the processes of a cgroup. Threads are counted with all cgroups below, the rest is the
// cgroup's own.
var processFamilies = []family{
	{
		name: "container_processes", kind: gauge, groups: snapshot.Processes,
		help:  "Number of processes running inside the container.",
		field: snapshot.ProcessCount,
	},
	{
		name: "container_file_descriptors", kind: gauge, groups: snapshot.ProcessDetail,
		help:  "Number of open file descriptors for the container.",
		field: snapshot.ProcessFDs,
	},
	{
		name: "container_sockets", kind: gauge, groups: snapshot.ProcessDetail,
		help:  "Number of open sockets for the container.",
		field: snapshot.ProcessSockets,
	},
	{
		name: "container_threads", kind: gauge, groups: snapshot.Pids,
		help:  "Number of threads running inside the container",
		field: snapshot.PidsCurrent,
	},
	{
		name: "container_threads_max", kind: gauge, groups: snapshot.Limits,
		help:   "Maximum number of threads allowed inside the container, infinity if value is zero",
		cgroup: threadsMax,
	},
	{
		name: "container_ulimits_soft", kind: gauge, groups: snapshot.ProcessDetail,
		help:   "Soft ulimit values for the container root process. Unlimited if -1, except priority and nice",
		cgroup: openFilesLimit,
	},
}

func threadsMax(e *encoder, c *snapshot.Cgroup) {
	if c.Spec == nil || !c.Spec.PidsLimit.Present {
		return
	}
	limit := c.Spec.PidsLimit.Value
	if limit == snapshot.Unlimited {
		limit = 0
	}
	e.sample(limit, 0)
}

func openFilesLimit(e *encoder, c *snapshot.Cgroup) {
	limit, ok := c.Get(snapshot.ProcessNoFileSoft)
	switch {
	case !ok:
	case limit > math.MaxInt64:
		// Unlimited, or what cAdvisor's signed number cannot hold.
		e.signed(-1, labelUlimit.of("max_open_files"))
	default:
		e.sample(limit, 0, labelUlimit.of("max_open_files"))
	}
}
