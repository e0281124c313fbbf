package network

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/opencontainers/cgroups"

	"github.com/google/cadvisor/lib/container"
	"github.com/google/cadvisor/lib/container/libcontainer"
	"github.com/google/cadvisor/lib/model"

	"github.com/nodevitals/nodevitals/collector/machine/hostfile"
	"github.com/nodevitals/nodevitals/collector/usertest"
	"github.com/nodevitals/nodevitals/snapshot"
)

const header = "Inter-|   Receive  |  Transmit\n face |bytes    packets errs drop fifo frame compressed multicast|bytes\n"

func TestAppendRecorded(t *testing.T) {
	r := NewReader("testdata/linux-6.18.44", 1, &hostfile.Buffer{})
	defer r.Close()
	got, err := r.Append(nil)
	if err != nil {
		t.Fatal(err)
	}
	want := []snapshot.Interface{
		{Name: "ifb0"},
		{Name: "ifb1"},
		{Name: "eth0", RxBytes: 400212935, RxPackets: 18897, TxBytes: 1663430, TxPackets: 15610},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestParse(t *testing.T) {
	const numbers = " 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16"
	one := snapshot.Interface{
		RxBytes: 1, RxPackets: 2, RxErrors: 3, RxDropped: 4, TxBytes: 9, TxPackets: 10, TxErrors: 11, TxDropped: 12,
	}
	for _, test := range []struct {
		name, text string
		want       []string
		malformed  int
	}{
		{"plain", header + "eth0:" + numbers + "\n", []string{"eth0"}, 0},
		{"no newline", header + "eth0:" + numbers, []string{"eth0"}, 0},
		{"no blank after the colon", header + "eth0:1" + numbers[2:] + "\n", []string{"eth0"}, 0},
		{"alias", header + "  eth0:1:" + numbers + "\n", []string{"eth0:1"}, 0},
		{"many colons", header + " a:b:c:" + numbers + "\n", []string{"a:b:c"}, 0},
		{"more columns", header + "eth0:" + numbers + " 17 18\n", []string{"eth0"}, 0},
		{"missing column", header + "eth0: 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15\neth1:" + numbers + "\n", []string{"eth1"}, 1},
		{"no number", header + "eth0: x" + numbers + "\neth1:" + numbers + "\n", []string{"eth1"}, 1},
		{"negative", header + "eth0: -1" + numbers[2:] + "\n", nil, 1},
		{"beyond 64 bits", header + "eth0: 18446744073709551616" + numbers[2:] + "\n", nil, 1},
		{"no colon", header + "eth0" + numbers + "\n", nil, 1},
		{"no name", header + " :" + numbers + "\n", nil, 1},
		{"ignored", header + "lo:" + numbers + "\nLOWPAN0:" + numbers + "\nveth12:" + numbers + "\nDocker0:" + numbers +
			"\nnerdctl0:" + numbers + "\ncali1:" + numbers + "\nl:" + numbers + "\n", []string{"cali1", "l"}, 0},
		{"no interfaces", header, nil, 0},
		{"no header", "eth0:" + numbers + "\n", nil, 2},
		{"empty", "", nil, 2},
	} {
		t.Run(test.name, func(t *testing.T) {
			var r Reader
			got, malformed := r.parse(nil, []byte(test.text))
			var want []snapshot.Interface
			for _, name := range test.want {
				one.Name = name
				want = append(want, one)
			}
			if diff := cmp.Diff(want, got); diff != "" || malformed != test.malformed {
				t.Errorf("got %d malformed, want %d; (-want +got):\n%s", malformed, test.malformed, diff)
			}
		})
	}
}

func TestAppendKeepsWhatIsWellFormed(t *testing.T) {
	root := t.TempDir()
	write(t, filepath.Join(root, "proc/7/net/dev"), header+"eth0: 1\neth1: 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16\n")
	r := NewReader(root, 7, &hostfile.Buffer{})
	defer r.Close()
	got, err := r.Append([]snapshot.Interface{{Name: "before"}})
	if !errors.Is(err, ErrMalformed) || !strings.Contains(err.Error(), "proc/7/net/dev") {
		t.Errorf("got error %v, want ErrMalformed with the path", err)
	}
	if len(got) != 2 || got[0].Name != "before" || got[1].Name != "eth1" {
		t.Errorf("got %+v, want eth1 after what was there", got)
	}
}

func TestFallbackOnlyForTheHost(t *testing.T) {
	root := t.TempDir()
	write(t, filepath.Join(root, "proc/net/dev"), header+"own0: 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16\n")
	host := NewReader(root, 1, &hostfile.Buffer{})
	defer host.Close()
	if got, err := host.Append(nil); err != nil || len(got) != 1 || got[0].Name != "own0" {
		t.Errorf("host: got %+v, %v; want own0", got, err)
	}
	pod := NewReader(root, 4711, &hostfile.Buffer{})
	defer pod.Close()
	if got, err := pod.Append(nil); !errors.Is(err, os.ErrNotExist) || len(got) != 0 {
		t.Errorf("pod: got %+v, %v; want nothing and ErrNotExist", got, err)
	}
}

// noCgroup makes cAdvisor's handler read nothing but the network.
type noCgroup struct{ cgroups.Manager }

func (noCgroup) GetStats() (*cgroups.Stats, error) { return cgroups.NewStats(), nil }
func (noCgroup) Path(string) string                { return "" }
func (noCgroup) GetPaths() map[string]string       { return nil }
func (noCgroup) GetAllPids() ([]int, error)        { return nil, nil }
func (noCgroup) GetPids() ([]int, error)           { return nil, nil }

// Every number that cAdvisor reads lies between those of a reading of ours before and of one after.
func TestAppendBracketsCadvisor(t *testing.T) {
	handler := libcontainer.NewHandler(noCgroup{}, "/", 1, container.MetricSet{container.NetworkUsageMetrics: {}})
	r := NewReader("/", 1, &hostfile.Buffer{})
	defer r.Close()
	var before, after []snapshot.Interface
	var theirs []model.InterfaceStats
	// Whoever makes an interface meanwhile, or takes one away, has it read once more.
	for deadline := time.Now().Add(time.Minute); ; {
		var err error
		if before, err = r.Append(nil); err != nil {
			t.Skip(err)
		}
		stats, err := handler.GetStats()
		if err != nil || stats.Network == nil {
			t.Skipf("cAdvisor cannot read the network: %v", err)
		}
		if after, err = r.Append(nil); err != nil {
			t.Fatal(err)
		}
		theirs = stats.Network.Interfaces
		if slices.EqualFunc(before, after, func(a, b snapshot.Interface) bool { return a.Name == b.Name }) {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("interfaces come and go with every reading for a minute: %+v, then %+v", before, after)
		}
	}
	if len(before) != len(theirs) || len(after) != len(theirs) {
		t.Fatalf("got %d and %d interfaces, cAdvisor has %d", len(before), len(after), len(theirs))
	}
	for i := range theirs {
		if before[i].Name != theirs[i].Name {
			t.Errorf("interface %d: got %s, cAdvisor has %s", i, before[i].Name, theirs[i].Name)
		}
		low, middle, high := numbersOf(before[i]), numbersOf(ours(theirs[i])), numbersOf(after[i])
		for j := range middle {
			if middle[j] < low[j] || middle[j] > high[j] {
				t.Errorf("%s number %d: cAdvisor has %d, ours are %d before and %d after", theirs[i].Name, j, middle[j], low[j], high[j])
			}
		}
	}
}

func ours(i model.InterfaceStats) snapshot.Interface {
	return snapshot.Interface{
		RxBytes: i.RxBytes, RxPackets: i.RxPackets, RxErrors: i.RxErrors, RxDropped: i.RxDropped,
		TxBytes: i.TxBytes, TxPackets: i.TxPackets, TxErrors: i.TxErrors, TxDropped: i.TxDropped,
	}
}

func numbersOf(i snapshot.Interface) [8]uint64 {
	return [8]uint64{i.RxBytes, i.RxPackets, i.RxErrors, i.RxDropped, i.TxBytes, i.TxPackets, i.TxErrors, i.TxDropped}
}

func TestOrdinaryUserReadsTheHost(t *testing.T) {
	if os.Geteuid() != 0 {
		r := NewReader("/", 1, &hostfile.Buffer{})
		defer r.Close()
		if _, err := r.Append(nil); err != nil {
			t.Error(err)
		}
		return
	}
	usertest.RunAs(t, usertest.Nobody)
}

// stranger names, for the run as another user, a process in a namespace of its own.
const stranger = "NODEVITALS_TEST_STRANGER"

// Whoever may not read the link /proc/PID/ns/net knows two network namespaces apart all the same.
func TestNamespaceTakesNoRights(t *testing.T) {
	if os.Geteuid() == 0 {
		sleeper := exec.Command("sleep", "1000")
		sleeper.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET}
		if err := sleeper.Start(); err != nil {
			t.Fatal(err)
		}
		defer func() {
			_ = sleeper.Process.Kill()
			_ = sleeper.Wait() // the signal that ended it
		}()
		t.Setenv(stranger, strconv.Itoa(sleeper.Process.Pid))
		usertest.RunAs(t, usertest.Nobody)
		return
	}
	pid, err := strconv.Atoi(os.Getenv(stranger))
	if err != nil {
		t.Skip("needs root to make a network namespace")
	}
	var numbers [3]uint64
	for i, pid := range []int{1, os.Getpid(), pid} {
		if numbers[i], err = Namespace("/", pid); err != nil {
			t.Fatal(err)
		}
	}
	if numbers[0] != numbers[1] || numbers[0] == numbers[2] {
		t.Errorf("process 1, this one and one in another namespace: got %d, want two that are the same and another", numbers)
	}
	if link, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/net", pid)); err == nil {
		t.Errorf("an ordinary user could read the link as well: %s", link)
	}
}

