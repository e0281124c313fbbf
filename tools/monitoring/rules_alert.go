package main

// alertGroups is the table of all alerts. The second group says what the figures tell of nodes and pods, and not of the agent.
var alertGroups = []struct {
	name   string
	alerts []alert
}{{"nodevitals.agent", agentAlerts}, {"nodevitals.workload", workloadAlerts}}

var agentAlerts = []alert{
	{
		name: "NodevitalsAbsent", severity: critical, wait: "10m",
		expr:        `absent(up{job=~"nodevitals.*"})`,
		summary:     "Prometheus knows of no nodevitals",
		description: "For 10 minutes there has been no target of a job nodevitals: no node's figures are read.",
	},
	{
		name: "NodevitalsMissingOnNode", severity: warning, wait: "15m",
		expr:        `group by (node) (up{job="kubelet", node!=""}) unless on (node) group by (node) (up{job=~"nodevitals.*"})`,
		summary:     "node {{ $labels.node }} has no nodevitals",
		description: "Prometheus has a kubelet on node {{ $labels.node }}, and for 15 minutes no target of nodevitals.",
		needs:       "Needs the kubelet's /metrics as job kubelet, with the label node.",
	},
	{
		name: "NodevitalsDown", severity: warning, wait: "10m",
		// The least: one job has several paths, of which one may be refused (403) or come too late while the others answer.
		expr:        `min by (node, instance, job) (up{job=~"nodevitals.*"}) == 0`,
		summary:     "nodevitals on {{ $labels.node }} does not answer",
		description: "For 10 minutes Prometheus has lacked an answer of job {{ $labels.job }} from {{ $labels.instance }} on node {{ $labels.node }}.",
	},
	{
		name: "NodevitalsScrapeFails", severity: warning, wait: "10m",
		expr:        `max by (node, instance) (container_scrape_error) > 0`,
		summary:     "nodevitals on {{ $labels.node }} answers without figures",
		description: "For 10 minutes {{ $labels.instance }} on node {{ $labels.node }} could not read its cgroups, or not in time.",
	},
	{
		name: "NodevitalsStale", severity: warning, wait: "5m",
		expr: `max by (node, instance) (nodevitals_group_age_seconds{group="memory"}) > 300` +
			` and on (node, instance) sum by (node, instance) (rate(nodevitals_scrapes_total{endpoint=~"/metrics/.*|/stats/summary"}[5m])) > 0`,
		summary:     "nodevitals on {{ $labels.node }} has old figures",
		description: "{{ $labels.instance }} on node {{ $labels.node }} is asked, and its newest figures are {{ $value | humanizeDuration }} old.",
	},
	{
		name: "NodevitalsPassSlow", severity: warning, wait: "15m",
		expr:        `node_instance:nodevitals_group_last_duration_seconds:max > 2`,
		summary:     "nodevitals on {{ $labels.node }} reads slowly",
		description: "For 15 minutes reading one part of what node {{ $labels.node }} has to tell took {{ $value | humanizeDuration }}.",
	},
	{
		name: "NodevitalsPodSourceLost", severity: warning, wait: "10m",
		expr:        `max by (node, instance, source) (nodevitals_pod_source_connected) == 0`,
		summary:     "nodevitals on {{ $labels.node }} has lost its source of names",
		description: "For 10 minutes source {{ $labels.source }} has not answered {{ $labels.instance }} on node {{ $labels.node }}: new pods have no names.",
	},
	{
		name: "NodevitalsContainersUnseen", severity: warning, wait: "15m",
		expr: `max by (node, instance) (nodevitals_containers{state="expected"})` +
			` - on (node, instance) max by (node, instance) (nodevitals_containers{state="seen"}) > 0`,
		summary:     "nodevitals on {{ $labels.node }} does not find containers",
		description: "For 15 minutes {{ $value }} containers that should run on node {{ $labels.node }} have had no cgroup that {{ $labels.instance }} finds.",
	},
	{
		name: "NodevitalsSeriesCut", severity: warning, wait: "5m",
		expr:        `sum by (node, instance) (increase(nodevitals_cadvisor_series_left_out_total[10m])) > 0`,
		summary:     "nodevitals on {{ $labels.node }} leaves series out",
		description: "{{ $labels.instance }} on node {{ $labels.node }} has more series than --max-series allows: whole families are missing.",
	},
	{
		name: "NodevitalsAnswersRefused", severity: warning, wait: "5m",
		expr:        `sum by (node, instance) (increase(nodevitals_answers_refused_total[10m])) > 0`,
		summary:     "nodevitals on {{ $labels.node }} refuses requests",
		description: "{{ $labels.instance }} on node {{ $labels.node }} answered requests with 503, as slow readers took all memory for answers.",
	},
	{
		// The agent makes its own anew with four months left, a kubelet with a tenth of the time or more, cert-manager with a third: of a year's
		// or three months' certificates none gets here while that works.
		name: "NodevitalsCertificateExpires", severity: warning, wait: "10m",
		expr:    `min by (node, instance, certificate) (nodevitals_certificate_expiration_timestamp_seconds) - time() < 7 * 24 * 3600`,
		summary: "a certificate of nodevitals on {{ $labels.node }} expires soon",
		description: "Certificate {{ $labels.certificate }} (serving, or the first of the authorities in client_ca) of {{ $labels.instance }} on node {{ $labels.node }} " +
			"expires in {{ $value | humanizeDuration }}.",
	},
	{
		name: "NodevitalsReviewsFail", severity: warning, wait: "15m",
		expr:    `max by (node, instance, review) (rate(nodevitals_reviews_total{result="error"}[5m])) > 0`,
		summary: "nodevitals on {{ $labels.node }} has no word of the API server on its clients",
		description: "For 15 minutes the API server has not answered what {{ $labels.instance }} on node {{ $labels.node }} asks about its clients ({{ $labels.review }}): " +
			"they are turned away.",
	},
}

