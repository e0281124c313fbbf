package main

var podDashboard = dashboard{
	name: "pod", title: "Pod", about: "One pod and its containers.",
	variables: []variable{
		{name: "namespace", label: "Namespace", query: `label_values(container_last_seen{namespace!=""}, namespace)`},
		{name: "pod", label: "Pod", query: `label_values(container_last_seen{namespace=~"$namespace", pod!=""}, pod)`},
	},
	sections: []section{
		{title: "CPU", panels: []panel{
			{
				title: "CPU", unit: cores, width: 12, about: "CPUs in use by each container, and its limit if it has one.",
				queries: []query{
					{
						`max by (container) (rate(container_cpu_usage_seconds_total{namespace=~"$namespace", pod=~"$pod", container!=""}[$__rate_interval]))`,
						"{{container}}",
					},
					{
						`max by (container) (container_spec_cpu_quota{namespace=~"$namespace", pod=~"$pod", container!=""})` +
							` / max by (container) (container_spec_cpu_period{namespace=~"$namespace", pod=~"$pod", container!=""})`, "{{container}}, limit",
					},
				},
			},
			{
				title: "CPU held back", unit: share, width: 12, about: "The share of periods in which a container had used up its limit before the end.",
				queries: []query{{
					`max by (container) (rate(container_cpu_cfs_throttled_periods_total{namespace=~"$namespace", pod=~"$pod", container!=""}[$__rate_interval]))` +
						` / (max by (container) (rate(container_cpu_cfs_periods_total{namespace=~"$namespace", pod=~"$pod", container!=""}[$__rate_interval])) > 0)`,
					"{{container}}",
				}},
			},
			{
				title: "User and system", unit: cores, width: 12, about: "CPU time in programs and in the kernel on their behalf.",
				queries: []query{
					{
						`max by (container) (rate(container_cpu_user_seconds_total{namespace=~"$namespace", pod=~"$pod", container!=""}[$__rate_interval]))`,
						"{{container}} user",
					},
					{
						`max by (container) (rate(container_cpu_system_seconds_total{namespace=~"$namespace", pod=~"$pod", container!=""}[$__rate_interval]))`,
						"{{container}} system",
					},
				},
			},
			{
				title: "Waiting", unit: share, width: 12, needs: needsPSI, about: "The share of time in which some task of the container waited.",
				queries: []query{
					{
						`max by (container) (rate(container_pressure_cpu_waiting_seconds_total{namespace=~"$namespace", pod=~"$pod", container!=""}[$__rate_interval]))`,
						"{{container}} CPU",
					},
					{
						`max by (container) (rate(container_pressure_memory_waiting_seconds_total{namespace=~"$namespace", pod=~"$pod", container!=""}[$__rate_interval]))`,
						"{{container}} memory",
					},
					{
						`max by (container) (rate(container_pressure_io_waiting_seconds_total{namespace=~"$namespace", pod=~"$pod", container!=""}[$__rate_interval]))`,
						"{{container}} disks",
					},
				},
			},
		}},
		{title: "Memory", panels: []panel{
			{
				title: "Working set", unit: bytesIEC, width: 12, about: "Of each container, and its limit if it has one.",
				queries: []query{
					{`max by (container) (container_memory_working_set_bytes{namespace=~"$namespace", pod=~"$pod", container!=""})`, "{{container}}"},
					{`max by (container) (container_spec_memory_limit_bytes{namespace=~"$namespace", pod=~"$pod", container!=""}) > 0`, "{{container}}, limit"},
				},
			},
			{
				title: "Kinds of memory", unit: bytesIEC, width: 12, about: "Of all containers: anonymous memory, the page cache, mapped files and swap.",
				queries: []query{
					{`sum (max by (container) (container_memory_rss{namespace=~"$namespace", pod=~"$pod", container!=""}))`, "anonymous"},
					{`sum (max by (container) (container_memory_cache{namespace=~"$namespace", pod=~"$pod", container!=""}))`, "page cache"},
					{`sum (max by (container) (container_memory_mapped_file{namespace=~"$namespace", pod=~"$pod", container!=""}))`, "mapped files"},
				},
			},
			{
				title: "What cannot be taken back", unit: bytesIEC, width: 12, needs: needsMemory,
				about:   "What would be left if the kernel took back every page that it can: closer to the limit than this there is no room.",
				queries: []query{{`max by (container) (container_memory_unreclaimable_bytes{namespace=~"$namespace", pod=~"$pod", container!=""})`, "{{container}}"}},
			},
			{
				title: "Page faults", unit: perSecond, width: 12, about: "Major ones had to be read from a disk.",
				queries: []query{
					{
						`max by (container) (rate(container_memory_failures_total{namespace=~"$namespace", pod=~"$pod", container!="", failure_type="pgfault",` +
							` scope="hierarchy"}[$__rate_interval]))`, "{{container}}",
					},
					{
						`max by (container) (rate(container_memory_failures_total{namespace=~"$namespace", pod=~"$pod", container!="", failure_type="pgmajfault",` +
							` scope="hierarchy"}[$__rate_interval]))`, "{{container}} major",
					},
				},
			},
			{
				title: "Killed for memory", unit: plain, look: number, width: 6, needs: needsOOM, about: "Processes of the pod, since it began.",
				queries: []query{{`max (pod_oom_kills_total{namespace=~"$namespace", pod=~"$pod"})`, ""}},
			},
			{
				title: "Containers began", unit: moment, look: number, width: 18, about: "When each container was started last.",
				queries: []query{{`1000 * max by (container) (container_start_time_seconds{namespace=~"$namespace", pod=~"$pod", container!=""})`, "{{container}}"}},
			},
		}},
		{title: "Network", panels: []panel{
			{
				title: "Traffic", unit: bytesPerS, width: 12, about: "By interface. A pod in the host's network shows the host's.",
				queries: []query{
					{
						`max by (interface) (rate(container_network_receive_bytes_total{namespace=~"$namespace", pod=~"$pod"}[$__rate_interval]))`,
						"{{interface}} in",
					},
					{
						`max by (interface) (rate(container_network_transmit_bytes_total{namespace=~"$namespace", pod=~"$pod"}[$__rate_interval]))`,
						"{{interface}} out",
					},
				},
			},
			{
				title: "Lost packets", unit: packetsPS, width: 12, about: "Dropped while receiving and sending.",
				queries: []query{
					{
						`max by (interface) (rate(container_network_receive_packets_dropped_total{namespace=~"$namespace", pod=~"$pod"}[$__rate_interval]))`,
						"{{interface}} in",
					},
					{
						`max by (interface) (rate(container_network_transmit_packets_dropped_total{namespace=~"$namespace", pod=~"$pod"}[$__rate_interval]))`,
						"{{interface}} out",
					},
				},
			},
		}},
		{title: "Storage", panels: []panel{
			{
				title: "Disks", unit: bytesPerS, width: 12, about: "Read and written, by disk.",
				queries: []query{
					{
						`sum by (device) (max by (container, device)` +
							` (rate(container_fs_reads_bytes_total{namespace=~"$namespace", pod=~"$pod", container!=""}[$__rate_interval])))`, "{{device}} read",
					},
					{
						`sum by (device) (max by (container, device)` +
							` (rate(container_fs_writes_bytes_total{namespace=~"$namespace", pod=~"$pod", container!=""}[$__rate_interval])))`, "{{device}} written",
					},
				},
			},
			{
				title: "Writable layers", unit: bytesIEC, width: 12, needs: needsLayers, about: "What containers have written beside their volumes.",
				queries: []query{{`max by (container) (container_fs_usage_bytes{namespace=~"$namespace", pod=~"$pod", container!=""})`, "{{container}}"}},
			},
			{
				title: "Ephemeral storage", unit: bytesIEC, width: 12, needs: needsEphemeral,
				about: "What the pod takes of the node's disk, by container and kind and by volume.",
				queries: []query{
					{`max by (container, fs_type) (container_ephemeral_storage_used_bytes{namespace=~"$namespace", pod=~"$pod"})`, "{{container}} {{fs_type}}"},
					{`max by (volume_name) (pod_ephemeral_storage_volume_used_bytes{namespace=~"$namespace", pod=~"$pod"})`, "volume {{volume_name}}"},
				},
			},
			{
				title: "Volumes without a claim", unit: bytesIEC, width: 12, needs: needsVolumes, about: "What is in use of each.",
				queries: []query{{`max by (volume_name) (kubelet_volume_stats_pod_used_bytes{namespace=~"$namespace", pod=~"$pod"})`, "{{volume_name}}"}},
			},
		}},
		{title: "Processes", panels: []panel{
			{
				title: "Processes and threads", unit: plain, width: 8, about: "Of each container.",
				queries: []query{
					{`max by (container) (container_processes{namespace=~"$namespace", pod=~"$pod", container!=""})`, "{{container}} processes"},
					{`max by (container) (container_threads{namespace=~"$namespace", pod=~"$pod", container!=""})`, "{{container}} threads"},
				},
			},
			{
				title: "Open files", unit: plain, width: 8, about: "Descriptors of each container.",
				queries: []query{{`max by (container) (container_file_descriptors{namespace=~"$namespace", pod=~"$pod", container!=""})`, "{{container}}"}},
			},
			{
				title: "Sockets", unit: plain, width: 8, needs: needsSockets, about: "Of each container.",
				queries: []query{{`max by (container) (container_sockets{namespace=~"$namespace", pod=~"$pod", container!=""})`, "{{container}}"}},
			},
		}},
	},
}
