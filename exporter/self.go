package exporter

import (
	"runtime"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/nodevitals/nodevitals/answer"
)

// Build says what binary this is.
type Build struct {
	// Version is the release, Revision the commit.
	Version, Revision string
}

// SelfStatus is what the agent tells about itself, at one moment. Slices hold one entry of each name.
type SelfStatus struct {
	// Passes counts sampling passes by kind, few fixed words: "full", "light".
	Passes []NamedCount
	// Groups tell of each reading group.
	Groups []GroupStatus
	// SnapshotsTaken and SnapshotsShared count requests by whether they ran a pass or were given another's snapshot.
	SnapshotsTaken, SnapshotsShared uint64
	// Cgroups is the number of cgroups in the last pass, CgroupsExpected the kernel's own count then; 0 where it has none (v1).
	Cgroups, CgroupsExpected int
	// PodsExpected and ContainersExpected are those that the sources of names call running; PodsSeen and ContainersSeen those
	// of the last pass.
	PodsExpected, PodsSeen, ContainersExpected, ContainersSeen int
	// Sources tell of each source of names.
	Sources []SourceStatus
	// Descriptors is the number of files kept open, DescriptorBudget how many may be.
	Descriptors, DescriptorBudget int
	// Reader is who reads cgroups: "files" or "bpf".
	Reader string
	// Watches is the number of inotify watches that tell of changes.
	Watches int
	// FallbackReads counts reads by open, read and close, for want of a descriptor.
	FallbackReads uint64
	// Errors counts what could not be read.
	Errors []ErrorCount
	// Scrapes counts requests by endpoint and outcome.
	Scrapes []ScrapeCount
	// Answers tell of the bodies that are sent.
	Answers answer.Stats
	// Refused counts what clients asked for and were not given, by reason, few fixed words: "unauthorized", "connections".
	Refused []NamedCount
	// Certificates and Reviews are those of the secure port; none while it is off.
	Certificates []CertificateStatus
	Reviews      []ReviewStatus
	// LogLines counts lines of the log by level.
	LogLines []LogCount
}

// CertificateStatus tells of a certificate, or of the first to expire of several.
type CertificateStatus struct {
	// Name is what it is for: "serving" or "client_ca".
	Name    string
	Expires time.Time
}

// ReviewStatus counts one kind of question to the API server.
type ReviewStatus struct {
	// Kind is "token" (who is this?) or "access" (may they?).
	Kind string
	// Yes and No are the API server's words, Failed the questions on which it gave none, Kept those that a kept word answered.
	Yes, No, Failed, Kept uint64
}

// LogCount counts the lines of one level.
type LogCount struct {
	// Level is "debug", "info", "warn" or "error".
	Level             string
	Written, HeldBack uint64
}

// NamedCount is a count of one kind of thing.
type NamedCount struct {
	Name  string
	Count uint64
}

// ScrapeCount counts the requests of one endpoint that came out alike.
type ScrapeCount struct {
	// Endpoint is its path: "/metrics/cadvisor". Outcome is one of few fixed words: "success", "canceled".
	Endpoint, Outcome string
	Count             uint64
}

// SourceStatus tells of one source of names.
type SourceStatus struct {
	// Name is "api" or "cri".
	Name string
	// Connected tells that it answers; Stale, that names of it are in use although it does not.
	Connected, Stale bool
	// Age is the time since it last told anything; negative: it never did.
	Age time.Duration
}

// GroupStatus tells of one reading group.
type GroupStatus struct {
	// Name is one of snapshot.GroupNames.
	Name string
	// Took is how long the group last took to read.
	Took time.Duration
	// Age is how old the newest reading is; negative: there is none yet.
	Age time.Duration
}

// ErrorCount counts one kind of failure.
type ErrorCount struct {
	// Part is the part of the agent that failed, Reason the kind of failure: few fixed words each, never a path.
	Part, Reason string
	Count        uint64
}

