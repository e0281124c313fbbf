package main

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
)

// brokenPipe is an answer that nobody takes.
type brokenPipe struct{ *httptest.ResponseRecorder }

func (brokenPipe) Write([]byte) (int, error) { return 0, errors.New("broken pipe") }

func TestScrapesAreCountedByOutcome(t *testing.T) {
	gone, leave := context.WithCancel(t.Context())
	leave()
	status := func(code int) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }
	}
	after, hangUp := context.WithCancel(t.Context())
	words := func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("words")) }
	for name, test := range map[string]struct {
		handler http.HandlerFunc
		ctx     context.Context //nolint:containedctx // a row of a table
		pipe    bool
		want    outcome
	}{
		"words":             {handler: words, want: success},
		"nothing":           {handler: func(http.ResponseWriter, *http.Request) {}, want: success},
		"status 304":        {handler: status(http.StatusNotModified), want: success},
		"status 400":        {handler: status(http.StatusBadRequest), want: clientError},
		"status 500":        {handler: status(http.StatusInternalServerError), want: serverError},
		"client has it all": {handler: func(w http.ResponseWriter, r *http.Request) { words(w, r); hangUp() }, ctx: after, want: success},
		"client hangs up":   {handler: words, ctx: gone, want: canceled},
		"hung up, nothing":  {handler: func(http.ResponseWriter, *http.Request) {}, ctx: gone, want: canceled},
		"broken pipe":       {handler: words, pipe: true, want: canceled},
		"panic":             {handler: func(http.ResponseWriter, *http.Request) { panic("broken") }, want: serverError},
	} {
		t.Run(name, func(t *testing.T) {
			a := &agent{}
			handler := a.counted("/path", test.handler)
			var w http.ResponseWriter = httptest.NewRecorder()
			if test.pipe {
				w = brokenPipe{httptest.NewRecorder()}
			}
			if test.ctx == nil {
				test.ctx = t.Context()
			}
			func() {
				defer func() { _ = recover() }()
				handler.ServeHTTP(w, httptest.NewRequestWithContext(test.ctx, http.MethodGet, "/path", http.NoBody))
			}()
			for i := range outcomeCount {
				want := uint64(0)
				if i == test.want {
					want = 1
				}
				if got := a.scrapes[0].counts[i].Load(); got != want {
					t.Errorf("%s: counted %d, want %d", outcomeNames[i], got, want)
				}
			}
		})
	}
}

// What the agent tells of its scrapes and cgroups comes from the running program.
func TestAgentTellsOfItself(t *testing.T) {
	a := startAgent(t, 0)
	get(t, a.readOnly+"/metrics/cadvisor", nil)
	get(t, a.readOnly+"/metrics/cadvisor?collect[]=unknown", nil)
	// A client has its answer a moment before the agent counts it.
	awaitBody(t, a.readOnly+"/metrics", `nodevitals_scrapes_total{endpoint="/metrics/cadvisor",outcome="success"} 1`)
	body := awaitBody(t, a.readOnly+"/metrics", `nodevitals_scrapes_total{endpoint="/metrics/cadvisor",outcome="client_error"} 1`)
	for _, want := range []string{
		`nodevitals_scrapes_total{endpoint="/metrics/cadvisor",outcome="success"} 1`,
		`nodevitals_scrapes_total{endpoint="/metrics/cadvisor",outcome="server_error"} 0`,
		`nodevitals_scrapes_total{endpoint="/stats/summary",outcome="success"} 0`,
		`nodevitals_cgroups{state="seen"} `,
		`nodevitals_watches `,
	} {
		if !strings.Contains(body, want) {
			t.Errorf("/metrics lacks %s", want)
		}
	}
	_, err := os.Stat("/sys/fs/cgroup/cgroup.controllers")
	if unified := err == nil; strings.Contains(body, `nodevitals_cgroups{state="expected"} `) != unified {
		t.Errorf("cgroup v2 is %v: only then the kernel counts cgroups; got:\n%s", unified, body)
	}
}

// The kubelet's series are there for who asks for them, and else nothing of the kubelet's name.
func TestKubeletSeriesAreSwitchedOn(t *testing.T) {
	for value, want := range map[string]bool{"": false, "off": false, "on": true} {
		t.Run(value, func(t *testing.T) {
			var flags []string
			if value != "" {
				flags = append(flags, "--kubelet-series="+value)
			}
			a := startAgent(t, 0, append(flags, "--node-name=node-of-test", "--tick=0")...)
			passes := func() string {
				_, body := get(t, a.readOnly+"/metrics", nil)
				if got := strings.Contains(body, "\nkubelet_node_name{node=\"node-of-test\"} 1\n"); got != want || strings.Contains(body, "\nkubelet_") != want {
					t.Errorf("kubelet_node_name is there: %v, want %v and nothing else of the kubelet's", got, want)
				}
				_, after, _ := strings.Cut(body, "\nnodevitals_passes_total{kind=\"full\"} ")
				count, _, _ := strings.Cut(after, "\n")
				return count
			}
			if first, second := passes(), passes(); !want && (first != "1" || second != "1") {
				t.Errorf("passes: %s, then %s, want only the one at the start", first, second)
			}
		})
	}
	if got := command(t, "--kubelet-series=maybe"); got.status != exitUsage || !strings.Contains(got.stderr, `"maybe" for --kubelet-series: want on or off`) {
		t.Errorf("got status %d and %q", got.status, got.stderr)
	}
}
