package cgroup_test

import (
	"fmt"
	"testing"

	"github.com/nodevitals/nodevitals/collector/cgroup"
	"github.com/nodevitals/nodevitals/collector/cgrouptest"
	"github.com/nodevitals/nodevitals/snapshot"
)

// counts are the numbers of cgroups to measure with.
var counts = []int{10, 100, 1000}

// BenchmarkPass reads the core groups of real cgroups, as a request does.
func BenchmarkPass(b *testing.B) {
	for _, count := range counts {
		b.Run(fmt.Sprint(count), func(b *testing.B) {
			cgrouptest.New(b).Children(b, count)
			h := newHost(b, "/", cgroup.TreeOptions{}, cgroup.ReaderOptions{})
			h.pass(snapshot.Core)
			known := len(h.tree.Cgroups())
			b.ReportAllocs()
			for b.Loop() {
				h.tree.Update(h.now)
				h.reader.Begin(h.now, snapshot.Core, nil)
				records := make([]snapshot.Cgroup, known)
				for i, one := range h.tree.Cgroups() {
					h.reader.Read(one, &records[i], snapshot.Core)
					records[i].Spec = h.reader.Spec(one, h.now, 0)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*known), "ns/cgroup")
		})
	}
}

// BenchmarkBareReads is the floor of BenchmarkPass: one pread of each of the same files, and nothing done with the text.
func BenchmarkBareReads(b *testing.B) {
	for _, count := range counts {
		b.Run(fmt.Sprint(count), func(b *testing.B) {
			cgrouptest.New(b).Children(b, count)
			h := newHost(b, "/", cgroup.TreeOptions{}, cgroup.ReaderOptions{})
			h.pass(snapshot.Core)
			known := len(h.tree.Cgroups())
			files := 0
			for b.Loop() {
				files = h.reader.Floor()
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*known), "ns/cgroup")
			b.ReportMetric(float64(files), "files")
		})
	}
}
