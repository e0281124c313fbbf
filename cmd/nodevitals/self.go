package main

import (
	"cmp"
	"slices"
	"time"

	"github.com/nodevitals/nodevitals/exporter"
	"github.com/nodevitals/nodevitals/snapshot"
)

// self brings what the collector knows of its work into the form of the agent's own metrics.
func (a *agent) self() exporter.SelfStatus {
	status := a.collector.Status()
	self := exporter.SelfStatus{
		Passes:         []exporter.NamedCount{{Name: "full", Count: status.Passes}, {Name: "light", Count: status.Ticks}},
		SnapshotsTaken: status.Passes, SnapshotsShared: status.Shared,
		Cgroups: status.Cgroups, CgroupsExpected: status.CgroupsExpected, Watches: status.Watches,
		PodsExpected: status.Pods.Expected, PodsSeen: status.Pods.Seen,
		ContainersExpected: status.Containers.Expected, ContainersSeen: status.Containers.Seen,
		Descriptors: status.Reader.Descriptors, DescriptorBudget: status.Reader.Budget,
		FallbackReads: status.Reader.Unkept, Reader: readerInUse(status.Reader),
		Answers: a.answers.Stats(),
	}
	now := time.Now()
	(snapshot.All &^ a.options.disabled).Each(func(i int, name string) {
		group := exporter.GroupStatus{Name: name, Took: status.Readings[i].Took, Age: -1}
		if at := status.Readings[i].Time; !at.IsZero() {
			group.Age = max(0, now.Sub(at))
		}
		self.Groups = append(self.Groups, group)
	})
	for _, source := range a.sources.Index().Sources() {
		state := exporter.SourceStatus{Name: source.Name, Connected: source.Connected, Stale: source.Stale, Age: -1}
		if !source.LastSync.IsZero() {
			state.Age = max(0, now.Sub(source.LastSync))
		}
		self.Sources = append(self.Sources, state)
	}
	for _, fault := range status.Reader.Faults {
		self.Errors = append(self.Errors, exporter.ErrorCount{Part: fault.File, Reason: fault.Reason, Count: fault.Count})
	}
	for key, count := range status.Errors {
		self.Errors = append(self.Errors, exporter.ErrorCount{Part: key.Part, Reason: key.Reason, Count: count})
	}
	slices.SortFunc(self.Errors, func(x, y exporter.ErrorCount) int {
		return cmp.Or(cmp.Compare(x.Part, y.Part), cmp.Compare(x.Reason, y.Reason))
	})
	a.servingStatus(&self)
	for _, scrape := range a.scrapes {
		for outcome, name := range outcomeNames {
			self.Scrapes = append(self.Scrapes, exporter.ScrapeCount{Endpoint: scrape.path, Outcome: name, Count: scrape.counts[outcome].Load()})
		}
	}
	return self
}

// servingStatus adds what the server, the secure port and the log know.
func (a *agent) servingStatus(self *exporter.SelfStatus) {
	for _, refused := range a.server.Refused() {
		self.Refused = append(self.Refused, exporter.NamedCount{Name: refused.Reason, Count: refused.Count})
	}
	for _, line := range a.lines() {
		self.LogLines = append(self.LogLines, exporter.LogCount{Level: line.Level, Written: line.Written, HeldBack: line.HeldBack})
	}
	if a.secure == nil {
		return
	}
	for _, expiry := range a.secure.expiries {
		self.Certificates = append(self.Certificates, exporter.CertificateStatus{Name: expiry.of, Expires: expiry.at()})
	}
	for _, review := range a.secure.reviews {
		counts := review.counts()
		self.Reviews = append(self.Reviews, exporter.ReviewStatus{
			Kind: review.kind, Yes: counts.Yes, No: counts.No, Failed: counts.Failed, Kept: counts.Kept,
		})
	}
}
