package compare

import (
	"regexp"
	"strings"
)

// ofKubelet are the series of a kubelet's /metrics that nodevitals has, too.
var ofKubelet = regexp.MustCompile(`^kubelet_(volume_stats_\w+|container_log_filesystem_used_bytes|running_pods|running_containers|node_name|cgroup_version)$`)

// KubeletSeries returns of an answer of /metrics what the kubelet and nodevitals both have.
func KubeletSeries(m Metrics) Metrics {
	part := Metrics{Document: Document{}, Families: map[string]Family{}}
	for name, family := range m.Families {
		if ofKubelet.MatchString(name) {
			part.Families[name] = family
		}
	}
	for path, figure := range m.Document {
		if name, _, _ := strings.Cut(path, "{"); ofKubelet.MatchString(name) {
			part.Document[path] = figure
		}
	}
	return part
}

// KubeletRules are those of the kubelet's series in /metrics.
var KubeletRules = Rules{
	{Leaf: "kubelet_node_name", Rule: constant},
	{Leaf: "kubelet_cgroup_version", Rule: constant},
	{Leaf: "kubelet_running_pods", Rule: Rule{Kind: Gauge}},
	// Two containers of the pods come and go.
	{Leaf: "kubelet_running_containers", Rule: Rule{Kind: Gauge, Absolute: 2}},
	{Leaf: "kubelet_container_log_filesystem_used_bytes", Rule: Rule{Kind: Gauge, Absolute: 64 << 10}},
	{Leaf: "kubelet_volume_stats_capacity_bytes", Rule: Rule{Kind: Gauge, Absolute: mebibyte}},
	{Leaf: "kubelet_volume_stats_available_bytes", Rule: ofNode},
	{Leaf: "kubelet_volume_stats_used_bytes", Rule: ofNode},
	{Within: "kubelet_volume_stats_inodes", Rule: count},
}

// KubeletDeviations are those that show in the kubelet's series in /metrics.
var KubeletDeviations = []Deviation{
	{"running-containers", func(d Difference) bool {
		return d.What == Missing && strings.HasPrefix(d.Path, "kubelet_running_containers{") && Label(d.Path, "container_state") != "running"
	}},
	{"volume-without-inodes", func(d Difference) bool {
		return d.What == Missing && d.Zero && strings.HasPrefix(d.Path, "kubelet_volume_stats_inodes")
	}},
}
