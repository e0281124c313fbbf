// Package snapshot holds one coherent sampling of a whole node as plain data.
//
// A snapshot is never changed after it is published, so that any number of goroutines can read it without a lock, as long as they use it
// ([Snapshot.Use]). Everything downstream of it is a pure function of one snapshot. The package does no input or output.
package snapshot

import "time"

// Snapshot is one sampling of a node.
type Snapshot struct {
	// Sequence counts the snapshots of one collector, from 1.
	Sequence uint64
	// Taken is when the pass began. It rises strictly, by a millisecond at least, from snapshot to snapshot.
	Taken time.Time
	// Groups are the groups that this snapshot holds. The others are absent throughout. Without [Slices] or [Sandboxes], such cgroups have
	// their Identity alone.
	Groups Groups
	// Readings tells for each group when it was read, by the index of Groups.Each.
	Readings [GroupCount]Reading
	// Node is what belongs to the machine and not to one cgroup.
	Node Node
	// Cgroups are all cgroups, sorted by ID. The first is the root, "/".
	Cgroups []Cgroup
	// Pods are those with a running container, sorted by Namespace and Name; empty where no source of names is at hand.
	Pods []Pod

	// use counts users; nil: nobody does.
	use *use
}

// Time returns the timestamp of a single group: that of its first member, if groups has several. Zero: not read.
func (s *Snapshot) Time(groups Groups) time.Time {
	var t time.Time
	groups.Each(func(i int, _ string) {
		if t.IsZero() {
			t = s.Readings[i].Time
		}
	})
	return t
}

// Find returns the cgroup of this ID ("/system.slice"), or nil.
func (s *Snapshot) Find(id string) *Cgroup {
	low, high := 0, len(s.Cgroups)
	for low < high {
		middle := (low + high) / 2
		if s.Cgroups[middle].Identity.ID < id {
			low = middle + 1
		} else {
			high = middle
		}
	}
	if low < len(s.Cgroups) && s.Cgroups[low].Identity.ID == id {
		return &s.Cgroups[low]
	}
	return nil
}

// Identity says who a cgroup is. It is shared by successive snapshots and never changed.
type Identity struct {
	// ID is the cgroup's path from the root of the hierarchy: "/", "/system.slice/cron.service".
	ID string
	// Name is the runtime's name or ID of the container; empty where no runtime is known.
	Name string
	// Image is the container's image reference; empty where unknown.
	Image string
	// Pod, Namespace and Container are the Kubernetes names; empty where unknown.
	Pod, Namespace, Container string
	// Kind says what the cgroup is for, as far as its path tells.
	Kind CgroupKind
	// PodUID and ContainerID are what the path holds of a pod's and container's cgroup; empty in others. A static pod's UID
	// is the hash of its file.
	PodUID, ContainerID string
	// Created is when the runtime made the container; zero where unknown.
	Created time.Time
}

// Cgroup is one cgroup's record.
type Cgroup struct {
	// Identity is never nil.
	Identity *Identity
	// Spec holds limits; nil where the group was not read.
	Spec *Spec
	Values
	// Devices are the block devices that the cgroup used, in the kernel's order.
	Devices []Device
	// Interfaces are those of the cgroup's network namespace, in the kernel's order, without loopback and the
	// interfaces that cAdvisor leaves out. Only cgroups that own a network namespace have them: here the root.
	Interfaces []Interface
	// HasNetwork tells that the cgroup's interfaces were read, so that none found is not the same as not looked for.
	HasNetwork bool
}

// Spec is what a cgroup was given: limits and weights, each as the kernel's file says.
type Spec struct {
	// Created is the earliest known time of the cgroup's directory, not before boot; zero where unknown.
	Created time.Time
	// HasCPU, HasMemory, HasIO and HasPids tell whether the cgroup has the controller's directory (memory on v2: memory.max).
	HasCPU, HasMemory, HasIO, HasPids bool
	// CPUShares is cpu.shares (v1), or cpu.weight (v2) by the kubelet's linear rule 2+((weight-1)*262142)/9999.
	CPUShares Optional
	// CPUWeight is cpu.weight (v2), from 1 to 10000; absent on v1.
	CPUWeight Optional
	// CPUQuota is microseconds of CPU in each period; absent where there is no limit.
	CPUQuota Optional
	// CPUPeriod is the length of a period in microseconds.
	CPUPeriod Optional
	// MemoryLimit is in bytes: memory.max, memory.limit_in_bytes; the root's is the machine's memory. May be Unlimited.
	MemoryLimit Optional
	// MemoryReservation is in bytes: memory.min, memory.soft_limit_in_bytes.
	MemoryReservation Optional
	// SwapLimit is in bytes: memory.swap.max (swap alone, v2), memory.memsw.limit_in_bytes (memory and swap, v1);
	// the root's is the machine's swap.
	SwapLimit Optional
	// SwapWithMemory tells that SwapLimit is of memory and swap together (v1).
	SwapWithMemory bool
	// PidsLimit is pids.max; may be Unlimited.
	PidsLimit Optional
}

// Optional is a number that a kernel may not give. The zero Optional is absent.
type Optional struct {
	// Value is meaningless unless Present.
	Value uint64
	// Present tells whether there is a value.
	Present bool
}

// Some makes a present Optional.
func Some(v uint64) Optional { return Optional{Value: v, Present: true} }

// Or returns the value, or otherwise if it is absent.
func (o Optional) Or(otherwise uint64) uint64 {
	if o.Present {
		return o.Value
	}
	return otherwise
}

// Interface is one network interface's counters since it was made, from /proc/PID/net/dev.
type Interface struct {
	Name                                    string
	RxBytes, RxPackets, RxErrors, RxDropped uint64
	TxBytes, TxPackets, TxErrors, TxDropped uint64
}
