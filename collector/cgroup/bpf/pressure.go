package bpf

// The kernel's averages are numbers of fixed point with 11 binary places (include/linux/sched/loadavg.h), and decay by these
// factors each period (kernel/sched/psi.c).
const (
	fixedShift = 11
	fixedOne   = 1 << fixedShift
)

var decays = [3]uint64{1677, 1981, 2034} // over 10, 60 and 300 s

// still is how long a pressure group was left alone, for which its averages must be brought up to date. The kernel does that every
// period while anything moves. While nothing does it waits until the file is read; here that is reckoned, without its keeping it.
type still struct {
	// length is the time since the last update that is not in missed periods; 0: the averages are up to date.
	length uint64
	// decays are the factors of the missed periods, by window.
	decays [3]uint64
}

// stillness tells how long a group was left alone at a time of sched_clock().
func (r *record) stillness(now, period uint64) (s still) {
	if r.has&busyPressure != 0 || now < r.pressureNext || period == 0 {
		return still{}
	}
	missed := (now - r.pressureNext) / period
	length := now - (r.pressureLast + missed*period)
	if length > now {
		return still{}
	}
	for i, decay := range decays {
		s.decays[i] = power(decay, missed)
	}
	s.length = length
	return s
}

// averages are those of one line after such a stillness.
func (r *record) averages(line int, s *still) [3]uint64 {
	averages := r.pressureAverage[line]
	if s.length == 0 {
		return averages
	}
	sample := min(uint64(uint32(r.pressureTotal[line]-r.pressureAverageTotal[line])), s.length)
	if sample == 0 && averages == [3]uint64{} {
		return averages
	}
	active := sample * 100 / s.length * fixedOne
	for i, decay := range decays {
		if s.decays[i] != fixedOne {
			averages[i] = load(averages[i], s.decays[i], 0)
		}
		averages[i] = load(averages[i], decay, active)
	}
	return averages
}

// load is the kernel's calc_load: an average that decays towards what is active.
func load(average, decay, active uint64) uint64 {
	next := average*decay + active*(fixedOne-decay)
	if active >= average {
		next += fixedOne - 1
	}
	return next / fixedOne
}

// power is the kernel's fixed_power_int: a factor to the nth power.
func power(factor, n uint64) uint64 {
	result := uint64(fixedOne)
	for ; n > 0; n >>= 1 {
		if n&1 != 0 {
			result = (result*factor + fixedOne/2) >> fixedShift
		}
		factor = (factor*factor + fixedOne/2) >> fixedShift
	}
	return result
}

// hundredths is an average as the kernel prints it, with two decimals, in hundredths.
func hundredths(average uint64) uint64 {
	return average>>fixedShift*100 + (average&(fixedOne-1))*100>>fixedShift
}