// selfFamily is one row of the table of the agent's own metrics.
type selfFamily struct {
	name   string
	kind   prometheus.ValueType
	help   string
	labels []string
	// values calls emit for each sample, with the values of labels.
	values func(s *SelfStatus, emit func(value float64, labels ...string))
}

var selfFamilies = []selfFamily{
	{
		name: "nodevitals_passes_total", kind: prometheus.CounterValue, labels: []string{"kind"},
		help: "Sampling passes over the node's cgroups, by kind.",
		values: func(s *SelfStatus, emit func(float64, ...string)) {
			for _, p := range s.Passes {
				emit(float64(p.Count), p.Name)
			}
		},
	},
	{
		name: "nodevitals_group_last_duration_seconds", kind: prometheus.GaugeValue, labels: []string{"group"},
		help: "Time that reading a group last took in its pass.",
		values: func(s *SelfStatus, emit func(float64, ...string)) {
			for _, g := range s.Groups {
				emit(g.Took.Seconds(), g.Name)
			}
		},
	},
	{
		name: "nodevitals_group_age_seconds", kind: prometheus.GaugeValue, labels: []string{"group"},
		help: "Age of a group's newest reading.",
		values: func(s *SelfStatus, emit func(float64, ...string)) {
			for _, g := range s.Groups {
				if g.Age >= 0 {
					emit(g.Age.Seconds(), g.Name)
				}
			}
		},
	},
	{
		name: "nodevitals_snapshots_total", kind: prometheus.CounterValue, labels: []string{"origin"},
		help: "Snapshots handed out, by whether a pass was run for the request (taken) or another's was fresh enough (shared).",
		values: func(s *SelfStatus, emit func(float64, ...string)) {
			emit(float64(s.SnapshotsTaken), "taken")
			emit(float64(s.SnapshotsShared), "shared")
		},
	},
	{
		name: "nodevitals_cgroups", kind: prometheus.GaugeValue, labels: []string{"state"},
		help: "Cgroups that the kernel counts (expected, on cgroup v2) and that the last pass found (seen).",
		values: func(s *SelfStatus, emit func(float64, ...string)) {
			if s.CgroupsExpected > 0 {
				emit(float64(s.CgroupsExpected), "expected")
			}
			emit(float64(s.Cgroups), "seen")
		},
	},
	{
		name: "nodevitals_pods", kind: prometheus.GaugeValue, labels: []string{"state"},
		help: "Pods that the sources of names call running (expected) and that the last pass found (seen).",
		values: func(s *SelfStatus, emit func(float64, ...string)) {
			emit(float64(s.PodsExpected), "expected")
			emit(float64(s.PodsSeen), "seen")
		},
	},
	{
		name: "nodevitals_containers", kind: prometheus.GaugeValue, labels: []string{"state"},
		help: "Containers that the sources of names call running (expected) and that the last pass found (seen).",
		values: func(s *SelfStatus, emit func(float64, ...string)) {
			emit(float64(s.ContainersExpected), "expected")
			emit(float64(s.ContainersSeen), "seen")
		},
	},
	{
		name: "nodevitals_pod_source_connected", kind: prometheus.GaugeValue, labels: []string{"source"},
		help: "Whether a source of names answers.",
		values: func(s *SelfStatus, emit func(float64, ...string)) {
			for _, one := range s.Sources {
				emit(oneIf(one.Connected), one.Name)
			}
		},
	},
	{
		name: "nodevitals_pod_source_stale", kind: prometheus.GaugeValue, labels: []string{"source"},
		help: "Whether names are in use whose source does not answer.",
		values: func(s *SelfStatus, emit func(float64, ...string)) {
			for _, one := range s.Sources {
				emit(oneIf(one.Stale), one.Name)
			}
		},
	},
	{
		name: "nodevitals_pod_source_age_seconds", kind: prometheus.GaugeValue, labels: []string{"source"},
		help: "Time since a source of names last told anything.",
		values: func(s *SelfStatus, emit func(float64, ...string)) {
			for _, one := range s.Sources {
				if one.Age >= 0 {
					emit(one.Age.Seconds(), one.Name)
				}
			}
		},
	},
	{
		name: "nodevitals_descriptors", kind: prometheus.GaugeValue,
		help:   "Files of cgroups that are kept open.",
		values: func(s *SelfStatus, emit func(float64, ...string)) { emit(float64(s.Descriptors)) },
	},
	{
		name: "nodevitals_descriptors_limit", kind: prometheus.GaugeValue,
		help:   "Files of cgroups that may be kept open; the others are opened for each read.",
		values: func(s *SelfStatus, emit func(float64, ...string)) { emit(float64(s.DescriptorBudget)) },
	},
	{
		name: "nodevitals_watches", kind: prometheus.GaugeValue,
		help:   "Watches (inotify) that tell of new cgroups and of changed limits.",
		values: func(s *SelfStatus, emit func(float64, ...string)) { emit(float64(s.Watches)) },
	},
	{
		name: "nodevitals_fallback_reads_total", kind: prometheus.CounterValue,
		help:   "Reads that had to open and close their file, as no descriptor was to be had.",
		values: func(s *SelfStatus, emit func(float64, ...string)) { emit(float64(s.FallbackReads)) },
	},
	{
		name: "nodevitals_reader", kind: prometheus.GaugeValue, labels: []string{"reader"},
		help: "Who reads cgroups: files, or bpf for a program in the kernel. Always 1.",
		values: func(s *SelfStatus, emit func(float64, ...string)) {
			if s.Reader != "" {
				emit(1, s.Reader)
			}
		},
	},
	{
		name: "nodevitals_errors_total", kind: prometheus.CounterValue, labels: []string{"part", "reason"},
		help: "Failures to read something, by part of the agent and reason.",
		values: func(s *SelfStatus, emit func(float64, ...string)) {
			for _, e := range s.Errors {
				emit(float64(e.Count), e.Part, e.Reason)
			}
		},
	},
	{
		name: "nodevitals_scrapes_total", kind: prometheus.CounterValue, labels: []string{"endpoint", "outcome"},
		help: "Requests by endpoint and by how they came out: success, client_error (status 4xx), server_error (5xx), canceled (the client went away).",
		values: func(s *SelfStatus, emit func(float64, ...string)) {
			for _, c := range s.Scrapes {
				emit(float64(c.Count), c.Endpoint, c.Outcome)
			}
		},
	},
	{
		name: "nodevitals_requests_refused_total", kind: prometheus.CounterValue, labels: []string{"reason"},
		help: "What clients of all ports did not get: requests by the status that refused them, and connections.",
		values: func(s *SelfStatus, emit func(float64, ...string)) {
			for _, r := range s.Refused {
				emit(float64(r.Count), r.Name)
			}
		},
	},
	{
		name: "nodevitals_certificate_expiration_timestamp_seconds", kind: prometheus.GaugeValue, labels: []string{"certificate"},
		help: "When the certificate that is served expires, and the first of the clients' authorities, in Unix time.",
		values: func(s *SelfStatus, emit func(float64, ...string)) {
			for _, c := range s.Certificates {
				emit(float64(c.Expires.Unix()), c.Name)
			}
		},
	},
	{
		name: "nodevitals_reviews_total", kind: prometheus.CounterValue, labels: []string{"review", "result"},
		help: "Questions to the API server, whose a token is and what users may, by its word, or error if it gave none.",
		values: func(s *SelfStatus, emit func(float64, ...string)) {
			for _, r := range s.Reviews {
				emit(float64(r.Yes), r.Kind, "yes")
				emit(float64(r.No), r.Kind, "no")
				emit(float64(r.Failed), r.Kind, "error")
			}
		},
	},
	{
		name: "nodevitals_review_cache_hits_total", kind: prometheus.CounterValue, labels: []string{"review"},
		help: "Questions that the API server was not asked, as a word that it gave before still held.",
		values: func(s *SelfStatus, emit func(float64, ...string)) {
			for _, r := range s.Reviews {
				emit(float64(r.Kept), r.Kind)
			}
		},
	},
	{
		name: "nodevitals_log_lines_total", kind: prometheus.CounterValue, labels: []string{"level", "outcome"},
		help: "Lines of the log by level, and by whether they were written or held back, as there were too many of a kind.",
		values: func(s *SelfStatus, emit func(float64, ...string)) {
			for _, l := range s.LogLines {
				emit(float64(l.Written), l.Level, "written")
				emit(float64(l.HeldBack), l.Level, "held_back")
			}
		},
	},
	{
		name: "nodevitals_answers_made_total", kind: prometheus.CounterValue, labels: []string{"step"},
		help: "Bodies of answers that were rendered and that were compressed; requests for the same at the same time share one.",
		values: func(s *SelfStatus, emit func(float64, ...string)) {
			emit(float64(s.Answers.Rendered), "render")
			emit(float64(s.Answers.Compressed), "compress")
		},
	},
	{
		name: "nodevitals_answers_refused_total", kind: prometheus.CounterValue,
		help:   "Requests that got 503, as answers that others read slowly took all memory there is for them.",
		values: func(s *SelfStatus, emit func(float64, ...string)) { emit(float64(s.Answers.Refused)) },
	},
	{
		name: "nodevitals_answers_in_flight", kind: prometheus.GaugeValue,
		help:   "Requests that wait for a body or are being sent one.",
		values: func(s *SelfStatus, emit func(float64, ...string)) { emit(float64(s.Answers.Readers)) },
	},
	{
		name: "nodevitals_answers_in_flight_bytes", kind: prometheus.GaugeValue,
		help:   "Memory of the bodies that are being made and sent.",
		values: func(s *SelfStatus, emit func(float64, ...string)) { emit(float64(s.Answers.Bytes)) },
	},
}

