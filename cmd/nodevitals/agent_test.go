package main

import (
	"net/http"
	"os"
	"strings"
	"testing"
)

// endpoints are what an agent serves: path, content type, and words that only a real answer has.
var endpoints = []struct{ path, kind, has string }{
	{"/stats/summary", "application/json", `"nodeName"`},
	{"/metrics/cadvisor", "text/plain; version=0.0.4", "container_cpu_usage_seconds_total{"},
	{"/metrics/resource", "text/plain; version=0.0.4", "node_cpu_usage_seconds_total"},
	{"/metrics", "text/plain; version=0.0.4", "nodevitals_build_info{"},
	{"/", "text/plain", "/metrics/cadvisor"},
	{"/healthz", "text/plain", "ok"},
	{"/healthz/collector", "text/plain", "ok"},
	{"/livez", "text/plain", "ok"},
	{"/readyz", "text/plain", "ok"},
}

func TestAgentServesEveryRoute(t *testing.T) {
	withRaceDetector(t)
	a := startAgent(t, 0)
	for _, e := range endpoints {
		answer, body := get(t, a.readOnly+e.path, nil)
		if answer.StatusCode != http.StatusOK || !strings.HasPrefix(answer.Header.Get("Content-Type"), e.kind) || !strings.Contains(body, e.has) {
			t.Errorf("%s: got %d %s without %q or not %s:\n%.500s", e.path, answer.StatusCode, answer.Header.Get("Content-Type"), e.has, e.kind, body)
		}
	}
	if answer, _ := get(t, a.readOnly+"/stats", nil); answer.StatusCode != http.StatusNotFound {
		t.Errorf("/stats: got %d, want 404", answer.StatusCode)
	}
	for path, want := range map[string]int{
		"/healthz": 200, "/healthz/ping": 200, "/livez": 200, "/readyz": 200, "/readyz/collector": 200, "/healthz/absent": 404, "/metrics": 404, "/": 404,
	} {
		if answer, _ := get(t, a.healthz+path, nil); answer.StatusCode != want {
			t.Errorf("health port %s: got %d, want %d", path, answer.StatusCode, want)
		}
	}
	if _, body := get(t, a.healthz+"/readyz?verbose", nil); !strings.Contains(body, "[+]collector ok") || !strings.Contains(body, "[+]shutdown ok") {
		t.Errorf("health port /readyz?verbose does not ask the collector and whether the agent is going to end: %s", body)
	}
	_, body := get(t, a.readOnly+"/metrics/cadvisor", http.Header{"Accept-Encoding": {"gzip"}})
	if !strings.HasPrefix(body, "\x1f\x8b") {
		t.Errorf("/metrics/cadvisor for gzip: got %.20q, want gzip's magic bytes", body)
	}
	for _, want := range []string{a.readOnly + "/stats/summary\n", a.readOnly + "/metrics/cadvisor\n", a.readOnly + "/metrics/resource\n", a.healthz + "/healthz\n", "cgroup v"} {
		if !strings.Contains(a.stdout.String(), want) {
			t.Errorf("stdout lacks %q:\n%s", want, &a.stdout)
		}
	}
}

func TestAgentEndsWithZeroOnSIGTERM(t *testing.T) {
	a := startAgent(t, 0)
	if status := a.terminate(t); status != 0 {
		t.Errorf("exit status after SIGTERM: got %d, want 0; stderr:\n%s", status, &a.stderr)
	}
}

func TestAgentServesAnOrdinaryUser(t *testing.T) {
	uid := uint32(0)
	if os.Geteuid() == 0 {
		uid = nobody
	}
	a := startAgent(t, uid)
	for _, e := range endpoints {
		answer, body := get(t, a.readOnly+e.path, nil)
		if answer.StatusCode != http.StatusOK || !strings.Contains(body, e.has) {
			t.Errorf("%s: got %d:\n%.500s", e.path, answer.StatusCode, body)
		}
		if strings.Contains(body, "\ncontainer_scrape_error 1") {
			t.Errorf("%s reports a scrape error", e.path)
		}
	}
	// The descriptors of other users' processes are root's alone on any host.
	if got := strings.Count(a.stdout.String(), "absent, because uid "); got != 1 {
		t.Errorf("said %d times what is absent, want once:\n%s", got, &a.stdout)
	}
	if status := a.terminate(t); status != 0 {
		t.Errorf("exit status after SIGTERM: got %d, want 0; stderr:\n%s", status, &a.stderr)
	}
	seen := make(map[string]bool)
	for line := range strings.Lines(a.stderr.String()) {
		_, message, _ := strings.Cut(line, `"msg"`)
		if seen[message] {
			t.Errorf("logged twice: %s", line)
		}
		seen[message] = true
	}
}

func TestDisabledGroupIsAbsent(t *testing.T) {
	a := startAgent(t, 0, "--disable-group=memory,process")
	_, body := get(t, a.readOnly+"/metrics/cadvisor", nil)
	if !strings.Contains(body, "container_cpu_usage_seconds_total") || strings.Contains(body, "container_memory_working_set_bytes") {
		t.Errorf("memory is switched off: CPU and no memory wanted:\n%.500s", body)
	}
}

func TestOnePortAlone(t *testing.T) {
	a := startAgent(t, 0, "--read-only-port=0")
	if strings.Contains(a.stdout.String(), "/stats/summary") {
		t.Errorf("stdout tells of a port that is off:\n%s", &a.stdout)
	}
}
