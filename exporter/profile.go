package exporter

import (
	"slices"

	"github.com/nodevitals/nodevitals/snapshot"
)

// Profile is a choice of families of /metrics/cadvisor.
type Profile uint8

const (
	// Full is all that a kubelet has.
	Full Profile = iota
	// Kubernetes is what the dashboards, rules and alerts of kubernetes-mixin read.
	Kubernetes
	// Minimal is what tells whether a container is well.
	Minimal
)

// profileRow is a family of a profile.
type profileRow struct {
	name string
	// groups, if not all of the family's, are those whose rows somebody reads.
	groups snapshot.Groups
	// reader says who reads it: files of kubernetes-mixin (as of August 2026), or why it is there.
	reader string
}

// profile is a row of the table of profiles.
type profile struct {
	word string
	// rows are the families; nil means all.
	rows []profileRow
}

// of returns the profile's row of a family, or nil.
func (p *profile) of(name string) *profileRow {
	if i := slices.IndexFunc(p.rows, func(row profileRow) bool { return row.name == name }); i >= 0 {
		return &p.rows[i]
	}
	return nil
}

func (p *profile) has(name string) bool { return p.of(name) != nil }

// profiles are the words of --profile and what they mean.
var profiles = [...]profile{
	Full:       {word: "full"},
	Kubernetes: {word: "kubernetes", rows: kubernetesRows},
	Minimal:    {word: "minimal", rows: minimalRows},
}

// aScrapeThatFailed tells of itself in every profile: without the row an answer without a sample would look like an empty node.
const aScrapeThatFailed = "so that a scrape that failed does not look like an empty node"

// Where kubernetes-mixin reads.
const (
	mixinPods     = "rules/apps.libsonnet, dashboards/resources"
	mixinThrottle = "alerts/resource_alerts.libsonnet (CPUThrottlingHigh), dashboards/resources/pod"
	mixinNetwork  = "dashboards/network-usage, dashboards/resources"
	mixinDisk     = `dashboards/resources/{cluster,namespace,pod}, with container!=""`
)

// kubernetesRows leave out the rows of /proc/diskstats, which are the root's: the mixin asks for those of containers.
var kubernetesRows = []profileRow{
	{name: "container_cpu_usage_seconds_total", reader: mixinPods},
	{name: "container_cpu_cfs_periods_total", reader: mixinThrottle},
	{name: "container_cpu_cfs_throttled_periods_total", reader: mixinThrottle},
	{name: "container_memory_working_set_bytes", reader: mixinPods},
	{name: "container_memory_rss", reader: mixinPods},
	{name: "container_memory_cache", reader: mixinPods},
	{name: "container_memory_swap", reader: mixinPods},
	{name: "container_network_receive_bytes_total", reader: mixinNetwork},
	{name: "container_network_receive_packets_total", reader: mixinNetwork},
	{name: "container_network_receive_packets_dropped_total", reader: mixinNetwork},
	{name: "container_network_transmit_bytes_total", reader: mixinNetwork},
	{name: "container_network_transmit_packets_total", reader: mixinNetwork},
	{name: "container_network_transmit_packets_dropped_total", reader: mixinNetwork},
	{name: "container_fs_reads_total", groups: snapshot.IO, reader: mixinDisk},
	{name: "container_fs_writes_total", groups: snapshot.IO, reader: mixinDisk},
	{name: "container_fs_reads_bytes_total", reader: mixinDisk},
	{name: "container_fs_writes_bytes_total", reader: mixinDisk},
	{name: "container_scrape_error", reader: aScrapeThatFailed},
}

var minimalRows = []profileRow{
	{name: "container_cpu_usage_seconds_total", reader: "how much CPU"},
	{name: "container_cpu_cfs_periods_total", reader: "throttling is a share of these"},
	{name: "container_cpu_cfs_throttled_periods_total", reader: "throttling"},
	{name: "container_memory_working_set_bytes", reader: "how much memory"},
	{name: "container_oom_events_total", reader: "why it restarts"},
	{name: "container_start_time_seconds", reader: "that it restarts"},
	{name: "container_network_receive_bytes_total", reader: "how much network"},
	{name: "container_network_transmit_bytes_total", reader: "how much network"},
	{name: "container_fs_usage_bytes", reader: "how much disk"},
	{name: "container_fs_limit_bytes", reader: "of how much disk"},
	{name: "container_scrape_error", reader: aScrapeThatFailed},
}
