package answer

import (
	"net/http"
	"strings"
	"testing"
)

func TestNegotiate(t *testing.T) {
	for header, want := range map[string]string{
		"":                                 "identity",
		" , ,":                             "identity",
		"identity":                         "identity",
		"br":                               "identity",
		"gzip":                             "gzip",
		"GZip":                             "gzip",
		"x-gzip":                           "gzip",
		"zstd":                             "zstd",
		"gzip, zstd":                       "zstd",
		"gzip, deflate, br, zstd":          "zstd",
		"gzip;q=1.0, zstd;q=0.5":           "gzip",
		"gzip; q=0.5 , zstd; q=1.0":        "zstd",
		"gzip;Q=0.5":                       "gzip",
		"zstd;q=0, gzip":                   "gzip",
		"gzip;q=0":                         "identity",
		"gzip;q=0.000, zstd;q=0":           "identity",
		"identity, gzip;q=0.5":             "identity",
		"identity;q=0.5, gzip;q=0.5":       "gzip",
		"identity;q=0.5, gzip;q=0.9":       "gzip",
		"identity;q=0, gzip":               "gzip",
		"gzip;q=0.001":                     "gzip",
		"*":                                "gzip",
		"*;q=0.1, zstd":                    "zstd",
		"*;q=0, gzip":                      "gzip",
		"gzip;q=0, *":                      "identity",
		"*;q=0, identity;q=0.2":            "identity",
		"identity;q=0":                     "",
		"identity;q=0, br":                 "",
		"*;q=0":                            "",
		"gzip;q=0, zstd;q=0, identity;q=0": "",
		// What is no weight makes its clause as good as absent.
		"gzip;q=2":             "identity",
		"gzip;q=-1":            "identity",
		"gzip;q=NaN":           "identity",
		"gzip;q=x, zstd;q=0.1": "zstd",
		"gzip;level=9":         "gzip",
	} {
		got := ""
		if e, ok := negotiate([]string{header}); ok {
			got = e.String()
		}
		if got != want {
			t.Errorf("Accept-Encoding %q: got %q, want %q", header, got, want)
		}
	}
	if e, ok := negotiate([]string{"br", "gzip"}); !ok || e != gzipped {
		t.Errorf("two headers: got %s, want gzip", e)
	}
}

func TestNoEncodingIsNotAcceptable(t *testing.T) {
	s := newStore(Options{})
	w := serve(t, s, http.MethodGet, "identity;q=0, br", numbered("/x", 1))
	if w.Code != http.StatusNotAcceptable || strings.Count(w.Body.String(), "\n") != 1 || s.Stats().Rendered != 0 {
		t.Errorf("got %d %q after %d renders, want 406 in one line and no render", w.Code, w.Body, s.Stats().Rendered)
	}
	if got := w.Header().Get("Vary"); got != "Accept-Encoding" {
		t.Errorf("Vary: got %q, or caches mix up clients", got)
	}
}

// FuzzNegotiate: no header makes us send what it refuses by name.
func FuzzNegotiate(f *testing.F) {
	for _, seed := range []string{"", "gzip, zstd;q=0.5", "*;q=0, identity;q=0.2", "gzip;;;q=1;q=0", ",=;q=;q"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, header string) {
		e, ok := negotiate([]string{header})
		if !ok {
			return
		}
		if clause := e.String() + ";q=0"; header == clause {
			t.Errorf("%q: got %s", header, e)
		}
		if e != identity && !strings.Contains(strings.ToLower(header), e.String()) && !strings.Contains(header, "*") {
			t.Errorf("%q: got %s, which nobody named", header, e)
		}
	})
}
