package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/nodevitals/nodevitals/collector/cgroup"
	"github.com/nodevitals/nodevitals/collector/cgrouptest"
)

// need is a row of the table "What needs which right" of docs/operations.md: what an agent of an ordinary user shows with these capabilities,
// and without one of them does not. Rows that take pods are measured on a cluster, by e2e/privilege_test.go.
type need struct {
	// figures is the row's name in the documentation.
	figures string
	// capabilities are needed from a kernel's version on, earlier ones before it; no version: on all.
	capabilities []string
	since        [2]int
	earlier      []string
	// arguments are more than all agents get, for what shows in their being taken.
	arguments []string
	// there looks for the figures.
	there func(*seen) bool
}

// numbers are the capabilities that the table names.
var numbers = map[string]uintptr{
	"CAP_DAC_READ_SEARCH": unix.CAP_DAC_READ_SEARCH, "CAP_SYS_PTRACE": unix.CAP_SYS_PTRACE, "CAP_BPF": unix.CAP_BPF,
	"CAP_PERFMON": unix.CAP_PERFMON, "CAP_SYSLOG": unix.CAP_SYSLOG, "CAP_NET_BIND_SERVICE": unix.CAP_NET_BIND_SERVICE,
	"CAP_DAC_OVERRIDE": unix.CAP_DAC_OVERRIDE,
}

// seen is what one agent showed.
type seen struct {
	// ended: it did not come up, and said why.
	ended                       bool
	cadvisor, summary, own, log string
}

// cadvisorHas looks for a series in /metrics/cadvisor.
func cadvisorHas(expression string) func(*seen) bool {
	return func(s *seen) bool { return matches(s.cadvisor, expression) }
}

func cameUp(s *seen) bool { return !s.ended }

// needs are the rows. id is a cgroup with a process of root and one of another user, key a file of root's alone with the certificate to serve, in a
// folder that root alone may change.
func needs(id, ca, key string, port int) []need {
	of := func(family string) string { return `^` + family + `\{[^}]*id="` + id + `"[^}]*\} ` }
	reads, links := []string{"CAP_DAC_READ_SEARCH"}, []string{"CAP_DAC_READ_SEARCH", "CAP_SYS_PTRACE"}
	program, table := []string{"CAP_BPF", "CAP_PERFMON"}, []string{"CAP_BPF", "CAP_PERFMON", "CAP_SYSLOG"}
	secure := []string{"--bind-address=127.0.0.1", "--secure-port=" + strconv.Itoa(port), "--client-ca-file=" + ca, "--authorization-mode=AlwaysAllow"}
	return []need{
		{figures: "cpu", there: cadvisorHas(`^container_cpu_usage_seconds_total\{`)},
		{figures: "memory", there: cadvisorHas(`^container_memory_working_set_bytes\{`)},
		{figures: "io", there: cadvisorHas(`^(container_fs_reads_bytes_total|container_blkio_device_usage_total)\{`)},
		{figures: "pids", there: cadvisorHas(`^container_threads\{`)},
		{figures: "psi", there: cadvisorHas(`^container_pressure_cpu_waiting_seconds_total\{`)},
		{figures: "limits (spec)", there: cadvisorHas(`^container_spec_memory_limit_bytes\{`)},
		{figures: "the machine", there: cadvisorHas(`^machine_cpu_cores\{.* [1-9]`)},
		{
			figures: "the firmware's UUID", capabilities: reads,
			there: cadvisorHas(`^machine_cpu_cores\{[^}]*system_uuid="[^"]`),
		},
		{figures: "network of the host", there: cadvisorHas(`^container_network_receive_bytes_total\{[^}]*id="/"`)},
		{figures: "counts of processes", there: cadvisorHas(of("container_processes") + `2$`)},
		{
			figures: "counts of descriptors", since: [2]int{6, 2}, earlier: reads,
			there: cadvisorHas(of("container_file_descriptors") + `[1-9]`),
		},
		{figures: "counts of sockets", capabilities: links, there: cadvisorHas(of("container_sockets") + `4$`)},
		{
			figures: "the node's filesystems",
			there:   func(s *seen) bool { return matches(s.summary, `"capacityBytes": ?[1-9]`) },
		},
		{
			figures: "the reader in the kernel", capabilities: program,
			there: func(s *seen) bool { return matches(s.own, `^nodevitals_reader\{reader="bpf"\} 1$`) },
		},
		{
			figures: "memory.stat by the reader in the kernel", capabilities: table, since: [2]int{6, 10}, earlier: program,
			there: func(s *seen) bool {
				return matches(s.own, `^nodevitals_reader\{reader="bpf"\} 1$`) && !strings.Contains(s.log, `"besides"`)
			},
		},
		{
			figures: "a certificate's key that another user owns", capabilities: reads,
			arguments: append(slices.Clone(secure), "--tls-cert-file="+key, "--tls-private-key-file="+key), there: cameUp,
		},
		{
			figures: "a socket in a folder that another user owns", capabilities: []string{"CAP_DAC_OVERRIDE"},
			arguments: []string{"--read-only-socket=" + filepath.Join(filepath.Dir(key), "socket")}, there: cameUp,
		},
		{
			figures: "a certificate kept in a folder that another user owns", capabilities: []string{"CAP_DAC_OVERRIDE"},
			arguments: append(slices.Clone(secure), "--tls-cert-dir="+filepath.Join(filepath.Dir(key), "made")), there: cameUp,
		},
		{
			figures: "a port below 1024", capabilities: []string{"CAP_NET_BIND_SERVICE"}, there: cameUp,
			arguments: append(slices.Clone(secure), "--bind-address=127.0.0.1", "--secure-port=LOW"),
		},
	}
}

