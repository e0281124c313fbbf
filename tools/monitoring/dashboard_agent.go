package main

var agentDashboard = dashboard{
	name: "agent", title: "Agent", about: "nodevitals itself: whether it is there, how old and how complete its figures are, and what it costs.",
	variables: []variable{{name: "node", label: "Node", query: `label_values(nodevitals_build_info, node)`, several: true}},
	sections: []section{
		{title: "There", panels: []panel{
			{
				title: "Agents that answer", unit: plain, look: number, width: 4, about: "Agents whose /metrics Prometheus has.",
				queries: []query{{`count(group by (instance) (nodevitals_build_info{node=~"$node"}))`, ""}},
			},
			{
				title: "Targets that do not", unit: plain, look: number, width: 4, about: "Endpoints that Prometheus asked in vain.",
				queries: []query{{`count(up{job=~"nodevitals.*", node=~"$node"} == 0) or vector(0)`, ""}},
			},
			{
				title: "Sources lost", unit: plain, look: number, width: 4, about: "Sources of names, API server or runtime, that do not answer an agent.",
				queries: []query{{`count(nodevitals_pod_source_connected{node=~"$node"} == 0) or vector(0)`, ""}},
			},
			{
				title: "Versions", unit: plain, look: table, width: 12, about: "Agents by version, and what reads cgroups for them.",
				queries: []query{{
					`count by (version, reader) (max by (instance, version) (nodevitals_build_info{node=~"$node"})` +
						` * on (instance) group_left (reader) max by (instance, reader) (nodevitals_reader{node=~"$node"}))`, "",
				}},
			},
		}},
		{title: "Figures", panels: []panel{
			{
				title: "Time of a pass", unit: seconds, width: 12, about: "How long reading took last, by group; the slowest agent. Groups that are read together each have the time of all.",
				queries: []query{{`max by (group) (nodevitals_group_last_duration_seconds{node=~"$node"})`, "{{group}}"}},
			},
			{
				title: "Age", unit: seconds, width: 12, about: "Of the newest reading of each group; the oldest of all agents. Groups that nobody asks for grow old.",
				queries: []query{{`max by (group) (nodevitals_group_age_seconds{node=~"$node"})`, "{{group}}"}},
			},
			{
				title: "Not seen", unit: plain, width: 12, about: "What the kernel or a source of names tells of, less what the last pass found. On cgroup v1 the kernel counts no cgroups.",
				queries: []query{
					{
						`max (max by (instance) (nodevitals_pods{node=~"$node", state="expected"})` +
							` - on (instance) max by (instance) (nodevitals_pods{node=~"$node", state="seen"}))`, "pods",
					},
					{
						`max (max by (instance) (nodevitals_containers{node=~"$node", state="expected"})` +
							` - on (instance) max by (instance) (nodevitals_containers{node=~"$node", state="seen"}))`, "containers",
					},
				},
			},
			{
				title: "Cgroups", unit: plain, width: 12, about: "That the last pass found; the largest node.",
				queries: []query{{`max (nodevitals_cgroups{node=~"$node", state="seen"})`, "cgroups"}},
			},
			{
				title: "Series", unit: plain, width: 12, about: "In one answer of /metrics/cadvisor, and how many were left out in the span of each point.",
				queries: []query{
					{`max (nodevitals_cadvisor_series{node=~"$node"})`, "shown, at most"},
					{`sum (increase(nodevitals_cadvisor_series_left_out_total{node=~"$node"}[$__rate_interval]))`, "left out"},
				},
			},
			{
				title: "Age of names", unit: seconds, width: 12, about: "Time since a source of names last told anything; the oldest of all agents.",
				queries: []query{{`max by (source) (nodevitals_pod_source_age_seconds{node=~"$node"})`, "{{source}}"}},
			},
		}},
		{title: "Requests", panels: []panel{
			{
				title: "Requests", unit: perSecond, width: 12, about: "By endpoint and by how they came out.",
				queries: []query{{
					`sum by (endpoint, outcome) (rate(nodevitals_scrapes_total{node=~"$node"}[$__rate_interval]))`, "{{endpoint}} {{outcome}}",
				}},
			},
			{
				title: "Readings", unit: perSecond, width: 12, about: "Passes over all cgroups, by kind, and requests that were given the snapshot of another.",
				queries: []query{
					{`sum by (kind) (rate(nodevitals_passes_total{node=~"$node"}[$__rate_interval]))`, "passes, {{kind}}"},
					{`sum (rate(nodevitals_snapshots_total{node=~"$node", origin="shared"}[$__rate_interval]))`, "shared snapshots"},
				},
			},
			{
				title: "Answers refused", unit: perSecond, width: 12,
				about:   "Requests that got 503, because slow readers took all memory that answers may have.",
				queries: []query{{`sum (rate(nodevitals_answers_refused_total{node=~"$node"}[$__rate_interval]))`, "refused"}},
			},
			{
				title: "Clients refused", unit: perSecond, width: 12, about: "Requests of all ports by the status that refused them, and connections that were closed.",
				queries: []query{{`sum by (reason) (rate(nodevitals_requests_refused_total{node=~"$node"}[$__rate_interval]))`, "{{reason}}"}},
			},
			{
				title: "Errors", unit: perSecond, width: 12, about: "What could not be read, by part of the agent and reason. Empty while there has been none.",
				queries: []query{{`sum by (part, reason) (rate(nodevitals_errors_total{node=~"$node"}[$__rate_interval]))`, "{{part}} {{reason}}"}},
			},
			{
				title: "Lines of the log", unit: perSecond, width: 12, about: "By level, and whether they were written or held back, as there were too many of a kind.",
				queries: []query{{`sum by (level, outcome) (rate(nodevitals_log_lines_total{node=~"$node"}[$__rate_interval]))`, "{{level}} {{outcome}}"}},
			},
			{
				title: "Time of a scrape", unit: seconds, width: 12, about: "As Prometheus sees it; the slowest target of each path.",
				queries: []query{{`max by (job) (scrape_duration_seconds{job=~"nodevitals.*", node=~"$node"})`, "{{job}}"}},
			},
			{
				title: "Memory of answers", unit: bytesIEC, width: 12, about: "Of bodies that are being made and sent; the largest agent.",
				queries: []query{{`max (nodevitals_answers_in_flight_bytes{node=~"$node"})`, "in flight"}},
			},
		}},
		{title: "Access", panels: []panel{
			{
				title: "Reviews", unit: perSecond, width: 12,
				about: "Questions to the API server, whose a token is and what users may, by its word, or error if it gave none; and those that a kept word answered.",
				queries: []query{
					{`sum by (review, result) (rate(nodevitals_reviews_total{node=~"$node"}[$__rate_interval]))`, "{{review}}, {{result}}"},
					{`sum by (review) (rate(nodevitals_review_cache_hits_total{node=~"$node"}[$__rate_interval]))`, "{{review}}, kept"},
				},
			},
			{
				title: "Certificates", unit: seconds, width: 12,
				about:   "Time until they expire: the certificate that is served, and the first of the clients' authorities; the agent that has least.",
				queries: []query{{`min by (certificate) (nodevitals_certificate_expiration_timestamp_seconds{node=~"$node"}) - time()`, "{{certificate}}"}},
			},
		}},
		{title: "Cost", panels: []panel{
			{
				title: "CPU", unit: cores, width: 8, about: "CPUs in use by agents: the one that takes most, and the average.",
				queries: []query{
					{`max (rate(process_cpu_seconds_total{node=~"$node"}[$__rate_interval]) and on (job, instance) nodevitals_build_info)`, "most"},
					{`avg (rate(process_cpu_seconds_total{node=~"$node"}[$__rate_interval]) and on (job, instance) nodevitals_build_info)`, "average"},
				},
			},
			{
				title: "Memory", unit: bytesIEC, width: 8, about: "Resident memory of agents: the one that takes most, and the average.",
				queries: []query{
					{`max (process_resident_memory_bytes{node=~"$node"} and on (job, instance) nodevitals_build_info)`, "most"},
					{`avg (process_resident_memory_bytes{node=~"$node"} and on (job, instance) nodevitals_build_info)`, "average"},
				},
			},
			{
				title: "Open files of cgroups", unit: plain, width: 8, about: "Kept open, by the agent that has most, and how many may be.",
				queries: []query{
					{`max (nodevitals_descriptors{node=~"$node"})`, "most"},
					{`min (nodevitals_descriptors_limit{node=~"$node"})`, "limit"},
				},
			},
		}},
	},
}
