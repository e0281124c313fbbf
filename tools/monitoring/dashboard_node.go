package main

// dashboards is the table of all pages. Whoever has the kubelet's /metrics/cadvisor or a /metrics/resource scraped as well has series twice;
// so each query takes the greatest of what is of one node, pod or container, before it adds anything up.
var dashboards = []*dashboard{&nodeDashboard, &namespaceDashboard, &podDashboard, &agentDashboard}

// disks are the filesystems that can be full: not tmpfs, whose device is its mount point, not layers of containers, and no read-only images.
const disks = `device=~"/dev/.+|[^/].*", device!~"/dev/(shm|loop.*|sr.*)|overlay_.*"`

var nodeDashboard = dashboard{
	name: "node", title: "Node", about: "What one node has and what it is used for.",
	variables: []variable{{name: "node", label: "Node", query: `label_values(container_last_seen{id="/"}, node)`}},
	sections: []section{
		{title: "Overview", panels: []panel{
			{
				title: "CPU in use", unit: share, look: number, width: 4, about: "Of all CPUs.",
				queries: []query{{
					`max by (node) (rate(container_cpu_usage_seconds_total{node=~"$node", id="/"}[$__rate_interval]))` +
						` / max by (node) (machine_cpu_cores{node=~"$node"})`, "",
				}},
			},
			{
				title: "Memory in use", unit: share, look: number, width: 4, about: "The working set, of all memory.",
				queries: []query{{
					`max by (node) (container_memory_working_set_bytes{node=~"$node", id="/"}) / max by (node) (machine_memory_bytes{node=~"$node"})`, "",
				}},
			},
			{
				title: "Fullest filesystem", unit: share, look: number, width: 4, about: "Of the node's own filesystems.",
				queries: []query{{
					`max by (node) (max by (node, device) (container_fs_usage_bytes{node=~"$node", id="/", ` + disks + `})` +
						` / (max by (node, device) (container_fs_limit_bytes{node=~"$node", id="/", ` + disks + `}) > 0))`, "",
				}},
			},
			{
				title: "Pods", unit: plain, look: number, width: 4, about: "Pods that have a running container.",
				queries: []query{{`count by (node) (group by (node, namespace, pod) (container_last_seen{node=~"$node", container!=""}))`, ""}},
			},
			{
				title: "Containers", unit: plain, look: number, width: 4, about: "Containers that run, without sandboxes.",
				queries: []query{{`count by (node) (group by (node, namespace, pod, container) (container_last_seen{node=~"$node", container!=""}))`, ""}},
			},
			{
				title: "Killed for memory, 1 h", unit: plain, look: number, width: 4,
				about:   "Processes of pods that the kernel killed in the last hour, as far as their cgroups still tell.",
				queries: []query{{`sum by (node) (max by (node, namespace, pod) (increase(container_oom_events_total{node=~"$node", pod!=""}[1h])))`, ""}},
			},
		}},
		{title: "CPU", panels: []panel{
			{
				title: "CPU time", unit: cores, width: 12, stack: true, about: "CPUs in use, by user programs and by the kernel.",
				queries: []query{
					{`max by (node) (rate(container_cpu_user_seconds_total{node=~"$node", id="/"}[$__rate_interval]))`, "user"},
					{`max by (node) (rate(container_cpu_system_seconds_total{node=~"$node", id="/"}[$__rate_interval]))`, "system"},
				},
			},
			{
				title: "CPU by slice", unit: cores, width: 12, about: "CPUs in use by the cgroups right below the root: pods, the system's services, users.",
				queries: []query{{`max by (id) (rate(container_cpu_usage_seconds_total{node=~"$node", id=~"/[^/]+"}[$__rate_interval]))`, "{{id}}"}},
			},
			{
				title: "CPU by pod", unit: cores, width: 12, about: "The ten pods that take most.",
				queries: []query{{
					`topk(10, sum by (namespace, pod) (max by (namespace, pod, container)` +
						` (rate(container_cpu_usage_seconds_total{node=~"$node", container!=""}[$__rate_interval]))))`, "{{namespace}}/{{pod}}",
				}},
			},
			{
				title: "Pressure", unit: share, width: 12, needs: needsPSI,
				about: "The share of time in which some task waited for a resource, and for memory and disks in which all did.",
				queries: []query{
					{`max by (node) (rate(container_pressure_cpu_waiting_seconds_total{node=~"$node", id="/"}[$__rate_interval]))`, "CPU, some"},
					{`max by (node) (rate(container_pressure_memory_waiting_seconds_total{node=~"$node", id="/"}[$__rate_interval]))`, "memory, some"},
					{`max by (node) (rate(container_pressure_memory_stalled_seconds_total{node=~"$node", id="/"}[$__rate_interval]))`, "memory, all"},
					{`max by (node) (rate(container_pressure_io_waiting_seconds_total{node=~"$node", id="/"}[$__rate_interval]))`, "disks, some"},
					{`max by (node) (rate(container_pressure_io_stalled_seconds_total{node=~"$node", id="/"}[$__rate_interval]))`, "disks, all"},
				},
			},
		}},
		{title: "Memory", panels: []panel{
			{
				title: "Memory", unit: bytesIEC, width: 12, about: "Of the whole node. The working set is what the kernel cannot easily take back.",
				queries: []query{
					{`max by (node) (container_memory_working_set_bytes{node=~"$node", id="/"})`, "working set"},
					{`max by (node) (container_memory_rss{node=~"$node", id="/"})`, "anonymous"},
					{`max by (node) (container_memory_cache{node=~"$node", id="/"})`, "page cache"},
					{`max by (node) (machine_memory_bytes{node=~"$node"})`, "there is"},
				},
			},
			{
				title: "Memory by pod", unit: bytesIEC, width: 12, about: "The ten pods with the largest working sets.",
				queries: []query{{
					`topk(10, sum by (namespace, pod) (max by (namespace, pod, container)` +
						` (container_memory_working_set_bytes{node=~"$node", container!=""})))`, "{{namespace}}/{{pod}}",
				}},
			},
			{
				title: "Major page faults", unit: perSecond, width: 12, about: "Pages that had to be read from a disk: many of them mean that memory is short.",
				queries: []query{{
					`topk(10, sum by (namespace, pod) (max by (namespace, pod, container) (rate(container_memory_failures_total{node=~"$node", container!="",` +
						` failure_type="pgmajfault", scope="hierarchy"}[$__rate_interval]))))`, "{{namespace}}/{{pod}}",
				}},
			},
			{
				title: "Killed for memory", unit: plain, width: 12, about: "Processes that the kernel killed in the span of each point, by pod.",
				queries: []query{{
					`topk(10, max by (namespace, pod) (increase(container_oom_events_total{node=~"$node", pod!=""}[$__rate_interval])))`,
					"{{namespace}}/{{pod}}",
				}},
			},
		}},
		{title: "Disks", panels: []panel{
			{
				title: "Filesystems", unit: share, width: 12, about: "The share that is in use.",
				queries: []query{{
					`max by (device) (container_fs_usage_bytes{node=~"$node", id="/", ` + disks + `})` +
						` / (max by (device) (container_fs_limit_bytes{node=~"$node", id="/", ` + disks + `}) > 0)`, "{{device}}",
				}},
			},
			{
				title: "Inodes", unit: share, width: 12, about: "The share of files that a filesystem can have.",
				queries: []query{{
					`1 - max by (device) (container_fs_inodes_free{node=~"$node", id="/", ` + disks + `})` +
						` / (max by (device) (container_fs_inodes_total{node=~"$node", id="/", ` + disks + `}) > 0)`, "{{device}}",
				}},
			},
			{
				title: "Time in use", unit: share, width: 12, about: "The share of time in which a disk had something to do.",
				queries: []query{{`max by (device) (rate(container_fs_io_time_seconds_total{node=~"$node", id="/"}[$__rate_interval]))`, "{{device}}"}},
			},
			{
				title: "Operations", unit: operations, width: 12, about: "Reads and writes that ended, by disk.",
				queries: []query{
					{`max by (device) (rate(container_fs_reads_total{node=~"$node", id="/"}[$__rate_interval]))`, "{{device}} reads"},
					{`max by (device) (rate(container_fs_writes_total{node=~"$node", id="/"}[$__rate_interval]))`, "{{device}} writes"},
				},
			},
			{
				title: "Writes by pod", unit: bytesPerS, width: 12, about: "The ten pods that write most to disks.",
				queries: []query{{
					`topk(10, sum by (namespace, pod) (max by (namespace, pod, container, device)` +
						` (rate(container_fs_writes_bytes_total{node=~"$node", container!=""}[$__rate_interval]))))`, "{{namespace}}/{{pod}}",
				}},
			},
			{
				title: "Reads by pod", unit: bytesPerS, width: 12, about: "The ten pods that read most from disks.",
				queries: []query{{
					`topk(10, sum by (namespace, pod) (max by (namespace, pod, container, device)` +
						` (rate(container_fs_reads_bytes_total{node=~"$node", container!=""}[$__rate_interval]))))`, "{{namespace}}/{{pod}}",
				}},
			},
		}},
		{title: "Network and processes", panels: []panel{
			{
				title: "Traffic", unit: bytesPerS, width: 12, about: "By interface of the host.",
				queries: []query{
					{`max by (interface) (rate(container_network_receive_bytes_total{node=~"$node", id="/"}[$__rate_interval]))`, "{{interface}} in"},
					{`max by (interface) (rate(container_network_transmit_bytes_total{node=~"$node", id="/"}[$__rate_interval]))`, "{{interface}} out"},
				},
			},
			{
				title: "Lost packets", unit: packetsPS, width: 12, about: "Packets that were dropped or broken, by interface of the host.",
				queries: []query{
					{
						`max by (interface) (rate(container_network_receive_packets_dropped_total{node=~"$node", id="/"}[$__rate_interval]))` +
							` + max by (interface) (rate(container_network_receive_errors_total{node=~"$node", id="/"}[$__rate_interval]))`, "{{interface}} in",
					},
					{
						`max by (interface) (rate(container_network_transmit_packets_dropped_total{node=~"$node", id="/"}[$__rate_interval]))` +
							` + max by (interface) (rate(container_network_transmit_errors_total{node=~"$node", id="/"}[$__rate_interval]))`, "{{interface}} out",
					},
				},
			},
			{
				title: "Processes", unit: plain, width: 12, about: "Of all cgroups together.",
				queries: []query{{`sum by (node) (max by (node, id) (container_processes{node=~"$node"}))`, "processes"}},
			},
			{
				title: "Open files by pod", unit: plain, width: 12, about: "The ten pods with most descriptors.",
				queries: []query{{
					`topk(10, sum by (namespace, pod) (max by (namespace, pod, container) (container_file_descriptors{node=~"$node", container!=""})))`,
					"{{namespace}}/{{pod}}",
				}},
			},
		}},
	},
}
