package collector

import (
	"bytes"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/nodevitals/nodevitals/collector/machine/hostfile"
	"github.com/nodevitals/nodevitals/collector/network"
	"github.com/nodevitals/nodevitals/snapshot"
)

// podNetworks keeps a reader for the network namespace of each pod.
type podNetworks struct {
	byUID map[string]*podNetwork
	pass  uint64
	// text is what all readers read into, one after the other.
	text hostfile.Buffer
}

// podNetwork is one pod's.
type podNetwork struct {
	reader interfaceReader
	// retry is when a pod without a process to be found is tried again.
	retry time.Time
	// used is the pass that last met the pod.
	used uint64
}

// interfaceReader reads the interfaces of one network namespace; [network.Reader] does.
type interfaceReader interface {
	Append([]snapshot.Interface) ([]snapshot.Interface, error)
	Close()
}

// retryNetwork is how long a pod in whose cgroups no process was found waits for the next look.
const retryNetwork = time.Second

// readPodNetworks gives each pod's sandbox, or the pod itself where no sandbox is known, the interfaces of the pod's network
// namespace, found through any process of the pod that lives.
func (c *Collector) readPodNetworks(s *snapshot.Snapshot, now time.Time) {
	if c.options.Names == nil || len(c.roster.pods) == 0 {
		c.forgetNetworks(0)
		return
	}
	c.networks.pass++
	root := s.Find("/")
	interfaces := roomFor(c.held.interfaces, c.roster.interfaces)
	for first := 0; first < len(s.Cgroups); {
		uid := s.Cgroups[first].Identity.PodUID
		last := first + 1
		for last < len(s.Cgroups) && uid != "" && belongs(&s.Cgroups[last], uid, s.Cgroups[first].Identity.ID) {
			last++
		}
		if uid != "" {
			interfaces = c.readPodNetwork(s.Cgroups[first:last], uid, root, interfaces, now)
		}
		first = last
	}
	c.roster.interfaces, c.held.interfaces = len(interfaces), interfaces
	c.forgetNetworks(c.networks.pass)
}

// belongs tells whether a record is of the pod with this UID or below the pod's first cgroup.
func belongs(record *snapshot.Cgroup, uid, first string) bool {
	return record.Identity.PodUID == uid || record.Identity.PodUID == "" && strings.HasPrefix(record.Identity.ID, first+"/")
}

// readPodNetwork reads the interfaces of one pod, whose records are given, and appends them to interfaces.
func (c *Collector) readPodNetwork(records []snapshot.Cgroup, uid string, root *snapshot.Cgroup, interfaces []snapshot.Interface, now time.Time) []snapshot.Interface {
	owner := &records[0]
	for i := range records {
		if records[i].Identity.Kind == snapshot.SandboxCgroup && records[i].Identity.Name != "" {
			owner = &records[i]
		}
	}
	if owner.Identity.Pod == "" {
		return interfaces
	}
	if c.networks.byUID == nil {
		c.networks.byUID = make(map[string]*podNetwork)
	}
	known := c.networks.byUID[uid]
	if known == nil {
		known = &podNetwork{}
		c.networks.byUID[uid] = known
	}
	known.used = c.networks.pass
	place, ok := c.roster.places[uid]
	host := ok && c.roster.pods[place].HostNetwork
	if known.reader == nil && !host && !now.Before(known.retry) {
		known.retry = now.Add(retryNetwork)
		c.findNamespace(known, records)
	}
	switch {
	case host:
		if !c.options.OmitHostNetwork && root != nil && root.HasNetwork {
			owner.Interfaces, owner.HasNetwork = root.Interfaces, true
		}
	case known.reader != nil:
		first := len(interfaces)
		all, err := known.reader.Append(interfaces)
		if err != nil {
			// The namespace is gone with its last process, or will be found anew through another.
			known.reader.Close()
			known.reader = nil
			c.report("network", err)
			return interfaces[:first]
		}
		owner.Interfaces, owner.HasNetwork = all[first:len(all):len(all)], true
		return all
	}
	return interfaces
}

// findNamespace looks for a living process in the pod's cgroups, the sandbox's first, and opens its network namespace.
func (c *Collector) findNamespace(known *podNetwork, records []snapshot.Cgroup) {
	for _, sandboxes := range [...]bool{true, false} {
		for i := range records {
			if (records[i].Identity.Kind == snapshot.SandboxCgroup) != sandboxes {
				continue
			}
			one := c.tree.Known(records[i].Identity.ID)
			if one == nil {
				continue
			}
			for _, pid := range c.firstPIDs(c.reader.ProcsPath(one)) {
				if c.openNamespace(known, pid) {
					return
				}
			}
		}
	}
}

// forgetNetworks closes the readers of pods that were not met in the given pass: a kept file keeps a namespace alive.
func (c *Collector) forgetNetworks(pass uint64) {
	for uid, known := range c.networks.byUID {
		if pass == 0 || known.used != pass {
			if known.reader != nil {
				known.reader.Close()
			}
			delete(c.networks.byUID, uid)
		}
	}
}

// forgetGoneNetworks closes the readers of pods none of whose cgroups is left, while nobody asks for a pass.
func (c *Collector) forgetGoneNetworks() {
	if len(c.networks.byUID) == 0 {
		return
	}
	alive := make(map[string]bool, len(c.networks.byUID))
	for _, known := range c.tree.Cgroups() {
		alive[known.Identity.PodUID] = true
	}
	for uid, known := range c.networks.byUID {
		if !alive[uid] {
			if known.reader != nil {
				known.reader.Close()
			}
			delete(c.networks.byUID, uid)
		}
	}
}

// openNamespace makes a reader for the network namespace of a process of a pod with one of its own. It returns false if the process is
// gone, or still in the host's: a runtime puts a process into its cgroup before it puts it into its namespaces.
func (c *Collector) openNamespace(known *podNetwork, pid int) bool {
	of, err := network.Namespace(c.options.HostRoot, pid)
	if err != nil {
		return false
	}
	if host, err := network.Namespace(c.options.HostRoot, 1); err == nil && of == host {
		return false
	}
	known.reader = network.NewReader(c.options.HostRoot, pid, &c.networks.text)
	return true
}

// firstPIDs returns some processes of a cgroup, from the text of its cgroup.procs; none if it is empty or gone, or if its numbers would be
// other processes in the host's /proc. PID 0 stands for a process of another PID namespace.
func (c *Collector) firstPIDs(path string) []int {
	if !c.sameNumbers {
		return nil
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil
	}
	var pids []int
	for line := range bytes.Lines(text) {
		if pid, err := strconv.Atoi(string(bytes.TrimSpace(line))); err == nil && pid > 0 && len(pids) < 4 {
			pids = append(pids, pid)
		}
	}
	return pids
}
