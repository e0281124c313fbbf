package cgroup

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/nodevitals/nodevitals/snapshot"
)

// values lists what a record holds, by field name.
func values(record *snapshot.Cgroup) map[string]uint64 {
	found := make(map[string]uint64)
	for field := range snapshot.FieldCount {
		if value, ok := record.Get(field); ok {
			found[snapshot.Fields[field].Name] = value
		}
	}
	return found
}

func testKeyed() *keyed {
	return newKeyed(
		key{"anon", snapshot.MemoryRSS, 1},
		key{"file", snapshot.MemoryCache, 1},
		key{"usage_usec", snapshot.CPUUsage, 1000},
	)
}

func TestKeyed(t *testing.T) {
	for _, test := range []struct {
		name, text string
		want       map[string]uint64
		malformed  int
	}{
		{name: "empty file", text: "", want: map[string]uint64{}},
		{name: "all keys", text: "anon 1\nfile 2\nusage_usec 3\n", want: map[string]uint64{"memory.rss": 1, "memory.cache": 2, "cpu.usage": 3000}},
		{name: "another order", text: "usage_usec 3\nfile 2\nanon 1\n", want: map[string]uint64{"memory.rss": 1, "memory.cache": 2, "cpu.usage": 3000}},
		{name: "new keys between", text: "novel 7\nanon 1\nother_novel 8\nfile 2\n", want: map[string]uint64{"memory.rss": 1, "memory.cache": 2}},
		{name: "key that starts like another", text: "anon_thp 9\nanon 1\nfile_mapped 9\nfile 2\n", want: map[string]uint64{"memory.rss": 1, "memory.cache": 2}},
		{name: "truncated in a number", text: "anon 1\nfile 2", want: map[string]uint64{"memory.rss": 1, "memory.cache": 2}},
		{name: "truncated in a key", text: "anon 1\nfi", want: map[string]uint64{"memory.rss": 1}},
		{name: "key without a number", text: "anon\nfile 2\n", want: map[string]uint64{"memory.cache": 2}, malformed: 1},
		{name: "largest number", text: "anon 18446744073709551615\n", want: map[string]uint64{"memory.rss": math.MaxUint64}},
		{name: "beyond 64 bits", text: "anon 18446744073709551616\nfile 2\n", want: map[string]uint64{"memory.cache": 2}, malformed: 1},
		{name: "beyond 64 bits when scaled", text: "usage_usec 18446744073709551615\nfile 2\n", want: map[string]uint64{"memory.cache": 2}, malformed: 1},
		{name: "negative", text: "anon -1\nfile 2\n", want: map[string]uint64{"memory.cache": 2}, malformed: 1},
		{name: "no text at all", text: "\x00\xff\n\n \n", want: map[string]uint64{}},
	} {
		t.Run(test.name, func(t *testing.T) {
			// The parser must give the same whatever it learned before.
			for taught, teach := range []string{"", "anon 1\nfile 2\nusage_usec 3\n", "usage_usec 3\nnovel 1\nanon 2\n", "file 1\n"} {
				parser := testKeyed()
				parser.parse([]byte(teach), &snapshot.Cgroup{})
				var record snapshot.Cgroup
				malformed := parser.parse([]byte(test.text), &record)
				if diff := cmp.Diff(test.want, values(&record)); diff != "" {
					t.Errorf("taught by %d: (-want +got)\n%s", taught, diff)
				}
				if malformed != test.malformed {
					t.Errorf("taught by %d: malformed: got %d, want %d", taught, malformed, test.malformed)
				}
			}
		})
	}
}

