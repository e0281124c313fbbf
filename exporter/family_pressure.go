package exporter

import "github.com/nodevitals/nodevitals/snapshot"

// pressureFamilies are the time that tasks lost for want of a resource: "waiting" is the kernel's "some" line, "stalled"
// its "full" line. Kernels without PSI, and cgroup v1, have none of them.
var pressureFamilies = []family{
	{
		name: "container_pressure_cpu_stalled_seconds_total", kind: counter, groups: snapshot.Pressure,
		help:  "Total time duration no tasks in the container could make progress due to CPU congestion.",
		field: snapshot.CPUFullTotal,
	},
	{
		name: "container_pressure_cpu_waiting_seconds_total", kind: counter, groups: snapshot.Pressure,
		help:  "Total time duration tasks in the container have waited due to CPU congestion.",
		field: snapshot.CPUSomeTotal,
	},
	{
		name: "container_pressure_io_stalled_seconds_total", kind: counter, groups: snapshot.Pressure,
		help:  "Total time duration no tasks in the container could make progress due to IO congestion.",
		field: snapshot.IOFullTotal,
	},
	{
		name: "container_pressure_io_waiting_seconds_total", kind: counter, groups: snapshot.Pressure,
		help:  "Total time duration tasks in the container have waited due to IO congestion.",
		field: snapshot.IOSomeTotal,
	},
	{
		name: "container_pressure_memory_stalled_seconds_total", kind: counter, groups: snapshot.Pressure,
		help:  "Total time duration no tasks in the container could make progress due to memory congestion.",
		field: snapshot.MemoryFullTotal,
	},
	{
		name: "container_pressure_memory_waiting_seconds_total", kind: counter, groups: snapshot.Pressure,
		help:  "Total time duration tasks in the container have waited due to memory congestion.",
		field: snapshot.MemorySomeTotal,
	},
}
