package main

import (
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	stats "k8s.io/kubelet/pkg/apis/stats/v1alpha1"
)

func TestHelpIsGroupedAndWhole(t *testing.T) {
	got := command(t, "--help")
	if got.status != 0 || got.stderr != "" {
		t.Fatalf("--help: status %d, stderr %q", got.status, got.stderr)
	}
	at := 0
	for _, want := range []string{
		"Usage:", "Commands:", "summary", "verify", "version",
		"Serving:", "--read-only-bind-address", "--read-only-port", "--healthz-bind-address", "--healthz-port", "--timestamps",
		"Secure serving:", "--secure-port", "--serve-pods",
		"Sampling:", "--max-age", "--tick", "--spec-max-age", "--process-max-age", "--storage-max-age", "--disable-group",
		"Host:", "--host-root", "--root-dir", "--node-name", "--kubelet-cgroups", "--runtime-cgroups", "--system-cgroups", "--cgroup-root",
		"Logging:", "--log-format", "--log-level",
	} {
		next := strings.Index(got.stdout[at:], want)
		if next < 0 {
			t.Fatalf("help lacks %q after %q:\n%s", want, got.stdout[max(0, at-20):at], got.stdout)
		}
		at += next
	}
	for line := range strings.Lines(got.stdout) {
		if len([]rune(line)) > 120 {
			t.Errorf("help has a line of %d characters: %s", len([]rune(line)), line)
		}
	}
}

// TestMistakesAreOneLine holds that whatever is wrong is one line that names the flag, with the right exit status.
func TestMistakesAreOneLine(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	taken := strconv.Itoa(listener.Addr().(*net.TCPAddr).Port)
	empty := t.TempDir()
	file := filepath.Join(empty, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	free := freePorts(t, 1)[0]
	ports := []string{"--healthz-port=0", fmt.Sprintf("--read-only-port=%d", free)}
	on := func(args ...string) []string { return append(args, ports...) }
	tests := []struct {
		name   string
		args   []string
		status int
		want   []string
	}{
		{"unknown flag", []string{"--no-such-flag"}, exitUsage, []string{"--no-such-flag", "--help"}},
		{"unknown command", []string{"serve"}, exitUsage, []string{`"serve"`, "--help"}},
		{"argument too many", []string{"version", "now"}, exitUsage, []string{`"now"`}},
		{"no number", []string{"--healthz-port=http"}, exitUsage, []string{"--healthz-port", "http"}},
		{"port too large", []string{"--read-only-port=70000"}, exitUsage, []string{"--read-only-port", "70000"}},
		{"no address", []string{"--read-only-bind-address=everywhere"}, exitUsage, []string{"--read-only-bind-address", "everywhere"}},
		{"nothing to serve", []string{"--read-only-port=0", "--healthz-port=0"}, exitUsage, []string{"--read-only-port", "--healthz-port"}},
		{"no duration", []string{"--max-age=soon"}, exitUsage, []string{"--max-age", "soon"}},
		{"negative duration", []string{"--spec-max-age=-1s"}, exitUsage, []string{"--spec-max-age", "-1s"}},
		{"frantic tick", []string{"--tick=1ms"}, exitUsage, []string{"--tick", "1ms"}},
		{"unknown group", []string{"--disable-group=disk"}, exitUsage, []string{"--disable-group", "disk", "storage"}},
		{"relative root", []string{"--host-root=host"}, exitUsage, []string{"--host-root", "host"}},
		{"relative cgroup", []string{"--kubelet-cgroups=kubelet"}, exitUsage, []string{"--kubelet-cgroups", "kubelet"}},
		{"unknown format", []string{"--log-format=xml"}, exitUsage, []string{"--log-format", "xml"}},
		{"unknown level", []string{"--log-level=loud"}, exitUsage, []string{"--log-level", "loud"}},
		{"summary: unknown output", []string{"summary", "--output=yaml"}, exitUsage, []string{"--output", "yaml"}},
		{"summary: no window", []string{"summary", "--window=0s"}, exitUsage, []string{"--window"}},
		{
			"taken port",
			[]string{"--healthz-port=0", "--read-only-port=" + taken},
			exitFailure,
			[]string{"127.0.0.1:" + taken, "address already in use", "kubelet", "--read-only-port"},
		},
		{
			"taken health port",
			[]string{"--healthz-port=" + taken, "--read-only-port=0"},
			exitFailure,
			[]string{"127.0.0.1:" + taken, "--healthz-port"},
		},
		{"absent root", on("--host-root=" + empty + "/none"), exitFailure, []string{"--host-root", empty + "/none", "no such file"}},
		{"root is a file", on("--host-root=" + file), exitFailure, []string{"--host-root", file}},
		{"root without cgroups", on("--host-root=" + empty), exitFailure, []string{empty, "cgroup"}},
		{"summary: absent root", []string{"summary", "--host-root=" + empty + "/none"}, exitFailure, []string{"--host-root"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got := command(t, test.args...)
			if got.status != test.status {
				t.Errorf("exit status: got %d, want %d", got.status, test.status)
			}
			if got.stdout != "" {
				t.Errorf("stdout: got %q, want nothing", got.stdout)
			}
			if !strings.HasPrefix(got.stderr, "nodevitals: ") || strings.Count(got.stderr, "\n") != 1 {
				t.Errorf("stderr: got %q, want one line from nodevitals", got.stderr)
			}
			for _, want := range test.want {
				if !strings.Contains(got.stderr, want) {
					t.Errorf("stderr lacks %q: %s", want, got.stderr)
				}
			}
		})
	}
}

func TestVersion(t *testing.T) {
	got := command(t, "version")
	if got.status != 0 || !strings.HasPrefix(got.stdout, "nodevitals ") || strings.Count(got.stdout, "\n") != 1 {
		t.Fatalf("version: status %d, stdout %q, stderr %q", got.status, got.stdout, got.stderr)
	}
	if os.Getenv("NODEVITALS_BINARY") == "" && !strings.Contains(got.stdout, "nodevitals v1.2.3, revision abcdef, go1.") {
		t.Errorf("version does not say what the linker was told: %q", got.stdout)
	}
}

func TestSummaryIsTheKubeletsJSON(t *testing.T) {
	got := command(t, "summary", "--window=200ms", "--node-name=here")
	if got.status != 0 {
		t.Fatalf("summary: status %d, stderr %q", got.status, got.stderr)
	}
	var summary stats.Summary
	decoder := json.NewDecoder(strings.NewReader(got.stdout))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&summary); err != nil {
		t.Fatalf("summary is no v1alpha1.Summary: %v\n%.500s", err, got.stdout)
	}
	node := summary.Node
	if node.NodeName != "here" {
		t.Errorf("node name: got %q, want here", node.NodeName)
	}
	if node.CPU == nil || node.CPU.UsageNanoCores == nil || *node.CPU.UsageNanoCores == 0 {
		t.Errorf("the node's CPU has no rate over the window: %+v", node.CPU)
	}
	if node.Memory == nil || node.Memory.WorkingSetBytes == nil || *node.Memory.WorkingSetBytes == 0 {
		t.Errorf("the node has no working set: %+v", node.Memory)
	}
}

