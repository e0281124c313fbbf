package summary

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"k8s.io/kubelet/pkg/apis/stats/v1alpha1"

	"github.com/nodevitals/nodevitals/snapshot"
)

// source answers with a fixed snapshot and notes what it was asked for.
type source struct {
	snapshot *snapshot.Snapshot
	err      error
	wanted   snapshot.Groups
}

func (s *source) Snapshot(_ context.Context, want snapshot.Groups) (*snapshot.Snapshot, error) {
	s.wanted = want
	return s.snapshot, s.err
}

const form = "application/x-www-form-urlencoded"

func TestHandler(t *testing.T) {
	const full, short = "full", "short"
	for _, test := range []struct {
		name, method, query, contentType, body string
		accept                                 []string
		status                                 int
		want                                   string
	}{
		{name: "get", method: "GET", status: 200, want: full},
		{name: "post", method: "POST", status: 200, want: full},
		{name: "short", method: "GET", query: "?only_cpu_and_memory=true", status: 200, want: short},
		{name: "short by post", method: "POST", contentType: form, body: "only_cpu_and_memory=true", status: 200, want: short},
		{name: "short by post with a query", method: "POST", query: "?only_cpu_and_memory=true", status: 200, want: short},
		{name: "both query and form", method: "POST", query: "?only_cpu_and_memory=true", contentType: form, body: "only_cpu_and_memory=true", status: 200, want: full},
		{name: "a body that is no form", method: "POST", contentType: "application/json", body: "only_cpu_and_memory=true", status: 200, want: full},
		{name: "repeated", method: "GET", query: "?only_cpu_and_memory=true&only_cpu_and_memory=true", status: 200, want: full},
		{name: "1", method: "GET", query: "?only_cpu_and_memory=1", status: 200, want: full},
		{name: "TRUE", method: "GET", query: "?only_cpu_and_memory=TRUE", status: 200, want: full},
		{name: "empty", method: "GET", query: "?only_cpu_and_memory", status: 200, want: full},
		{name: "other parameters", method: "GET", query: "?x=y&only_cpu_and_memory=true", status: 200, want: short},
		{name: "malformed query", method: "GET", query: "?a=%zz", status: 400},
		{name: "too long a form", method: "POST", contentType: form, body: "a=" + strings.Repeat("x", maxForm), status: 400},
		{name: "put", method: "PUT", status: 405},
		{name: "head", method: "HEAD", status: 405},
		{name: "delete", method: "DELETE", status: 405},
		{name: "accept JSON", method: "GET", accept: []string{"application/json"}, status: 200, want: full},
		{name: "accept a list", method: "GET", accept: []string{"text/html, application/json;q=0.1"}, status: 200, want: full},
		{name: "accept in two headers", method: "GET", accept: []string{"text/html", "*/*;q=0.8"}, status: 200, want: full},
		{name: "accept a range", method: "GET", accept: []string{"application/*"}, status: 200, want: full},
		{name: "accept nothing said", method: "GET", accept: []string{""}, status: 200, want: full},
		{name: "accept text", method: "GET", accept: []string{"text/plain"}, status: 406},
		{name: "accept YAML", method: "GET", accept: []string{"application/yaml, text/*"}, status: 406},
	} {
		t.Run(test.name, func(t *testing.T) {
			from := &source{snapshot: podNode()}
			request := httptest.NewRequest(test.method, "/stats/summary"+test.query, strings.NewReader(test.body))
			if test.contentType != "" {
				request.Header.Set("Content-Type", test.contentType)
			}
			request.Header["Accept"] = test.accept
			recorder := httptest.NewRecorder()
			Handler(from, Options{}).ServeHTTP(recorder, request)
			if recorder.Code != test.status {
				t.Fatalf("got status %d, want %d: %s", recorder.Code, test.status, recorder.Body)
			}
			switch {
			case test.status == 405 && recorder.Header().Get("Allow") != "GET, POST":
				t.Errorf("got Allow %q", recorder.Header().Get("Allow"))
			case test.status != 200 && from.wanted != 0:
				t.Errorf("a refused request took a snapshot of %v", from.wanted)
			case test.status == 200:
				checkAnswer(t, recorder, from.wanted, test.want == short)
			}
		})
	}
}

func checkAnswer(t *testing.T, recorder *httptest.ResponseRecorder, wanted snapshot.Groups, short bool) {
	t.Helper()
	if kind := recorder.Header().Get("Content-Type"); kind != "application/json" {
		t.Errorf("got Content-Type %q", kind)
	}
	if !strings.HasPrefix(recorder.Body.String(), "{\n \"node\": {\n  \"nodeName\": \"node-1\"") {
		t.Errorf("got %.60q, want it indented by one blank", recorder.Body)
	}
	var got v1alpha1.Summary
	if err := json.Unmarshal(recorder.Body.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	if (got.Node.Fs == nil) != short || (got.Node.IO == nil) != short || (got.Node.Rlimit == nil) != short || (got.Node.Network == nil) != short {
		t.Errorf("got %+v, want short: %v", got.Node, short)
	}
	want := snapshot.All &^ (snapshot.CPUDetail | snapshot.MemoryDetail | snapshot.IO | snapshot.Pids | snapshot.ProcessDetail | snapshot.Sandboxes)
	if short {
		want = snapshot.CPUUse | snapshot.MemoryUse | snapshot.Pressure | snapshot.Limits | snapshot.Slices
	}
	if len(got.Pods) != 3 {
		t.Errorf("got %d pods, want 3", len(got.Pods))
	}
	for _, pod := range got.Pods {
		if (pod.EphemeralStorage == nil) != short || (pod.IO == nil) != short || pod.CPU == nil {
			t.Errorf("got %+v, want short: %v", pod, short)
		}
	}
	if wanted != want {
		t.Errorf("asked for %v, want %v", wanted, want)
	}
}

func TestHandlerWithoutSnapshot(t *testing.T) {
	recorder := httptest.NewRecorder()
	request := httptest.NewRequest(http.MethodGet, "/stats/summary", http.NoBody)
	Handler(&source{err: errors.New("no cgroups here")}, Options{}).ServeHTTP(recorder, request)
	if recorder.Code != http.StatusServiceUnavailable {
		t.Errorf("got status %d, want 503", recorder.Code)
	}
	if body := recorder.Body.String(); !strings.Contains(body, "no cgroups here") || strings.Count(body, "\n") != 1 {
		t.Errorf("got %q, want one line with the reason", body)
	}
}

// What could not be read leaves the rest served.
func TestHandlerWithPartOfASnapshot(t *testing.T) {
	recorder := httptest.NewRecorder()
	request := httptest.NewRequest(http.MethodGet, "/stats/summary", http.NoBody)
	Handler(&source{snapshot: unreadable(), err: errors.New("much")}, Options{}).ServeHTTP(recorder, request)
	if recorder.Code != http.StatusOK || !strings.Contains(recorder.Body.String(), `"pods": []`) {
		t.Errorf("got status %d, %s", recorder.Code, recorder.Body)
	}
}