// A cgroup without the cpu controller lacks the last lines of cpu.stat. Its file must not make the parser learn anew each
// time, nor hide the lines from the next cgroup.
func TestKeyedWithLinesThatSomeCgroupsLack(t *testing.T) {
	parser := newKeyed(key{"usage_usec", snapshot.CPUUsage, 1}, key{"nr_periods", snapshot.CPUPeriods, 1})
	short, long := []byte("usage_usec 1\nuser_usec 2\n"), []byte("usage_usec 3\nuser_usec 4\nnr_periods 5\n")
	for range 2 {
		var record snapshot.Cgroup
		parser.parse(short, &record)
		if diff := cmp.Diff(map[string]uint64{"cpu.usage": 1}, values(&record)); diff != "" {
			t.Errorf("short file: (-want +got)\n%s", diff)
		}
		record = snapshot.Cgroup{}
		parser.parse(long, &record)
		if diff := cmp.Diff(map[string]uint64{"cpu.usage": 3, "cpu.periods": 5}, values(&record)); diff != "" {
			t.Errorf("long file: (-want +got)\n%s", diff)
		}
	}
	var record snapshot.Cgroup
	if allocations := testing.AllocsPerRun(100, func() { parser.parse(short, &record); parser.parse(long, &record) }); allocations > 0 {
		t.Errorf("allocations once both files are known: got %v, want 0", allocations)
	}
}

func TestPressure(t *testing.T) {
	full := map[string]uint64{
		"psi.io_some_total": 12345, "psi.io_some_avg10": 107, "psi.io_some_avg60": 383, "psi.io_some_avg300": 167,
		"psi.io_full_total": 6789, "psi.io_full_avg10": 1, "psi.io_full_avg60": 10000, "psi.io_full_avg300": 0,
	}
	some := map[string]uint64{"psi.io_some_total": 12345, "psi.io_some_avg10": 107, "psi.io_some_avg60": 383, "psi.io_some_avg300": 167}
	for _, test := range []struct {
		name, text string
		want       map[string]uint64
		malformed  int
	}{
		{name: "both lines", text: "some avg10=1.07 avg60=3.83 avg300=1.67 total=12345\nfull avg10=0.01 avg60=100.00 avg300=0.00 total=6789\n", want: full},
		{name: "no full line before Linux 5.13", text: "some avg10=1.07 avg60=3.83 avg300=1.67 total=12345\n", want: some},
		{name: "empty", text: "", want: map[string]uint64{}},
		{name: "new line and new word", text: "most avg10=9.99 total=1\nsome avg10=1.07 avg60=3.83 avg300=1.67 avg900=5.00 total=12345\n", want: some},
		{name: "truncated", text: "some avg10=1.07 avg60=3.83 avg3", want: map[string]uint64{"psi.io_some_avg10": 107, "psi.io_some_avg60": 383}},
		{
			name: "beyond 64 bits", text: "some avg10=1.07 avg60=3.83 avg300=1.67 total=123456789012345678901\n", malformed: 1,
			want: map[string]uint64{"psi.io_some_avg10": 107, "psi.io_some_avg60": 383, "psi.io_some_avg300": 167},
		},
		{name: "no decimals", text: "some avg10=1 total=12345\n", want: map[string]uint64{"psi.io_some_total": 12345}, malformed: 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			var record snapshot.Cgroup
			malformed := pressure(snapshot.IOSomeTotal).parse([]byte(test.text), &record)
			if diff := cmp.Diff(test.want, values(&record)); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
			if malformed != test.malformed {
				t.Errorf("malformed: got %d, want %d", malformed, test.malformed)
			}
		})
	}
}

// figures lists the figures of a record's devices.
func figures(record *snapshot.Cgroup) map[string]uint64 {
	found := make(map[string]uint64)
	for i := range record.Devices {
		device := &record.Devices[i]
		for stat := range snapshot.DeviceStatCount {
			for op := range snapshot.Ops {
				if value, ok := device.Get(stat, op); ok {
					found[fmt.Sprintf("%d:%d %d %s", device.Major, device.Minor, stat, snapshot.OpNames[op])] = value
				}
			}
		}
	}
	return found
}

