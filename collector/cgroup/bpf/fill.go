package bpf

import (
	"bytes"

	"github.com/nodevitals/nodevitals/collector/cgroup"
	"github.com/nodevitals/nodevitals/snapshot"
)

// microsecond is what the kernel cuts times in cpu.stat down to, in nanoseconds.
const microsecond = 1000

func indexOf(text []byte, word string) bool { return bytes.Contains(text, []byte(word)) }

// find returns the record of a cgroup, or nil. It is most often where it was in the last walk: cgroups keep their order.
func (r *Reader) find(id uint64, k *kept) *record {
	if at := int(k.at); at < len(r.walked) && r.walked[at].id == id {
		return &r.walked[at]
	}
	if !r.placed {
		clear(r.places)
		for i := range r.walked {
			r.places[r.walked[i].id] = int32(i)
		}
		r.placed = true
	}
	at, ok := r.places[id]
	if !ok {
		return nil
	}
	k.at = at
	return &r.walked[at]
}

// Fill implements cgroup.Walker.
func (r *Reader) Fill(t *cgroup.Target) (taken cgroup.Files, met bool) {
	k, ok := t.Kept.(*kept)
	if !ok {
		k = &kept{}
		t.Kept = k
	}
	one := r.find(t.Inode, k)
	if one == nil {
		return 0, false
	}
	if one.has&hasMemory != 0 && !r.facts {
		r.learnFiles(t)
	}
	if r.took&snapshot.CPU != 0 {
		taken |= r.fillCPU(one, k, t.Record)
	}
	if r.took&snapshot.Memory != 0 && r.facts {
		taken |= r.fillMemory(one, t.Record)
	}
	if r.took&snapshot.IO != 0 && one.has&torn == 0 && !r.costing {
		taken |= fillIO(one, t)
	}
	if r.took&snapshot.Pids != 0 && one.has&torn == 0 {
		if one.has&hasPids != 0 {
			t.Record.Set(snapshot.PidsCurrent, one.pids)
		}
		taken |= cgroup.PidsCurrent
	}
	if r.took&snapshot.Pressure != 0 && r.facts {
		taken |= r.fillPressure(one, t.Record)
	}
	return taken, true
}

// learnFiles finds out, at the first cgroup with memory, which files this kernel gives no cgroup: what it does not tell in a file
// is absent, although there may be a member in a structure.
func (r *Reader) learnFiles(t *cgroup.Target) {
	lacks, known := t.Lacks(cgroup.MemoryPeak | cgroup.MemorySwapCurrent | cgroup.CPUPressure)
	if known {
		r.lacks, r.facts = lacks, true
	}
}

func (r *Reader) fillCPU(one *record, k *kept, into *snapshot.Cgroup) cgroup.Files {
	k.cpu = split(one.runtime, times{one.utime, one.stime}, times{one.prevUtime, one.prevStime}).noLess(k.cpu, one.runtime)
	into.Set(snapshot.CPUUsage, one.runtime/microsecond*microsecond)
	into.Set(snapshot.CPUUser, k.cpu.user/microsecond*microsecond)
	into.Set(snapshot.CPUSystem, k.cpu.system/microsecond*microsecond)
	if one.has&hasBandwidth != 0 {
		into.Set(snapshot.CPUPeriods, one.periods)
		into.Set(snapshot.CPUThrottledPeriods, one.throttledPeriods)
		into.Set(snapshot.CPUThrottledTime, one.throttled/microsecond*microsecond)
		into.Set(snapshot.CPUBurstPeriods, one.burstPeriods)
		into.Set(snapshot.CPUBurstTime, one.burst/microsecond*microsecond)
	}
	return cgroup.CPUStat
}

func (r *Reader) fillMemory(one *record, into *snapshot.Cgroup) cgroup.Files {
	const all = cgroup.MemoryStat | cgroup.MemoryCurrent | cgroup.MemoryPeak | cgroup.MemorySwapCurrent | cgroup.MemoryEvents
	if one.has&torn != 0 {
		return 0
	}
	if one.has&hasMemory == 0 {
		return all
	}
	into.Set(snapshot.MemoryUsage, one.usage*r.page)
	if r.lacks&cgroup.MemorySwapCurrent == 0 {
		into.Set(snapshot.MemorySwap, one.swap*r.page)
	}
	// Files of a group that nobody asked for stay unread, and so do their figures here.
	if r.took&snapshot.Fields[snapshot.MemoryPeak].Group != 0 && r.lacks&cgroup.MemoryPeak == 0 {
		into.Set(snapshot.MemoryPeak, one.peak*r.page)
	}
	if r.took&snapshot.Fields[snapshot.MemoryOOMKills].Group != 0 {
		into.Set(snapshot.MemoryEventsHigh, one.high)
		into.Set(snapshot.MemoryEventsMax, one.max)
		into.Set(snapshot.MemoryOOMKills, one.oomKill)
	}
	if r.noStat != nil {
		return all &^ cgroup.MemoryStat
	}
	for i := range states {
		// A sum over CPUs that count apart may be below 0 for a moment; the kernel then prints 0.
		number := uint64(max(one.state[i], 0))
		if states[i].pages {
			number *= r.page
		}
		into.Set(states[i].field, number)
	}
	into.Set(snapshot.MemoryPgfault, one.event[eventFault])
	into.Set(snapshot.MemoryPgmajfault, one.event[eventMajorFault])
	into.Set(snapshot.MemoryPgscan, sum(one.event[eventScan:eventScan+eventActors]))
	into.Set(snapshot.MemoryPgsteal, sum(one.event[eventSteal:eventSteal+eventActors]))
	return all
}

func sum(numbers []uint64) (total uint64) {
	for _, number := range numbers {
		total += number
	}
	return total
}

func fillIO(one *record, t *cgroup.Target) cgroup.Files {
	for i := range one.device[:min(one.devices, deviceCount)] {
		from := &one.device[i]
		into := t.Device(from.major, from.minor)
		into.Set(snapshot.ServiceBytes, snapshot.OpRead, from.rbytes)
		into.Set(snapshot.ServiceBytes, snapshot.OpWrite, from.wbytes)
		into.Set(snapshot.Serviced, snapshot.OpRead, from.rios)
		into.Set(snapshot.Serviced, snapshot.OpWrite, from.wios)
	}
	return cgroup.IOStat
}

func (r *Reader) fillPressure(one *record, into *snapshot.Cgroup) cgroup.Files {
	if one.has&hasPressure != 0 && r.lacks&cgroup.CPUPressure == 0 {
		s := one.stillness(one.pressureNow+uint64(r.control.ahead), r.period)
		for line, some := range pressures {
			averages := one.averages(line, &s)
			into.Set(some+snapshot.PressureTotal, one.pressureTotal[line]/microsecond)
			into.Set(some+snapshot.PressureAvg10, hundredths(averages[0]))
			into.Set(some+snapshot.PressureAvg60, hundredths(averages[1]))
			into.Set(some+snapshot.PressureAvg300, hundredths(averages[2]))
		}
	}
	return cgroup.CPUPressure | cgroup.MemoryPressure | cgroup.IOPressure
}
