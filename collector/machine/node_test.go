package machine

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/nodevitals/nodevitals/snapshot"
)

func TestReadIntoRecorded(t *testing.T) {
	r := NewReader("testdata/linux-6.18.44")
	defer r.Close()
	now := time.Unix(1_800_000_000, 0)
	var node snapshot.Node
	if err := r.ReadInto(&node, now); err != nil {
		t.Logf("parts of this machine's /sys: %v", err)
	}
	if node.Machine == nil || node.Machine.MemoryBytes != node.MemoryTotal.Value {
		t.Errorf("got %+v, want the machine with its memory", node.Machine)
	}
	node.Machine = nil
	want := snapshot.Node{
		BootTime:    time.Unix(1795555811, 0),
		Versions:    snapshot.Versions{Kernel: "6.18.44", OS: "Debian GNU/Linux 12 (bookworm)"},
		MemoryTotal: snapshot.Some(24684092 << 10), SwapTotal: snapshot.Some(2097148 << 10), SwapFree: snapshot.Some(2096128 << 10),
		HugePagesTotal: snapshot.Some(512*2048<<10 + 2*1048576<<10),
		MaxPID:         snapshot.Some(32768), Tasks: snapshot.Some(86), TasksTime: now,
	}
	if diff := cmp.Diff(want, node); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestReadIntoOfNothingIsAbsent(t *testing.T) {
	r := NewReader(t.TempDir())
	defer r.Close()
	for pass := range 2 {
		var node snapshot.Node
		err := r.ReadInto(&node, time.Now())
		for _, part := range []string{"meminfo", "loadavg", "pid_max", "threads-max", "proc/stat"} {
			if err == nil || !strings.Contains(err.Error(), part) {
				t.Errorf("pass %d: got %v, want an error that names %s", pass, err, part)
			}
		}
		if node.MemoryTotal.Present || node.Tasks.Present || node.MaxPID.Present || node.HugePagesTotal.Present || !node.BootTime.IsZero() {
			t.Errorf("pass %d: got %+v, want everything absent", pass, node)
		}
	}
}

func TestReadIntoOfOneLimit(t *testing.T) {
	root := copyTree(t)
	if err := os.Remove(filepath.Join(root, "proc/sys/kernel/pid_max")); err != nil {
		t.Fatal(err)
	}
	r := NewReader(root)
	defer r.Close()
	var node snapshot.Node
	if err := r.ReadInto(&node, time.Now()); err == nil {
		t.Error("got no error, want one for the missing file")
	}
	if node.MaxPID != snapshot.Some(192730) {
		t.Errorf("got %+v, want the limit of threads alone", node.MaxPID)
	}
}

func TestSlowPartsAreReadInTime(t *testing.T) {
	root := copyTree(t)
	r := NewReader(root)
	defer r.Close()
	start := time.Unix(1_800_000_000, 0)
	read := func(after time.Duration) snapshot.Node {
		var node snapshot.Node
		_ = r.ReadInto(&node, start.Add(after))
		return node
	}
	before := read(0)
	write(t, filepath.Join(root, "proc/sys/kernel/pid_max"), "1000\n")
	write(t, filepath.Join(root, "proc/loadavg"), "0.00 0.00 0.00 2/77 1\n")
	if soon := read(slowly / 2); soon.MaxPID != before.MaxPID || soon.Tasks.Value != 77 {
		t.Errorf("soon: got %+v and %+v, want the old limit and the new tasks", soon.MaxPID, soon.Tasks)
	}
	if later := read(slowly); later.MaxPID.Value != 1000 {
		t.Errorf("later: got %+v, want the new limit", later.MaxPID)
	}
}

func TestHardwareIsLookedAtAgain(t *testing.T) {
	root := copyTree(t)
	r := NewReader(root)
	defer r.Close()
	start := time.Unix(1_800_000_000, 0)
	var node snapshot.Node
	_ = r.ReadInto(&node, start)
	write(t, filepath.Join(root, "etc/machine-id"), "changed\n")
	deadline := time.Now().Add(time.Minute)
	for pass := time.Duration(1); node.Machine.ID != "changed"; pass++ {
		if time.Now().After(deadline) {
			t.Fatalf("got %q, want the new name within a minute", node.Machine.ID)
		}
		_ = r.ReadInto(&node, start.Add(rarely*pass))
		time.Sleep(time.Millisecond)
	}
	// The last look may go on in the background, where it would count as what another test allocates.
	for r.hardwareBusy.Load() {
		if time.Now().After(deadline) {
			t.Fatal("a look at the hardware does not end")
		}
		time.Sleep(time.Millisecond)
	}
}

func TestReadIntoAllocatesNothing(t *testing.T) {
	r := NewReader("/")
	defer r.Close()
	now := time.Now()
	var node snapshot.Node
	if err := r.ReadInto(&node, now); err != nil {
		t.Log(err)
	}
	if !node.MemoryTotal.Present || !node.MaxPID.Present || node.BootTime.IsZero() {
		t.Fatalf("got %+v, want this host's facts", node)
	}
	for name, step := range map[string]time.Duration{"every pass": 0, "slow parts too": slowly} {
		at := now
		n := testing.AllocsPerRun(50, func() {
			at = at.Add(step)
			if at.Sub(now) >= rarely/2 {
				at = now
			}
			_ = r.ReadInto(&node, at)
		})
		if n != 0 {
			t.Errorf("%s: got %v allocations, want 0", name, n)
		}
	}
}

func TestParseMeminfo(t *testing.T) {
	for _, test := range []struct {
		name, text string
		want       meminfo
		malformed  bool
	}{
		{"no swap lines", "MemTotal: 4 kB\n", meminfo{total: snapshot.Some(4096)}, false},
		{"no newline", "MemTotal: 4 kB", meminfo{total: snapshot.Some(4096)}, false},
		{"no number", "MemTotal: kB\nSwapTotal: 1 kB\n", meminfo{swapTotal: snapshot.Some(1024)}, true},
		{"no total", "SwapTotal: 1 kB\n", meminfo{swapTotal: snapshot.Some(1024)}, true},
		{"beyond 64 bits", "MemTotal: 18446744073709551615 kB\n", meminfo{}, true},
		{"empty", "", meminfo{}, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			var got meminfo
			err := got.parse([]byte(test.text))
			if got != test.want || (err != nil) != test.malformed {
				t.Errorf("got %+v, %v; want %+v, malformed %v", got, err, test.want, test.malformed)
			}
		})
	}
}

