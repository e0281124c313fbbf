package exporter

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/nodevitals/nodevitals/snapshot"
)

// source gives one snapshot, or an error, and notes what was asked of it.
type source struct {
	s   *snapshot.Snapshot
	err error

	mu sync.Mutex
	// wanted are the groups that it was last asked for, cgroups says of which cgroups.
	wanted, cgroups snapshot.Groups
}

func (s *source) Snapshot(_ context.Context, want snapshot.Groups) (*snapshot.Snapshot, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.wanted, s.cgroups = want&^snapshot.Everywhere, want&snapshot.Everywhere
	return s.s, s.err
}

func fixedNow() time.Time { return time.Unix(1795490000, 0) }

func get(h http.Handler, target, accept string) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	r := httptest.NewRequest(http.MethodGet, target, http.NoBody)
	if accept != "" {
		r.Header.Set("Accept", accept)
	}
	h.ServeHTTP(w, r)
	return w
}

func TestHandlersAnswer(t *testing.T) {
	src := &source{s: smallSnapshot()}
	o := HandlerOptions{Groups: snapshot.All, Now: fixedNow}
	var r Renderer
	for _, test := range []struct {
		name    string
		handler http.Handler
		render  func(*snapshot.Snapshot, Options) []byte
		wanted  snapshot.Groups
	}{
		{"cadvisor", NewCadvisorHandler(src, o), r.Cadvisor, snapshot.All &^ snapshot.Everywhere &^ snapshot.Volumes},
		{"resource", NewResourceHandler(src, o), r.Resource, snapshot.CPUUse | snapshot.MemoryUse | snapshot.Limits},
	} {
		for _, format := range []Format{Text, OpenMetrics} {
			t.Run(test.name+" "+format.ContentType(), func(t *testing.T) {
				accept := ""
				if format == OpenMetrics {
					accept = "application/openmetrics-text;version=1.0.0"
				}
				// Twice, as the second answer is made in the first one's buffer.
				for range 2 {
					w := get(test.handler, "/x", accept)
					want := string(test.render(src.s, Options{Groups: snapshot.All, Format: format, Now: fixedNow()}))
					if w.Code != http.StatusOK || w.Body.String() != want {
						t.Errorf("status %d, %d bytes, want 200, %d bytes", w.Code, w.Body.Len(), len(want))
					}
					if got := w.Header().Get("Content-Type"); got != format.ContentType() {
						t.Errorf("Content-Type %q, want %q", got, format.ContentType())
					}
					if got := w.Header().Get("Content-Length"); got != strconv.Itoa(len(want)) {
						t.Errorf("Content-Length %q, want %d", got, len(want))
					}
					if src.wanted != test.wanted {
						t.Errorf("source was asked for %#x (%s), want %#x (%s)", src.wanted, src.wanted, test.wanted, test.wanted)
					}
				}
			})
		}
	}
}

func TestCollect(t *testing.T) {
	const on = snapshot.All &^ snapshot.Everywhere &^ snapshot.Process
	askForGroups(t, on, []groupsRequest{
		{"none named", "", 200, on &^ snapshot.Volumes, "container_memory_rss", "container_sockets"},
		{"one", "?collect[]=memory", 200, snapshot.Memory, "container_memory_rss", "container_spec_"},
		{"cpu looks at limits but does not show them", "?collect[]=cpu", 200, snapshot.CPU | snapshot.Limits, "container_cpu_cfs_periods_total", "container_spec_"},
		{"two", "?collect[]=network&collect[]=psi", 200, snapshot.Network | snapshot.Pressure, "container_pressure_io", "container_memory_rss"},
		{"collective", "?collect[]=core", 200, snapshot.Core | snapshot.Limits, "container_threads", "container_network"},
		{"unknown", "?collect[]=memroy", 400, 0, `unknown group "memroy"`, "container_"},
		{"empty", "?collect[]=", 400, 0, `unknown group ""`, "container_"},
		{"switched off", "?collect[]=memory&collect[]=process", 400, 0, "switched off on this node: process", "container_"},
	})
	askResourceForCPU(t, on, "collect[]=cpu&collect[]=io")
}

// Figures are read of those cgroups alone that an answer shows.
func TestCgroupsThatAreRead(t *testing.T) {
	choose := func(slices string) HandlerOptions {
		return HandlerOptions{Groups: snapshot.All, Series: mustSeries(t, SeriesOptions{Slices: slices})}
	}
	for _, test := range []struct {
		name    string
		options HandlerOptions
		make    func(Source, HandlerOptions) http.Handler
		want    snapshot.Groups
	}{
		{"cadvisor", HandlerOptions{Groups: snapshot.All}, NewCadvisorHandler, snapshot.Everywhere},
		{"cadvisor, slices at the top", choose("top"), NewCadvisorHandler, snapshot.Everywhere},
		{"cadvisor, no slices", choose("none"), NewCadvisorHandler, snapshot.Sandboxes},
		{"resource", HandlerOptions{Groups: snapshot.All}, NewResourceHandler, 0},
	} {
		src := &source{s: smallSnapshot()}
		get(test.make(src, test.options), "/x", "")
		if src.cgroups != test.want {
			t.Errorf("%s: asked for cgroups %b, want %b", test.name, src.cgroups, test.want)
		}
	}
}

