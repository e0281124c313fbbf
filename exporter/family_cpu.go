package exporter

import "github.com/nodevitals/nodevitals/snapshot"

var labelCPU = newLabelKey("cpu", containerLabels[:])

// cpuFamilies are CPU time and its enforcement. The latter is shown only where time is limited.
var cpuFamilies = []family{
	{
		name: "container_cpu_user_seconds_total", kind: counter, groups: snapshot.CPU,
		help:  "Cumulative user cpu time consumed in seconds.",
		field: snapshot.CPUUser,
	},
	{
		name: "container_cpu_system_seconds_total", kind: counter, groups: snapshot.CPU,
		help:  "Cumulative system cpu time consumed in seconds.",
		field: snapshot.CPUSystem,
	},
	{
		name: "container_cpu_usage_seconds_total", kind: counter, groups: snapshot.CPU,
		help:   "Cumulative cpu time consumed in seconds.",
		cgroup: cpuUsage,
	},
	{
		name: "container_cpu_cfs_periods_total", kind: counter, groups: snapshot.CPU,
		help: "Number of elapsed enforcement period intervals.",
		when: hasQuota, needs: snapshot.Limits, field: snapshot.CPUPeriods,
	},
	{
		name: "container_cpu_cfs_throttled_periods_total", kind: counter, groups: snapshot.CPU,
		help: "Number of throttled period intervals.",
		when: hasQuota, needs: snapshot.Limits, field: snapshot.CPUThrottledPeriods,
	},
	{
		name: "container_cpu_cfs_throttled_seconds_total", kind: counter, groups: snapshot.CPU,
		help: "Total time duration the container has been throttled.",
		when: hasQuota, needs: snapshot.Limits, field: snapshot.CPUThrottledTime,
	},
	{
		name: "container_cpu_cfs_burst_periods_total", kind: counter, groups: snapshot.CPU,
		help: "Number of periods when burst occurs.",
		when: hasQuota, needs: snapshot.Limits, field: snapshot.CPUBurstPeriods,
	},
	{
		name: "container_cpu_cfs_burst_seconds_total", kind: counter, groups: snapshot.CPU,
		help: "Total time duration the container has been bursted.",
		when: hasQuota, needs: snapshot.Limits, field: snapshot.CPUBurstTime,
	},
}

// cpuUsage emits the time of all CPUs together. cAdvisor's series begins with the first nanosecond, so that a
// cgroup which never ran has none; rate() over both then agrees.
func cpuUsage(e *encoder, c *snapshot.Cgroup) {
	if n, ok := c.Get(snapshot.CPUUsage); ok && n > 0 {
		e.sample(n, decimals[snapshot.Nanoseconds], labelCPU.of("total"))
	}
}
