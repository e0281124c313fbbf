package main

import (
	"context"
	"fmt"

	"go.uber.org/zap"

	"github.com/nodevitals/nodevitals/collector"
	"github.com/nodevitals/nodevitals/collector/identity"
	"github.com/nodevitals/nodevitals/server"
)

// healthRoutes are those of health on the ports that serve everything.
func (a *agent) healthRoutes() []server.Route { return a.health(server.HealthRoutes) }

// probes are those of the health port: the same without reasons. In a pod, everyone who reaches the pod reaches it.
func (a *agent) probes() []server.Route { return a.health(server.ProbeRoutes) }

// health makes the routes of the three health paths. docs/operations.md has the checks as a table.
func (a *agent) health(of func(log *zap.Logger, path, title string, checks ...server.Check) []server.Route) []server.Route {
	sampling := server.Check{Name: "collector", Check: a.collector.Check}
	progress := server.Check{Name: "progress", Check: a.collector.CheckProgress}
	// Whom no restart brings back. What they would tell is absent, or the last that they told; the rest is served.
	outside := []server.Check{{Name: "pod-source", Outside: true, Check: a.checkSources}}
	for _, part := range []string{collector.StoragePart, collector.VolumesPart, collector.RuntimePart} {
		outside = append(outside, server.Check{Name: part, Outside: true, Check: func(context.Context) error { return a.checkPart(part) }})
	}
	var routes []server.Route
	for _, path := range []struct {
		path, title string
		checks      []server.Check
	}{
		{"/healthz", "health; ?verbose lists the checks", []server.Check{server.Ping, sampling, progress}},
		{"/livez", "whether a restart would help", []server.Check{server.Ping, progress}},
		{"/readyz", "whether there are figures", []server.Check{server.Ping, sampling, a.server.Check()}},
	} {
		routes = append(routes, of(a.log, path.path, path.title, append(path.checks, outside...)...)...)
	}
	return routes
}

// checkSources fails while a source of names is away. Names stay as they were. A runtime that nobody asked for and that never answered, such
// as one whose socket this user may not open, is none.
func (a *agent) checkSources(context.Context) error {
	for _, source := range a.sources.Index().Sources() {
		chosen := source.Name == "api" || a.options.podSource != string(identity.Auto)
		if !source.Connected && source.Err != "" && (source.Stale || chosen) {
			return fmt.Errorf("%s is away: %s", source.Name, source.Err)
		}
	}
	return nil
}

// checkPart fails while whom a part asks does not answer. Of a runtime that is away, pod-source tells.
func (a *agent) checkPart(part string) error {
	if part == collector.RuntimePart {
		for _, source := range a.sources.Index().Sources() {
			if source.Name == "cri" && !source.Connected {
				return nil
			}
		}
	}
	return a.collector.Answers(part)
}
