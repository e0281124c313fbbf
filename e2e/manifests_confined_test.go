package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
	core "k8s.io/api/core/v1"

	"github.com/nodevitals/nodevitals/e2e/compare"
)

// seccompFile is the profile of the component "seccomp". Beside the checkout, as the documentation is.
const seccompFile = "../manifests/components/seccomp/nodevitals.json"

// seccompProfile puts the profile where the kubelet looks for it.
func seccompProfile(t *testing.T) {
	t.Helper()
	text, err := os.ReadFile(seccompFile)
	if err != nil {
		t.Fatal(err)
	}
	folder := filepath.Join(node.RootDir(), "seccomp")
	if err := os.MkdirAll(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(folder, filepath.Base(seccompFile)), text, 0o644); err != nil {
		t.Fatal(err)
	}
}

// withReader adds the right of the reader in the kernel, where that is what reads.
func withReader(rights ...uint) []uint {
	if compare.KernelHere().Unified {
		return append(rights, unix.CAP_BPF)
	}
	return rights
}

// processOf finds the first process of a container, as containerd keeps it, and the container's folder there.
func processOf(t *testing.T, pod *core.Pod) (pid int, bundle string) {
	t.Helper()
	id := strings.TrimPrefix(pod.Status.ContainerStatuses[0].ContainerID, "containerd://")
	bundle = filepath.Join(node.StateDir(), "containerd/state/io.containerd.runtime.v2.task/k8s.io", id)
	text, err := os.ReadFile(filepath.Join(bundle, "init.pid"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := fmt.Sscan(string(text), &pid); err != nil {
		t.Fatalf("init.pid is %q: %v", text, err)
	}
	return pid, bundle
}

// checkConfinement holds the agent's process to what the manifests promise, by the kernel's own word: no new privileges, a seccomp filter, and
// no capability but those that it needs; a root that is read-only, and the chosen profile, by what containerd was told.
func (d *deployment) checkConfinement(t *testing.T, pod *core.Pod) {
	t.Helper()
	pid, bundle := processOf(t, pod)
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	status := make(map[string]string)
	for line := range strings.Lines(string(text)) {
		name, value, _ := strings.Cut(line, ":")
		status[name] = strings.TrimSpace(value)
	}
	rights := d.rights
	if rights == nil {
		rights = []uint{unix.CAP_DAC_READ_SEARCH}
	}
	var bits uint64
	for _, number := range rights {
		bits |= 1 << number
	}
	kept := fmt.Sprintf("%016x", bits)
	for name, want := range map[string]string{
		"CapEff": kept, "CapPrm": kept, "CapInh": fmt.Sprintf("%016x", 0), "CapAmb": fmt.Sprintf("%016x", 0), "NoNewPrivs": "1", "Seccomp": "2",
	} {
		if status[name] != want {
			t.Errorf("%s of the agent is %s, want %s", name, status[name], want)
		}
	}
	var spec struct {
		Root  struct{ Readonly bool }
		Linux struct {
			Seccomp struct{ Syscalls []struct{ Names []string } }
		}
	}
	if text, err = os.ReadFile(filepath.Join(bundle, "config.json")); err == nil {
		err = json.Unmarshal(text, &spec)
	}
	if err != nil {
		t.Fatal(err)
	}
	if !spec.Root.Readonly {
		t.Error("the container's root can be written to")
	}
	// The runtime's own profile has what ours has not.
	var names []string
	for _, row := range spec.Linux.Seccomp.Syscalls {
		names = append(names, row.Names...)
	}
	t.Logf("%d system calls are allowed", len(names))
	if ours := len(names) > 0 && !slices.Contains(names, "mremap"); ours != d.profile {
		t.Errorf("the container's profile is ours: %t, want %t; it allows %v", ours, d.profile, names)
	}
}
