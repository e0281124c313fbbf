package main

// alertCase is what must make an alert fire and what must not, a sample a minute for 40 minutes. What makes it fire does so from the beginning, so
// that it also shows for how long the alert waits.
type alertCase struct {
	fires, quiet []input
	// at is when both are looked at; empty: at the end.
	at string
	// labels are those of the alert that fires, but its name and severity.
	labels map[string]string
	// summary and description are what it says.
	summary, description string
}

// cases has a row for each alert.
var cases = map[string]*alertCase{
	"NodevitalsAbsent": {
		fires:       []input{{`up{job="kubelet",node="n1"}`, "1x40"}},
		quiet:       []input{{`up{job="nodevitals-cadvisor",node="n1"}`, "0x40"}},
		summary:     "Prometheus knows of no nodevitals",
		description: "For 10 minutes there has been no target of a job nodevitals: no node's figures are read.",
	},
	"NodevitalsMissingOnNode": {
		fires: []input{
			{`up{job="kubelet",node="n1",instance="a:1"}`, "1x40"},
			{`up{job="kubelet",node="n2",instance="b:1"}`, "1x40"},
			{`up{job="nodevitals",node="n1",instance="a:2"}`, "1x40"},
		},
		quiet:       []input{{`up{job="kubelet",node="n1"}`, "1x40"}, {`up{job="nodevitals",node="n1"}`, "0x40"}, {`up{job="kubelet"}`, "1x40"}},
		labels:      map[string]string{"node": "n2"},
		summary:     "node n2 has no nodevitals",
		description: "Prometheus has a kubelet on node n2, and for 15 minutes no target of nodevitals.",
	},
	"NodevitalsDown": {
		// One path of a job fails, and the other answers.
		fires: []input{
			{`up{job="nodevitals",node="n1",instance="a:1",metrics_path="/metrics/cadvisor"}`, "0x40"},
			{`up{job="nodevitals",node="n1",instance="a:1",metrics_path="/metrics"}`, "1x40"},
			{`up{job="nodevitals",node="n2",instance="b:1"}`, "1x40"},
		},
		// Not for long yet.
		quiet:       []input{{`up{job="nodevitals",node="n1",instance="a:1"}`, "1x33 0x7"}, {`up{job="other",node="n1",instance="c:1"}`, "0x40"}},
		labels:      map[string]string{"node": "n1", "instance": "a:1", "job": "nodevitals"},
		summary:     "nodevitals on n1 does not answer",
		description: "For 10 minutes Prometheus has lacked an answer of job nodevitals from a:1 on node n1.",
	},
	"NodevitalsScrapeFails": {
		fires:       []input{{`container_scrape_error{node="n1",instance="a:1",job="nodevitals"}`, "1x40"}},
		quiet:       []input{{`container_scrape_error{node="n1",instance="a:1",job="nodevitals"}`, "0x40"}},
		labels:      map[string]string{"node": "n1", "instance": "a:1"},
		summary:     "nodevitals on n1 answers without figures",
		description: "For 10 minutes a:1 on node n1 could not read its cgroups, or not in time.",
	},
	"NodevitalsStale": {
		fires: []input{
			{`nodevitals_group_age_seconds{group="memory",node="n1",instance="a:1"}`, "600+60x40"},
			{`nodevitals_scrapes_total{endpoint="/metrics/cadvisor",outcome="server_error",node="n1",instance="a:1"}`, "0+2x40"},
		},
		// Nobody asks a node; nobody asks for a group.
		quiet: []input{
			{`nodevitals_group_age_seconds{group="memory",node="n1",instance="a:1"}`, "0+60x40"},
			{`nodevitals_scrapes_total{endpoint="/metrics/cadvisor",outcome="success",node="n1",instance="a:1"}`, "5x40"},
			{`nodevitals_scrapes_total{endpoint="/metrics",outcome="success",node="n1",instance="a:1"}`, "0+2x40"},
			{`nodevitals_group_age_seconds{group="psi",node="n2",instance="b:1"}`, "0+60x40"},
			{`nodevitals_group_age_seconds{group="memory",node="n2",instance="b:1"}`, "20x40"},
			{`nodevitals_scrapes_total{endpoint="/metrics/cadvisor",outcome="success",node="n2",instance="b:1"}`, "0+2x40"},
		},
		labels:      map[string]string{"node": "n1", "instance": "a:1"},
		summary:     "nodevitals on n1 has old figures",
		description: "a:1 on node n1 is asked, and its newest figures are 50m 0s old.",
	},
	"NodevitalsPassSlow": {
		fires: []input{
			{`nodevitals_group_last_duration_seconds{group="cpu",node="n1",instance="a:1"}`, "3x40"},
			{`nodevitals_group_last_duration_seconds{group="memory",node="n1",instance="a:1"}`, "3x40"},
		},
		quiet: []input{
			{`nodevitals_group_last_duration_seconds{group="cpu",node="n1",instance="a:1"}`, "1.5x40"},
			{`nodevitals_group_last_duration_seconds{group="memory",node="n1",instance="a:1"}`, "1.5x40"},
			{`nodevitals_group_last_duration_seconds{group="cpu",node="n2",instance="b:1"}`, "1x40"},
		},
		labels:      map[string]string{"node": "n1", "instance": "a:1"},
		summary:     "nodevitals on n1 reads slowly",
		description: "For 15 minutes reading one part of what node n1 has to tell took 3s.",
	},
	"NodevitalsPodSourceLost": {
		fires: []input{
			{`nodevitals_pod_source_connected{source="api",node="n1",instance="a:1"}`, "0x40"},
			{`nodevitals_pod_source_connected{source="cri",node="n1",instance="a:1"}`, "1x40"},
		},
		quiet:       []input{{`nodevitals_pod_source_connected{source="api",node="n1",instance="a:1"}`, "1x33 0x7"}},
		labels:      map[string]string{"node": "n1", "instance": "a:1", "source": "api"},
		summary:     "nodevitals on n1 has lost its source of names",
		description: "For 10 minutes source api has not answered a:1 on node n1: new pods have no names.",
	},
	"NodevitalsContainersUnseen": {
		fires: []input{
			{`nodevitals_containers{state="expected",node="n1",instance="a:1"}`, "12x40"}, {`nodevitals_containers{state="seen",node="n1",instance="a:1"}`, "10x40"},
		},
		quiet: []input{
			{`nodevitals_containers{state="expected",node="n1",instance="a:1"}`, "12x40"},
			{`nodevitals_containers{state="seen",node="n1",instance="a:1"}`, "12x40"},
			{`nodevitals_containers{state="expected",node="n2",instance="b:1"}`, "13x40"},
			{`nodevitals_containers{state="seen",node="n2",instance="b:1"}`, "13x30 12x10"},
		},
		labels:      map[string]string{"node": "n1", "instance": "a:1"},
		summary:     "nodevitals on n1 does not find containers",
		description: "For 15 minutes 2 containers that should run on node n1 have had no cgroup that a:1 finds.",
	},
	"NodevitalsSeriesCut": {
		fires:       []input{{`nodevitals_cadvisor_series_left_out_total{node="n1",instance="a:1"}`, "0+100x40"}},
		quiet:       []input{{`nodevitals_cadvisor_series_left_out_total{node="n1",instance="a:1"}`, "0+100x10 1000x30"}},
		labels:      map[string]string{"node": "n1", "instance": "a:1"},
		summary:     "nodevitals on n1 leaves series out",
		description: "a:1 on node n1 has more series than --max-series allows: whole families are missing.",
	},
	"NodevitalsAnswersRefused": {
		fires:       []input{{`nodevitals_answers_refused_total{node="n1",instance="a:1"}`, "0+1x40"}},
		quiet:       []input{{`nodevitals_answers_refused_total{node="n1",instance="a:1"}`, "7x40"}},
		labels:      map[string]string{"node": "n1", "instance": "a:1"},
		summary:     "nodevitals on n1 refuses requests",
		description: "a:1 on node n1 answered requests with 503, as slow readers took all memory for answers.",
	},
	"NodevitalsCertificateExpires": {
		// 40 minutes of the ten thousand of a week have gone by.
		fires: []input{
			{`nodevitals_certificate_expiration_timestamp_seconds{certificate="serving",node="n1",instance="a:1"}`, "9e6x40"},
			{`nodevitals_certificate_expiration_timestamp_seconds{certificate="client_ca",node="n1",instance="a:1"}`, "5e5x40"},
		},
		// The agent's own, as late as it gets before it is made anew: a third of a year.
		quiet: []input{
			{`nodevitals_certificate_expiration_timestamp_seconds{certificate="serving",node="n1",instance="a:1"}`, "10512000x40"},
			{`nodevitals_certificate_expiration_timestamp_seconds{certificate="client_ca",node="n1",instance="a:1"}`, "608000x40"},
		},
		labels:      map[string]string{"node": "n1", "instance": "a:1", "certificate": "client_ca"},
		summary:     "a certificate of nodevitals on n1 expires soon",
		description: "Certificate client_ca (serving, or the first of the authorities in client_ca) of a:1 on node n1 expires in 5d 18h 13m 20s.",
	},
	"NodevitalsReviewsFail": {
		fires: []input{
			{`nodevitals_reviews_total{review="token",result="error",node="n1",instance="a:1"}`, "0+2x40"},
			{`nodevitals_reviews_total{review="access",result="error",node="n1",instance="a:1"}`, "0x40"},
			{`nodevitals_reviews_total{review="token",result="yes",node="n1",instance="a:1"}`, "0+1x40"},
		},
		// Words that are no; and an API server that was away for five minutes.
		quiet: []input{
			{`nodevitals_reviews_total{review="token",result="no",node="n1",instance="a:1"}`, "0+2x40"},
			{`nodevitals_reviews_total{review="access",result="error",node="n1",instance="a:1"}`, "0x30 1+1x4 5x5"},
		},
		labels:      map[string]string{"node": "n1", "instance": "a:1", "review": "token"},
		summary:     "nodevitals on n1 has no word of the API server on its clients",
		description: "For 15 minutes the API server has not answered what a:1 on node n1 asks about its clients (token): they are turned away.",
	},
	"PodOOMKilled": {
		// The second kill of a pod, by its own cgroup, seen under two jobs.
		fires: []input{
			{`container_oom_events_total{namespace="shop",pod="web",container="",id="/pod1",job="nodevitals"}`, "1x35 2x5"},
			{`container_oom_events_total{namespace="shop",pod="web",container="",id="/pod1",job="kubelet"}`, "1x35 2x5"},
		},
		quiet: []input{
			{`container_oom_events_total{namespace="shop",pod="web",container="app",id="/pod1/c1"}`, "0x40"},
			{`container_oom_events_total{namespace="",pod="",container="",id="/"}`, "0+1x40"},
			{`pod_oom_kills_total{namespace="shop",pod="web"}`, "5x40"},
		},
		labels:      map[string]string{"namespace": "shop", "pod": "web"},
		summary:     "the kernel kills processes of shop/web",
		description: "In 10 minutes the kernel killed 1 of the processes of pod shop/web for want of memory.",
	},
	"ContainerCPUThrottled": {
		fires: []input{
			{`container_cpu_cfs_throttled_periods_total{namespace="shop",pod="web",container="app",id="/c1"}`, "0+300x40"},
			{`container_cpu_cfs_periods_total{namespace="shop",pod="web",container="app",id="/c1"}`, "0+600x40"},
		},
		quiet: []input{
			{`container_cpu_cfs_throttled_periods_total{namespace="shop",pod="web",container="app",id="/c1"}`, "0+60x40"},
			{`container_cpu_cfs_periods_total{namespace="shop",pod="web",container="app",id="/c1"}`, "0+600x40"},
			{`container_cpu_cfs_throttled_periods_total{namespace="shop",pod="idle",container="app",id="/c2"}`, "9x40"},
			{`container_cpu_cfs_periods_total{namespace="shop",pod="idle",container="app",id="/c2"}`, "9x40"},
		},
		labels:      map[string]string{"namespace": "shop", "pod": "web", "container": "app"},
		summary:     "shop/web is held back by its limit of CPU",
		description: "For 15 minutes container app of pod shop/web has been held back in 50% of its periods.",
	},
	"ContainerMemoryPressure": {
		fires:       []input{{`container_pressure_memory_waiting_seconds_total{namespace="shop",pod="web",container="app",id="/c1"}`, "0+12x40"}},
		quiet:       []input{{`container_pressure_memory_waiting_seconds_total{namespace="shop",pod="web",container="app",id="/c1"}`, "0+3x40"}},
		labels:      map[string]string{"namespace": "shop", "pod": "web", "container": "app"},
		summary:     "shop/web waits for memory",
		description: "For 15 minutes tasks of container app of pod shop/web have waited for memory 20% of the time.",
	},
	"PodEphemeralStorageFilling": {
		fires: []input{
			{`pod_ephemeral_storage_used_bytes{namespace="shop",pod="web",node="n1"}`, "90x40"},
			{`pod_ephemeral_storage_limit_bytes{namespace="shop",pod="web",node="n1"}`, "100x40"},
		},
		quiet: []input{
			{`pod_ephemeral_storage_used_bytes{namespace="shop",pod="web",node="n1"}`, "80x40"},
			{`pod_ephemeral_storage_limit_bytes{namespace="shop",pod="web",node="n1"}`, "100x40"},
			{`pod_ephemeral_storage_used_bytes{namespace="shop",pod="free",node="n1"}`, "900x40"},
		},
		labels:      map[string]string{"namespace": "shop", "pod": "web"},
		summary:     "shop/web has little ephemeral storage left",
		description: "Pod shop/web takes 90% of its limit of ephemeral storage. At the limit it is evicted.",
	},
	"ContainerEphemeralStorageFilling": {
		fires: []input{
			{`container_ephemeral_storage_used_bytes{namespace="shop",pod="web",container="app",fs_type="logs"}`, "50x40"},
			{`container_ephemeral_storage_used_bytes{namespace="shop",pod="web",container="app",fs_type="rootfs"}`, "40x40"},
			{`container_ephemeral_storage_limit_bytes{namespace="shop",pod="web",container="app"}`, "100x40"},
		},
		quiet: []input{
			{`container_ephemeral_storage_used_bytes{namespace="shop",pod="web",container="app",fs_type="logs",job="a"}`, "50x40"},
			{`container_ephemeral_storage_used_bytes{namespace="shop",pod="web",container="app",fs_type="logs",job="b"}`, "50x40"},
			{`container_ephemeral_storage_limit_bytes{namespace="shop",pod="web",container="app"}`, "100x40"},
		},
		labels:      map[string]string{"namespace": "shop", "pod": "web", "container": "app"},
		summary:     "container app of shop/web has little ephemeral storage left",
		description: "Layer and logs of container app of pod shop/web take 90% of its limit of ephemeral storage. At the limit the pod is evicted.",
	},
	"PodVolumeFilling": {
		fires: []input{
			{`pod_ephemeral_storage_volume_used_bytes{namespace="shop",pod="web",volume_name="cache"}`, "95x40"},
			{`pod_ephemeral_storage_volume_limit_bytes{namespace="shop",pod="web",volume_name="cache"}`, "100x40"},
		},
		quiet: []input{
			{`pod_ephemeral_storage_volume_used_bytes{namespace="shop",pod="web",volume_name="cache"}`, "50x40"},
			{`pod_ephemeral_storage_volume_limit_bytes{namespace="shop",pod="web",volume_name="cache"}`, "100x40"},
			{`pod_ephemeral_storage_volume_used_bytes{namespace="shop",pod="web",volume_name="free"}`, "500x40"},
		},
		labels:      map[string]string{"namespace": "shop", "pod": "web", "volume_name": "cache"},
		summary:     "volume cache of shop/web is nearly full",
		description: "Volume cache of pod shop/web takes 95% of its sizeLimit. At the limit the pod is evicted.",
	},
	"PersistentVolumeFilling": {
		fires: []input{
			{`kubelet_volume_stats_used_bytes{namespace="shop",persistentvolumeclaim="data",job="kubelet"}`, "95x40"},
			{`kubelet_volume_stats_capacity_bytes{namespace="shop",persistentvolumeclaim="data",job="kubelet"}`, "100x40"},
		},
		quiet: []input{
			{`kubelet_volume_stats_used_bytes{namespace="shop",persistentvolumeclaim="data",job="kubelet"}`, "80x40"},
			{`kubelet_volume_stats_capacity_bytes{namespace="shop",persistentvolumeclaim="data",job="kubelet"}`, "100x40"},
		},
		labels:      map[string]string{"namespace": "shop", "persistentvolumeclaim": "data"},
		summary:     "the volume of claim shop/data is nearly full",
		description: "The volume of claim shop/data has been 95% full for 10 minutes.",
	},
	"NodeFilesystemFilling": {
		fires: []input{
			{`container_fs_usage_bytes{node="n1",id="/",device="/dev/vda1"}`, "90x40"}, {`container_fs_limit_bytes{node="n1",id="/",device="/dev/vda1"}`, "100x40"},
		},
		quiet: []input{
			{`container_fs_usage_bytes{node="n1",id="/",device="/dev/vda1"}`, "70x40"},
			{`container_fs_limit_bytes{node="n1",id="/",device="/dev/vda1"}`, "100x40"},
			{`container_fs_usage_bytes{node="n1",id="/",device="/dev/loop3"}`, "100x40"},
			{`container_fs_limit_bytes{node="n1",id="/",device="/dev/loop3"}`, "100x40"},
			{`container_fs_usage_bytes{node="n1",id="/",device="/run/secrets"}`, "99x40"},
			{`container_fs_limit_bytes{node="n1",id="/",device="/run/secrets"}`, "100x40"},
			{`container_fs_usage_bytes{node="n1",id="/",device="/dev/shm"}`, "99x40"},
			{`container_fs_limit_bytes{node="n1",id="/",device="/dev/shm"}`, "100x40"},
			{`container_fs_usage_bytes{node="n1",id="/",device="overlay_0-42"}`, "99x40"},
			{`container_fs_limit_bytes{node="n1",id="/",device="overlay_0-42"}`, "100x40"},
		},
		labels:      map[string]string{"node": "n1", "device": "/dev/vda1"},
		summary:     "/dev/vda1 on node n1 is nearly full",
		description: "The filesystem of /dev/vda1 on node n1 has been 90% full for 10 minutes.",
	},
	"NodeInodesFilling": {
		fires: []input{
			{`container_fs_inodes_free{node="n1",id="/",device="tank/root"}`, "5x40"}, {`container_fs_inodes_total{node="n1",id="/",device="tank/root"}`, "100x40"},
		},
		quiet: []input{
			{`container_fs_inodes_free{node="n1",id="/",device="/dev/vda1"}`, "50x40"},
			{`container_fs_inodes_total{node="n1",id="/",device="/dev/vda1"}`, "100x40"},
			{`container_fs_inodes_free{node="n1",id="/",device="/dev/vda2"}`, "0x40"},
			{`container_fs_inodes_total{node="n1",id="/",device="/dev/vda2"}`, "0x40"},
		},
		labels:      map[string]string{"node": "n1", "device": "tank/root"},
		summary:     "tank/root on node n1 can have few more files",
		description: "95% of the inodes of tank/root on node n1 have been in use for 10 minutes.",
	},
	"NodeCPUPressure": {
		fires:       []input{{`container_pressure_cpu_waiting_seconds_total{node="n1",id="/"}`, "0+54x40"}},
		quiet:       []input{{`container_pressure_cpu_waiting_seconds_total{node="n1",id="/"}`, "0+30x40"}},
		labels:      map[string]string{"node": "n1"},
		summary:     "tasks wait for CPUs on node n1",
		description: "For 15 minutes some task on node n1 has waited for a CPU 90% of the time.",
	},
	"NodeMemoryPressure": {
		fires: []input{{`container_pressure_memory_stalled_seconds_total{node="n1",id="/"}`, "0+12x40"}},
		quiet: []input{
			{`container_pressure_memory_stalled_seconds_total{node="n1",id="/"}`, "0+3x40"},
			{`container_pressure_memory_stalled_seconds_total{node="n1",id="/kubepods"}`, "0+30x40"},
		},
		labels:      map[string]string{"node": "n1"},
		summary:     "node n1 stands still for want of memory",
		description: "For 10 minutes all tasks on node n1 have waited for memory at once 20% of the time.",
	},
	"NodeIOPressure": {
		fires:       []input{{`container_pressure_io_stalled_seconds_total{node="n1",id="/"}`, "0+36x40"}},
		quiet:       []input{{`container_pressure_io_stalled_seconds_total{node="n1",id="/"}`, "0+15x40"}},
		labels:      map[string]string{"node": "n1"},
		summary:     "node n1 stands still for its disks",
		description: "For 15 minutes all tasks on node n1 have waited for disks at once 60% of the time.",
	},
}
