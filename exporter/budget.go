package exporter

import (
	"slices"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/nodevitals/nodevitals/snapshot"
)

// part says where a family stands in the answer, and how many series it has.
type part struct{ from, to, series int }

// cut is what a limit left out of one answer.
type cut struct {
	// series were there before, left are those that were left out.
	series, left int
	// families are the names of those that were left out, in the order in which they were.
	families []string
}

// keepWithin leaves out whole families until the answer has no more series than it may have. A family that is left out is missed at
// once, by every query and for every pod alike; cgroups that are left out would make sums too small, and nobody would see it.
func (r *Renderer) keepWithin(show *Series) {
	total := 0
	for i := range r.parts {
		total += r.parts[i].series
	}
	r.cut.series, r.cut.left, r.cut.families = total, 0, r.cut.families[:0]
	if show.most <= 0 {
		return
	}
	for _, i := range show.cutOrder {
		if total-r.cut.left <= show.most {
			break
		}
		if p := &r.parts[i]; p.series > 0 {
			r.cut.left += p.series
			r.cut.families = append(r.cut.families, show.families[i].name)
			p.series = 0
		}
	}
	if r.cut.left == 0 {
		return
	}
	e := &r.encoder
	kept := r.parts[0].from
	for _, p := range r.parts {
		if p.series > 0 {
			kept += copy(e.buf[kept:], e.buf[p.from:p.to])
		}
	}
	e.buf = e.buf[:kept]
}

// cutOrder orders families by how soon they are left out: first the additional ones, then those that neither of the smaller
// profiles has, then those that the smallest has not; among these by group, in the order of groupsToCut, and from the end of
// the alphabet. What has one row for the whole node is never left out.
func cutOrder(families []family) []int {
	var order []int
	for i := range families {
		if families[i].node == nil {
			order = append(order, i)
		}
	}
	worth := func(i int) int {
		name := families[i].name
		switch {
		case profiles[Minimal].has(name):
			return 3
		case profiles[Kubernetes].has(name):
			return 2
		case setOf(name) == "":
			return 1
		}
		return 0
	}
	slices.SortFunc(order, func(a, b int) int {
		if byWorth := worth(a) - worth(b); byWorth != 0 {
			return byWorth
		}
		if byGroup := soonness(families[a].groups) - soonness(families[b].groups); byGroup != 0 {
			return byGroup
		}
		return strings.Compare(families[b].name, families[a].name)
	})
	return order
}

// groupsToCut orders the groups by how little their families are looked at.
var groupsToCut = [...]snapshot.Groups{
	snapshot.Process, snapshot.Pids, snapshot.Limits, snapshot.Pressure, snapshot.IO, snapshot.Storage, snapshot.Network,
	snapshot.Memory, snapshot.CPU,
}

func soonness(groups snapshot.Groups) int {
	for i, group := range groupsToCut {
		if groups&group != 0 {
			return i
		}
	}
	return len(groupsToCut)
}

// account counts what an answer had and what was left out of it, and says so in the log.
func (s *Series) account(c *cut, log *zap.Logger) {
	s.shown.Store(int64(c.series))
	if c.left == 0 {
		return
	}
	s.left.Add(uint64(c.left))
	log.Warn("an answer has more series than --max-series allows, so whole families are left out; raise it, or ask for less with --profile, --deny-families, --slices or ?exclude[]=",
		zap.Int("series", c.series), zap.Int("max_series", s.most), zap.Int("left_out", c.left), zap.Strings("families", slices.Clone(c.families)))
}

var (
	seriesDesc = prometheus.NewDesc("nodevitals_cadvisor_series",
		"Series of the last answer of /metrics/cadvisor, before --max-series left any out.", nil, nil)
	leftOutDesc = prometheus.NewDesc("nodevitals_cadvisor_series_left_out_total",
		"Series that --max-series left out of answers of /metrics/cadvisor.", nil, nil)
)

// Describe implements [prometheus.Collector].
func (s *Series) Describe(descs chan<- *prometheus.Desc) {
	descs <- seriesDesc
	descs <- leftOutDesc
}

// Collect implements [prometheus.Collector].
func (s *Series) Collect(metrics chan<- prometheus.Metric) {
	metrics <- prometheus.MustNewConstMetric(seriesDesc, prometheus.GaugeValue, float64(s.shown.Load()))
	metrics <- prometheus.MustNewConstMetric(leftOutDesc, prometheus.CounterValue, float64(s.left.Load()))
}