func oneIf(is bool) float64 {
	if is {
		return 1
	}
	return 0
}

// selfCollector turns a SelfStatus into metrics when asked. It is safe for concurrent use if status is.
type selfCollector struct {
	status func() SelfStatus
	descs  []*prometheus.Desc
}

func newSelfCollector(status func() SelfStatus) *selfCollector {
	c := &selfCollector{status: status}
	for _, f := range selfFamilies {
		c.descs = append(c.descs, prometheus.NewDesc(f.name, f.help, f.labels, nil))
	}
	return c
}

// Describe implements [prometheus.Collector].
func (c *selfCollector) Describe(descs chan<- *prometheus.Desc) {
	for _, d := range c.descs {
		descs <- d
	}
}

// Collect implements [prometheus.Collector].
func (c *selfCollector) Collect(metrics chan<- prometheus.Metric) {
	s := c.status()
	for i, f := range selfFamilies {
		f.values(&s, func(value float64, labels ...string) {
			metrics <- prometheus.MustNewConstMetric(c.descs[i], f.kind, value, labels...)
		})
	}
}

// NewSelfRegistry returns the registry of /metrics: the Go runtime, the process, the build, and what status tells at
// each scrape. More collectors can be registered with it. Status must be safe for concurrent use.
func NewSelfRegistry(build Build, status func() SelfStatus) *prometheus.Registry {
	info := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "nodevitals_build_info",
		Help: "Always 1; its labels tell what binary runs.",
		ConstLabels: prometheus.Labels{
			"version": build.Version, "revision": build.Revision, "goversion": runtime.Version(),
		},
	})
	info.Set(1)
	registry := prometheus.NewRegistry()
	registry.MustRegister(
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		info,
		newSelfCollector(status),
	)
	return registry
}
