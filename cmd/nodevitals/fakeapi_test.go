package main

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// slowness is how long an API server takes that has much to do, for each question.
const slowness = 2 * time.Second

// fakeAPI is an API server that misbehaves: it answers a token review as told, and puts the token into its words.
type fakeAPI struct {
	mode  atomic.Value // "yes", "slow", "error", "silence", "away"
	asked atomic.Int32
	end   chan struct{}
}

func (f *fakeAPI) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	w.Header().Set("Content-Type", "application/json")
	mode := f.mode.Load()
	if mode == "slow" { // and else as "yes"
		select {
		case <-time.After(slowness):
		case <-f.end:
		case <-r.Context().Done():
		}
	}
	switch {
	case mode == "silence":
		select {
		case <-f.end:
		case <-r.Context().Done():
		}
	case mode == "error":
		w.WriteHeader(http.StatusBadRequest)
		fmt.Fprintf(w, `{"kind":"Status","apiVersion":"v1","status":"Failure","code":400,"message":%q}`, body)
	case strings.HasSuffix(r.URL.Path, "/tokenreviews"):
		f.asked.Add(1)
		known := strings.Contains(string(body), `:"known-secret"`)
		fmt.Fprintf(w, `{"kind":"TokenReview","apiVersion":"authentication.k8s.io/v1","spec":%s,"status":{"authenticated":%t,"error":%q,"user":{"username":"jane"}}}`,
			`{"token":"echo"}`, known, string(body))
	case strings.HasSuffix(r.URL.Path, "/subjectaccessreviews"):
		fmt.Fprintf(w, `{"kind":"SubjectAccessReview","apiVersion":"authorization.k8s.io/v1","status":{"allowed":%t}}`,
			strings.Contains(string(body), `"subresource":"metrics"`) || strings.Contains(string(body), `"subresource":"pods"`))
	case strings.HasSuffix(r.URL.Path, "/pods") && r.URL.Query().Get("watch") == "":
		if selector := r.URL.Query().Get("fieldSelector"); selector != "spec.nodeName=lab-node" {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		fmt.Fprint(w, `{"kind":"PodList","apiVersion":"v1","metadata":{"resourceVersion":"1"},"items":[{"metadata":{"name":"static-lab-node","namespace":"kube-system",`+
			`"uid":"of-the-mirror","annotations":{"kubernetes.io/config.mirror":"x","kubernetes.io/config.hash":"hash-of-its-file"}}}]}`)
	case strings.HasSuffix(r.URL.Path, "/pods"):
		select { // a watch of which nothing comes
		case <-f.end:
		case <-r.Context().Done():
		}
	default:
		w.WriteHeader(http.StatusNotFound)
	}
}

func kubeconfigOf(t *testing.T, url string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "kubeconfig")
	writeFile(t, path, fmt.Appendf(nil, `apiVersion: v1
kind: Config
current-context: test
clusters: [{name: test, cluster: {server: %q}}]
users: [{name: test, user: {token: agents-own-secret}}]
contexts: [{name: test, context: {cluster: test, user: test}}]
`, url))
	return path
}

// startAPI starts one that says yes, until the test ends.
func startAPI(t *testing.T) (*fakeAPI, *httptest.Server) {
	t.Helper()
	fake := &fakeAPI{end: make(chan struct{})}
	fake.mode.Store("yes")
	api := httptest.NewServer(fake)
	t.Cleanup(func() {
		close(fake.end)
		api.Close()
	})
	return fake, api
}