func TestSummaryAsTable(t *testing.T) {
	got := command(t, "summary", "--window=200ms", "--output=table", "--node-name=here")
	if got.status != 0 || !strings.Contains(got.stdout, "here") || strings.HasPrefix(got.stdout, "{") {
		t.Errorf("table: status %d, stderr %q, stdout:\n%s", got.status, got.stderr, got.stdout)
	}
}

func TestVerifyKnowsTheCgroupsOfTheHost(t *testing.T) {
	got := command(t, "verify")
	if got.status != 0 {
		t.Errorf("verify: status %d, stderr %q, stdout:\n%s", got.status, got.stderr, got.stdout)
	}
	if !strings.Contains(got.stdout, "compared ") {
		t.Errorf("verify does not say what it compared:\n%s", got.stdout)
	}
}

// The line that tells why there is no agent is kept with the log, and so has no more secrets than that.
func TestMistakesHaveNoSecrets(t *testing.T) {
	folder := t.TempDir()
	kubeconfig := filepath.Join(folder, "kubeconfig")
	writeFile(t, kubeconfig, fmt.Appendf(nil, `apiVersion: v1
kind: Config
current-context: test
clusters: [{name: test, cluster: {server: "https://127.0.0.1:1", proxy-url: "gopher://jane:s3cret@proxy"}}]
users: [{name: test, user: {token: x}}]
contexts: [{name: test, context: {cluster: test, user: test}}]
`))
	for _, argument := range []string{"--kubeconfig=" + kubeconfig, "--pod-source=https://jane:s3cret@node/", "--bind-address=?token=s3cret"} {
		got := command(t, argument, "--read-only-port=0", "--healthz-port=0")
		if got.status == 0 || strings.Contains(got.stderr, "s3cret") || !strings.Contains(got.stderr, "[redacted]") {
			t.Errorf("%s: status %d, stderr %q", argument, got.status, got.stderr)
		}
	}
}
