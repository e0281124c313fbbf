package server

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
)

// client is a connection with one request at a time.
type client struct {
	net.Conn
	reader *bufio.Reader
}

func (r *running) dial(t *testing.T) *client {
	t.Helper()
	connection, err := net.Dial("tcp", r.address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = connection.Close() })
	if err := connection.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	return &client{connection, bufio.NewReader(connection)}
}

// ask returns the body of an answer, or the error of a connection that the server closed.
func (c *client) ask(path string) (string, error) {
	if _, err := io.WriteString(c, "GET "+path+" HTTP/1.1\r\nHost: test\r\n\r\n"); err != nil {
		return "", err
	}
	answer, err := http.ReadResponse(c.reader, nil)
	if err != nil {
		return "", err
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	return string(body), err
}

// closed waits until the server has closed the connection.
func (c *client) closed(t *testing.T, what string) {
	t.Helper()
	if _, err := c.reader.ReadByte(); err == nil || isTimeout(err) {
		t.Errorf("%s: got %v, want it closed by the server", what, err)
	}
}

// startLimited serves with a limit of connections. Requests for /slow stay until the test ends.
func startLimited(t *testing.T, log *zap.Logger, most int) (r *running, begun chan struct{}) {
	t.Helper()
	limits := DefaultLimits()
	// Whoever sends nothing, or waits for its answer, stays for as long as the test takes.
	limits.ReadHeader, limits.Read, limits.Write, limits.Idle = time.Hour, time.Hour, time.Hour, time.Hour
	limits.Connections = most
	limits.Drain = time.Millisecond
	begun = make(chan struct{})
	r = start(t, log, limits, http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		if request.URL.Path == "/slow" {
			begun <- struct{}{}
			<-request.Context().Done()
			return
		}
		_, _ = io.WriteString(w, "ok")
	}))
	return r, begun
}

func TestLongestIdleConnectionMakesWay(t *testing.T) {
	c := newConnections(3, &refusals{}, zap.NewNop())
	open := func() (near, far net.Conn) {
		near, far = net.Pipe()
		t.Cleanup(func() {
			_ = near.Close()
			_ = far.Close()
		})
		if err := far.SetReadDeadline(time.Now().Add(patience)); err != nil {
			t.Fatal(err)
		}
		c.changed(near, http.StateNew)
		c.changed(near, http.StateActive)
		return near, far
	}
	busy, _ := open()
	older, olderFar := open()
	newer, _ := open()
	c.changed(newer, http.StateIdle)
	c.changed(newer, http.StateActive)
	c.changed(older, http.StateIdle)
	c.changed(newer, http.StateIdle)
	latest, _ := open()
	if _, err := olderFar.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Errorf("the connection idle longest: got %v, want it closed", err)
	}
	for _, kept := range []net.Conn{busy, newer, latest} {
		if _, ok := c.open[kept]; !ok {
			t.Errorf("one of the busy, the idle for less long and the newest connection is not kept: %v", c.open)
		}
	}
	// The server tells of the closed one in the end, which changes nothing.
	c.changed(older, http.StateClosed)
	if len(c.open) != 3 {
		t.Errorf("%d connections are open, want 3", len(c.open))
	}
}

func TestIdleConnectionMakesWayOnARealListener(t *testing.T) {
	r, begun := startLimited(t, zap.NewNop(), 2)
	busy, idle := r.dial(t), r.dial(t)
	go func() { _, _ = busy.ask("/slow") }() // the end of the test cuts it
	receive(t, begun, "the slow request")
	if body, err := idle.ask("/"); err != nil || body != "ok" {
		t.Fatalf("got %q, %v", body, err)
	}
	// A client has its answer a moment before the connection is idle.
	await(t, "a new connection to be answered in place of the idle one", func() bool {
		body, err := r.dial(t).ask("/")
		return err == nil && body == "ok"
	})
	idle.closed(t, "the idle connection")
}

func TestConnectionsBeyondTheLimitAreRefusedWhileAllAreBusy(t *testing.T) {
	core, logs := observer.New(zap.WarnLevel)
	r, begun := startLimited(t, zap.New(core), 2)
	busy, silent := r.dial(t), r.dial(t)     // who sends nothing is not idle
	go func() { _, _ = busy.ask("/slow") }() // the end of the test cuts it
	receive(t, begun, "a slow request")
	for range 3 {
		r.dial(t).closed(t, "a connection beyond the limit")
	}
	entries := logs.FilterMessageSnippet("--max-connections").All()
	if len(entries) != 3 || entries[0].ContextMap()["endpoint"] != "test" {
		t.Errorf("logged %v, want a line of each that names the endpoint and the flag", entries)
	}
	if got := refused(r.server, refusedConnection); got != 3 {
		t.Errorf("counted %d refused connections, want 3", got)
	}
	_ = silent.Close() // a client that has enough
	await(t, "a connection that ended to make room", func() bool {
		body, err := r.dial(t).ask("/")
		return err == nil && body == "ok"
	})
}

// FuzzRequest: whatever a client sends, the server does not panic, and answers with what a route said or a refusal.
func FuzzRequest(f *testing.F) {
	for _, seed := range []string{
		"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n",
		"GET /healthz?verbose&exclude=ping&exclude=%00 HTTP/1.1\r\nHost: x\r\n\r\n",
		"HEAD //metrics/../healthz/ping?a=%zz HTTP/1.0\r\n\r\n",
		"POST /stats/summary HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\na=b",
		"GET http://[::1]:1/%2e%2e/livez;x HTTP/1.1\r\nHost: x\r\nAccept: */*;q=\r\n\r\n",
		"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n",
		"CONNECT a:1 HTTP/1.1\r\nHost: x\r\n\r\n",
	} {
		f.Add([]byte(seed))
	}
	core, logs := observer.New(zap.ErrorLevel)
	routes := append([]Route{
		{Path: "/stats/summary", Methods: []string{http.MethodGet, http.MethodPost}, Handler: fixed("application/json", "{}"), Title: "t"},
		{Path: "/metrics", Handler: fixed("text/plain", "m 1\n"), Title: "t"},
	}, HealthRoutes(zap.NewNop(), "/healthz", "t", Ping)...)
	handler := wrap(zap.New(core), DefaultLimits(), &refusals{}, NewMux(Index{Name: "nodevitals"}, routes))
	known := map[string]bool{"/": true}
	for _, route := range routes {
		known[route.Path] = true
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		request, err := http.ReadRequest(bufio.NewReader(strings.NewReader(string(raw))))
		if err != nil {
			return
		}
		got := serveRecorded(handler, request)
		if !known[request.URL.Path] && got.Code != http.StatusNotFound {
			t.Errorf("%q is no route: got %d, want 404", request.URL.Path, got.Code)
		}
		if panics := logs.TakeAll(); len(panics) > 0 {
			t.Errorf("%v", panics)
		}
	})
}
