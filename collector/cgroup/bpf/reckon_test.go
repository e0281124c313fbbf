package bpf

import (
	"bytes"
	"math"
	"testing"
	"unsafe"

	"github.com/cilium/ebpf"
)

// What the program writes is read as the structures of record.go: they must be as large on both sides.
func TestRecordsAreAsTheProgramHasThem(t *testing.T) {
	spec, err := ebpf.LoadCollectionSpecFromReader(bytes.NewReader(object))
	if err != nil {
		t.Fatal(err)
	}
	for name, sizes := range map[string][2]uintptr{
		"record":  {uintptr(spec.Maps["records"].InnerMap.ValueSize), unsafe.Sizeof(record{})},
		"control": {uintptr(spec.Maps["control"].ValueSize), unsafe.Sizeof(control{})},
	} {
		if sizes[0] != sizes[1] {
			t.Errorf("%s: the program has %d bytes, record.go %d; make bpf", name, sizes[0], sizes[1])
		}
	}
}

func TestSplit(t *testing.T) {
	for name, test := range map[string]struct {
		runtime       uint64
		ticks, before times
		want          times
	}{
		"by the ratio of ticks":            {1000, times{user: 3, system: 1}, times{}, times{user: 750, system: 250}},
		"no ticks at all":                  {1000, times{}, times{}, times{user: 1000}},
		"no ticks in user mode":            {1000, times{system: 5}, times{}, times{system: 1000}},
		"no time since":                    {1000, times{user: 1, system: 1}, times{user: 900, system: 100}, times{user: 900, system: 100}},
		"system mode must not fall":        {1000, times{user: 9, system: 1}, times{user: 100, system: 300}, times{user: 700, system: 300}},
		"user mode must not fall":          {1000, times{user: 1, system: 9}, times{user: 300, system: 100}, times{user: 300, system: 700}},
		"years of many CPUs":               {1 << 62, times{user: 1 << 62, system: 1 << 62}, times{}, times{user: 1 << 61, system: 1 << 61}},
		"ticks of more than 2^63 together": {1 << 40, times{user: 1 << 63, system: 1 << 62}, times{}, times{user: 1<<40 - 366503875925, system: 366503875925}},
	} {
		if got := split(test.runtime, test.ticks, test.before); got != test.want {
			t.Errorf("%s: got %+v, want %+v", name, got, test.want)
		}
	}
}

func TestTimesNeverFall(t *testing.T) {
	last := times{}
	ticks := times{user: 1, system: 1}
	for runtime := uint64(10); runtime < 100_000; runtime += 997 {
		// The ratio swings, and the kernel remembers another split than was told here.
		if runtime%2 == 0 {
			ticks.user += 50
		} else {
			ticks.system += 70
		}
		next := split(runtime, ticks, times{user: runtime / 8}).noLess(last, runtime)
		if next.user < last.user || next.system < last.system || next.user+next.system != runtime {
			t.Fatalf("at %d: got %+v after %+v", runtime, next, last)
		}
		last = next
	}
}

func TestAverages(t *testing.T) {
	const period = 2_004_000_000
	base := record{pressureLast: 10 * period, pressureNext: 11 * period}
	for line := range base.pressureAverage {
		base.pressureAverage[line] = [3]uint64{50 * fixedOne, 50 * fixedOne, 50 * fixedOne}
	}
	for name, test := range map[string]struct {
		now    uint64
		busy   bool
		length float64 // seconds of stillness that show
	}{
		"before it is due":                  {11*period - 1, false, 0},
		"the kernel is about to do it":      {20 * period, true, 0},
		"one period":                        {11 * period, false, 2.004},
		"ten periods":                       {20*period + period/2, false, 20.04},
		"an hour: what is left is nothing":  {2000 * period, false, 4000},
		"a clock that is behind the kernel": {9 * period, false, 0},
	} {
		one := base
		if test.busy {
			one.has = busyPressure
		}
		s := one.stillness(test.now, period)
		got := one.averages(0, &s)
		for i, window := range [3]float64{10, 60, 300} {
			want := 5000 * math.Exp(-test.length/window)
			// The kernel's factors are rounded to 11 places, and so are its results.
			if percent := float64(hundredths(got[i])); math.Abs(percent-want) > 5+want/50 {
				t.Errorf("%s: the average over %g s is %g hundredths, want about %.0f", name, window, percent, want)
			}
		}
	}
	// A stall that nobody has averaged yet shows.
	one := base
	one.pressureTotal[0], one.pressureAverageTotal[0] = period, 0
	s := one.stillness(11*period, period)
	if got := one.averages(0, &s); got[0] <= 50*fixedOne {
		t.Errorf("a period of nothing but stalls brought the average from %d to %d", 50*fixedOne, got[0])
	}
}

func TestHundredths(t *testing.T) {
	for average, want := range map[uint64]uint64{0: 0, fixedOne: 100, fixedOne / 2: 50, 12*fixedOne + 41: 1202, 100 * fixedOne: 10000} {
		if got := hundredths(average); got != want {
			t.Errorf("%d: got %d, want %d", average, got, want)
		}
	}
}

func TestPressurePeriod(t *testing.T) {
	// Two seconds and a tick, for 1000, 250, 300 and 100 ticks a second.
	for tick, want := range map[uint64]uint64{1_000_000: 2_001_000_000, 4_000_000: 2_004_000_000, 3_333_333: 2_003_333_000, 10_000_000: 2_010_000_000} {
		if got := pressurePeriod(tick); got/1_000_000 != want/1_000_000 {
			t.Errorf("a tick of %d ns: got %d, want %d", tick, got, want)
		}
	}
}
