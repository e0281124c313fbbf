package main

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"

	"go.uber.org/zap"

	"github.com/nodevitals/nodevitals/answer"
	"github.com/nodevitals/nodevitals/collector"
	"github.com/nodevitals/nodevitals/collector/identity"
	"github.com/nodevitals/nodevitals/exporter"
	"github.com/nodevitals/nodevitals/logging"
	"github.com/nodevitals/nodevitals/server"
	"github.com/nodevitals/nodevitals/snapshot"
	"github.com/nodevitals/nodevitals/summary"
)

// agent ties a collector to the routes that show what it samples.
type agent struct {
	options *options
	log     *zap.Logger
	// lines tells how many lines the log has; secure is nil while that port is off.
	lines     func() []logging.Lines
	secure    *secureServing
	collector *collector.Collector
	sources   *identity.Sources
	server    *server.Server
	answers   *answer.Store
	scrapes   []*scrapeCount
}

// routes are those of the read-only and the secure port. To be called once.
func (a *agent) routes() []server.Route {
	groups := snapshot.All &^ a.options.disabled
	metrics := exporter.HandlerOptions{Answers: a.answers, Groups: groups, Timestamps: a.options.timestamps, Log: a.log.Named("exporter")}
	metrics.Series, metrics.NoContainerFilesystems = a.options.series.chosen, !a.options.series.containerFilesystems
	release, commit := buildVersion()
	registry := exporter.NewSelfRegistry(exporter.Build{Version: release, Revision: commit}, a.self)
	registry.MustRegister(metrics.Series)
	if a.options.kubeletSeries == on {
		registry.MustRegister(a.kubeletSeries(groups))
	}
	ofSummary := a.counted("/stats/summary", summary.HandlerThrough(a.answers, a.collector, a.options.summary()))
	both := []string{http.MethodGet, http.MethodPost}

	routes := []server.Route{
		{Path: "/stats/summary", Methods: both, Handler: ofSummary, Title: "node, pods and containers as JSON (kubelet's stats/v1alpha1)"},
		// metrics-server up to 0.3 asks with a slash at the end.
		{Path: "/stats/summary/", Methods: both, Handler: ofSummary},
		{
			Path: "/metrics/cadvisor", Title: "every cgroup and the machine, for Prometheus",
			Handler: a.counted("/metrics/cadvisor", exporter.NewCadvisorHandler(a.collector, metrics)),
		},
		{
			Path: "/metrics/resource", Title: "CPU and memory of node, pods and containers, for metrics-server",
			Handler: a.counted("/metrics/resource", exporter.NewResourceHandler(a.collector, metrics)),
		},
		{
			Path: "/metrics", Title: "the agent's own metrics",
			Handler: a.counted("/metrics", exporter.NewSelfHandler(registry, a.answers, a.log.Named("exporter"))),
		},
	}
	return append(routes, a.healthRoutes()...)
}

// index is the head of the page at "/".
func (a *agent) index() server.Index {
	release, _ := buildVersion()
	return server.Index{Name: "nodevitals", Lines: []string{"version " + release}}
}

// banner tells, in a few plain lines, what is served and where, and what this user cannot read.
func (a *agent) banner(out io.Writer, l listeners, first *snapshot.Snapshot) error {
	var b strings.Builder
	release, _ := buildVersion()
	fmt.Fprintf(&b, "nodevitals %s: cgroup v%d", release, a.collector.Hierarchy().Version)
	if first != nil {
		fmt.Fprintf(&b, ", %d cgroups, node %s", len(first.Cgroups), first.Node.Name)
	}
	b.WriteString("\n")
	if l.secure != nil {
		fmt.Fprintf(&b, "  https://%s/ for who may\n", a.options.secure.address)
	}
	if l.readOnly != nil {
		for _, path := range []string{"/stats/summary", "/metrics/cadvisor", "/metrics/resource", "/metrics", "/"} {
			fmt.Fprintf(&b, "  http://%s%s\n", l.readOnly.Addr(), path)
		}
	}
	if l.socket != nil {
		fmt.Fprintf(&b, "  %s, a unix socket that answers the same\n", l.socket.Addr())
	}
	if l.healthz != nil {
		fmt.Fprintf(&b, "  http://%s/healthz\n", l.healthz.Addr())
	}
	if absent := a.unreadable(); len(absent) > 0 {
		fmt.Fprintf(&b, "absent, because uid %d may not read it here: %s\n", os.Geteuid(), strings.Join(absent, ", "))
	}
	_, err := io.WriteString(out, b.String())
	return err
}

// unreadable lists, sorted, what the kernel has kept from this user so far: files of cgroups by name, and parts of the node.
func (a *agent) unreadable() []string {
	var names []string
	status := a.collector.Status()
	for _, fault := range status.Reader.Faults {
		if fault.Reason == "EACCES" || fault.Reason == "EPERM" {
			names = append(names, fault.File)
		}
	}
	for key := range status.Errors {
		switch {
		case key.Reason != collector.NotPermitted:
		case key.Part == "process":
			names = append(names, "descriptors and sockets of other users' processes")
		default:
			names = append(names, "parts of "+key.Part)
		}
	}
	return slices.Compact(slices.Sorted(slices.Values(names)))
}
