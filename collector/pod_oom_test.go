package collector

import (
	"fmt"
	"testing"

	"github.com/nodevitals/nodevitals/collector/cgrouptest"
	"github.com/nodevitals/nodevitals/snapshot"
)

// The kernel kills a container of the pod twice, each time in a cgroup that is then gone: the pod's count keeps both. On this
// machine's version of cgroups; the other one is for make live.
func TestKillsOutliveTheContainer(t *testing.T) {
	group, _, _ := makePod(t)
	source := &names{}
	c := newTest(t, func(o *Options) { o.MaxAge, o.Names = 0, source })
	kills := func(awaited string) snapshot.Optional {
		s := mustSnapshot(t, c, snapshot.Memory)
		if len(s.Pods) != 1 {
			t.Fatalf("%s: got %d pods, want one", awaited, len(s.Pods))
		}
		return s.Pods[0].OOMKills
	}
	source.tell(testPod())
	if got := kills("before"); got != snapshot.Some(0) {
		t.Errorf("before: got %+v, want 0", got)
	}
	for round := range 2 {
		pod := testPod()
		pod.Containers[0].ID = fmt.Sprintf("%s%03d", containerID[:61], round)
		source.tell(pod)
		container := group.Child(t, pod.Containers[0].ID)
		container.Set(t, "16777216", "memory.max", "memory.limit_in_bytes")
		// Swap would let it live on, where there is any.
		container.Set(t, "0", "memory.swap.max", "memory.swappiness")
		_ = container.Start(t, "hungry").Wait() // killed
		want := snapshot.Some(uint64(round) + 1)
		if got := kills("after a kill"); got != want {
			t.Errorf("round %d: got %+v, want %+v", round, got, want)
		}
		if s := mustSnapshot(t, c, snapshot.CPU); s.Pods[0].OOMKills.Present {
			t.Error("there is a count in a snapshot without memory")
		}
		container.Remove(t)
		// The one that lives on has never been killed.
		source.tell(testPod())
		if got := kills("after its cgroup went"); got != want {
			t.Errorf("round %d: got %+v once the cgroup was gone, want %+v", round, got, want)
		}
	}
	// Pods of others on this host may have counts, too.
	if got := c.roster.kills[podUID]; c.hierarchy.Version == 1 && got != 2 {
		t.Errorf("counts: got %v, want 2 of pod %s", c.roster.kills, podUID)
	}
}

func TestCountsOfKillsGoWithThePod(t *testing.T) {
	group, sandbox, container := makePod(t)
	source := &names{}
	source.tell(testPod())
	c := newTest(t, func(o *Options) { o.MaxAge, o.Names = 0, source })
	mustSnapshot(t, c, snapshot.Memory)
	c.roster.kills = map[string]uint64{podUID: 3}
	source.tell()
	if mustSnapshot(t, c, snapshot.Memory); c.roster.kills[podUID] != 3 {
		t.Error("the count went before the pod's cgroup did")
	}
	for _, one := range []*cgrouptest.Group{container, sandbox, group} {
		one.Remove(t)
	}
	source.tell()
	mustSnapshot(t, c, snapshot.Memory)
	if _, left := c.roster.kills[podUID]; left {
		t.Errorf("counts: got %v after pod %s went, want none of it", c.roster.kills, podUID)
	}
}

func TestLimitsOfEphemeralStorage(t *testing.T) {
	makePod(t)
	source := &names{}
	pod := testPod()
	pod.EphemeralStorageLimit, pod.Containers[0].EphemeralStorageLimit = 3<<30, 2<<30
	source.tell(pod)
	c := newTest(t, func(o *Options) { o.MaxAge, o.Names = 0, source })
	got := mustSnapshot(t, c, snapshot.CPU).Pods[0]
	if got.EphemeralStorageLimit != snapshot.Some(3<<30) || got.Containers[0].EphemeralStorageLimit != snapshot.Some(2<<30) {
		t.Errorf("limits: got %+v and %+v, want 3 and 2 GiB", got.EphemeralStorageLimit, got.Containers[0].EphemeralStorageLimit)
	}
	source.tell(testPod())
	got = mustSnapshot(t, c, snapshot.CPU).Pods[0]
	if got.EphemeralStorageLimit.Present || got.Containers[0].EphemeralStorageLimit.Present {
		t.Errorf("without limits: got %+v and %+v", got.EphemeralStorageLimit, got.Containers[0].EphemeralStorageLimit)
	}
}