// on returns the capabilities that a row lists for a kernel.
func (n *need) on(kernel [2]int) []string {
	if slices.Compare(kernel[:], n.since[:]) < 0 {
		return n.earlier
	}
	return n.capabilities
}

// kernelVersion is the running kernel's.
func kernelVersion(t *testing.T) (version [2]int) {
	t.Helper()
	text, err := os.ReadFile("/proc/sys/kernel/osrelease")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := fmt.Sscanf(string(text), "%d.%d", &version[0], &version[1]); err != nil {
		t.Fatalf("kernel %q: %v", text, err)
	}
	return version
}

// observe runs an agent of an ordinary user with exactly these capabilities, or of root with all for "all", and returns what it shows.
func observe(t *testing.T, capabilities, arguments []string) *seen {
	t.Helper()
	who := &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	if slices.Equal(capabilities, everything) {
		who = nil
	} else {
		for _, name := range capabilities {
			who.AmbientCaps = append(who.AmbientCaps, numbers[name])
		}
	}
	ports := freePorts(t, 2)
	a := &running{
		readOnly: "http://127.0.0.1:" + strconv.Itoa(ports[0]), healthz: "http://127.0.0.1:" + strconv.Itoa(ports[1]),
		process: startAs(t, who, append([]string{
			"--read-only-port", strconv.Itoa(ports[0]), "--healthz-port", strconv.Itoa(ports[1]), "--log-format=json", "--pod-source=none",
		}, arguments...)...),
	}
	if !a.ready(t) {
		return &seen{ended: true, log: a.stderr.String()}
	}
	s := &seen{}
	// The node's filesystems answer last, and to everyone.
	cgrouptest.Await(t, "the node's filesystem in /stats/summary", func() (bool, string) {
		_, s.summary = get(t, a.readOnly+"/stats/summary", nil)
		return strings.Contains(s.summary, "capacityBytes"), s.summary
	})
	_, s.cadvisor = get(t, a.readOnly+"/metrics/cadvisor", nil)
	_, s.own = get(t, a.readOnly+"/metrics", nil)
	if status := a.terminate(t); status != 0 {
		t.Errorf("with %v: exit status %d; stderr:\n%s", capabilities, status, &a.stderr)
	}
	s.log = a.stderr.String()
	return s
}

// everything stands for root with all capabilities.
var everything = []string{"all"}

// twoUsers makes a cgroup with a process of root and one of another user, each of which has two sockets.
func twoUsers(t *testing.T) (id string) {
	t.Helper()
	group := cgrouptest.New(t)
	for _, uid := range []uint32{0, 1} {
		command := exec.Command("sleep", "100000")
		command.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: uid}}
		for range 2 {
			listener, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			file, err := listener.(*net.TCPListener).File()
			if err != nil {
				t.Fatal(err)
			}
			_ = listener.Close()
			defer file.Close()
			command.ExtraFiles = append(command.ExtraFiles, file)
		}
		if err := command.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			_ = command.Process.Kill()
			_ = command.Wait()
		})
		for i := range group.Hierarchy.Mounts {
			path := filepath.Join(group.Hierarchy.Mounts[i].Folder(group.ID), "cgroup.procs")
			if err := os.WriteFile(path, []byte(strconv.Itoa(command.Process.Pid)), 0); err != nil {
				t.Fatal(err)
			}
		}
	}
	return group.ID
}

