package exporter

import (
	"context"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/nodevitals/nodevitals/snapshot"
)

// KubeletOptions set up a [KubeletCollector].
type KubeletOptions struct {
	// Groups are the groups that are switched on. Without storage there are no volumes and logs.
	Groups snapshot.Groups
	// CgroupVersion is 1 or 2.
	CgroupVersion int
	// Log takes the errors of the source; nil drops them.
	Log *zap.Logger
}

// kubeletDeadline is how long a scrape waits for a snapshot: less than the server lets an answer take.
const kubeletDeadline = 30 * time.Second

// kubeletFamily is one row of the table of the series that a kubelet's /metrics has of the same data. All are gauges.
type kubeletFamily struct {
	name   string
	labels []string
	// help holds the kubelet's own words, with its promise of stability in brackets.
	help string
	// values calls emit for each sample, with the values of labels.
	values func(s *snapshot.Snapshot, o *KubeletOptions, emit func(value float64, labels ...string))
}

var claimLabels = []string{"namespace", "persistentvolumeclaim"}

var kubeletFamilies = []kubeletFamily{
	{
		name: "kubelet_cgroup_version",
		help: "[ALPHA] cgroup version on the hosts.",
		values: func(_ *snapshot.Snapshot, o *KubeletOptions, emit func(float64, ...string)) {
			emit(float64(o.CgroupVersion))
		},
	},
	{
		name: "kubelet_container_log_filesystem_used_bytes", labels: []string{"uid", "namespace", "pod", "container"},
		help:   "[ALPHA] Bytes used by the container's logs on the filesystem.",
		values: usedByLogs,
	},
	{
		name: "kubelet_node_name", labels: []string{"node"},
		help: "[ALPHA] The node's name. The count is always 1.",
		values: func(s *snapshot.Snapshot, _ *KubeletOptions, emit func(float64, ...string)) {
			emit(1, s.Node.Name)
		},
	},
	{
		name: "kubelet_running_containers", labels: []string{"container_state"},
		help:   "[ALPHA] Number of containers currently running",
		values: runningContainers,
	},
	{
		name: "kubelet_running_pods",
		help: "[ALPHA] Number of pods that have a running pod sandbox",
		values: func(s *snapshot.Snapshot, _ *KubeletOptions, emit func(float64, ...string)) {
			emit(float64(runningPods(s)))
		},
	},
	{
		name: "kubelet_volume_stats_available_bytes", labels: claimLabels,
		help:   "[ALPHA] Number of available bytes in the volume",
		values: ofClaims(func(v *snapshot.Volume) snapshot.Optional { return v.Available }),
	},
	{
		name: "kubelet_volume_stats_capacity_bytes", labels: claimLabels,
		help:   "[ALPHA] Capacity in bytes of the volume",
		values: ofClaims(func(v *snapshot.Volume) snapshot.Optional { return v.Capacity }),
	},
	{
		name: "kubelet_volume_stats_inodes", labels: claimLabels,
		help:   "[ALPHA] Maximum number of inodes in the volume",
		values: ofClaims(func(v *snapshot.Volume) snapshot.Optional { return v.Inodes }),
	},
	{
		name: "kubelet_volume_stats_inodes_free", labels: claimLabels,
		help:   "[ALPHA] Number of free inodes in the volume",
		values: ofClaims(func(v *snapshot.Volume) snapshot.Optional { return v.InodesFree }),
	},
	{
		name: "kubelet_volume_stats_inodes_used", labels: claimLabels,
		help:   "[ALPHA] Number of used inodes in the volume",
		values: ofClaims(func(v *snapshot.Volume) snapshot.Optional { return v.InodesUsed }),
	},
	{
		name: "kubelet_volume_stats_used_bytes", labels: claimLabels,
		help:   "[ALPHA] Number of used bytes in the volume",
		values: ofClaims(func(v *snapshot.Volume) snapshot.Optional { return v.Used }),
	},
}

