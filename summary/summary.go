// Package summary renders a snapshot as the kubelet's Summary: the JSON of /stats/summary.
//
// Everything here is a pure function of one snapshot. What differs from a kubelet's answer for the same node is a row of
// docs/fidelity.md.
package summary

import (
	"k8s.io/kubelet/pkg/apis/stats/v1alpha1"

	"github.com/nodevitals/nodevitals/snapshot"
)

// Options name the cgroups of system containers, as the kubelet's flags of the same names do. An empty one is looked for under
// its usual names.
type Options struct {
	// KubeletCgroups, RuntimeCgroups and SystemCgroups are the cgroups of the containers "kubelet", "runtime" and "misc". There
	// is no usual name for the last.
	KubeletCgroups, RuntimeCgroups, SystemCgroups string
	// PodsCgroup is the cgroup above all pods, of the container "pods".
	PodsCgroup string
}

// The groups of a snapshot that a summary shows.
const (
	// CPUAndMemory is what only_cpu_and_memory shows. System containers are slices or services; a pod's sandbox is not shown.
	CPUAndMemory = snapshot.CPUUse | snapshot.MemoryUse | snapshot.Pressure | snapshot.Limits | snapshot.Slices
	// Full is what the full summary shows: all but devices, numbers of threads, and what processes have open, so their files are not read.
	Full = CPUAndMemory | snapshot.Network | snapshot.Processes | snapshot.Storage
)

// Render returns the summary of a snapshot: the full one, or with only as much as only_cpu_and_memory shows. What the snapshot
// does not hold is absent.
func Render(s *snapshot.Snapshot, options Options, onlyCPUAndMemory bool) *v1alpha1.Summary {
	r := renderer{snapshot: s, full: !onlyCPUAndMemory}
	return &v1alpha1.Summary{Node: r.node(options), Pods: r.pods()}
}

// renderer renders one snapshot.
type renderer struct {
	snapshot *snapshot.Snapshot
	parts    parts
	// full: not only CPU and memory.
	full bool
	// held is what was last found to hold a folder.
	held held
}

// number returns a pointer to a copy.
func (r *renderer) number(value uint64) *uint64 { return r.parts.numbers.keep(value) }

// field returns a pointer to the field's value, or nil if it is absent.
func (r *renderer) field(values *snapshot.Values, field snapshot.Field) *uint64 {
	if value, ok := values.Get(field); ok {
		return r.number(value)
	}
	return nil
}

// optional returns a pointer to the value, or nil if it is absent.
func (r *renderer) optional(value snapshot.Optional) *uint64 {
	if !value.Present {
		return nil
	}
	return r.number(value.Value)
}

// less returns a pointer to a-b, and to 0 where that would be negative.
func (r *renderer) less(a, b uint64) *uint64 { return r.number(a - min(a, b)) }
