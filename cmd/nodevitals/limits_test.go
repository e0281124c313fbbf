package main

import (
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// metricOf returns the value of a line of the agent's own metrics.
func metricOf(t *testing.T, a *running, series string) int {
	t.Helper()
	_, body := get(t, a.readOnly+"/metrics", nil)
	_, after, ok := strings.Cut(body, "\n"+series+" ")
	text, _, _ := strings.Cut(after, "\n")
	value, err := strconv.ParseFloat(text, 64)
	if !ok || err != nil {
		t.Fatalf("%s: got %q in\n%s", series, text, body)
	}
	return int(value)
}

// awaitMetric waits until one of the agent's own metrics has a value: a client has its answer a moment before the agent counts it.
func awaitMetric(t *testing.T, a *running, series string, want int) {
	t.Helper()
	seen := metricOf(t, a, series)
	for deadline := time.Now().Add(patience); seen != want; seen = metricOf(t, a, series) {
		if time.Now().After(deadline) {
			t.Errorf("waited %s for %s to be %d; seen: %d", patience, series, want, seen)
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// 200 scrapes at once take one pass, and render and compress one body.
func TestManyScrapesAtOnce(t *testing.T) {
	withRaceDetector(t)
	const scrapes = 200
	// One sample answers for as long as the test may take.
	a := startAgent(t, 0, "--max-age=1h", "--tick=0")
	var group sync.WaitGroup
	bodies := make([]string, scrapes)
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, DisableCompression: true}, Timeout: patience}
	begin := make(chan struct{})
	for i := range bodies {
		group.Go(func() {
			<-begin
			request, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, a.readOnly+"/metrics/cadvisor", http.NoBody)
			request.Header.Set("Accept-Encoding", "gzip")
			answer, err := client.Do(request)
			if err != nil {
				t.Error(err)
				return
			}
			defer answer.Body.Close()
			body, err := io.ReadAll(answer.Body)
			if err != nil || answer.StatusCode != http.StatusOK {
				t.Errorf("got %d, %v", answer.StatusCode, err)
			}
			bodies[i] = string(body)
		})
	}
	// A look at /metrics is rendered once its figures are gathered, so that it counts for the next.
	looks := 0
	look := func(series string) int {
		looks++
		return metricOf(t, a, series)
	}
	const rendered = `nodevitals_answers_made_total{step="render"}`
	before := look(rendered)
	close(begin)
	group.Wait()
	for _, body := range bodies {
		if body != bodies[0] || body == "" {
			t.Fatalf("two of %d scrapes got different bodies, of %d and %d bytes", scrapes, len(body), len(bodies[0]))
		}
	}
	// A client has its answer a moment before the agent counts it.
	const answered = `nodevitals_scrapes_total{endpoint="/metrics/cadvisor",outcome="success"}`
	deadline := time.Now().Add(patience)
	for seen := look(answered); seen != scrapes; seen = look(answered) {
		if time.Now().After(deadline) {
			t.Fatalf("waited %s for %d scrapes to be counted; seen: %d", patience, scrapes, seen)
		}
	}
	if passes := look(`nodevitals_passes_total{kind="full"}`); passes != 1 {
		t.Errorf("%d scrapes: %d passes, want the one at the start", scrapes, passes)
	}
	if refused := look(`nodevitals_answers_refused_total`); refused != 0 {
		t.Errorf("%d scrapes were refused", refused)
	}
	earlier := looks
	if renders := look(rendered) - before - earlier; renders != 1 {
		t.Errorf("%d scrapes: %d renders, want 1", scrapes, renders)
	}
}

// A port at its limit refuses who comes, and says so in the log.
func TestMaxConnections(t *testing.T) {
	a := startAgent(t, 0, "--max-connections=2")
	address := strings.TrimPrefix(a.readOnly, "http://")
	// Connections that never send a request are not idle: they get ten seconds for their header.
	for range 2 {
		connection, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		defer connection.Close()
	}
	refused, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer refused.Close()
	if err := refused.SetReadDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	if _, err := refused.Read(make([]byte, 1)); err == nil || strings.Contains(err.Error(), "timeout") {
		t.Errorf("the third connection: got %v, want it closed", err)
	}
	for deadline := time.Now().Add(patience); !strings.Contains(a.stderr.String(), "or raise --max-connections"); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited %s for the log to name the flag; seen:\n%s", patience, &a.stderr)
		}
	}
	for range 20 {
		more, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		_ = more.SetReadDeadline(time.Now().Add(patience))
		_, _ = more.Read(make([]byte, 1)) // until it is closed
		more.Close()
	}
	if got := strings.Count(a.stderr.String(), "or raise --max-connections"); got != 3 {
		t.Errorf("21 refused connections: logged %d lines, want 3:\n%s", got, &a.stderr)
	}
	if status := a.terminate(t); status != 0 {
		t.Errorf("exit status: got %d", status)
	}
	if log := a.stderr.String(); !strings.Contains(log, `"endpoint":"read-only","held_back":18,`) {
		t.Errorf("the log does not tell of 18 more at the end:\n%s", log)
	}
	if got := command(t, "--max-connections=0"); got.status != exitUsage || !strings.Contains(got.stderr, `"0" for --max-connections: want at least 1`) {
		t.Errorf("got status %d and %q", got.status, got.stderr)
	}
}
