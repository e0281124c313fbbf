package machine

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/google/cadvisor/lib/fs"
	cadvisor "github.com/google/cadvisor/lib/machine"
	"github.com/google/cadvisor/lib/utils/sysfs"

	"github.com/nodevitals/nodevitals/snapshot"
)

// noFilesystems stands in for the part of machine.Info that nobody asks for here.
type noFilesystems struct{ fs.FsInfo }

func (noFilesystems) GetGlobalFsInfo() ([]fs.Fs, error) { return nil, nil }

func TestReadEqualsCadvisor(t *testing.T) {
	want, err := cadvisor.Info(sysfs.NewRealSysFs(), noFilesystems{}, true)
	if err != nil {
		t.Skipf("cAdvisor cannot read this machine: %v", err)
	}
	got, err := Read("/")
	if err != nil && os.Geteuid() == 0 {
		t.Errorf("as root: got %v, want no error", err)
	}
	expected := &snapshot.Machine{
		ID: want.MachineID, SystemUUID: want.SystemUUID, BootID: want.BootID,
		Cores: want.NumCores, PhysicalCores: want.NumPhysicalCores, Sockets: want.NumSockets,
		Books: want.NumBooks, Drawers: want.NumDrawers,
		MemoryBytes: want.MemoryCapacity, SwapBytes: want.SwapCapacity,
	}
	if len(got.DIMMs) != len(want.MemoryByType) {
		t.Errorf("got %d types of memory modules, want %d", len(got.DIMMs), len(want.MemoryByType))
	}
	for _, dimm := range got.DIMMs {
		memory := want.MemoryByType[dimm.Type]
		if memory == nil || uint64(memory.DimmCount) != dimm.Count || memory.Capacity != dimm.Bytes {
			t.Errorf("%s: got %+v, want %+v", dimm.Type, dimm, memory)
		}
	}
	expected.DIMMs = got.DIMMs
	if diff := cmp.Diff(expected, got); diff != "" {
		t.Errorf("differs from cAdvisor (-cAdvisor +ours):\n%s", diff)
	}
	versions, err := readVersions("/")
	if err != nil {
		t.Error(err)
	}
	if diff := cmp.Diff(snapshot.Versions{Kernel: cadvisor.KernelVersion(), OS: cadvisor.ContainerOsVersion()}, versions); diff != "" {
		t.Errorf("differs from cAdvisor (-cAdvisor +ours):\n%s", diff)
	}
}

func TestReadRecorded(t *testing.T) {
	got, err := Read("testdata/linux-6.18.44")
	if err != nil {
		t.Logf("parts of this machine's /sys: %v", err)
	}
	// The topology and the firmware are this machine's, whatever the host root.
	got.Cores, got.SystemUUID = 0, ""
	want := &snapshot.Machine{
		ID: "0123456789abcdef0123456789abcdef", BootID: "7c0b4b8e-9f0f-4c56-a3f3-111111111111",
		PhysicalCores: 2, Sockets: 1, MemoryBytes: 24684092 << 10, SwapBytes: 2097148 << 10,
		DIMMs: []snapshot.DIMM{{Type: "Registered-DDR4", Count: 2, Bytes: 32 << 30}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestReadOfNothingGivesWhatThereIs(t *testing.T) {
	root := t.TempDir()
	got, err := Read(root)
	if got == nil {
		t.Fatal("got nil, want a record of what can be read")
	}
	for _, part := range []string{"proc/cpuinfo", "proc/meminfo"} {
		if err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("got error %v, want one that names %s", err, part)
		}
	}
	if got.MemoryBytes != 0 || got.ID != "" {
		t.Errorf("got %+v, want neither memory nor name", got)
	}
}

// A processor without a known frequency makes cAdvisor give up on the whole machine.
func TestReadWithoutFrequency(t *testing.T) {
	root := copyTree(t)
	cpuinfo := "processor\t: 0\nphysical id\t: 0\ncore id\t\t: 0\n\nprocessor\t: 1\nphysical id\t: 1\ncore id\t\t: 1\n"
	write(t, filepath.Join(root, "proc/cpuinfo"), cpuinfo)
	got, _ := Read(root)
	if got.PhysicalCores != 2 || got.Sockets != 2 || got.MemoryBytes == 0 {
		t.Errorf("got %+v, want 2 cores in 2 sockets and memory", got)
	}
	if n := countProcessors([]byte(cpuinfo)); n != 2 {
		t.Errorf("got %d processors, want 2", n)
	}
}

func TestPrettyName(t *testing.T) {
	for _, test := range []struct{ name, text, want string }{
		{"double quotes", "NAME=x\nPRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\n", "Debian GNU/Linux 12 (bookworm)"},
		{"single quotes", "PRETTY_NAME='Talos (v1.9)'", "Talos (v1.9)"},
		{"bare", "PRETTY_NAME=Arch\n", "Arch"},
		{"empty", "PRETTY_NAME=\n", ""},
		{"one quote", "PRETTY_NAME=\"\n", "\""},
		{"other key", "OLD_PRETTY_NAME=x\n", "Linux"},
		{"none", "", "Linux"},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := prettyName([]byte(test.text)); got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

// The host's /etc/machine-id may be a link with a path from the root, which within a container leads to the container's own.
func TestLinkOutOfHostRootIsNotFollowed(t *testing.T) {
	root := t.TempDir()
	outside := filepath.Join(t.TempDir(), "machine-id")
	write(t, outside, "of-the-container")
	if err := os.MkdirAll(filepath.Join(root, "etc"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(outside, filepath.Join(root, "etc/machine-id")); err != nil {
		t.Fatal(err)
	}
	id, err := readID(root, "etc/machine-id")
	if id != "" || err == nil || errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %q, %v; want nothing and an error", id, err)
	}
}

func copyTree(t *testing.T) string {
	t.Helper()
	root := t.TempDir()
	if err := os.CopyFS(root, os.DirFS("testdata/linux-6.18.44")); err != nil {
		t.Fatal(err)
	}
	return root
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