// groupsRequest is a query that chooses groups, what the source is then asked for, and what the answer has and has not.
type groupsRequest struct {
	name, query string
	status      int
	wanted      snapshot.Groups
	has, hasNot string
}

// askForGroups asks for /metrics/cadvisor of a node that shows these groups.
func askForGroups(t *testing.T, on snapshot.Groups, requests []groupsRequest) {
	t.Helper()
	for _, test := range requests {
		t.Run(test.name, func(t *testing.T) {
			src := &source{s: smallSnapshot()}
			w := get(NewCadvisorHandler(src, HandlerOptions{Groups: on}), "/metrics/cadvisor"+test.query, "")
			body := w.Body.String()
			if w.Code != test.status || src.wanted != test.wanted {
				t.Errorf("status %d, source asked for %#x (%s), want %d and %#x (%s)", w.Code, src.wanted, src.wanted, test.status, test.wanted, test.wanted)
			}
			if !strings.Contains(body, test.has) || strings.Contains(body, test.hasNot) {
				t.Errorf("want %q and not %q in:\n%s", test.has, test.hasNot, body)
			}
			if test.status == 400 && strings.Count(body, "\n") != 1 {
				t.Errorf("want one line, got:\n%s", body)
			}
		})
	}
}

// askResourceForCPU asks for /metrics/resource with a query that leaves it the processor's use alone.
func askResourceForCPU(t *testing.T, on snapshot.Groups, query string) {
	t.Helper()
	t.Run("resource", func(t *testing.T) {
		src := &source{s: smallSnapshot()}
		w := get(NewResourceHandler(src, HandlerOptions{Groups: on}), "/metrics/resource?"+query, "")
		if body := w.Body.String(); src.wanted != snapshot.CPUUse || strings.Contains(body, "memory") || !strings.Contains(body, "node_cpu") {
			t.Errorf("source asked for %q, want cpu; answer:\n%s", src.wanted, body)
		}
	})
}

func TestSourceErrorIsAScrapeError(t *testing.T) {
	core, logs := observer.New(zap.WarnLevel)
	src := &source{err: errors.New("cgroup2 is not mounted")}
	o := HandlerOptions{Groups: snapshot.All, Log: zap.New(core)}
	for _, test := range []struct {
		name    string
		handler http.Handler
		want    map[string]float64
	}{
		{"cadvisor", NewCadvisorHandler(src, o), map[string]float64{"container_scrape_error": 1, "machine_scrape_error": 1}},
		{"resource", NewResourceHandler(src, o), map[string]float64{"resource_scrape_error": 1}},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := get(test.handler, "/x", "")
			if w.Code != http.StatusOK {
				t.Errorf("status %d, want 200", w.Code)
			}
			got := parse(t, w.Body.Bytes(), Text)
			if len(got.samples) != len(test.want) {
				t.Errorf("samples %v, want %v", got.samples, test.want)
			}
			for name, value := range test.want {
				if s, ok := got.samples[name]; !ok || s.value != value || s.stamped {
					t.Errorf("%s = %+v, want %v without timestamp", name, s, value)
				}
			}
			entries := logs.TakeAll()
			if len(entries) != 1 || entries[0].ContextMap()["error"] != "cgroup2 is not mounted" {
				t.Errorf("logged %v, want the source's error once", entries)
			}
		})
	}
}

func TestResourceWithoutARootIsAScrapeError(t *testing.T) {
	var r Renderer
	s := &snapshot.Snapshot{Groups: snapshot.All, Cgroups: []snapshot.Cgroup{{Identity: &snapshot.Identity{ID: "/a"}}}}
	got := parse(t, r.Resource(s, Options{Groups: snapshot.All}), Text)
	if len(got.samples) != 1 || got.samples["resource_scrape_error"].value != 1 {
		t.Errorf("samples %v, want resource_scrape_error 1 alone", got.samples)
	}
}

func TestConcurrentScrapesDoNotMix(t *testing.T) {
	h := NewCadvisorHandler(&source{s: smallSnapshot()}, HandlerOptions{Groups: snapshot.All, Now: fixedNow})
	var wg sync.WaitGroup
	for _, query := range []string{"", "?collect[]=memory", "?collect[]=cpu", "?collect[]=network"} {
		want := get(h, "/x"+query, "").Body.String()
		for range 2 {
			wg.Go(func() {
				for range 20 {
					if got := get(h, "/x"+query, "").Body.String(); got != want {
						t.Errorf("%s: answer of %d bytes differs from the first, of %d", query, len(got), len(want))
						return
					}
				}
			})
		}
	}
	wg.Wait()
}
