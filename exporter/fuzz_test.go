package exporter

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/nodevitals/nodevitals/snapshot"
)

// FuzzQuery: whatever is asked for, the answer is the series in a format of ours, or one line that says why not and no look at the node.
func FuzzQuery(f *testing.F) {
	for _, seed := range []struct{ query, accept, encoding string }{
		{"", "", ""},
		{"collect[]=cpu&collect[]=memory&exclude[]=memory", "application/openmetrics-text;version=1.0.0,text/plain;q=0.5", "gzip"},
		{"exclude[]=core&exclude[]=network&exclude[]=spec&exclude[]=storage", "*/*", "identity"},
		{"collect%5B%5D=psi&exclude%5b%5d=", "text/plain;q=x", "zstd, *;q=0"},
		{"collect[]=%00%0a&x=y", ";;;,,,/;q=x", "identity;q=0"},
		{"a=%zz", "application/vnd.google.protobuf", ""},
		{"collect[]=a;b", "", "br"},
		{"collect[]=process", "application/openmetrics-text;version=2.0.0;q=0.1e9", ""},
	} {
		f.Add(seed.query, seed.accept, seed.encoding)
	}
	const on = snapshot.All &^ snapshot.Process
	from := &source{s: smallSnapshot()}
	o := HandlerOptions{Groups: on, Now: fixedNow}
	handlers := map[string]http.Handler{"cadvisor": NewCadvisorHandler(from, o), "resource": NewResourceHandler(from, o)}
	f.Fuzz(func(t *testing.T, query, accept, encoding string) {
		for name, handler := range handlers {
			r := httptest.NewRequest(http.MethodGet, "/x", http.NoBody)
			r.URL.RawQuery = query
			r.Header["Accept"], r.Header["Accept-Encoding"] = []string{accept}, []string{encoding}
			w := httptest.NewRecorder()
			from.wanted = 0
			handler.ServeHTTP(w, r)
			body, kind := w.Body.String(), w.Header().Get("Content-Type")
			switch w.Code {
			case http.StatusOK:
				if kind != Text.ContentType() && kind != OpenMetrics.ContentType() || body == "" {
					t.Errorf("%s: got %s of %d bytes", name, kind, len(body))
				}
				if from.wanted&^on != 0 {
					t.Errorf("%s: asked the node for %s, which it does not show", name, from.wanted&^on)
				}
			case http.StatusBadRequest:
				if strings.Count(body, "\n") != 1 || from.wanted != 0 {
					t.Errorf("%s: got %q after asking the node for %s, want one line and no question", name, body, from.wanted)
				}
			case http.StatusNotAcceptable:
				if strings.Count(body, "\n") != 1 {
					t.Errorf("%s: got %q, want one line", name, body)
				}
			default:
				t.Errorf("%s: got status %d", name, w.Code)
			}
		}
	})
}