func TestIOStat(t *testing.T) {
	for _, test := range []struct {
		name, text string
		want       map[string]uint64
		malformed  int
	}{
		{name: "empty", text: "", want: map[string]uint64{}},
		{name: "two devices", text: "8:0 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=5 dios=6\n259:1 rbytes=7 wbytes=8 rios=9 wios=10\n", want: map[string]uint64{
			"8:0 0 Read": 1, "8:0 0 Write": 2, "8:0 1 Read": 3, "8:0 1 Write": 4,
			"259:1 0 Read": 7, "259:1 0 Write": 8, "259:1 1 Read": 9, "259:1 1 Write": 10,
		}},
		{name: "idle devices share the line", text: "7:0 7:1 8:0 rbytes=1 wbytes=2 rios=3 wios=4\n", want: map[string]uint64{
			"8:0 0 Read": 1, "8:0 0 Write": 2, "8:0 1 Read": 3, "8:0 1 Write": 4,
		}},
		{name: "cost model", text: "8:0 rbytes=1 cost.usage=2 cost.wait=3 cost.indebt=4 cost.indelay=5 cost.vrate=100.00\n", want: map[string]uint64{
			"8:0 0 Read": 1, "8:0 8 Count": 2, "8:0 9 Count": 3, "8:0 10 Count": 4, "8:0 11 Count": 5,
		}},
		{name: "no device", text: "rbytes=1\n", want: map[string]uint64{}},
		{name: "beyond 64 bits", text: "8:0 rbytes=99999999999999999999 wbytes=2\n", want: map[string]uint64{"8:0 0 Write": 2}, malformed: 1},
		{name: "truncated", text: "8:0 rbytes=1 wby", want: map[string]uint64{"8:0 0 Read": 1}},
	} {
		t.Run(test.name, func(t *testing.T) {
			var record snapshot.Cgroup
			malformed := ioStat{&deviceList{}}.parse([]byte(test.text), &record)
			if diff := cmp.Diff(test.want, figures(&record)); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
			if malformed != test.malformed {
				t.Errorf("malformed: got %d, want %d", malformed, test.malformed)
			}
		})
	}
}

func TestBlkio(t *testing.T) {
	list := &deviceList{}
	var first, second snapshot.Cgroup
	blkio{list: list, stat: snapshot.Serviced, first: true}.parse([]byte("8:0 Read 1\n8:0 Write 2\n8:0 Sync 3\n8:0 Async 4\n8:0 Discard 5\n8:0 Total 6\nTotal 6\n"), &first)
	blkio{list: list, stat: snapshot.ServiceBytes}.parse([]byte("8:0 Read 10\n8:16 Write 20\nTotal 30\n"), &first)
	blkio{list: list, stat: snapshot.Sectors, first: true}.parse([]byte("8:0 99\n8:0 Unknown 3\n8:0 Read many\n"), &second)
	if diff := cmp.Diff(map[string]uint64{
		"8:0 1 Read": 1, "8:0 1 Write": 2, "8:0 1 Sync": 3, "8:0 1 Async": 4, "8:0 1 Discard": 5, "8:0 1 Total": 6,
		"8:0 0 Read": 10, "8:16 0 Write": 20,
	}, figures(&first)); diff != "" {
		t.Errorf("first cgroup: (-want +got)\n%s", diff)
	}
	if diff := cmp.Diff(map[string]uint64{"8:0 7 Count": 99}, figures(&second)); diff != "" {
		t.Errorf("second cgroup: (-want +got)\n%s", diff)
	}
}

