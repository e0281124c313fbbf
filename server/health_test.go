package server

import (
	"context"
	"errors"
	"net/http"
	"testing"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
)

// TestHealthBodies holds the bodies of the kubelet's /healthz, as its own tests spell them.
func TestHealthBodies(t *testing.T) {
	bad := Check{Name: "bad", Check: func(context.Context) error { return errors.New("this will fail") }}
	good := Check{Name: "collector", Check: func(context.Context) error { return nil }}
	tests := []struct {
		name, target string
		checks       []Check
		status       int
		body         string
	}{
		{"plain", "/healthz", []Check{Ping}, 200, "ok"},
		{"verbose", "/healthz?verbose", []Check{Ping, good}, 200, "[+]ping ok\n[+]collector ok\nhealthz check passed\n"},
		{"failure is always verbose", "/healthz", []Check{Ping, bad}, 500, "[+]ping ok\n[-]bad failed: reason withheld\nhealthz check failed\n"},
		{"exclude", "/healthz?exclude=bad", []Check{Ping, bad}, 200, "ok"},
		{
			"exclude, verbose", "/healthz?verbose=true&exclude=bad",
			[]Check{Ping, bad},
			200, "[+]ping ok\n[+]bad excluded: ok\nhealthz check passed\n",
		},
		{
			"unknown excludes", "/healthz?verbose&exclude=no&exclude=absent&exclude=no",
			[]Check{Ping},
			200, "[+]ping ok\nwarn: some health checks cannot be excluded: no matches for \"absent\",\"no\"\nhealthz check passed\n",
		},
		{"one check", "/healthz/ping", []Check{Ping, bad}, 200, "ok"},
		{"one check that fails", "/healthz/bad", []Check{Ping, bad}, 500, "internal server error: this will fail\n"},
		{"one check that is not there", "/healthz/syncloop", []Check{Ping}, 404, "404 page not found\n"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got := ask(NewMux(Index{}, HealthRoutes(zap.NewNop(), "/healthz", "", test.checks...)), http.MethodGet, test.target, "")
			if got.Code != test.status || got.Body.String() != test.body {
				t.Errorf("got %d %q, want %d %q", got.Code, got.Body, test.status, test.body)
			}
			if kind := got.Header().Get("Content-Type"); kind != "text/plain; charset=utf-8" {
				t.Errorf("Content-Type: got %q", kind)
			}
			if sniff := got.Header().Get("X-Content-Type-Options"); sniff != "nosniff" {
				t.Errorf("X-Content-Type-Options: got %q", sniff)
			}
		})
	}
}

func TestHealthReasonGoesToTheLog(t *testing.T) {
	core, logs := observer.New(zap.InfoLevel)
	bad := Check{Name: "bad", Check: func(context.Context) error { return errors.New("this will fail") }}
	ask(NewMux(Index{}, HealthRoutes(zap.New(core), "/readyz", "", bad)), http.MethodGet, "/readyz", "")
	entries := logs.FilterMessage("health check failed").All()
	if len(entries) != 1 || entries[0].ContextMap()["error"] != "this will fail" || entries[0].ContextMap()["check"] != "bad" {
		t.Errorf("log of a failed check: got %v", entries)
	}
}

// What no restart mends shows, with its reason, and fails only its own path.
func TestHealthOfWhatIsOutside(t *testing.T) {
	away := Check{Name: "pod-source", Outside: true, Check: func(context.Context) error { return errors.New("api is away: refused") }}
	bad := Check{Name: "bad", Check: func(context.Context) error { return errors.New("this will fail") }}
	for _, test := range []struct {
		target string
		checks []Check
		status int
		body   string
	}{
		{"/livez", []Check{Ping, away}, 200, "ok"},
		{"/livez?verbose", []Check{Ping, away}, 200, "[+]ping ok\n[-]pod-source failed, not counted: reason withheld\nlivez check passed\n"},
		{"/livez?verbose&exclude=pod-source", []Check{Ping, away}, 200, "[+]ping ok\n[+]pod-source excluded: ok\nlivez check passed\n"},
		{"/livez", []Check{away, bad}, 500, "[-]pod-source failed, not counted: reason withheld\n[-]bad failed: reason withheld\nlivez check failed\n"},
		{"/livez/pod-source", []Check{Ping, away}, 500, "internal server error: api is away: refused\n"},
	} {
		got := ask(NewMux(Index{}, HealthRoutes(zap.NewNop(), "/livez", "", test.checks...)), http.MethodGet, test.target, "")
		if got.Code != test.status || got.Body.String() != test.body {
			t.Errorf("%s: got %d %q, want %d %q", test.target, got.Code, got.Body, test.status, test.body)
		}
	}
}

// A probe is told whether, and the log why.
func TestProbesAreToldNoReason(t *testing.T) {
	core, logs := observer.New(zap.InfoLevel)
	bad := Check{Name: "bad", Check: func(context.Context) error { return errors.New("this will fail") }}
	away := Check{Name: "away", Outside: true, Check: func(context.Context) error { return errors.New("this too") }}
	mux := NewMux(Index{}, ProbeRoutes(zap.New(core), "/livez", "", Ping, bad, away))
	for target, want := range map[string]struct {
		status int
		body   string
		logged int
	}{
		"/livez":               {500, "[+]ping ok\n[-]bad failed: reason withheld\n[-]away failed, not counted: reason withheld\nlivez check failed\n", 1},
		"/livez/ping":          {200, "ok", 0},
		"/livez/bad":           {500, "internal server error: reason withheld\n", 1},
		"/livez/away":          {500, "internal server error: reason withheld\n", 1},
		"/livez?exclude=bad":   {200, "ok", 0},
		"/livez/bad?exclude=x": {500, "internal server error: reason withheld\n", 1},
	} {
		got := ask(mux, http.MethodGet, target, "")
		if got.Code != want.status || got.Body.String() != want.body {
			t.Errorf("%s: got %d %q, want %d %q", target, got.Code, got.Body, want.status, want.body)
		}
		if entries := logs.TakeAll(); len(entries) != want.logged {
			t.Errorf("%s: logged %v, want %d lines", target, entries, want.logged)
		}
	}
}
