package snapshot

import (
	"fmt"
	"strings"
	"time"
)

// Groups is a set of reading groups: what one pass reads, and what a request asks for.
type Groups uint32

// The reading groups. Every value of a snapshot belongs to exactly one of them. CPU, Memory, Process and Storage have parts, because most
// answers show only some: a request that names one part has nothing of the others read.
const (
	// CPUUse is cpu.stat (v2), cpuacct.usage (v1): the CPU time in all.
	CPUUse Groups = 1 << iota
	// MemoryUse is memory.stat, memory.current and memory.swap.current (v2), memory.stat and memory.usage_in_bytes (v1).
	MemoryUse
	// IO is io.stat (v2), blkio.* (v1).
	IO
	// Pids is pids.current.
	Pids
	// Pressure is cpu.pressure, memory.pressure and io.pressure (v2).
	Pressure
	// Network is /proc/PID/net/dev.
	Network
	// Limits is the spec of a cgroup: weights, quotas, limits, creation time.
	Limits
	// Processes is cgroup.procs: how many there are.
	Processes
	// Filesystems is statfs of the node's filesystems and /proc/diskstats.
	Filesystems

	// CPUDetail is cpuacct.stat and cpu.stat (v1); v2 has all in one file.
	CPUDetail
	// MemoryDetail is memory.peak and memory.events (v2), and the rest of memory.* on v1.
	MemoryDetail
	// ProcessDetail is each process's descriptors, sockets and limits.
	ProcessDetail
	// Layers is what the container runtime tells of containers' writable layers and of images.
	Layers
	// Volumes is what pods' volumes and logs take.
	Volumes

	// Slices and Sandboxes say of which cgroups, beside the root, pods and their containers, the groups are read: Slices are those of no
	// pod, Sandboxes those of the processes that hold a pod's namespaces. Without them, a snapshot has the Identity of such cgroups alone.
	Slices
	Sandboxes

	groupsEnd

	// CPU is all of cpu.stat (v2), cpuacct.usage, cpuacct.stat and cpu.stat (v1).
	CPU = CPUUse | CPUDetail
	// Memory is memory.stat, memory.current, memory.peak, memory.swap.current and memory.events (v2) and their v1 kin.
	Memory = MemoryUse | MemoryDetail
	// Process is cgroup.procs with each process's descriptors, sockets and limits.
	Process = Processes | ProcessDetail
	// Storage is all that takes space on disks.
	Storage = Filesystems | Layers | Volumes
	// Core is what every full pass reads of every cgroup.
	Core = CPU | Memory | IO | Pids | Pressure
	// Everywhere is what has the groups read of every cgroup.
	Everywhere = Slices | Sandboxes
	// All is every group, of every cgroup.
	All = groupsEnd - 1
)

// GroupCount is the number of reading groups.
const GroupCount = 9

// groupNames gives the words of --disable-group and ?collect[]=, in bit order; of a group with parts, of its first.
var groupNames = [GroupCount]string{"cpu", "memory", "io", "pids", "psi", "network", "spec", "process", "storage"}

// whole gives, in the same order, each group with all its parts.
var whole = [GroupCount]Groups{CPU, Memory, IO, Pids, Pressure, Network, Limits, Process, Storage}

// GroupNames returns every word that ParseGroups takes: the groups in reading order, then the collective "core".
func GroupNames() []string { return append(groupNames[:], "core") }

// ParseGroups turns words such as "memory" or "core" into a set. An unknown word is an error that lists the known ones.
func ParseGroups(words []string) (Groups, error) {
	var set Groups
	for _, word := range words {
		one, err := parseGroup(word)
		if err != nil {
			return 0, err
		}
		set |= one
	}
	return set, nil
}

func parseGroup(word string) (Groups, error) {
	if word == "core" {
		return Core, nil
	}
	for i, name := range groupNames {
		if word == name {
			return whole[i], nil
		}
	}
	return 0, fmt.Errorf("unknown group %q: know %s", word, strings.Join(GroupNames(), ", "))
}

// Has reports whether every group of want is in the set.
func (g Groups) Has(want Groups) bool { return g&want == want }

// Each calls f for every single group in the set, in reading order, with its index and name.
func (g Groups) Each(f func(index int, name string)) {
	for i, name := range groupNames {
		if g&whole[i] != 0 {
			f(i, name)
		}
	}
}

// String lists the names, comma separated, in reading order.
func (g Groups) String() string {
	var names []string
	g.Each(func(_ int, name string) { names = append(names, name) })
	return strings.Join(names, ",")
}

// Reading tells when and how one group of a snapshot was read.
type Reading struct {
	// Time is the one timestamp that every value of the group carries. Zero: the group was not read.
	// It rises strictly from snapshot to snapshot whenever the group is read anew.
	Time time.Time
	// Took is the time that reading the group last took in its pass.
	Took time.Duration
}