func TestLimits(t *testing.T) {
	for _, test := range []struct {
		text string
		want snapshot.Optional
	}{
		{"max", snapshot.Some(snapshot.Unlimited)},
		{"0", snapshot.Some(0)},
		{"104857600", snapshot.Some(104857600)},
		{"-1", snapshot.Optional{}},
		{"", snapshot.Optional{}},
		{"18446744073709551616", snapshot.Optional{}},
	} {
		if got := parseLimit([]byte(test.text)); got.Present != test.want.Present || got.Or(0) != test.want.Or(0) {
			t.Errorf("parseLimit(%q): got %v, want %v", test.text, got, test.want)
		}
	}
	var spec snapshot.Spec
	for _, row := range unifiedLimits {
		if row.name == "cpu.max" {
			row.set(&spec, []byte("max 100000"))
		}
		if row.name == "cpu.weight" {
			row.set(&spec, []byte("100"))
		}
	}
	if spec.CPUQuota.Present || spec.CPUPeriod != snapshot.Some(100000) || spec.CPUShares != snapshot.Some(2597) {
		t.Errorf("cpu.max and cpu.weight: got %+v, want no quota, period 100000, shares 2597", spec)
	}
}

func FuzzNumber(f *testing.F) {
	for _, seed := range []string{"0", "18446744073709551615", "18446744073709551616", "-1", "", "007", "1 "} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got, ok := parseUint([]byte(text))
		want, err := strconv.ParseUint(text, 10, 64)
		wanted := err == nil && !strings.HasPrefix(text, "+") && len(text) <= 20
		if ok != wanted || ok && got != want {
			t.Errorf("parseUint(%q): got %d, %t; want %d, %t", text, got, ok, want, wanted)
		}
	})
}

// FuzzKeyed holds the learning parser against a plain one that looks up every line.
func FuzzKeyed(f *testing.F) {
	f.Add("anon 1\nfile 2\n", "file 3\nnovel 1\nanon 4\n")
	f.Add("anon 1\n\nfile 2", "usage_usec 1\n\x00\nanon 18446744073709551616\n")
	f.Fuzz(func(t *testing.T, first, second string) {
		parser := testKeyed()
		for _, text := range []string{first, second, first} {
			var record snapshot.Cgroup
			parser.parse([]byte(text), &record)
			seen := make(map[string]bool)
			repeated := false
			want := make(map[string]uint64)
			for line := range strings.SplitSeq(text, "\n") {
				name, number, _ := strings.Cut(line, " ")
				repeated = repeated || seen[name]
				seen[name] = true
				for _, row := range parser.keys {
					if value, ok := parseUint([]byte(number)); row.name == name && ok && value <= math.MaxUint64/row.scale {
						want[snapshot.Fields[row.field].Name] = value * row.scale
					}
				}
			}
			if repeated {
				return // no kernel prints a key twice, and which of them counts then depends on what was learned
			}
			if diff := cmp.Diff(want, values(&record)); diff != "" {
				t.Fatalf("after %q, parsing %q: (-want +got)\n%s", first, text, diff)
			}
		}
	})
}

func FuzzPressure(f *testing.F) {
	f.Add("some avg10=1.07 avg60=3.83 avg300=1.67 total=12345\nfull avg10=0.01 avg60=100.00 avg300=0.00 total=6789\n")
	f.Fuzz(func(t *testing.T, text string) {
		var record snapshot.Cgroup
		pressure(snapshot.CPUSomeTotal).parse([]byte(text), &record)
		for name := range values(&record) {
			if !strings.HasPrefix(name, "psi.cpu_") {
				t.Errorf("parsing %q set %s, which is none of its fields", text, name)
			}
		}
	})
}

func FuzzDevices(f *testing.F) {
	f.Add("8:0 rbytes=1 wbytes=2\n", "8:0 Read 1\nTotal 1\n")
	f.Fuzz(func(t *testing.T, unified, legacy string) {
		list := &deviceList{}
		var before, after snapshot.Cgroup
		ioStat{list}.parse([]byte(unified), &before)
		want := figures(&before)
		blkio{list: list, stat: snapshot.ServiceBytes, first: true}.parse([]byte(legacy), &after)
		if diff := cmp.Diff(want, figures(&before)); diff != "" {
			t.Errorf("parsing the next cgroup changed the one before: (-want +got)\n%s", diff)
		}
	})
}
