package exporter

import (
	"context"
	"testing"
	"time"

	"github.com/nodevitals/nodevitals/collector"
	"github.com/nodevitals/nodevitals/collector/cgrouptest"
	"github.com/nodevitals/nodevitals/snapshot"
)

// TestAgreesWithCadvisorOnThisHost is TestAgreesWithCadvisor over what this host really has, with load on it.
func TestAgreesWithCadvisorOnThisHost(t *testing.T) {
	g := cgrouptest.New(t)
	limited := g.Child(t, "limited")
	if !limited.Set(t, "20000 100000", "cpu.max") {
		limited.Set(t, "20000", "cpu.cfs_quota_us")
	}
	limited.Set(t, "134217728", "memory.max", "memory.limit_in_bytes")
	limited.Start(t, "cpu")
	g.Child(t, "free").Start(t, "memory", "8")

	source, err := collector.New(collector.Options{HostRoot: "/", RootDir: "/var/lib/kubelet", Walker: cgrouptest.Walker(t)})
	if err != nil {
		t.Fatal(err)
	}
	defer source.Close()
	var r Renderer
	compared := 0
	for range 5 {
		s, err := source.Snapshot(context.Background(), snapshot.All)
		if err != nil {
			t.Fatal(err)
		}
		if s.Find(limited.ID) == nil {
			t.Fatalf("the snapshot lacks %s", limited.ID)
		}
		for _, timestamps := range []bool{false, true} {
			c := comparison{T: t, s: s, now: time.Now(), timestamps: timestamps, met: map[deviation]int{}}
			compared += c.run(&r)
		}
	}
	t.Logf("compared %d samples", compared)
}
