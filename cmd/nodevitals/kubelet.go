package main

import (
	"github.com/nodevitals/nodevitals/exporter"
	"github.com/nodevitals/nodevitals/snapshot"
)

// The words of switches that are not plain booleans.
const (
	on  = "on"
	off = "off"
)

func (o *options) kubeletSeriesFlag(group flagGroup) {
	group.flags.StringVar(&o.kubeletSeries, "kubelet-series", o.kubeletSeries, "`switch` for what a kubelet's /metrics has of volumes, logs and running pods: on, or off while Prometheus scrapes a kubelet, whose series these would double")
}

func (o *options) validateKubeletSeries() error {
	if o.kubeletSeries != on && o.kubeletSeries != off {
		return bad("--kubelet-series", o.kubeletSeries, "on or off")
	}
	return nil
}

// kubeletSeries collects the kubelet's series from those groups that are switched on.
func (a *agent) kubeletSeries(groups snapshot.Groups) *exporter.KubeletCollector {
	return exporter.NewKubeletCollector(a.collector, exporter.KubeletOptions{
		Groups: groups, CgroupVersion: int(a.collector.Hierarchy().Version), Log: a.log.Named("exporter"),
	})
}
