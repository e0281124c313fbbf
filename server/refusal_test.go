package server

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
)

// refused returns how often a server refused for a reason.
func refused(s *Server, reason string) uint64 {
	for _, one := range s.Refused() {
		if one.Reason == reason {
			return one.Count
		}
	}
	return 0
}

// TestRefusalsAreCounted: what a client is refused counts for its reason alone, and what it gets or what breaks counts for none.
func TestRefusalsAreCounted(t *testing.T) {
	for _, one := range []struct {
		method, path string
		// reason is empty where nothing is refused.
		reason string
		status int
	}{
		{http.MethodGet, "/fine", "", 200},
		{http.MethodGet, "/status/500", "", 500},
		{http.MethodGet, "/panic", "", 500},
		{http.MethodGet, "/nothing", "not_found", 404},
		{http.MethodDelete, "/fine", "method_not_allowed", 405},
		{http.MethodGet, "/status/400", "bad_request", 400},
		{http.MethodGet, "/status/401", "unauthorized", 401},
		{http.MethodGet, "/status/403", "forbidden", 403},
		{http.MethodGet, "/status/406", "not_acceptable", 406},
		{http.MethodGet, "/status/413", "body_too_large", 413},
		{http.MethodGet, "/status/429", "too_many_requests", 429},
		{http.MethodGet, "/status/503", "unavailable", 503},
	} {
		t.Run(one.method+one.path, func(t *testing.T) {
			routes := []Route{
				{Path: "/fine", Methods: []string{http.MethodGet}, Handler: fixed("text/plain", "fine")},
				{Path: "/panic", Handler: http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic("no") })},
			}
			for _, status := range []string{"400", "401", "403", "406", "413", "429", "500", "503"} {
				routes = append(routes, Route{Path: "/status/" + status, Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
					w.WriteHeader(one.status)
				})})
			}
			s := New(zap.NewNop(), DefaultLimits())
			w := httptest.NewRecorder()
			request := httptest.NewRequest(one.method, one.path, http.NoBody)
			wrap(zap.NewNop(), s.limits, &s.refusals, NewMux(Index{}, routes)).ServeHTTP(w, request)
			if w.Code != one.status {
				t.Fatalf("got %d, want %d", w.Code, one.status)
			}
			for _, got := range s.Refused() {
				if want := got.Reason == one.reason; (got.Count == 1) != want || got.Count > 1 {
					t.Errorf("%s: counted %d, want it to be %t", got.Reason, got.Count, want)
				}
			}
		})
	}
}

// TestNothingOfARequestIsLogged: no header, query or body of a client comes into the log, at any level, but the path.
func TestNothingOfARequestIsLogged(t *testing.T) {
	const secret = "s3cret-0f-jane"
	core, logs := observe()
	handler := wrap(core, DefaultLimits(), &refusals{}, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.ReadAll(r.Body)
		panic("no")
	}))
	request := httptest.NewRequest(http.MethodPost, "/stats/summary?token="+secret, strings.NewReader("body="+secret))
	request.Header.Set("Authorization", "Bearer "+secret)
	request.Header.Set("Cookie", secret)
	handler.ServeHTTP(httptest.NewRecorder(), request)
	if logs() == "" || strings.Contains(logs(), secret) {
		t.Errorf("got %s, want lines without what the client sent", logs())
	}
}

// observe returns a log at debug level, and what it has as text.
func observe() (*zap.Logger, func() string) {
	core, logs := observer.New(zap.DebugLevel)
	return zap.New(core), func() string {
		var b strings.Builder
		for _, line := range logs.All() {
			fmt.Fprintln(&b, line.Message, line.ContextMap())
		}
		return b.String()
	}
}
