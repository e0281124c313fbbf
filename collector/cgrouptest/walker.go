package cgrouptest

import (
	"os"
	"testing"

	"github.com/nodevitals/nodevitals/collector/cgroup"
	"github.com/nodevitals/nodevitals/collector/cgroup/bpf"
)

// readerVariable chooses the reader that live tests use: "files", which is also meant by none, or "bpf".
const readerVariable = "NODEVITALS_READER"

// Walker returns the reader in the kernel, for tests to run with it where NODEVITALS_READER is "bpf", and else nil. Who takes it closes it.
func Walker(t testing.TB) cgroup.Walker {
	t.Helper()
	switch chosen := os.Getenv(readerVariable); chosen {
	case "", "files":
		return nil
	case "bpf":
		return OpenWalker(t)
	default:
		t.Fatalf("%s=%q: want files or bpf", readerVariable, chosen)
		return nil
	}
}

// OpenWalker returns the reader in the kernel. It skips the test on cgroup v1, and fails where v2's cannot be had.
func OpenWalker(t testing.TB) *bpf.Reader {
	t.Helper()
	hierarchy, err := cgroup.Detect("/")
	if err != nil {
		t.Fatalf("detect cgroups: %v", err)
	}
	if hierarchy.Version != cgroup.V2 {
		t.Skip("needs cgroup v2: this host has v1")
	}
	if os.Getuid() != 0 {
		t.Skip("needs root to load a program into the kernel")
	}
	walker, err := bpf.Open(hierarchy)
	if err != nil {
		t.Fatalf("open the reader in the kernel: %v", err)
	}
	return walker
}
