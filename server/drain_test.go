package server

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"
)

func TestDrainLetsRequestsFinish(t *testing.T) {
	began, release := make(chan struct{}), make(chan struct{})
	var draining func(context.Context) error
	r := start(t, zap.NewNop(), patientLimits(), http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		close(began)
		<-release
		_, _ = io.WriteString(w, "whole")
	}))
	draining = r.server.Check().Check
	if err := draining(t.Context()); err != nil {
		t.Errorf("readiness before the drain: %v", err)
	}
	body := make(chan string, 1)
	go func() {
		answer, err := http.Get("http://" + r.address + "/")
		if err != nil {
			body <- err.Error()
			return
		}
		defer answer.Body.Close()
		b, _ := io.ReadAll(answer.Body)
		body <- string(b)
	}()
	receive(t, began, "the request to reach its handler")
	r.stop()
	await(t, "the listener to close and readiness to fail", func() bool {
		connection, err := net.Dial("tcp", r.address)
		if err == nil {
			_ = connection.Close()
		}
		return err != nil && draining(t.Context()) != nil
	})
	select {
	case err := <-r.done:
		t.Fatalf("the server stopped with a request in flight: %v", err)
	default:
	}
	close(release)
	if got := receive(t, body, "the answer"); got != "whole" {
		t.Errorf("request in flight while draining: got %q, want %q", got, "whole")
	}
	if err := r.wait(t); err != nil {
		t.Errorf("drain: %v", err)
	}
}

func TestDrainIsCutAtItsDeadline(t *testing.T) {
	limits := DefaultLimits()
	limits.Drain = time.Millisecond
	began := make(chan struct{})
	r := start(t, zap.NewNop(), limits, http.HandlerFunc(func(_ http.ResponseWriter, request *http.Request) {
		close(began)
		<-request.Context().Done() // ends when the connection is cut
	}))
	go func() {
		if answer, err := http.Get("http://" + r.address + "/"); err == nil {
			_ = answer.Body.Close()
		}
	}()
	receive(t, began, "the request to reach its handler")
	r.stop()
	if err := r.wait(t); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("drain of a request that never ends: got %v, want a deadline error", err)
	}
}

// While a request in flight is let finish, whoever asks the health port learns that the agent is going to end.
func TestReadinessShowsTheDrain(t *testing.T) {
	began, release := make(chan struct{}), make(chan struct{})
	s := New(zap.NewNop(), patientLimits())
	var urls [2]string
	for i, endpoint := range []Endpoint{
		{Name: "work", Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			close(began)
			<-release
			_, _ = io.WriteString(w, "whole")
		})},
		{Name: "healthz", Handler: NewMux(Index{}, ProbeRoutes(zap.NewNop(), "/readyz", "", Ping, s.Check())), Last: true},
	} {
		var err error
		if endpoint.Listener, err = Listen(t.Context(), Address{Host: "127.0.0.1"}); err != nil {
			t.Fatal(err)
		}
		urls[i] = "http://" + endpoint.Listener.Addr().String()
		s.Add(endpoint)
	}
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	// Each request has a connection of its own: one that is kept would be closed, and its port not seen.
	client := http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true}}
	get := func(url string) string {
		answer, err := client.Get(url)
		if err != nil {
			return err.Error()
		}
		defer answer.Body.Close()
		body, _ := io.ReadAll(answer.Body)
		return answer.Status + " " + string(body)
	}
	if got := get(urls[1] + "/readyz"); got != "200 OK ok" {
		t.Errorf("before the drain: got %q", got)
	}
	body := make(chan string, 1)
	go func() { body <- get(urls[0]) }()
	receive(t, began, "the request to reach its handler")
	stop()
	await(t, "the other listener to close", func() bool {
		connection, err := net.Dial("tcp", strings.TrimPrefix(urls[0], "http://"))
		if err == nil {
			_ = connection.Close()
		}
		return err != nil
	})
	if got, want := get(urls[1]+"/readyz"), "500 Internal Server Error [+]ping ok\n[-]shutdown failed: reason withheld\nreadyz check failed\n"; got != want {
		t.Errorf("during the drain: got %q, want %q", got, want)
	}
	close(release)
	if got := receive(t, body, "the answer"); got != "200 OK whole" {
		t.Errorf("the request in flight: got %q", got)
	}
	if err := receive(t, done, "the server to stop"); err != nil {
		t.Errorf("drain: %v", err)
	}
	if got := get(urls[1] + "/readyz"); !strings.Contains(got, "connection refused") {
		t.Errorf("after the drain: got %q, want nobody there", got)
	}
}
