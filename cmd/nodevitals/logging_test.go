package main

import (
	"encoding/json"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
)

// For people there are lines of text alone, and at a level none below it, whoever writes them.
func TestConsoleLogAtALevel(t *testing.T) {
	fake, api := startAPI(t)
	fake.mode.Store("error")
	made := t.TempDir()
	a, url := startSecure(t, "--kubeconfig="+kubeconfigOf(t, api.URL), "--tls-cert-dir="+made, "--log-format=console", "--log-level=warn")
	// Something to warn of.
	if status, body, _ := (secureClient{bundle: filepath.Join(made, "ca.crt"), token: "any-secret"}).ask(t, http.MethodGet, url+"/metrics"); status != http.StatusUnauthorized {
		t.Errorf("got %d %.300s, want 401", status, body)
	}
	if status := a.terminate(t); status != 0 {
		t.Errorf("exit status: got %d", status)
	}
	log := a.stderr.String()
	if !strings.Contains(log, "\tWARN\t") || !strings.Contains(log, "a bearer token could not be reviewed") {
		t.Errorf("no warning of a token in the log:\n%s", log)
	}
	for line := range strings.Lines(log) {
		if json.Valid([]byte(line)) || strings.Contains(line, "INFO") || strings.Contains(line, "DEBUG") {
			t.Errorf("want text of a warning or worse, got %s", line)
		}
	}
}
