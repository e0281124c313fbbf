package exporter

import (
	"math/bits"

	"github.com/nodevitals/nodevitals/snapshot"
)

// memoryPartFamilies tell what a cgroup's memory is made of, beside the working set, which counts as in use what the kernel
// would give back before anything is killed: most file pages, and the reclaimable slab.
var memoryPartFamilies = []family{
	{
		name: "container_memory_anon_bytes", kind: gauge, groups: snapshot.Memory,
		help:  "Anonymous memory, without tmpfs: memory.stat anon (v2), total_rss (v1).",
		field: snapshot.MemoryRSS,
	},
	{
		name: "container_memory_file_bytes", kind: gauge, groups: snapshot.Memory,
		help:  "Page cache, with tmpfs and shared memory: memory.stat file (v2), total_cache (v1).",
		field: snapshot.MemoryCache,
	},
	{
		name: "container_memory_shmem_bytes", kind: gauge, groups: snapshot.Memory,
		help:  "Shared memory and tmpfs, a part of the page cache that only swap can take: memory.stat shmem (v2), total_shmem (v1).",
		field: snapshot.MemoryShmem,
	},
	{
		name: "container_memory_slab_reclaimable_bytes", kind: gauge, groups: snapshot.Memory,
		help:  "Kernel structures that can be given back, such as dentries and inodes: memory.stat slab_reclaimable (v2).",
		field: snapshot.MemorySlabReclaimable,
	},
	{
		name: "container_memory_slab_unreclaimable_bytes", kind: gauge, groups: snapshot.Memory,
		help:  "Kernel structures that cannot be given back: memory.stat slab_unreclaimable (v2).",
		field: snapshot.MemorySlabUnreclaimable,
	},
	{
		name: "container_memory_unreclaimable_bytes", kind: gauge, groups: snapshot.Memory,
		help:   "Usage less what the kernel can take back without swap: active_file, inactive_file and, on v2, slab_reclaimable of memory.stat; not below 0.",
		cgroup: unreclaimable,
	},
}

// unreclaimable emits usage less the file pages on the kernel's lists of what can be evicted, which hold neither tmpfs nor locked
// pages, and less the reclaimable slab.
func unreclaimable(e *encoder, c *snapshot.Cgroup) {
	usage, known := c.Get(snapshot.MemoryUsage)
	active, hasActive := c.Get(snapshot.MemoryActiveFile)
	inactive, hasInactive := c.Get(snapshot.MemoryInactiveFile)
	if !known || !hasActive || !hasInactive {
		return
	}
	slab, _ := c.Get(snapshot.MemorySlabReclaimable)
	for _, part := range [...]uint64{active, inactive, slab} {
		usage -= min(usage, part)
	}
	e.sample(usage, 0)
}

// killFamilies are kills for want of memory that outlive the container.
var killFamilies = []family{{
	name: "pod_oom_kills_total", kind: counter, groups: snapshot.Memory,
	help: "Processes of the pod that the kernel killed for want of memory, those of containers that are gone included: memory.events oom_kill of the pod's cgroup (v2), memory.oom_control added up from sample to sample (v1).",
	pod:  func(e *encoder, pod *snapshot.Pod) { e.optional(pod.OOMKills) },
}}