var workloadAlerts = []alert{
	{
		name: "PodOOMKilled", severity: warning, needs: needsOOMOnV1,
		expr: `max by (namespace, pod) (increase(container_oom_events_total{pod!=""}[10m])) > 0` +
			` or max by (namespace, pod) (increase(pod_oom_kills_total[10m])) > 0`,
		summary:     "the kernel kills processes of {{ $labels.namespace }}/{{ $labels.pod }}",
		description: "In 10 minutes the kernel killed {{ $value | printf \"%.0f\" }} of the processes of pod {{ $labels.namespace }}/{{ $labels.pod }} for want of memory.",
	},
	{
		name: "ContainerCPUThrottled", severity: info, wait: "15m",
		expr:    `namespace_pod_container:container_cpu_cfs_throttled_periods:ratio_rate5m > 0.25`,
		summary: "{{ $labels.namespace }}/{{ $labels.pod }} is held back by its limit of CPU",
		description: "For 15 minutes container {{ $labels.container }} of pod {{ $labels.namespace }}/{{ $labels.pod }} has been held back in " +
			"{{ $value | humanizePercentage }} of its periods.",
	},
	{
		name: "ContainerMemoryPressure", severity: info, wait: "15m", needs: needsPSI,
		expr:    `namespace_pod_container:container_pressure_memory_waiting_seconds_total:rate5m > 0.1`,
		summary: "{{ $labels.namespace }}/{{ $labels.pod }} waits for memory",
		description: "For 15 minutes tasks of container {{ $labels.container }} of pod {{ $labels.namespace }}/{{ $labels.pod }} have waited for memory " +
			"{{ $value | humanizePercentage }} of the time.",
	},
	{
		name: "PodEphemeralStorageFilling", severity: warning, wait: "5m", needs: needsEphemeral,
		expr:    `namespace_pod:pod_ephemeral_storage:ratio > 0.85`,
		summary: "{{ $labels.namespace }}/{{ $labels.pod }} has little ephemeral storage left",
		description: "Pod {{ $labels.namespace }}/{{ $labels.pod }} takes {{ $value | humanizePercentage }} of its limit of ephemeral storage. " +
			"At the limit it is evicted.",
	},
	{
		name: "ContainerEphemeralStorageFilling", severity: warning, wait: "5m", needs: needsEphemeral,
		expr: `sum by (namespace, pod, container) (max by (namespace, pod, container, fs_type) (container_ephemeral_storage_used_bytes))` +
			` / (max by (namespace, pod, container) (container_ephemeral_storage_limit_bytes) > 0) > 0.85`,
		summary: "container {{ $labels.container }} of {{ $labels.namespace }}/{{ $labels.pod }} has little ephemeral storage left",
		description: "Layer and logs of container {{ $labels.container }} of pod {{ $labels.namespace }}/{{ $labels.pod }} take " +
			"{{ $value | humanizePercentage }} of its limit of ephemeral storage. At the limit the pod is evicted.",
	},
	{
		name: "PodVolumeFilling", severity: warning, wait: "5m", needs: needsEphemeral,
		expr: `max by (namespace, pod, volume_name) (pod_ephemeral_storage_volume_used_bytes)` +
			` / (max by (namespace, pod, volume_name) (pod_ephemeral_storage_volume_limit_bytes) > 0) > 0.85`,
		summary: "volume {{ $labels.volume_name }} of {{ $labels.namespace }}/{{ $labels.pod }} is nearly full",
		description: "Volume {{ $labels.volume_name }} of pod {{ $labels.namespace }}/{{ $labels.pod }} takes {{ $value | humanizePercentage }} " +
			"of its sizeLimit. At the limit the pod is evicted.",
	},
	{
		name: "PersistentVolumeFilling", severity: warning, wait: "10m", needs: needsClaims,
		expr:    `namespace_persistentvolumeclaim:kubelet_volume_stats_used:ratio > 0.9`,
		summary: "the volume of claim {{ $labels.namespace }}/{{ $labels.persistentvolumeclaim }} is nearly full",
		description: "The volume of claim {{ $labels.namespace }}/{{ $labels.persistentvolumeclaim }} has been " +
			"{{ $value | humanizePercentage }} full for 10 minutes.",
	},
	{
		name: "NodeFilesystemFilling", severity: warning, wait: "10m",
		expr:        `node_device:container_fs_usage:ratio > 0.85`,
		summary:     "{{ $labels.device }} on node {{ $labels.node }} is nearly full",
		description: "The filesystem of {{ $labels.device }} on node {{ $labels.node }} has been {{ $value | humanizePercentage }} full for 10 minutes.",
	},
	{
		name: "NodeInodesFilling", severity: warning, wait: "10m",
		expr:        `node_device:container_fs_inodes_used:ratio > 0.9`,
		summary:     "{{ $labels.device }} on node {{ $labels.node }} can have few more files",
		description: "{{ $value | humanizePercentage }} of the inodes of {{ $labels.device }} on node {{ $labels.node }} have been in use for 10 minutes.",
	},
	{
		name: "NodeCPUPressure", severity: info, wait: "15m", needs: needsPSI,
		expr:        `node:container_pressure_cpu_waiting_seconds_total:rate5m > 0.8`,
		summary:     "tasks wait for CPUs on node {{ $labels.node }}",
		description: "For 15 minutes some task on node {{ $labels.node }} has waited for a CPU {{ $value | humanizePercentage }} of the time.",
	},
	{
		name: "NodeMemoryPressure", severity: warning, wait: "10m", needs: needsPSI,
		expr:        `node:container_pressure_memory_stalled_seconds_total:rate5m > 0.1`,
		summary:     "node {{ $labels.node }} stands still for want of memory",
		description: "For 10 minutes all tasks on node {{ $labels.node }} have waited for memory at once {{ $value | humanizePercentage }} of the time.",
	},
	{
		name: "NodeIOPressure", severity: warning, wait: "15m", needs: needsPSI,
		expr:        `node:container_pressure_io_stalled_seconds_total:rate5m > 0.5`,
		summary:     "node {{ $labels.node }} stands still for its disks",
		description: "For 15 minutes all tasks on node {{ $labels.node }} have waited for disks at once {{ $value | humanizePercentage }} of the time.",
	},
}
