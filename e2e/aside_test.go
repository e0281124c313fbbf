package e2e

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/nodevitals/nodevitals/e2e/compare"
	"github.com/nodevitals/nodevitals/e2e/workload"
)

// What moves with a container's every kill: the pod's memory and its own, and no counter of them.
var memoryOfKilled = regexp.MustCompile(`^pods\[default/out-of-memory\]\.(containers\[hungry\]\.)?memory\.(availableBytes|usageBytes|workingSetBytes|rssBytes)$`)

// What others on a shared host take of the machine's memory, as gauges: counters only rise, whoever moves them.
var memoryOfMachine = regexp.MustCompile(`^node\.memory\.(availableBytes|usageBytes|workingSetBytes|rssBytes)$|^node_memory_working_set_bytes$|` +
	`^container_memory_(usage_bytes|working_set_bytes|rss|cache|mapped_file|kernel_usage|total_(in)?active_file_bytes|file_(dirty|writeback)_bytes)\{.*id="/",`)

// setAside returns why a difference is neither side's rule but this run's chance or place, or nothing. Each is told with its count.
func setAside(d compare.Difference) string {
	hostNetwork := strings.HasPrefix(d.Path, "pods[default/host-network].network.") ||
		strings.HasPrefix(d.Path, "container_network_") && compare.Label(d.Path, "pod") == "host-network"
	if hostNetwork && node.OwnNetwork() {
		return "the host's network is that of process 1 for nodevitals, and here the node has one of its own"
	}
	if d.What == compare.Outside && memoryOfMachine.MatchString(d.Path) && node.OwnNetwork() {
		return "the machine's memory is that of other programs of this host as well, and goes up and down with them"
	}
	for _, name := range workload.Fleeting {
		there := strings.Contains(d.Path, ".containers["+name+"].") || compare.Label(d.Path, "container") == name
		if there && (d.What == compare.Missing || d.What == compare.Extra) {
			return "container " + name + " comes and goes faster than the kubelet takes samples"
		}
	}
	if d.What == compare.Outside && beganMeanwhile(d.Path, firstOfCadvisor()) {
		return "the container's cgroup was made while the answers were asked for, and its limits are written a moment later"
	}
	if d.What == compare.Outside && memoryOfKilled.MatchString(d.Path) {
		return "the memory of the pod and of its container hungry goes up and down between the kubelet's samples, as that takes all and is killed"
	}
	if lost := lostContainers(); lost.ids[compare.Label(d.Path, "id")] || lost.has(d.Path) {
		return "the kubelet did not learn whose cgroup this is, and shows it without a name and with the runtime's figures"
	}
	return ""
}

// beganMeanwhile tells a limit of a fleeting container's cgroup that the kubelet's first answer does not have: the runtime makes the cgroup,
// and then writes its limits. One that was there before has them, and is held to them.
func beganMeanwhile(path string, first compare.Document) bool {
	_, before := first[path]
	return !before && strings.HasPrefix(path, "container_spec_") && slices.Contains(workload.Fleeting, compare.Label(path, "container"))
}

// firstOfCadvisor is the kubelet's answer before ours.
func firstOfCadvisor() compare.Document {
	o, err := observe()
	if err != nil {
		return nil
	}
	return o.cadvisor.kubelet[0]
}

// lost are containers whose cgroups a kubelet on a slow machine could not ask the runtime about when it first saw them. It does not ask again.
type lost struct {
	ids      map[string]bool
	prefixes []string
}

func (l lost) has(path string) bool {
	for _, prefix := range l.prefixes {
		if strings.HasPrefix(path, prefix) {
			return true
		}
	}
	return false
}

var cgroupOfContainer = regexp.MustCompile(`^/kubepods/.*/[0-9a-f]{64}$`)

// lostContainers finds those of the observation: rows without a pod for what must be a container's cgroup.
var lostContainers = sync.OnceValue(func() lost {
	l := lost{ids: map[string]bool{}}
	o, err := observe()
	if err != nil {
		return l
	}
	for path := range o.cadvisor.kubelet[0] {
		if id := compare.Label(path, "id"); cgroupOfContainer.MatchString(id) && compare.Label(path, "pod") == "" {
			l.ids[id] = true
		}
	}
	for path := range o.cadvisor.ours[bothSources].Document {
		if l.ids[compare.Label(path, "id")] && strings.HasPrefix(path, "container_memory_usage_bytes{") {
			pod := fmt.Sprintf("pods[%s/%s].", compare.Label(path, "namespace"), compare.Label(path, "pod"))
			// The runtime does not count processes, so that the kubelet has none of the pod's either.
			l.prefixes = append(l.prefixes, pod+"containers["+compare.Label(path, "container")+"].", pod+"process_stats.")
			if compare.Label(path, "container") == "" {
				l.prefixes = append(l.prefixes, pod+"network.") // which is the sandbox's
			}
		}
	}
	return l
})
