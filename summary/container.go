package summary

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/kubelet/pkg/apis/stats/v1alpha1"

	"github.com/nodevitals/nodevitals/snapshot"
)

// noLimit is the kubelet's bound between a limit and what the kernel prints where there is none: v1 gives the greatest
// multiple of a page in 63 bits.
const noLimit = 1 << 62

// container renders one cgroup as a container. Its parts are absent where nothing of them is known.
func (r *renderer) container(name string, cgroup *snapshot.Cgroup) v1alpha1.ContainerStats {
	stats := v1alpha1.ContainerStats{Name: name}
	if cgroup.Spec != nil {
		stats.StartTime = metav1.NewTime(cgroup.Spec.Created)
	}
	stats.CPU, stats.Memory, stats.Swap = r.cpu(cgroup), r.memory(cgroup), r.swap(cgroup)
	if r.full {
		stats.IO = r.io(cgroup)
	}
	return stats
}

func (r *renderer) cpu(cgroup *snapshot.Cgroup) *v1alpha1.CPUStats {
	stats := v1alpha1.CPUStats{
		UsageNanoCores:       r.field(&cgroup.Values, snapshot.CPUNanoCores),
		UsageCoreNanoSeconds: r.field(&cgroup.Values, snapshot.CPUUsage),
		PSI:                  r.pressure(&cgroup.Values, snapshot.CPUSomeTotal),
	}
	if stats == (v1alpha1.CPUStats{}) {
		return nil
	}
	stats.Time = r.time(snapshot.CPU)
	return r.parts.cpus.keep(stats)
}

func (r *renderer) memory(cgroup *snapshot.Cgroup) *v1alpha1.MemoryStats {
	values := &cgroup.Values
	stats := v1alpha1.MemoryStats{
		UsageBytes:      r.field(values, snapshot.MemoryUsage),
		WorkingSetBytes: r.field(values, snapshot.MemoryWorkingSet),
		RSSBytes:        r.field(values, snapshot.MemoryRSS),
		PageFaults:      r.field(values, snapshot.MemoryPgfault),
		MajorPageFaults: r.field(values, snapshot.MemoryPgmajfault),
		PSI:             r.pressure(values, snapshot.MemorySomeTotal),
	}
	if stats == (v1alpha1.MemoryStats{}) {
		return nil
	}
	stats.Time = r.time(snapshot.Memory)
	limit := r.memoryLimit(cgroup)
	if workingSet, ok := values.Get(snapshot.MemoryWorkingSet); ok && limit.Present && limit.Value <= noLimit {
		stats.AvailableBytes = r.less(limit.Value, workingSet)
	}
	return r.parts.memories.keep(stats)
}

// memoryLimit is the cgroup's limit. The root's is the machine's memory, and so is one of 0, which stands for none.
func (r *renderer) memoryLimit(cgroup *snapshot.Cgroup) snapshot.Optional {
	machine := r.snapshot.Node.MemoryTotal
	if cgroup.Identity.ID == "/" {
		return machine
	}
	if cgroup.Spec == nil {
		return snapshot.Optional{}
	}
	if limit := cgroup.Spec.MemoryLimit; !limit.Present || limit.Value > 0 {
		return limit
	}
	return machine
}

// swap gives what is available by the kubelet's rule: the limit less what is used. On cgroup v1 that limit is of memory and swap
// together, so the number is too great there.
func (r *renderer) swap(cgroup *snapshot.Cgroup) *v1alpha1.SwapStats {
	used, ok := cgroup.Get(snapshot.MemorySwap)
	if !ok {
		return nil
	}
	stats := v1alpha1.SwapStats{Time: r.time(snapshot.Memory), SwapUsageBytes: r.number(used)}
	var limit snapshot.Optional
	switch {
	case cgroup.Identity.ID == "/":
		limit = r.snapshot.Node.SwapTotal
	case cgroup.Spec != nil:
		limit = cgroup.Spec.SwapLimit
	}
	if limit.Present && limit.Value <= noLimit {
		stats.SwapAvailableBytes = r.less(limit.Value, used)
	}
	return r.parts.swaps.keep(stats)
}

// io shows pressure alone, as the kubelet does. A cgroup whose devices are accounted for has a time even without pressure: in a kubelet's
// answer that of its sample, so the counters of the devices need not be read for it.
func (r *renderer) io(cgroup *snapshot.Cgroup) *v1alpha1.IOStats {
	psi, at := r.pressure(&cgroup.Values, snapshot.IOSomeTotal), r.time(snapshot.IO|snapshot.Pressure)
	if at.IsZero() {
		at = r.time(snapshot.CPU)
	}
	accounted := !at.IsZero() && (cgroup.Spec == nil || cgroup.Spec.HasIO)
	if psi == nil && !accounted {
		return nil
	}
	return r.parts.ios.keep(v1alpha1.IOStats{Time: at, PSI: psi})
}

// pressure renders the eight fields that start at a "some" total, which stays in the kernel's microseconds as in the kubelet's
// answers. It is nil where the kernel has none. Linux before 5.13 has no "full" line for the CPU; the type has no way to leave
// that out.
func (r *renderer) pressure(values *snapshot.Values, some snapshot.Field) *v1alpha1.PSIStats {
	if _, ok := values.Get(some); !ok {
		return nil
	}
	return r.parts.pressures.keep(v1alpha1.PSIStats{Some: pressureLine(values, some), Full: pressureLine(values, some+snapshot.PressureLine)})
}

func pressureLine(values *snapshot.Values, total snapshot.Field) v1alpha1.PSIData {
	microseconds, _ := values.Get(total)
	average := func(field snapshot.Field) float64 {
		hundredths, _ := values.Get(total + field)
		return float64(hundredths) / 100
	}
	return v1alpha1.PSIData{
		Total: microseconds,
		Avg10: average(snapshot.PressureAvg10), Avg60: average(snapshot.PressureAvg60), Avg300: average(snapshot.PressureAvg300),
	}
}

// time is when the first of the groups was read; JSON shows whole seconds, and null where none was.
func (r *renderer) time(groups snapshot.Groups) metav1.Time {
	return metav1.NewTime(r.snapshot.Time(groups & r.snapshot.Groups))
}