func TestParseTasks(t *testing.T) {
	for _, test := range []struct {
		text string
		want uint64
		ok   bool
	}{
		{"0.01 0.04 0.07 1/85 14091\n", 85, true},
		{"0.01 0.04 0.07 1/85", 85, true},
		{"0.01 0.04 0.07 85 14091\n", 0, false},
		{"0.01 0.04 1/85\n", 0, false},
		{"0.01 0.04 0.07 1/ 2\n", 0, false},
		{"", 0, false},
	} {
		if got, ok := parseTasks([]byte(test.text)); got != test.want || ok != test.ok {
			t.Errorf("%q: got %d, %v; want %d, %v", test.text, got, ok, test.want, test.ok)
		}
	}
}

func TestPageKilobytes(t *testing.T) {
	for name, want := range map[string]uint64{
		"hugepages-2048kB": 2048, "hugepages-1048576kB": 1048576, "hugepages-kB": 0, "hugepages-0kB": 0, "hugepages-2M": 0, "other": 0,
	} {
		got, ok := pageKilobytes(name)
		if ok != (want > 0) || ok && got != want {
			t.Errorf("%s: got %d, %v; want %d", name, got, ok, want)
		}
	}
}

func FuzzParseMeminfo(f *testing.F) {
	f.Add("MemTotal:       24684092 kB\nSwapTotal:  0 kB\nSwapFree: 0 kB\n")
	f.Add("MemTotal:")
	f.Fuzz(func(t *testing.T, text string) {
		var m meminfo
		if err := m.parse([]byte(text)); err == nil && !m.total.Present {
			t.Errorf("%q: no error and no total", text)
		}
	})
}

func FuzzParseTasks(f *testing.F) {
	f.Add("0.01 0.04 0.07 1/85 14091\n")
	f.Fuzz(func(t *testing.T, text string) {
		if got, ok := parseTasks([]byte(text)); ok && !strings.Contains(text, "/") {
			t.Errorf("%q: got %s without a slash", text, strconv.FormatUint(got, 10))
		}
	})
}

func FuzzParseBootTime(f *testing.F) {
	f.Add("cpu 1 2\nbtime 1795557423\nprocesses 1\n")
	f.Fuzz(func(t *testing.T, text string) {
		if got, ok := parseBootTime([]byte(text)); ok && got < 0 {
			t.Errorf("%q: got %d", text, got)
		}
	})
}

func BenchmarkReadInto(b *testing.B) {
	r := NewReader("/")
	defer r.Close()
	var node snapshot.Node
	now := time.Now()
	b.ReportAllocs()
	for b.Loop() {
		_ = r.ReadInto(&node, now)
	}
}

func BenchmarkRead(b *testing.B) {
	for b.Loop() {
		_, _ = Read("/")
	}
}
