package answer_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/nodevitals/nodevitals/answer"
	"github.com/nodevitals/nodevitals/server"
)

const patience = 2 * time.Minute

// big is the size of an answer that no socket's buffers swallow.
const big = 8 << 20

// serving is a store behind a real listener. Every request asks for the body of the present number.
type serving struct {
	address string
	store   *answer.Store
	of      atomic.Uint64
}

func startServing(t *testing.T) *serving {
	t.Helper()
	listener, err := server.Listen(t.Context(), server.Address{Host: "127.0.0.1"})
	if err != nil {
		t.Fatal(err)
	}
	s := &serving{address: listener.Addr().String(), store: answer.NewStore(answer.Options{Wait: patience})}
	s.of.Store(1)
	limits := server.DefaultLimits()
	limits.Connections = 1000
	// Longer than the test takes anywhere: nobody is to be cut in it.
	limits.ReadHeader, limits.Read, limits.Write = 10*time.Minute, 10*time.Minute, 10*time.Minute
	limits.Drain = time.Millisecond
	serve := server.New(zap.NewNop(), limits)
	serve.Add(server.Endpoint{Name: "test", Listener: listener, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		of := s.of.Load()
		s.store.Serve(w, r, answer.Answer{Key: answer.Key{Path: "/", Of: of}, ContentType: "text/plain", Append: func(buffer []byte) ([]byte, error) {
			for len(buffer) < big {
				buffer = fmt.Appendf(buffer, "container_threads{id=\"/%d\"} %d\n", len(buffer), of)
			}
			return buffer, nil
		}})
	})})
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = serve.Run(ctx) // slow clients are cut
	}()
	t.Cleanup(func() {
		stop()
		<-done
	})
	return s
}

// connect opens a connection that takes little before its reader does.
func (s *serving) connect(t *testing.T) net.Conn {
	t.Helper()
	dialer := net.Dialer{Control: func(_, _ string, raw syscall.RawConn) (err error) {
		failure := raw.Control(func(descriptor uintptr) {
			err = syscall.SetsockoptInt(int(descriptor), syscall.SOL_SOCKET, syscall.SO_RCVBUF, 4096)
		})
		if failure != nil {
			return failure
		}
		return err
	}}
	connection, err := dialer.DialContext(t.Context(), "tcp", s.address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = connection.Close() })
	return connection
}

// ask sends a request.
func ask(t *testing.T, connection net.Conn) {
	t.Helper()
	if _, err := io.WriteString(connection, "GET / HTTP/1.1\r\nHost: slow\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
}

func (s *serving) await(t *testing.T, what string, condition func(answer.Stats) bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !condition(s.store.Stats()); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited %s for %s; seen: %+v", patience, what, s.store.Stats())
		}
	}
}

// heap is what lives, in bytes, stacks included.
func heap() int {
	var stats runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&stats)
	return int(stats.HeapAlloc + stats.StackInuse)
}

// 500 clients that read a byte a second hold one body among them, and little else.
func TestSlowReadersShareABody(t *testing.T) {
	const clients = 500
	s := startServing(t)
	connections := make([]net.Conn, clients)
	for i := range connections {
		connections[i] = s.connect(t)
	}
	before := heap()
	stop := make(chan struct{})
	defer close(stop)
	for _, connection := range connections {
		ask(t, connection)
	}
	for _, connection := range connections {
		if err := connection.SetReadDeadline(time.Now().Add(patience)); err != nil {
			t.Fatal(err)
		}
		if _, err := connection.Read(make([]byte, 1)); err != nil {
			t.Fatalf("wait %s for each answer to begin: %v; seen: %+v", patience, err, s.store.Stats())
		}
	}
	go func() {
		one := make([]byte, 1)
		for {
			for _, connection := range connections {
				_ = connection.SetReadDeadline(time.Now().Add(patience)) // the end of the test closes it
				_, _ = connection.Read(one)
			}
			select {
			case <-stop:
				return
			case <-time.After(time.Second):
			}
		}
	}()
	grown := heap() - before
	stats := s.store.Stats()
	t.Logf("%d clients: %d kB more than before, of which the body is %d; %d kB a client", clients, grown>>10, stats.Bytes>>10, (grown-stats.Bytes)/clients>>10)
	if stats.Readers != clients || stats.Rendered != 1 {
		t.Fatalf("got %+v, want %d readers of one body", stats, clients)
	}
	if limit := 2*big + clients*(24<<10); grown > limit {
		t.Errorf("%d slow clients hold %d bytes, want no more than two bodies and 24 KiB each: %d", clients, grown, limit)
	}
	// The others do not wait for them.
	s.of.Add(1)
	response, err := http.Get("http://" + s.address + "/")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil || !bytes.HasSuffix(body, []byte("} 2\n")) {
		t.Errorf("beside slow clients: got %d bytes, error %v, want the body of number 2", len(body), err)
	}
}

// A client that hangs up in the middle of its answer leaves nothing behind.
func TestHangingUpGivesTheBodyBack(t *testing.T) {
	s := startServing(t)
	for range 20 {
		connection := s.connect(t)
		ask(t, connection)
		half := make([]byte, 10_000)
		if _, err := io.ReadFull(connection, half); err != nil || !strings.HasPrefix(string(half), "HTTP/1.1 200 OK") {
			t.Fatalf("got %.40q, error %v", half, err)
		}
		_ = connection.Close() // in the middle
	}
	s.await(t, "all bodies to be given back", func(stats answer.Stats) bool { return stats.Readers == 0 && stats.Bytes == 0 })
}
