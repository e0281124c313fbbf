package main

// records is the table of recording rules. As in dashboards, the greatest of what is of one node, pod or container is taken first, so that
// whoever scrapes the same figures under a second job counts nothing twice.
var records = []record{
	{
		"node:container_cpu_usage_seconds_total:rate5m",
		`max by (node) (rate(container_cpu_usage_seconds_total{id="/"}[5m]))`,
	},
	{
		"node:container_memory_working_set_bytes:max",
		`max by (node) (container_memory_working_set_bytes{id="/"})`,
	},
	{
		"node_device:container_fs_usage:ratio",
		`max by (node, device) (container_fs_usage_bytes{id="/", ` + disks + `}) / (max by (node, device) (container_fs_limit_bytes{id="/", ` + disks + `}) > 0)`,
	},
	{
		"node_device:container_fs_inodes_used:ratio",
		`1 - max by (node, device) (container_fs_inodes_free{id="/", ` + disks + `})` +
			` / (max by (node, device) (container_fs_inodes_total{id="/", ` + disks + `}) > 0)`,
	},
	{
		"node:container_pressure_cpu_waiting_seconds_total:rate5m",
		`max by (node) (rate(container_pressure_cpu_waiting_seconds_total{id="/"}[5m]))`,
	},
	{
		"node:container_pressure_memory_stalled_seconds_total:rate5m",
		`max by (node) (rate(container_pressure_memory_stalled_seconds_total{id="/"}[5m]))`,
	},
	{
		"node:container_pressure_io_stalled_seconds_total:rate5m",
		`max by (node) (rate(container_pressure_io_stalled_seconds_total{id="/"}[5m]))`,
	},
	{
		"namespace_pod_container:container_cpu_usage_seconds_total:rate5m",
		`max by (namespace, pod, container) (rate(container_cpu_usage_seconds_total{container!=""}[5m]))`,
	},
	{
		"namespace_pod_container:container_memory_working_set_bytes:max",
		`max by (namespace, pod, container) (container_memory_working_set_bytes{container!=""})`,
	},
	{
		"namespace:container_cpu_usage_seconds_total:sum_rate5m",
		`sum by (namespace) (namespace_pod_container:container_cpu_usage_seconds_total:rate5m)`,
	},
	{
		"namespace:container_memory_working_set_bytes:sum",
		`sum by (namespace) (namespace_pod_container:container_memory_working_set_bytes:max)`,
	},
	{
		"namespace_pod_container:container_cpu_cfs_throttled_periods:ratio_rate5m",
		`max by (namespace, pod, container) (rate(container_cpu_cfs_throttled_periods_total{container!=""}[5m]))` +
			` / (max by (namespace, pod, container) (rate(container_cpu_cfs_periods_total{container!=""}[5m])) > 0)`,
	},
	{
		"namespace_pod_container:container_pressure_memory_waiting_seconds_total:rate5m",
		`max by (namespace, pod, container) (rate(container_pressure_memory_waiting_seconds_total{container!=""}[5m]))`,
	},
	{
		"namespace_pod:pod_ephemeral_storage:ratio",
		`max by (namespace, pod) (pod_ephemeral_storage_used_bytes) / (max by (namespace, pod) (pod_ephemeral_storage_limit_bytes) > 0)`,
	},
	{
		"namespace_persistentvolumeclaim:kubelet_volume_stats_used:ratio",
		`max by (namespace, persistentvolumeclaim) (kubelet_volume_stats_used_bytes)` +
			` / (max by (namespace, persistentvolumeclaim) (kubelet_volume_stats_capacity_bytes) > 0)`,
	},
	{
		// Groups whose files lie in one folder are read together, and each has the time of all.
		"node_instance:nodevitals_group_last_duration_seconds:max",
		`max by (node, instance) (nodevitals_group_last_duration_seconds)`,
	},
}