// resourceLimitFamilies are requests and limits in base units, as far as cgroups hold them. Without a limit there is no row.
var resourceLimitFamilies = []family{
	{
		name: "container_cpu_limit_cores", kind: gauge, groups: snapshot.Limits,
		help:   "CPUs that the cgroup may use: cpu.max (v2), cpu.cfs_quota_us by cpu.cfs_period_us (v1).",
		stamp:  stampNone,
		cgroup: cpuLimit,
	},
	{
		name: "container_cpu_request_cores", kind: gauge, groups: snapshot.Limits,
		help:   "CPUs that a pod or container requested: cpu.shares by 1024 (v1). On v2 see container_cpu_weight.",
		stamp:  stampNone,
		cgroup: cpuRequest,
	},
	{
		name: "container_cpu_weight", kind: gauge, groups: snapshot.Limits,
		help:   "Weight against the cgroup's neighbours when CPUs are short, from 1 to 10000: cpu.weight (v2).",
		stamp:  stampNone,
		cgroup: cpuSpec(func(s *snapshot.Spec) snapshot.Optional { return s.CPUWeight }),
	},
	{
		name: "container_memory_limit_bytes", kind: gauge, groups: snapshot.Limits,
		help:   "Memory that the cgroup may use: memory.max (v2), memory.limit_in_bytes (v1).",
		stamp:  stampNone,
		cgroup: limitOf(func(s *snapshot.Spec) snapshot.Optional { return s.MemoryLimit }),
	},
	{
		name: "container_memory_request_bytes", kind: gauge, groups: snapshot.Limits,
		help:   "Memory that is kept for the cgroup: memory.min, which a kubelet sets with the gate MemoryQoS (v2), memory.soft_limit_in_bytes (v1).",
		stamp:  stampNone,
		cgroup: limitOf(func(s *snapshot.Spec) snapshot.Optional { return s.MemoryReservation }),
	},
	{
		name: "container_memory_swap_limit_bytes", kind: gauge, groups: snapshot.Limits,
		help:   "Swap that the cgroup may use: memory.swap.max (v2), memory.memsw.limit_in_bytes less memory.limit_in_bytes (v1).",
		stamp:  stampNone,
		cgroup: swapAlone,
	},
}

const nanocores = 1_000_000_000

// cores emits n / per CPUs.
func (e *encoder) cores(n, per uint64) {
	high, low := bits.Mul64(n, nanocores)
	if per > high {
		quotient, _ := bits.Div64(high, low, per)
		e.sample(quotient, decimals[snapshot.NanoCores])
	}
}

func cpuLimit(e *encoder, c *snapshot.Cgroup) {
	if hasQuota(c) && c.Spec.HasCPU {
		e.cores(c.Spec.CPUQuota.Value, c.Spec.CPUPeriod.Or(0))
	}
}

// leastShares is what a kubelet sets where nothing is requested.
const leastShares = 2

// cpuRequest emits what v1 still tells. A weight of v2 does not say by which of two rules a runtime made it of the request.
func cpuRequest(e *encoder, c *snapshot.Cgroup) {
	kind := c.Identity.Kind
	if c.Spec == nil || !c.Spec.HasCPU || c.Spec.CPUWeight.Present || kind != snapshot.PodCgroup && kind != snapshot.ContainerCgroup {
		return
	}
	if shares := c.Spec.CPUShares; shares.Present && shares.Value > leastShares {
		e.cores(shares.Value, 1024)
	}
}

// limitOf emits a number of bytes that is set and is no "no limit". The root's limit is the machine, and none.
func limitOf(get func(*snapshot.Spec) snapshot.Optional) func(*encoder, *snapshot.Cgroup) {
	return func(e *encoder, c *snapshot.Cgroup) {
		if c.Spec == nil || !c.Spec.HasMemory || isRoot(c) {
			return
		}
		if v := get(c.Spec); v.Present && v.Value > 0 && v.Value <= maxLimit {
			e.sample(v.Value, 0)
		}
	}
}

// swapAlone emits a limit on swap, of which 0 is one. v1 limits memory and swap together.
func swapAlone(e *encoder, c *snapshot.Cgroup) {
	if c.Spec == nil || !c.Spec.HasMemory || isRoot(c) {
		return
	}
	limit, memory := c.Spec.SwapLimit, c.Spec.MemoryLimit
	if !limit.Present || limit.Value > maxLimit {
		return
	}
	if c.Spec.SwapWithMemory {
		if !memory.Present || memory.Value > limit.Value {
			return
		}
		limit.Value -= memory.Value
	}
	e.sample(limit.Value, 0)
}
