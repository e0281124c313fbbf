package exporter

import (
	"slices"
	"strings"

	"github.com/nodevitals/nodevitals/snapshot"
)

// kind is the type that a family's TYPE line names.
type kind uint8

const (
	gauge kind = iota
	counter
)

// family is one metric family: adding a metric is adding one row of this kind to a table.
type family struct {
	// name is the name of the family and of each of its samples, in every format.
	name string
	kind kind
	// groups gate the family: it is left out unless one of them is wanted and held. Zero: it is always there.
	groups snapshot.Groups
	// needs are groups that must be read besides, since they decide what is shown. Layers are not read where HandlerOptions leave them out.
	needs snapshot.Groups
	// help holds cAdvisor's and the kubelet's own words, which dashboards show.
	help string

	// One of five says where samples come from: node, pod, container, cgroup, or else field.

	// node emits samples that belong to no cgroup.
	node func(*encoder)
	// pod and container emit samples of one pod, or of one running container that has a cgroup, in /metrics/resource.
	pod       func(*encoder, *snapshot.Pod)
	container func(*encoder, *snapshot.Container)
	// cgroup emits any number of samples of one cgroup.
	cgroup func(*encoder, *snapshot.Cgroup)
	// field is the one number of each cgroup; its unit in snapshot.Fields decides the divisor.
	field snapshot.Field
	// when, if set, must hold for a cgroup to have the family.
	when func(*snapshot.Cgroup) bool

	// stamp says which moment an explicit timestamp names.
	stamp stamp
}

// stamp is the moment that an explicit timestamp names.
type stamp uint8

const (
	// stampReading is when the first of the family's groups was read; for a family of no group, the first of all.
	stampReading stamp = iota
	// stampNow is the moment of the request.
	stampNow
	// stampNone: the family never has a timestamp, as its value is not a sample of a moment.
	stampNone
)

// cadvisorFamilies are the families of /metrics/cadvisor, sorted by name.
var cadvisorFamilies = sorted(versionFamilies, containerFamilies, specFamilies, cpuFamilies, memoryFamilies,
	diskFamilies, networkFamilies, processFamilies, pressureFamilies, machineFamilies)

func sorted(tables ...[]family) []family {
	all := slices.Concat(tables...)
	slices.SortFunc(all, func(a, b family) int { return strings.Compare(a.name, b.name) })
	return all
}

// described returns what the HELP and TYPE lines say: the family's name and type in a format.
//
// OpenMetrics names a counter without the _total that its sample has. A counter whose name lacks it would have to be
// renamed, and since Prometheus asks for OpenMetrics first, every dashboard would lose it; so there its type is unknown.
func (f *family) described(format Format) (name, kind string) {
	if f.kind == gauge {
		return f.name, "gauge"
	}
	if format != OpenMetrics {
		return f.name, "counter"
	}
	if base, ok := strings.CutSuffix(f.name, "_total"); ok {
		return base, "counter"
	}
	return f.name, "unknown"
}

// decimals tells how many digits after the point make the base unit of each unit.
var decimals = [...]int{
	snapshot.Count:        0,
	snapshot.Bytes:        0,
	snapshot.Nanoseconds:  9,
	snapshot.Microseconds: 6,
	snapshot.NanoCores:    9,
	snapshot.CentiPercent: 2,
}

// emit writes the samples of one cgroup.
func (f *family) emit(e *encoder, c *snapshot.Cgroup) {
	if f.when != nil && !f.when(c) {
		return
	}
	if f.cgroup != nil {
		f.cgroup(e, c)
		return
	}
	if n, ok := c.Get(f.field); ok {
		e.sample(n, decimals[snapshot.Fields[f.field].Unit])
	}
}

// isRoot tells whether a cgroup stands for the whole machine.
func isRoot(c *snapshot.Cgroup) bool { return c.Identity.ID == "/" }