// Each row of the table is the smallest: an agent of an ordinary user has the figures with what is listed, and without any one of it has not.
func TestWhatEachGroupNeeds(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root, to start agents with chosen rights")
	}
	kernel := kernelVersion(t)
	folder := t.TempDir()
	for _, path := range []string{folder, filepath.Dir(folder)} {
		if err := os.Chmod(path, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	authority := newAuthority(t)
	ca, key := filepath.Join(folder, "ca"), filepath.Join(folder, "key")
	authority.write(t, ca)
	writePair(t, key, authority.issue(t, "node", time.Now().Add(time.Hour)))
	if err := errors.Join(os.Chmod(ca, 0o644), os.Chmod(key, 0o600)); err != nil {
		t.Fatal(err)
	}
	rows := needs(twoUsers(t), ca, key, freePorts(t, 1)[0])
	kept := make(map[string]*seen)
	look := func(t *testing.T, capabilities, arguments []string) *seen {
		name := strings.Join(slices.Sorted(slices.Values(capabilities)), " ") + "; " + strings.Join(arguments, " ")
		if kept[name] == nil {
			kept[name] = observe(t, capabilities, arguments)
		}
		return kept[name]
	}
	for i := range rows {
		row := &rows[i]
		t.Run(row.figures, func(t *testing.T) {
			if low := slices.Index(row.arguments, "--secure-port=LOW"); low >= 0 {
				row.arguments[low] = "--secure-port=" + strconv.Itoa(lowPort(t))
			}
			if reason := unmeasurable(row.figures); reason != "" {
				t.Skipf("cannot be measured on this machine: %s", reason)
			}
			if s := look(t, everything, row.arguments); !row.there(s) {
				t.Skipf("cannot be measured on this machine: not even root has it; the agent says:\n%s", s.log)
			}
			listed := row.on(kernel)
			if row.since != [2]int{} {
				t.Logf("this is Linux %d.%d; what holds on the other side of %d.%d cannot be measured here", kernel[0], kernel[1], row.since[0], row.since[1])
			}
			if s := look(t, listed, row.arguments); !row.there(s) {
				t.Errorf("not there with %q; the agent says:\n%s", listed, s.log)
			}
			for i, one := range listed {
				without := slices.Delete(slices.Clone(listed), i, i+1)
				if row.there(look(t, without, row.arguments)) {
					t.Errorf("there without %s too, with %q: it is not needed", one, without)
				}
			}
		})
	}
	t.Logf("%d agents were run", len(kept))
}

// unmeasurable tells what a machine lacks that shows a row's figures to nobody.
func unmeasurable(figures string) string {
	hierarchy, err := cgroup.Detect("/")
	if err != nil {
		return err.Error()
	}
	switch {
	case strings.Contains(figures, "in the kernel") && hierarchy.Version == cgroup.V1:
		return "cgroup v1 has no reader in the kernel"
	case figures == "psi" && hierarchy.Version == cgroup.V1:
		return "cgroup v1 keeps no pressure"
	case figures == "the firmware's UUID":
		// Elsewhere the label has what is open to everyone.
		if _, err := os.Stat("/sys/class/dmi/id/product_uuid"); err != nil {
			return err.Error()
		}
	}
	return ""
}

// documentedNeeds are the rows of the table in docs/operations.md: the capabilities by the name of what needs them.
func documentedNeeds(t *testing.T) map[string]string {
	t.Helper()
	page, err := os.ReadFile("../../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, found := strings.Cut(string(page), "### What needs which right\n")
	if !found {
		t.Fatal("docs/operations.md has no section \"What needs which right\"")
	}
	section, _, _ = strings.Cut(section, "\n##")
	rows := make(map[string]string)
	for line := range strings.Lines(section) {
		cells := strings.Split(strings.Trim(line, " |\n"), " | ")
		if len(cells) > 1 {
			rows[cells[0]] = cells[1]
		}
	}
	return rows
}

// The documentation has each row as it was measured.
func TestNeedsAreDocumented(t *testing.T) {
	documented := documentedNeeds(t)
	for _, row := range needs("", "", "", 0) {
		want := strings.Join(row.capabilities, ", ")
		if want == "" {
			want = "none"
		}
		if row.since != [2]int{} {
			earlier := strings.Join(row.earlier, ", ")
			want += fmt.Sprintf("; before Linux %d.%d %s", row.since[0], row.since[1], earlier)
		}
		if got, ok := documented[row.figures]; !ok || got != want {
			t.Errorf("docs/operations.md says of %s: %q; measured: %q", row.figures, got, want)
		}
	}
}
