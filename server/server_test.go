package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
)

// patience is how long a test waits for a condition that a healthy server meets at once.
const patience = 2 * time.Minute

// patientLimits are those of a server that is to end well, however slow the machine is.
func patientLimits() Limits {
	limits := DefaultLimits()
	limits.Drain = patience / 2
	return limits
}

// running is a server under test.
type running struct {
	address string
	server  *Server
	stop    context.CancelFunc
	done    chan error
	ended   bool
}

// start serves handler on a port of the kernel's choice, and stops when the test ends.
func start(t *testing.T, log *zap.Logger, limits Limits, handler http.Handler) *running {
	t.Helper()
	listener, err := Listen(t.Context(), Address{Host: "127.0.0.1"})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	r := &running{address: listener.Addr().String(), server: New(log, limits), stop: cancel, done: make(chan error, 1)}
	r.server.Add(Endpoint{Name: "test", Listener: listener, Handler: handler})
	go func() { r.done <- r.server.Run(ctx) }()
	t.Cleanup(func() {
		if !r.ended {
			cancel()
			_ = r.wait(t)
		}
	})
	return r
}

// wait returns what Run returned.
func (r *running) wait(t *testing.T) error {
	t.Helper()
	r.ended = true
	return receive(t, r.done, "the server to stop")
}

// receive waits for a value of the channel.
func receive[T any](t *testing.T, from <-chan T, what string) T {
	t.Helper()
	select {
	case v := <-from:
		return v
	case <-time.After(patience):
		t.Fatalf("waited %s for %s", patience, what)
		panic("unreachable")
	}
}

// get asks for a path over a connection of its own and returns the answer with its body as sent.
func (r *running) get(t *testing.T, method, path string, header http.Header) (*http.Response, string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, "http://"+r.address+path, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	request.Header = header
	client := http.Client{Transport: &http.Transport{DisableCompression: true, DisableKeepAlives: true}}
	answer, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer, string(body)
}

func fixed(kind, body string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", kind)
		_, _ = io.WriteString(w, body)
	})
}

func TestTakenPortNamesHolderAndFlag(t *testing.T) {
	first, err := Listen(t.Context(), Address{Host: "127.0.0.1"})
	if err != nil {
		t.Fatal(err)
	}
	defer first.Close()
	port := first.Addr().(*net.TCPAddr).Port
	_, err = Listen(t.Context(), Address{Host: "127.0.0.1", Port: port, PortFlag: "--read-only-port"})
	want := fmt.Sprintf("listen on 127.0.0.1:%d: address already in use: a kubelet or another nodevitals may hold it; change --read-only-port", port)
	if err == nil || err.Error() != want {
		t.Errorf("second listener on the same port: got %v, want %s", err, want)
	}
	if !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("error does not wrap EADDRINUSE: %v", err)
	}
}

func TestForeignAddressNamesFlag(t *testing.T) {
	// 192.0.2.0/24 is set aside for documentation, so no interface has it.
	_, err := Listen(t.Context(), Address{Host: "192.0.2.1", Port: 1, HostFlag: "--bind", PortFlag: "--port"})
	want := "listen on 192.0.2.1:1: cannot assign requested address: no interface of this host has it; change --bind"
	if err == nil || err.Error() != want {
		t.Errorf("listener on a foreign address: got %v, want %s", err, want)
	}
}

func TestBrokenListenerEndsTheServer(t *testing.T) {
	listener, err := Listen(t.Context(), Address{Host: "127.0.0.1"})
	if err != nil {
		t.Fatal(err)
	}
	s := New(zap.NewNop(), DefaultLimits())
	s.Add(Endpoint{Name: "read-only", Listener: listener, Handler: http.NotFoundHandler()})
	done := make(chan error, 1)
	go func() { done <- s.Run(context.Background()) }()
	_ = listener.Close()
	err = receive(t, done, "the server to give up")
	if !errors.Is(err, net.ErrClosed) || !strings.Contains(err.Error(), "serve read-only on 127.0.0.1:") {
		t.Errorf("got %v, want an error that names the endpoint", err)
	}
}

func TestPanicIsAnsweredAndLogged(t *testing.T) {
	core, logs := observer.New(zap.InfoLevel)
	r := start(t, zap.New(core), DefaultLimits(), http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic("lost") }))
	answer, body := r.get(t, http.MethodGet, "/x", nil)
	if answer.StatusCode != http.StatusInternalServerError || body != "Internal Server Error\n" {
		t.Errorf("panic before the first byte: got %d %q, want 500", answer.StatusCode, body)
	}
	entries := logs.FilterMessage("handler panicked").All()
	if len(entries) != 1 || entries[0].ContextMap()["path"] != "/x" || entries[0].ContextMap()["panic"] != "lost" {
		t.Errorf("log of the panic: got %v", entries)
	}
}

func TestPanicHalfWayCutsTheConnection(t *testing.T) {
	r := start(t, zap.NewNop(), DefaultLimits(), http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, strings.Repeat("half\n", 4000))
		panic("lost")
	}))
	answer, err := http.Get("http://" + r.address + "/")
	if err == nil {
		defer answer.Body.Close()
		_, err = io.Copy(io.Discard, answer.Body)
	}
	if err == nil {
		t.Errorf("half an answer looked whole to the client")
	}
}

// await polls until condition holds.
func await(t *testing.T, what string, condition func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !condition(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited %s for %s", patience, what)
		}
	}
}