func TestAppendAllocatesNothing(t *testing.T) {
	r := NewReader("/", 1, &hostfile.Buffer{})
	defer r.Close()
	interfaces, err := r.Append(nil)
	if err != nil {
		t.Skip(err)
	}
	n := testing.AllocsPerRun(100, func() { interfaces, _ = r.Append(interfaces[:0]) })
	if n != 0 {
		t.Errorf("got %v allocations a reading, want 0", n)
	}
}

// Interfaces that come and go leave no names behind.
func TestNamesOfGoneInterfacesAreForgotten(t *testing.T) {
	var r Reader
	for round := range 100 {
		var text strings.Builder
		text.WriteString(header)
		for i := range 10 {
			fmt.Fprintf(&text, "cali%d: 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16\n", round+i)
		}
		got, malformed := r.parse(nil, []byte(text.String()))
		if len(got) != 10 || malformed != 0 || got[9].Name != fmt.Sprintf("cali%d", round+9) {
			t.Fatalf("round %d: got %+v", round, got)
		}
		if len(r.names.last) != 10 {
			t.Fatalf("round %d: got %d names kept, want 10", round, len(r.names.last))
		}
	}
}

func FuzzParse(f *testing.F) {
	recorded, err := os.ReadFile("testdata/linux-6.18.44/proc/1/net/dev")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(string(recorded))
	f.Add(header + "eth0:1: 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16\n")
	f.Fuzz(func(t *testing.T, text string) {
		var r Reader
		first, _ := r.parse(nil, []byte(text))
		again, _ := r.parse(nil, []byte(text))
		if diff := cmp.Diff(first, again); diff != "" {
			t.Errorf("the second reading differs:\n%s", diff)
		}
		for _, one := range first {
			if one.Name == "" || ignored([]byte(one.Name)) {
				t.Errorf("got interface %q", one.Name)
			}
		}
	})
}

func BenchmarkAppend(b *testing.B) {
	r := NewReader("/", 1, &hostfile.Buffer{})
	defer r.Close()
	interfaces, _ := r.Append(nil)
	b.ReportAllocs()
	for b.Loop() {
		interfaces, _ = r.Append(interfaces[:0])
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
