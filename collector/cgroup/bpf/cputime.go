package bpf

import "math/bits"

// times are a cgroup's times in user and system mode, in nanoseconds.
type times struct{ user, system uint64 }

// split divides the exact runtime by the ratio of what ticks counted, as cputime_adjust in the kernel's kernel/sched/cputime.c
// does for cpu.stat. Neither part falls below what it was before.
func split(runtime uint64, ticks, before times) times {
	if before.user+before.system >= runtime {
		return before
	}
	var system uint64
	switch {
	case ticks.system == 0:
	case ticks.user == 0:
		system = runtime
	default:
		high, low := bits.Mul64(ticks.system, runtime)
		// The divisor is greater than ticks.system, so that the quotient fits.
		if sum := ticks.system + ticks.user; high < sum {
			system, _ = bits.Div64(high, low, sum)
		}
		system = min(system, runtime)
	}
	system = max(system, before.system)
	user := runtime - system
	if user < before.user {
		user = before.user
		system = runtime - user
	}
	return times{user, system}
}

// noLess returns times of which neither part is below what it was before, and that are together no more than the runtime.
func (t times) noLess(before times, runtime uint64) times {
	if t.system < before.system && before.system <= runtime {
		t = times{runtime - before.system, before.system}
	}
	if t.user < before.user && before.user <= runtime {
		t = times{before.user, runtime - before.user}
	}
	return t
}
