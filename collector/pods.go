package collector

import (
	"slices"
	"strings"

	"github.com/nodevitals/nodevitals/collector/identity"
	"github.com/nodevitals/nodevitals/collector/storage/volume"
	"github.com/nodevitals/nodevitals/snapshot"
)

// Names says who a cgroup is and which pods run here; [identity.Index] does.
type Names interface {
	// Generation rises whenever an answer may differ from the last one.
	Generation() uint64
	// Resolve says who a cgroup is; the answer is never nil and never changed.
	Resolve(cgroupID string) *snapshot.Identity
	// Pods are those of this node, sorted by Namespace and Name.
	Pods() []identity.Pod
}

// roster is what is kept of pods between passes.
type roster struct {
	generation uint64
	pods       []identity.Pod
	// places finds a pod by the UID that its cgroups carry.
	places map[string]int
	// measured are the pods whose use of filesystems is asked for.
	measured []volume.Pod
	// kills counts processes killed for want of memory, by the UID that a pod's cgroups carry; only pods that had some are in it.
	kills map[string]uint64
	// containers and interfaces are how many the last snapshot had, so that the next has room for them at once.
	containers, interfaces int
}

// identify brings the names of all known cgroups up to date with what the sources told.
func (c *Collector) identify() {
	if c.options.Names == nil {
		return
	}
	generation := c.options.Names.Generation()
	for _, known := range c.tree.Cgroups() {
		if known.Named != generation {
			known.Identity = c.options.Names.Resolve(known.Identity.ID)
			known.Named = generation
		}
	}
	if c.roster.generation == generation {
		return
	}
	c.roster.generation = generation
	c.roster.pods = c.options.Names.Pods()
	c.roster.measured = measuredPods(c.roster.pods)
	c.roster.places = make(map[string]int, len(c.roster.pods))
	for i := range c.roster.pods {
		c.roster.places[c.roster.pods[i].UID] = i
	}
	c.forgetKills()
}

// assemble makes the snapshot's pods of the records that carry their names. Only pods with a container running are shown, and
// each of their containers once, as a kubelet does it. Records of a pod stand next to each other, because its cgroups do.
func (c *Collector) assemble(s *snapshot.Snapshot) {
	if c.options.Names == nil || len(c.roster.pods) == 0 {
		return
	}
	pods := roomFor(c.held.pods, len(c.roster.pods))[:len(c.roster.pods)]
	containers := roomFor(c.held.containers, c.roster.containers)
	last := -1
	for i := range s.Cgroups {
		record := &s.Cgroups[i]
		who := record.Identity
		place, ok := c.roster.places[who.PodUID]
		if who.PodUID == "" || !ok {
			continue
		}
		pod := &pods[place]
		switch {
		case who.Kind == snapshot.PodCgroup:
			if pod.Cgroup == nil {
				pod.Cgroup = record
			}
		case who.Kind == snapshot.SandboxCgroup && record.HasNetwork && !pod.HasNetwork:
			pod.Interfaces, pod.HasNetwork = record.Interfaces, true
		case who.Kind == snapshot.ContainerCgroup && who.Container != "":
			one := snapshot.Container{Name: who.Container, ID: who.ContainerID, Started: who.Created, Cgroup: record}
			if len(pod.Containers) > 0 && place != last {
				// Not beside the pod's others, so it cannot share their place in the common store.
				pod.Containers = append(pod.Containers, one)
				continue
			}
			first := len(containers) - len(pod.Containers)
			containers = append(containers, one)
			pod.Containers = containers[first:len(containers):len(containers)]
			last = place
		}
	}
	c.roster.containers = len(containers)
	c.held.pods, c.held.containers = pods, containers
	shown := pods[:0]
	for place := range pods {
		pod := &pods[place]
		if len(pod.Containers) == 0 {
			continue
		}
		known := &c.roster.pods[place]
		pod.Name, pod.Namespace, pod.UID = known.Name, known.Namespace, known.UID
		pod.Started, pod.HostNetwork = known.Started, known.HostNetwork
		pod.OOMKills = c.killsIn(pod)
		pod.EphemeralStorageLimit = limit(known.EphemeralStorageLimit)
		if !pod.HasNetwork && pod.Cgroup != nil && pod.Cgroup.HasNetwork {
			pod.Interfaces, pod.HasNetwork = pod.Cgroup.Interfaces, true
		}
		slices.SortStableFunc(pod.Containers, func(a, b snapshot.Container) int { return strings.Compare(a.Name, b.Name) })
		// Two cgroups may carry one container's ID, such as what a tool that was killed left behind. Twice the same series, and a whole
		// scrape is refused.
		pod.Containers = slices.CompactFunc(pod.Containers, func(a, b snapshot.Container) bool { return a.Name == b.Name })
		limitStorage(pod.Containers, known.Containers)
		shown = append(shown, *pod)
	}
	s.Pods = shown
}

// limitStorage gives containers the limits of their specs. Both are sorted by name.
func limitStorage(shown []snapshot.Container, known []identity.Container) {
	at := 0
	for i := range shown {
		for at < len(known) && known[at].Name < shown[i].Name {
			at++
		}
		if at < len(known) && known[at].Name == shown[i].Name {
			shown[i].EphemeralStorageLimit = limit(known[at].EphemeralStorageLimit)
		}
	}
}

// limit is a number of bytes of which 0 means that there is no limit.
func limit(bytes uint64) snapshot.Optional {
	return snapshot.Optional{Value: bytes, Present: bytes > 0}
}

// sight counts the pods and containers that the sources call running, and those that the snapshot has.
func (c *Collector) sight(s *snapshot.Snapshot) (pods, containers Sight) {
	for i := range c.roster.pods {
		running := 0
		for at := range c.roster.pods[i].Containers {
			if c.roster.pods[i].Containers[at].Running {
				running++
			}
		}
		if running > 0 {
			pods.Expected++
		}
		containers.Expected += running
	}
	pods.Seen = len(s.Pods)
	for i := range s.Pods {
		containers.Seen += len(s.Pods[i].Containers)
	}
	return pods, containers
}

var _ Names = (*identity.Index)(nil)
