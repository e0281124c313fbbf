package compare

import (
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"
	"time"
)

// A container's start is at most so long after its creation, and a pod's at most so long before its sandbox's, on a slow machine.
const longestStart = 5 * time.Minute

var (
	startOfPod       = regexp.MustCompile(`^pods\[[^]]+\]\.startTime$`)
	startOfContainer = regexp.MustCompile(`^pods\[[^]]+\]\.containers\[[^]]+\]\.startTime$`)
	layer            = regexp.MustCompile(`^pods\[[^]]+\]\.containers\[[^]]+\]\.rootfs\.`)
	volume           = regexp.MustCompile(`^(pods\[[^]]+\])\.volume\[`)
	ephemeral        = regexp.MustCompile(`^(pods\[[^]]+\])\.ephemeral-storage\.(usedBytes|inodesUsed)$`)
)

// APIAloneSummary are the further deviations of a summary for which the API server alone was asked.
func APIAloneSummary() []Deviation {
	return []Deviation{
		{"runtime-needs-cri", func(d Difference) bool { return d.What == Missing && strings.HasPrefix(d.Path, "node.runtime.") }},
		{"api-only-layers", func(d Difference) bool { return d.What == Missing && layer.MatchString(d.Path) }},
		{"api-only-created", func(d Difference) bool {
			return d.What == Other && (startOfContainer.MatchString(d.Path) && later(d.Text, d.Texts) || startOfPod.MatchString(d.Path) && earlier(d.Text, d.Texts))
		}},
	}
}

// APIAloneMetrics are those of the metrics endpoints. Of a pod one of whose containers comes and goes, the sandbox has no name now and then.
func APIAloneMetrics(kubelet Document, changing []string) []Deviation {
	sandboxes, pods, known := map[string]bool{}, map[string]bool{}, map[string]bool{}
	for series := range kubelet {
		known[Label(series, "id")] = true
		if isSandbox(series) && slices.Contains(changing, Label(series, "namespace")+"/"+Label(series, "pod")) {
			id := Label(series, "id")
			sandboxes[id], pods[path.Dir(id)] = true, true
		}
	}
	return []Deviation{
		{"api-only-created", func(d Difference) bool {
			ofContainer := Label(d.Path, "container") != "" || isSandbox(d.Path)
			return d.What == Outside && timeOfContainer.MatchString(d.Path) && ofContainer && d.Ours > d.High && d.Ours-d.High <= longestStart.Seconds()
		}},
		{"api-only-young", func(d Difference) bool {
			id := Label(d.Path, "id")
			return d.What == Extra && pods[path.Dir(id)] && !known[id] && Label(d.Path, "name") == "" && Label(d.Path, "pod") == ""
		}},
		{"api-only-sandbox", func(d Difference) bool {
			id := Label(d.Path, "id")
			switch d.What {
			case Missing:
				return sandboxes[id] && isSandbox(d.Path)
			case Extra:
				// The pod's interfaces are then its cgroup's.
				return sandboxes[id] && Label(d.Path, "name") == "" && Label(d.Path, "pod") == "" ||
					pods[id] && strings.HasPrefix(d.Path, "container_network_")
			}
			return false
		}},
	}
}

// RuntimeAloneSummary are the further deviations of a summary for which the container runtime alone was asked.
func RuntimeAloneSummary(kubelet Document) []Deviation {
	withVolumes := map[string]bool{}
	for series := range kubelet {
		if pod := volume.FindStringSubmatch(series); pod != nil {
			withVolumes[pod[1]] = true
		}
	}
	return []Deviation{
		{"cri-only-volumes", func(d Difference) bool {
			if pod := ephemeral.FindStringSubmatch(d.Path); pod != nil {
				return d.What == Outside && d.Ours < d.Low && withVolumes[pod[1]]
			}
			return d.What == Missing && volume.MatchString(d.Path)
		}},
	}
}

// WithoutSandboxImages returns a kubelet's metrics as they read without the image of any sandbox, by api-only-sandbox.
func (d Document) WithoutSandboxImages() Document {
	without := maps.Clone(d)
	for series, figure := range d {
		if isSandbox(series) {
			delete(without, series)
			without[strings.Replace(series, `,image="`+Label(series, "image")+`"`, `,image=""`, 1)] = figure
		}
	}
	return without
}

// isSandbox tells whether a series is of a pod's sandbox: a container that is called by no name.
func isSandbox(series string) bool {
	return Label(series, "container") == "" && Label(series, "name") != "" && Label(series, "pod") != ""
}

// later tells whether a time is after one of those, and not by longer than it takes to start.
func later(ours string, theirs []string) bool {
	return slices.ContainsFunc(theirs, func(other string) bool { return startsAfter(other, ours) })
}

func earlier(ours string, theirs []string) bool {
	return slices.ContainsFunc(theirs, func(other string) bool { return startsAfter(ours, other) })
}

func startsAfter(first, second string) bool {
	from, err := time.Parse(time.RFC3339, first)
	if err != nil {
		return false
	}
	to, err := time.Parse(time.RFC3339, second)
	return err == nil && to.After(from) && to.Sub(from) <= longestStart
}
