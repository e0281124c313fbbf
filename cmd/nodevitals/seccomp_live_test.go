package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// allowedCalls are those of the seccomp profile, by name, with the arguments that they are bound to.
func allowedCalls(t *testing.T) map[string][]uint64 {
	t.Helper()
	text, err := os.ReadFile("../../manifests/components/seccomp/nodevitals.json")
	if err != nil {
		t.Fatal(err)
	}
	var profile struct {
		Syscalls []struct {
			Names []string
			Args  []struct{ Value uint64 }
		}
	}
	if err := json.Unmarshal(text, &profile); err != nil {
		t.Fatal(err)
	}
	calls := make(map[string][]uint64)
	for _, row := range profile.Syscalls {
		for _, name := range row.Names {
			calls[name] = append(calls[name], []uint64{}...)
			for _, argument := range row.Args {
				calls[name] = append(calls[name], argument.Value)
			}
		}
	}
	return calls
}

// startTraced runs an agent that strace watches, and returns once it answers. The returned function ends it and returns what it called.
func startTraced(t *testing.T, args ...string) (*running, func() string) {
	t.Helper()
	strace, err := exec.LookPath("strace")
	if err != nil {
		t.Skip("needs Debian's package strace")
	}
	trace := filepath.Join(t.TempDir(), "trace")
	ports := freePorts(t, 2)
	a := &running{readOnly: "http://127.0.0.1:" + strconv.Itoa(ports[0]), healthz: "http://127.0.0.1:" + strconv.Itoa(ports[1])}
	a.process = &process{command: exec.Command(strace, append([]string{
		// Numbers in place of the names of constants: those of arguments are compared.
		"-f", "-qq", "-X", "raw", "-s", "0", "-o", trace, "--", binary, "--read-only-port", strconv.Itoa(ports[0]), "--healthz-port", strconv.Itoa(ports[1]), "--log-format=json",
	}, args...)...), exited: make(chan struct{})}
	a.command.Stdout, a.command.Stderr = &a.stdout, &a.stderr
	if err := a.command.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		_ = a.command.Wait() // the state tells
		close(a.exited)
	}()
	child := func() (pid int) {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", a.command.Process.Pid, a.command.Process.Pid))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := fmt.Sscan(string(text), &pid); err != nil {
			t.Fatalf("the child of strace: %q, %v", text, err)
		}
		return pid
	}
	t.Cleanup(func() {
		select {
		case <-a.exited:
		default:
			_ = syscall.Kill(child(), syscall.SIGKILL)
			<-a.exited
		}
	})
	if !a.ready(t) {
		if strings.Contains(a.stderr.String(), "Operation not permitted") {
			t.Skipf("strace may not watch here: %s", &a.stderr)
		}
		t.Fatalf("the agent ended; stderr:\n%s", &a.stderr)
	}
	return a, func() string {
		if err := syscall.Kill(child(), syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		if status := a.wait(t); status != 0 {
			t.Errorf("exit status %d; stderr:\n%s", status, &a.stderr)
		}
		text, err := os.ReadFile(trace)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
}

// The profile allows every call that a whole run of the agent makes: of all ports and paths, with an API server, a certificate of its own, a
// unix socket and, where there is one, the reader in the kernel.
func TestSeccompProfileHasWhatIsCalled(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root, whose agent does the most")
	}
	_, api := startAPI(t)
	made := t.TempDir()
	port := freePorts(t, 1)[0]
	a, end := startTraced(t, "--bind-address=127.0.0.1", "--secure-port="+strconv.Itoa(port), "--kubelet-series=on", "--extra-series=all", "--tls-cert-dir="+made,
		"--serve-pods", "--pod-source=api", "--node-name=lab-node",
		"--kubeconfig="+kubeconfigOf(t, strings.Replace(api.URL, "127.0.0.1", "localhost", 1)), "--read-only-socket="+filepath.Join(made, "socket"))
	known := secureClient{bundle: filepath.Join(made, "ca.crt"), token: "known-secret"}
	for _, e := range endpoints {
		if answer, body := get(t, a.readOnly+e.path, http.Header{"Accept-Encoding": {"gzip"}}); answer.StatusCode != http.StatusOK {
			t.Errorf("%s: %d: %.200s", e.path, answer.StatusCode, body)
		}
	}
	for _, path := range []string{"/metrics/cadvisor", "/pods"} {
		if status, body, _ := known.ask(t, http.MethodGet, fmt.Sprintf("https://127.0.0.1:%d%s", port, path)); status != http.StatusOK {
			t.Errorf("secure port: %s: %d: %.200s", path, status, body)
		}
	}
	reader := "files"
	if _, body := get(t, a.readOnly+"/metrics", nil); strings.Contains(body, `nodevitals_reader{reader="bpf"} 1`) {
		reader = "bpf"
	}
	counts := make(map[string]int)
	allowed := allowedCalls(t)
	// "1234  read(4, …": also one that a line "<... read resumed>" ends.
	for _, match := range regexp.MustCompile(`(?m)^\d+ +([a-z0-9_]+)\(([^,)]*)(?:, ([^,)]*))?`).FindAllStringSubmatch(end(), -1) {
		name := match[1]
		if counts[name]++; counts[name] == 1 {
			if _, ok := allowed[name]; !ok {
				t.Errorf("%s is called, and the profile refuses it: %s", name, match[0])
			}
		}
		checkArguments(t, allowed, match)
	}
	if len(counts) < 30 || counts["execve"] == 0 || counts["epoll_pwait"] == 0 {
		t.Errorf("strace saw %v, want an agent's calls", counts)
	}
	t.Logf("%d kinds of calls, with cgroups read by %s: %s", len(counts), reader, strings.Join(slices.Sorted(maps.Keys(counts)), " "))
}

// checkArguments holds a call to the arguments that the profile binds it to. match has the call, its name, and its first two arguments.
func checkArguments(t *testing.T, allowed map[string][]uint64, match []string) {
	t.Helper()
	place := map[string]int{"socket": 2, "ioctl": 3}[match[1]]
	if place == 0 {
		return
	}
	value, err := strconv.ParseUint(match[place], 0, 64)
	if err != nil || !slices.Contains(allowed[match[1]], value) {
		t.Errorf("the profile refuses %s with %s, for it allows %d alone: %v", match[1], match[place], allowed[match[1]], err)
	}
}
