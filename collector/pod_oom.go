package collector

import (
	"github.com/nodevitals/nodevitals/collector/cgroup"
	"github.com/nodevitals/nodevitals/snapshot"
)

// accountKills adds to a pod's count what the kernel has killed in a cgroup of it since the last pass, so that the count outlives
// the cgroup. On v2 memory.events of the pod counts all of that by itself, and what its own file says must not count twice.
func (c *Collector) accountKills(known *cgroup.Cgroup, record *snapshot.Cgroup) {
	who := known.Identity
	count, ok := record.Get(snapshot.MemoryOOMKills)
	if !ok || count <= known.OOMKills || who.PodUID == "" {
		return
	}
	more := count - known.OOMKills
	known.OOMKills = count
	if who.Kind == snapshot.PodCgroup && c.hierarchy.Version == 2 {
		return
	}
	if c.roster.kills == nil {
		c.roster.kills = make(map[string]uint64)
	}
	c.roster.kills[who.PodUID] += more
}

// killsIn returns the count of a pod's kills; absent where no file tells, or memory was not read.
func (c *Collector) killsIn(pod *snapshot.Pod) snapshot.Optional {
	if pod.Cgroup != nil && c.hierarchy.Version == 2 {
		count, ok := pod.Cgroup.Get(snapshot.MemoryOOMKills)
		return snapshot.Optional{Value: count, Present: ok}
	}
	for i := range pod.Containers {
		if one := pod.Containers[i].Cgroup; one != nil {
			if _, ok := one.Get(snapshot.MemoryOOMKills); ok {
				return snapshot.Some(c.roster.kills[pod.UID])
			}
		}
	}
	return snapshot.Optional{}
}

// forgetKills drops the counts of pods that have neither a name nor a cgroup any more.
func (c *Collector) forgetKills() {
	if len(c.roster.kills) == 0 {
		return
	}
	alive := make(map[string]bool, len(c.roster.kills))
	for _, known := range c.tree.Cgroups() {
		if uid := known.Identity.PodUID; uid != "" {
			alive[uid] = true
		}
	}
	for uid := range c.roster.kills {
		if _, named := c.roster.places[uid]; !named && !alive[uid] {
			delete(c.roster.kills, uid)
		}
	}
}