// usedByLogs emits what the log files of each container take.
func usedByLogs(s *snapshot.Snapshot, _ *KubeletOptions, emit func(float64, ...string)) {
	for i := range s.Pods {
		pod := &s.Pods[i]
		for j := range pod.Containers {
			container := &pod.Containers[j]
			if used := container.Logs.Bytes; used.Present && !container.Logs.Time.IsZero() {
				emit(float64(used.Value), pod.UID, pod.Namespace, pod.Name, container.Name)
			}
		}
	}
}

// runningPods counts the pods that have a cgroup of a container. A pod's sandbox runs as long as any of its containers.
func runningPods(s *snapshot.Snapshot) int {
	running := make(map[string]struct{})
	for i := range s.Cgroups {
		if who := s.Cgroups[i].Identity; who.PodUID != "" && who.ContainerID != "" {
			running[who.PodUID] = struct{}{}
		}
	}
	return len(running)
}

// runningContainers counts the containers that run, without sandboxes. Of those in other states there is no cgroup to tell of them. Where
// nobody gives names, sandboxes look like containers, and the number is absent.
func runningContainers(s *snapshot.Snapshot, _ *KubeletOptions, emit func(float64, ...string)) {
	running := 0
	for i := range s.Pods {
		running += len(s.Pods[i].Containers)
	}
	if running > 0 || runningPods(s) == 0 {
		emit(float64(running), "running")
	}
}

// ofClaims emits a number of each volume that is a PersistentVolumeClaim's. One that several pods use is that of the first.
func ofClaims(get func(*snapshot.Volume) snapshot.Optional) func(*snapshot.Snapshot, *KubeletOptions, func(float64, ...string)) {
	return func(s *snapshot.Snapshot, _ *KubeletOptions, emit func(float64, ...string)) {
		type claim struct{ namespace, name string }
		shown := make(map[claim]struct{})
		for i := range s.Pods {
			for j := range s.Pods[i].Volumes {
				volume := &s.Pods[i].Volumes[j]
				this := claim{volume.ClaimNamespace, volume.Claim}
				if _, again := shown[this]; again || volume.Claim == "" {
					continue
				}
				shown[this] = struct{}{}
				if n := get(volume); n.Present {
					emit(float64(n.Value), this.namespace, this.name)
				}
			}
		}
	}
}

// KubeletCollector gives /metrics the series that a kubelet's /metrics has of the same data. It takes one snapshot for each scrape, and
// none without. It is safe for concurrent use.
type KubeletCollector struct {
	source  Source
	options KubeletOptions
	descs   []*prometheus.Desc
}

// NewKubeletCollector makes a collector that asks source.
func NewKubeletCollector(source Source, o KubeletOptions) *KubeletCollector {
	if o.Log == nil {
		o.Log = zap.NewNop()
	}
	c := &KubeletCollector{source: source, options: o}
	for _, f := range kubeletFamilies {
		c.descs = append(c.descs, prometheus.NewDesc(f.name, f.help, f.labels, nil))
	}
	return c
}

// Describe implements [prometheus.Collector].
func (c *KubeletCollector) Describe(descs chan<- *prometheus.Desc) {
	for _, d := range c.descs {
		descs <- d
	}
}

// Collect implements [prometheus.Collector]. Without a snapshot there are no samples, as in a kubelet that has no statistics.
func (c *KubeletCollector) Collect(metrics chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), kubeletDeadline)
	defer cancel()
	s, err := c.source.Snapshot(ctx, snapshot.Volumes&c.options.Groups)
	if err != nil {
		c.options.Log.Warn("no snapshot for the kubelet's series, answering without them", zap.String("path", "/metrics"), zap.Error(err))
		return
	}
	defer s.Done()
	for i, f := range kubeletFamilies {
		f.values(s, &c.options, func(value float64, labels ...string) {
			for at, label := range labels {
				labels[at] = strings.ToValidUTF8(label, "\uFFFD")
			}
			metrics <- prometheus.MustNewConstMetric(c.descs[i], prometheus.GaugeValue, value, labels...)
		})
	}
}
