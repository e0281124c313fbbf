package exporter

import (
	"time"

	"github.com/nodevitals/nodevitals/snapshot"
)

// containerFamilies are about a cgroup as such.
var containerFamilies = []family{
	{
		name: "container_health_state", kind: gauge,
		help: "The result of the container's health check",
		// -1 is "has no health check": none of the runtimes of Kubernetes has them, probes are the kubelet's own.
		cgroup: func(e *encoder, _ *snapshot.Cgroup) { e.signed(-1) },
	},
	{
		name: "container_last_seen", kind: gauge,
		help:   "Last time a container was seen by the exporter",
		stamp:  stampNow,
		cgroup: func(e *encoder, _ *snapshot.Cgroup) { e.signed(e.options.Now.Unix()) },
	},
}

// specFamilies show what a cgroup was given. They describe no moment, so they have no timestamp.
var specFamilies = []family{
	{
		name: "container_creation_time_seconds", kind: gauge, groups: snapshot.Limits,
		help:   "Container creation time since unix epoch in seconds.",
		stamp:  stampNone,
		cgroup: created,
	},
	{
		// The cgroup's time, whatever the runtime says, as cAdvisor has it.
		name: "container_start_time_seconds", kind: gauge, groups: snapshot.Limits,
		help:   "Start time of the container since unix epoch in seconds.",
		stamp:  stampNone,
		cgroup: cgroupMade,
	},
	{
		name: "container_spec_cpu_period", kind: gauge, groups: snapshot.Limits,
		help:   "CPU period of the container.",
		stamp:  stampNone,
		cgroup: cpuSpec(func(s *snapshot.Spec) snapshot.Optional { return s.CPUPeriod }),
	},
	{
		name: "container_spec_cpu_quota", kind: gauge, groups: snapshot.Limits,
		help:   "CPU quota of the container.",
		stamp:  stampNone,
		when:   hasQuota,
		cgroup: cpuSpec(func(s *snapshot.Spec) snapshot.Optional { return s.CPUQuota }),
	},
	{
		name: "container_spec_cpu_shares", kind: gauge, groups: snapshot.Limits,
		help:   "CPU share of the container.",
		stamp:  stampNone,
		cgroup: cpuSpec(func(s *snapshot.Spec) snapshot.Optional { return s.CPUShares }),
	},
	{
		name: "container_spec_memory_limit_bytes", kind: gauge, groups: snapshot.Limits,
		help:   "Memory limit for the container.",
		stamp:  stampNone,
		cgroup: memorySpec(func(s *snapshot.Spec) snapshot.Optional { return s.MemoryLimit }),
	},
	{
		name: "container_spec_memory_reservation_limit_bytes", kind: gauge, groups: snapshot.Limits,
		help:   "Memory reservation limit for the container.",
		stamp:  stampNone,
		cgroup: memorySpec(func(s *snapshot.Spec) snapshot.Optional { return s.MemoryReservation }),
	},
	{
		name: "container_spec_memory_swap_limit_bytes", kind: gauge, groups: snapshot.Limits,
		help:   "Memory swap limit for the container.",
		stamp:  stampNone,
		cgroup: memorySpec(func(s *snapshot.Spec) snapshot.Optional { return s.SwapLimit }),
	},
}

// created emits when the runtime made the container or, where there is none, when the cgroup was made: whole seconds, as cAdvisor
// does, since joins on this value must match across restarts of an agent.
func created(e *encoder, c *snapshot.Cgroup) { emitFirst(e, c, c.Identity.Created, true) }

// cgroupMade emits when the cgroup was made or, if that is not known, what the runtime says.
func cgroupMade(e *encoder, c *snapshot.Cgroup) { emitFirst(e, c, c.Identity.Created, false) }

// emitFirst emits the runtime's time and that of the cgroup's folder, whichever comes first and is known.
func emitFirst(e *encoder, c *snapshot.Cgroup, runtime time.Time, preferred bool) {
	if c.Spec == nil {
		return
	}
	t, otherwise := c.Spec.Created, runtime
	if preferred {
		t, otherwise = otherwise, t
	}
	if t.IsZero() {
		t = otherwise
	}
	if !t.IsZero() {
		e.signed(t.Unix())
	}
}

// hasQuota tells whether CPU time is limited, and so whether the counts of enforcement mean anything.
func hasQuota(c *snapshot.Cgroup) bool { return c.Spec != nil && c.Spec.CPUQuota.Or(0) != 0 }

func cpuSpec(get func(*snapshot.Spec) snapshot.Optional) func(*encoder, *snapshot.Cgroup) {
	return func(e *encoder, c *snapshot.Cgroup) {
		if c.Spec == nil || !c.Spec.HasCPU {
			return
		}
		if v := get(c.Spec); v.Present {
			e.sample(v.Value, 0)
		}
	}
}

// maxLimit is the largest number of bytes that is a limit; the kernel rounds "no limit" to various larger ones.
const maxLimit = 1 << 62

// memorySpec emits a limit in bytes, 0 where there is none.
func memorySpec(get func(*snapshot.Spec) snapshot.Optional) func(*encoder, *snapshot.Cgroup) {
	return func(e *encoder, c *snapshot.Cgroup) {
		if c.Spec == nil || !c.Spec.HasMemory {
			return
		}
		v := get(c.Spec)
		switch {
		case !v.Present:
		case v.Value > maxLimit:
			e.sample(0, 0)
		default:
			e.sample(v.Value, 0)
		}
	}
}
