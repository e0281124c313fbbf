package server

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func testMux() *Mux {
	return NewMux(Index{Name: "nodevitals", Lines: []string{"version 1 & node <n>"}}, []Route{
		{Path: "/stats/summary", Methods: []string{http.MethodGet, http.MethodPost}, Handler: fixed("application/json", "{}"), Title: "the summary"},
		{Path: "/metrics", Handler: fixed("text/plain", "m 1\n"), Title: "own metrics"},
		{Path: "/hidden", Handler: fixed("text/plain", "h")},
	})
}

func ask(handler http.Handler, method, target, accept string) *httptest.ResponseRecorder {
	request := httptest.NewRequest(method, target, http.NoBody)
	request.Header.Set("Accept", accept)
	return serveRecorded(handler, request)
}

func serveRecorded(handler http.Handler, request *http.Request) *httptest.ResponseRecorder {
	recorder := httptest.NewRecorder()
	handler.ServeHTTP(recorder, request)
	return recorder
}

func TestRoutes(t *testing.T) {
	tests := []struct {
		name, method, target string
		status               int
		allow                string
	}{
		{"get", http.MethodGet, "/stats/summary", 200, ""},
		{"post", http.MethodPost, "/stats/summary", 200, ""},
		{"query", http.MethodGet, "/stats/summary?only_cpu_and_memory=true", 200, ""},
		{"head is not asked for", http.MethodHead, "/stats/summary", 405, "GET, POST"},
		{"delete", http.MethodDelete, "/stats/summary", 405, "GET, POST"},
		{"any method", http.MethodPut, "/metrics", 200, ""},
		{"no subtree", http.MethodGet, "/metrics/", 404, ""},
		{"no cleaning", http.MethodGet, "//metrics", 404, ""},
		{"unknown", http.MethodGet, "/stats", 404, ""},
		{"not listed is served", http.MethodGet, "/hidden", 200, ""},
		{"index", http.MethodGet, "/", 200, ""},
		{"index is read only", http.MethodPost, "/", 405, "GET, HEAD"},
	}
	mux := testMux()
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got := ask(mux, test.method, test.target, "")
			if got.Code != test.status || got.Header().Get("Allow") != test.allow {
				t.Errorf("%s %s: got %d Allow=%q, want %d Allow=%q",
					test.method, test.target, got.Code, got.Header().Get("Allow"), test.status, test.allow)
			}
		})
	}
}

func TestIndexSpeaksTextAndHTML(t *testing.T) {
	mux := testMux()
	text := ask(mux, http.MethodGet, "/", "*/*")
	want := "nodevitals\nversion 1 & node <n>\n\n/stats/summary  the summary\n/metrics        own metrics\n"
	if got := text.Body.String(); got != want {
		t.Errorf("text index: got %q, want %q", got, want)
	}
	page := ask(mux, http.MethodGet, "/", "text/html,application/xhtml+xml")
	if got := page.Header().Get("Content-Type"); got != "text/html; charset=utf-8" {
		t.Errorf("Content-Type of the page: got %q", got)
	}
	for _, want := range []string{`<a href="/stats/summary">/stats/summary</a> the summary`, "version 1 &amp; node &lt;n&gt;"} {
		if !strings.Contains(page.Body.String(), want) {
			t.Errorf("page lacks %q:\n%s", want, page.Body)
		}
	}
	if strings.Contains(page.Body.String(), "hidden") {
		t.Errorf("page lists a route without title:\n%s", page.Body)
	}
}

func TestTwoRoutesForOnePathPanic(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("a path given twice went unnoticed")
		}
	}()
	NewMux(Index{}, []Route{{Path: "/a"}, {Path: "/a"}})
}
