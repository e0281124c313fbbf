package main

var namespaceDashboard = dashboard{
	name: "namespace", title: "Namespace", about: "What namespaces use, and their pods.",
	variables: []variable{
		{name: "namespace", label: "Namespace", query: `label_values(container_last_seen{namespace!=""}, namespace)`, several: true},
	},
	sections: []section{
		{title: "Namespaces", panels: []panel{
			{
				title: "CPU by namespace", unit: cores, width: 12, stack: true, about: "CPUs in use.",
				queries: []query{{
					`sum by (namespace) (max by (namespace, pod, container)` +
						` (rate(container_cpu_usage_seconds_total{namespace=~"$namespace", container!=""}[$__rate_interval])))`, "{{namespace}}",
				}},
			},
			{
				title: "Memory by namespace", unit: bytesIEC, width: 12, stack: true, about: "Working sets.",
				queries: []query{{
					`sum by (namespace) (max by (namespace, pod, container)` +
						` (container_memory_working_set_bytes{namespace=~"$namespace", container!=""}))`, "{{namespace}}",
				}},
			},
		}},
		{title: "CPU and memory of pods", panels: []panel{
			{
				title: "CPU", unit: cores, width: 12, about: "CPUs in use, by pod.",
				queries: []query{{
					`sum by (namespace, pod) (max by (namespace, pod, container)` +
						` (rate(container_cpu_usage_seconds_total{namespace=~"$namespace", container!=""}[$__rate_interval])))`, "{{namespace}}/{{pod}}",
				}},
			},
			{
				title: "Memory", unit: bytesIEC, width: 12, about: "Working sets, by pod.",
				queries: []query{{
					`sum by (namespace, pod) (max by (namespace, pod, container)` +
						` (container_memory_working_set_bytes{namespace=~"$namespace", container!=""}))`, "{{namespace}}/{{pod}}",
				}},
			},
			{
				title: "CPU held back", unit: share, width: 12, about: "The share of periods in which a container had used up its limit of CPU before the end.",
				queries: []query{{
					`max by (namespace, pod, container) (rate(container_cpu_cfs_throttled_periods_total{namespace=~"$namespace", container!=""}[$__rate_interval]))` +
						` / (max by (namespace, pod, container) (rate(container_cpu_cfs_periods_total{namespace=~"$namespace", container!=""}[$__rate_interval])) > 0)`,
					"{{namespace}}/{{pod}}/{{container}}",
				}},
			},
			{
				title: "Memory against the limit", unit: share, width: 12, about: "Working sets of containers that have a limit, as a share of it.",
				queries: []query{{
					`max by (namespace, pod, container) (container_memory_working_set_bytes{namespace=~"$namespace", container!=""})` +
						` / (max by (namespace, pod, container) (container_spec_memory_limit_bytes{namespace=~"$namespace", container!=""}) > 0)`,
					"{{namespace}}/{{pod}}/{{container}}",
				}},
			},
			{
				title: "Killed for memory, 1 h", unit: plain, look: table, width: 12,
				about:   "Processes that the kernel killed in the last hour, by pod, as far as its cgroups still tell.",
				queries: []query{{`topk(20, max by (namespace, pod) (increase(container_oom_events_total{namespace=~"$namespace", pod!=""}[1h])))`, ""}},
			},
			{
				title: "Waiting", unit: share, width: 12, needs: needsPSI, about: "The share of time in which a pod's tasks waited; the ten pods that wait most for each.",
				queries: []query{
					{
						`topk(10, max by (namespace, pod) (rate(container_pressure_cpu_waiting_seconds_total{namespace=~"$namespace", pod!=""}[$__rate_interval])))`,
						"{{namespace}}/{{pod}} CPU",
					},
					{
						`topk(10, max by (namespace, pod) (rate(container_pressure_memory_waiting_seconds_total{namespace=~"$namespace", pod!=""}[$__rate_interval])))`,
						"{{namespace}}/{{pod}} memory",
					},
					{
						`topk(10, max by (namespace, pod) (rate(container_pressure_io_waiting_seconds_total{namespace=~"$namespace", pod!=""}[$__rate_interval])))`,
						"{{namespace}}/{{pod}} disks",
					},
				},
			},
		}},
		{title: "Network and disks of pods", panels: []panel{
			{
				title: "Received", unit: bytesPerS, width: 12, about: "By pod. Pods in the host's network show the host's.",
				queries: []query{{
					`sum by (namespace, pod) (max by (namespace, pod, interface)` +
						` (rate(container_network_receive_bytes_total{namespace=~"$namespace", pod!=""}[$__rate_interval])))`, "{{namespace}}/{{pod}}",
				}},
			},
			{
				title: "Sent", unit: bytesPerS, width: 12, about: "By pod. Pods in the host's network show the host's.",
				queries: []query{{
					`sum by (namespace, pod) (max by (namespace, pod, interface)` +
						` (rate(container_network_transmit_bytes_total{namespace=~"$namespace", pod!=""}[$__rate_interval])))`, "{{namespace}}/{{pod}}",
				}},
			},
			{
				title: "Read", unit: bytesPerS, width: 12, about: "From disks, by pod.",
				queries: []query{{
					`sum by (namespace, pod) (max by (namespace, pod, container, device)` +
						` (rate(container_fs_reads_bytes_total{namespace=~"$namespace", container!=""}[$__rate_interval])))`, "{{namespace}}/{{pod}}",
				}},
			},
			{
				title: "Written", unit: bytesPerS, width: 12, about: "To disks, by pod.",
				queries: []query{{
					`sum by (namespace, pod) (max by (namespace, pod, container, device)` +
						` (rate(container_fs_writes_bytes_total{namespace=~"$namespace", container!=""}[$__rate_interval])))`, "{{namespace}}/{{pod}}",
				}},
			},
		}},
		{title: "Storage", panels: []panel{
			{
				title: "Ephemeral storage", unit: bytesIEC, width: 12, needs: needsEphemeral,
				about:   "What pods take of the node's disk: layers, logs, emptyDir and configMap volumes.",
				queries: []query{{`max by (namespace, pod) (pod_ephemeral_storage_used_bytes{namespace=~"$namespace"})`, "{{namespace}}/{{pod}}"}},
			},
			{
				title: "Volumes with a claim", unit: share, width: 12, needs: needsClaims, about: "The share that is in use.",
				queries: []query{{
					`max by (namespace, persistentvolumeclaim) (kubelet_volume_stats_used_bytes{namespace=~"$namespace"})` +
						` / (max by (namespace, persistentvolumeclaim) (kubelet_volume_stats_capacity_bytes{namespace=~"$namespace"}) > 0)`,
					"{{namespace}}/{{persistentvolumeclaim}}",
				}},
			},
		}},
	},
}
