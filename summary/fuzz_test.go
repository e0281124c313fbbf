package summary

import (
	"encoding/json"
	"mime"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
)

// FuzzForm: whatever is asked for and however, the answer is a whole summary of what was asked for, or one line that says why not and no look at the
// node.
func FuzzForm(f *testing.F) {
	for _, seed := range []struct{ method, query, kind, body, accept string }{
		{"GET", "", "", "", "application/json"},
		{"GET", "only_cpu_and_memory=true", "", "", "*/*"},
		{"POST", "", form, "only_cpu_and_memory=true", "text/html, application/*;q=0"},
		{"POST", "only_cpu_and_memory=true", form + "; charset=utf-8", "only_cpu_and_memory=true", ""},
		{"POST", "only%5fcpu_and_memory=true", "multipart/form-data; boundary=x", "--x\r\n\r\n--x--", "application/json"},
		{"POST", "a=%zz", form, "a=%zz", "application/json"},
		{"POST", "", form, "a;b", "text/plain"},
		{"PUT", "", form + ";;;=", "\x00", "application/json"},
		{"get", "", "", "", ""},
	} {
		f.Add(seed.method, seed.query, seed.kind, seed.body, seed.accept)
	}
	from := &source{snapshot: podNode()}
	handler := Handler(from, Options{})
	f.Fuzz(func(t *testing.T, method, query, kind, body, accept string) {
		request := httptest.NewRequest(http.MethodGet, "/stats/summary", strings.NewReader(body))
		request.Method, request.URL.RawQuery = method, query
		request.Header["Accept"], request.Header["Content-Type"] = []string{accept}, []string{kind}
		recorder := httptest.NewRecorder()
		from.wanted = 0
		handler.ServeHTTP(recorder, request)
		switch recorder.Code {
		case http.StatusOK:
			if !json.Valid(recorder.Body.Bytes()) {
				t.Errorf("no JSON: %.200q", recorder.Body)
			}
			want := Full
			if said := said(method, query, kind, body); len(said) == 1 && said[0] == "true" {
				want = CPUAndMemory
			}
			if from.wanted != want {
				t.Errorf("asked the node for %s, want %s", from.wanted, want)
			}
		case http.StatusBadRequest, http.StatusNotAcceptable, http.StatusMethodNotAllowed:
			if strings.Count(recorder.Body.String(), "\n") != 1 || from.wanted != 0 {
				t.Errorf("got %d %q after asking the node for %s, want one line and no question", recorder.Code, recorder.Body, from.wanted)
			}
		default:
			t.Errorf("got status %d", recorder.Code)
		}
	})
}

// said is what a request says of the parameter, in its query and in a form that it posts.
func said(method, query, kind, body string) []string {
	values, _ := url.ParseQuery(query)
	all := values["only_cpu_and_memory"]
	if kind, _, err := mime.ParseMediaType(kind); err == nil && method == http.MethodPost && kind == form {
		values, _ := url.ParseQuery(body)
		all = append(all, values["only_cpu_and_memory"]...)
	}
	return all
}
