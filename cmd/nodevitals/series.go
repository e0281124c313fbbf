package main

import (
	"errors"
	"strings"

	"github.com/nodevitals/nodevitals/exporter"
)

// seriesOptions are the flags that choose what /metrics/cadvisor shows.
type seriesOptions struct {
	exporter.SeriesOptions
	// containerFilesystems shows container_fs_* of each container's own layer.
	containerFilesystems bool
	// chosen is what they mean, once validated.
	chosen *exporter.Series
}

func defaultSeriesOptions() seriesOptions {
	return seriesOptions{SeriesOptions: exporter.SeriesOptions{Profile: "full", Slices: "all"}, containerFilesystems: true}
}

func (o *options) seriesFlags() flagGroup {
	group := newGroup("Series of /metrics/cadvisor")
	s := &o.series
	group.flags.StringSliceVar(&s.Extra, "extra-series", nil, "`sets` of families that a kubelet does not have: "+extraSets()+"; or all")
	group.flags.StringVar(&s.Profile, "profile", s.Profile, "`families` to show: full (all that a kubelet has), kubernetes (what kubernetes-mixin reads) or minimal (a handful)")
	group.flags.StringSliceVar(&s.Allow, "allow-families", nil, "`families` to show alone: names, or patterns with *")
	group.flags.StringSliceVar(&s.Deny, "deny-families", nil, "`families` to leave out: names, or patterns with *")
	group.flags.StringSliceVar(&s.Labels, "label-policy", nil, "`labels` to keep or to leave out, of id, name and image: id=drop")
	group.flags.StringVar(&s.Slices, "slices", s.Slices, "`rows` of cgroups that belong to no pod: all, top (/ and those right below it) or none (/ alone)")
	group.flags.IntVar(&s.MaxSeries, "max-series", 0, "most series in one answer; beyond it whole families are left out; 0 is no limit")
	group.flags.BoolVar(&s.containerFilesystems, "container-filesystems", s.containerFilesystems, "show what each container's own layer takes of its filesystem, which a kubelet with containerd does not")
	return group
}

func extraSets() string {
	words := make([]string, len(exporter.ExtraSets))
	for i := range exporter.ExtraSets {
		words[i] = exporter.ExtraSets[i].Word + " (" + exporter.ExtraSets[i].About + ")"
	}
	return strings.Join(words, ", ")
}

// seriesFlagNames gives the flag of each part of a choice.
var seriesFlagNames = map[string]string{
	exporter.OptionProfile:   "--profile",
	exporter.OptionExtra:     "--extra-series",
	exporter.OptionAllow:     "--allow-families",
	exporter.OptionDeny:      "--deny-families",
	exporter.OptionLabels:    "--label-policy",
	exporter.OptionSlices:    "--slices",
	exporter.OptionMaxSeries: "--max-series",
}

func (o *options) validateSeries() error {
	chosen, err := exporter.NewSeries(o.series.SeriesOptions)
	if mistake, ok := errors.AsType[*exporter.OptionError](err); ok {
		return bad(seriesFlagNames[mistake.Option], mistake.Value, mistake.Want)
	}
	o.series.chosen = chosen
	return err
}
