package summary

import "k8s.io/kubelet/pkg/apis/stats/v1alpha1"

// slab keeps values of one type, many in an allocation. Pointers to them stay good until it is emptied: its memory then serves anew.
type slab[T any] struct{ values []T }

// The first allocation of a slab is for so many values, and a further one for twice as many as the last, up to a bound.
const slabSize, largestSlab = 16, 128

// keep returns a pointer to a copy of the value.
func (s *slab[T]) keep(value T) *T {
	s.room(1)
	s.values = append(s.values, value)
	return &s.values[len(s.values)-1]
}

// list returns a list that is empty, not nil, and has room for so many.
func (s *slab[T]) list(count int) []T {
	s.room(count)
	at := len(s.values)
	s.values = s.values[:at+count]
	return s.values[at : at : at+count]
}

// room makes a new allocation if there is no room for so many in the last.
func (s *slab[T]) room(count int) {
	if s.values == nil || cap(s.values)-len(s.values) < count {
		s.values = make([]T, 0, max(count, min(2*cap(s.values), largestSlab), slabSize))
	}
}

// empty makes the last allocation serve anew.
func (s *slab[T]) empty() {
	clear(s.values)
	s.values = s.values[:0]
}

// parts are what a summary is made of, by type. The published types are pointers throughout: each part an allocation of its own would be thousands.
type parts struct {
	numbers    slab[uint64]
	cpus       slab[v1alpha1.CPUStats]
	memories   slab[v1alpha1.MemoryStats]
	swaps      slab[v1alpha1.SwapStats]
	ios        slab[v1alpha1.IOStats]
	pressures  slab[v1alpha1.PSIStats]
	disks      slab[v1alpha1.FsStats]
	networks   slab[v1alpha1.NetworkStats]
	interfaces slab[v1alpha1.InterfaceStats]
	processes  slab[v1alpha1.ProcessStats]
	volumes    slab[v1alpha1.VolumeStats]
	claims     slab[v1alpha1.PVCReference]
	containers slab[v1alpha1.ContainerStats]
}

// empty makes all memory serve anew.
func (p *parts) empty() {
	p.numbers.empty()
	p.cpus.empty()
	p.memories.empty()
	p.swaps.empty()
	p.ios.empty()
	p.pressures.empty()
	p.disks.empty()
	p.networks.empty()
	p.interfaces.empty()
	p.processes.empty()
	p.volumes.empty()
	p.claims.empty()
	p.containers.empty()
}
