package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
)

// /pods is served to those who may ask for it, on the secure port and nowhere else, and follows the API server.
func TestServePods(t *testing.T) {
	_, api := startAPI(t)
	made := t.TempDir()
	a, url := startSecure(t, "--kubeconfig="+kubeconfigOf(t, api.URL), "--tls-cert-dir="+made, "--pod-source=api", "--serve-pods", "--node-name=lab-node")
	known := secureClient{bundle: filepath.Join(made, "ca.crt"), token: "known-secret"}
	// Now, so that the right to it is known later.
	if status, body, _ := known.ask(t, http.MethodGet, url+"/metrics/resource"); status != http.StatusOK {
		t.Errorf("/metrics/resource: got %d %.200s", status, body)
	}
	status, body, _ := known.ask(t, http.MethodGet, url+"/pods")
	var list corev1.PodList
	if err := json.Unmarshal([]byte(body), &list); status != http.StatusOK || err != nil || len(list.Items) != 1 || list.Items[0].UID != "hash-of-its-file" {
		t.Errorf("got %d, %v, want one pod with the UID of its cgroup: %.600s", status, err, body)
	}
	for name, refused := range map[string]struct {
		client      secureClient
		method, url string
		status      int
	}{
		"nobody":                  {secureClient{bundle: known.bundle}, http.MethodGet, url + "/pods", http.StatusUnauthorized},
		"posting":                 {known, http.MethodPost, url + "/pods", http.StatusMethodNotAllowed},
		"the read-only port":      {known, http.MethodGet, a.readOnly + "/pods", http.StatusNotFound},
		"the health port":         {known, http.MethodGet, a.healthz + "/pods", http.StatusNotFound},
		"what a kubelet has more": {known, http.MethodGet, url + "/runningpods", http.StatusNotFound},
	} {
		if status, body, _ := refused.client.ask(t, refused.method, refused.url); status != refused.status {
			t.Errorf("%s: got %d %.200s, want %d", name, status, body, refused.status)
		}
	}
	api.CloseClientConnections()
	_ = api.Listener.Close() // httptest closes it again
	status, body, _ = known.ask(t, http.MethodGet, url+"/pods")
	if status != http.StatusServiceUnavailable || !strings.HasPrefix(body, "503: no pods: list pods of node lab-node: ") || strings.Count(body, "\n") != 1 {
		t.Errorf("without the API server: got %d %q, want 503 and one line", status, body)
	}
	if status, body, _ := known.ask(t, http.MethodGet, url+"/metrics/resource"); status != http.StatusOK {
		t.Errorf("/metrics/resource without the API server: got %d %.200s", status, body)
	}
	for _, outcome := range []string{"success", "server_error"} {
		awaitMetric(t, a, fmt.Sprintf("nodevitals_scrapes_total{endpoint=\"/pods\",outcome=%q}", outcome), 1)
	}
}

func TestPodsAreNotServedUnlessAskedFor(t *testing.T) {
	_, api := startAPI(t)
	made := t.TempDir()
	_, url := startSecure(t, "--kubeconfig="+kubeconfigOf(t, api.URL), "--tls-cert-dir="+made, "--pod-source=api")
	known := secureClient{bundle: filepath.Join(made, "ca.crt"), token: "known-secret"}
	if status, body, _ := known.ask(t, http.MethodGet, url+"/pods"); status != http.StatusNotFound {
		t.Errorf("got %d %.200s, want 404", status, body)
	}
}
