package main

import (
	"net/http"
	"strings"
	"testing"
	"time"
)

// Whoever does not answer shows in the health of both ports, and fails no path: a restart would bring nobody back.
func TestHealthWithoutTheAPIServer(t *testing.T) {
	// Nobody listens at this port.
	a := startAgent(t, 0, "--secure-port=0", "--pod-source=api", "--kubeconfig="+kubeconfigOf(t, "https://127.0.0.1:1"))
	for _, port := range []string{a.readOnly, a.healthz} {
		for _, path := range []string{"/healthz", "/livez", "/readyz"} {
			body := awaitBody(t, port+path+"?verbose", "\n[-]pod-source failed, not counted: reason withheld\n")
			if !strings.HasSuffix(body, strings.Trim(path, "/")+" check passed\n") {
				t.Errorf("%s%s?verbose: got %q, want it to pass", port, path, body)
			}
			if answer, body := get(t, port+path, nil); answer.StatusCode != http.StatusOK || body != "ok" {
				t.Errorf("%s%s: got %d %q, want ok", port, path, answer.StatusCode, body)
			}
			answer, body := get(t, port+path+"/pod-source", nil)
			if answer.StatusCode != http.StatusInternalServerError || strings.Contains(body, "api is away") != (port == a.readOnly) {
				t.Errorf("%s%s/pod-source: got %d %q, want 500, and the reason on the read-only port alone", port, path, answer.StatusCode, body)
			}
		}
	}
}

// Each path has the checks that docs/operations.md says.
func TestChecksOfEachPath(t *testing.T) {
	a := startAgent(t, 0)
	outside := []string{"pod-source", "storage", "volumes", "runtime"}
	for path, checks := range map[string][]string{
		"/healthz": {"ping", "collector", "progress"},
		"/livez":   {"ping", "progress"},
		"/readyz":  {"ping", "collector", "shutdown"},
	} {
		_, body := get(t, a.healthz+path+"?verbose", nil)
		var got []string
		for line := range strings.Lines(body) {
			if name, _, ok := strings.Cut(strings.TrimLeft(line, "[+-]"), " "); ok && line[0] == '[' {
				got = append(got, name)
			}
		}
		if want := strings.Join(append(checks, outside...), " "); strings.Join(got, " ") != want {
			t.Errorf("%s: got the checks %s, want %s", path, got, want)
		}
		if answer, _ := get(t, a.healthz+path+"/ping?verbose", nil); answer.StatusCode != http.StatusOK {
			t.Errorf("%s/ping: got %d", path, answer.StatusCode)
		}
	}
}

// awaitBody waits until a body has some words, and returns it.
func awaitBody(t *testing.T, url, words string) string {
	t.Helper()
	body := ""
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		if _, body = get(t, url, nil); strings.Contains(body, words) {
			return body
		}
	}
	t.Fatalf("waited %s for %q at %s; seen:\n%s", patience, words, url, body)
	return ""
}
