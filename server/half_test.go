package server

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"testing"
	"time"

	"go.uber.org/zap"
)

// inUse is the memory of this process that lives, stacks included, in bytes.
func inUse() int {
	var stats runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&stats)
	return int(stats.HeapAlloc + stats.StackInuse)
}

// Clients that begin and do not go on hold little, and keep nobody from being answered.
func TestHalvesHoldLittle(t *testing.T) {
	// One certificate for all, of a server that does not run.
	pattern := httptest.NewTLSServer(nil)
	pattern.Close()
	roots := x509.NewCertPool()
	roots.AddCert(pattern.Certificate())
	trusting := &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
	overTLS := func(protocol, half string) func(*testing.T, net.Conn) {
		return func(t *testing.T, connection net.Conn) {
			t.Helper()
			config := trusting.Clone()
			config.ServerName, config.NextProtos = "127.0.0.1", []string{protocol}
			secure := tls.Client(connection, config)
			if _, err := io.WriteString(secure, half); err != nil {
				t.Fatal(err)
			}
		}
	}
	for name, one := range map[string]struct {
		begin func(*testing.T, net.Conn)
		// most is what one client may hold, in KiB. On amd64 they hold 11, 31 and 36: go test -race -v -run TestHalvesHoldLittle ./server.
		most int
	}{
		"handshake": {func(t *testing.T, connection net.Conn) {
			t.Helper()
			// A record of 512 bytes, a ClientHello of 508, and half of it.
			hello := append([]byte{22, 3, 1, 2, 0, 1, 0, 1, 252, 3, 3}, make([]byte, 250)...)
			if _, err := connection.Write(hello); err != nil {
				t.Fatal(err)
			}
		}, 20},
		"header":           {overTLS("http/1.1", "GET / HTTP/1.1\r\nHost: slow\r\nX-Half: of a"), 48},
		"header of HTTP-2": {overTLS("h2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00\x00\x00\x40\x01\x04\x00\x00\x00\x01\x82\x87"), 54},
	} {
		t.Run(name, func(t *testing.T) {
			const clients = 500
			listener, err := Listen(t.Context(), Address{Host: "127.0.0.1"})
			if err != nil {
				t.Fatal(err)
			}
			limits := DefaultLimits()
			// Nobody is to be cut in as long as the test may take, or to make way.
			limits.ReadHeader, limits.Read, limits.Write, limits.Idle = time.Hour, time.Hour, time.Hour, time.Hour
			limits.Connections, limits.Drain = 2*clients, time.Millisecond
			serving := New(zap.NewNop(), limits)
			serving.Add(Endpoint{Name: "secure", Listener: listener, TLS: &tls.Config{
				MinVersion: tls.VersionTLS12, NextProtos: []string{"h2", "http/1.1"}, Certificates: pattern.TLS.Certificates,
			}, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, r.URL.Path) })})
			ctx, cancel := context.WithCancel(context.Background())
			done := make(chan error, 1)
			go func() { done <- serving.Run(ctx) }()
			defer func() {
				cancel()
				_ = receive(t, done, "the server to stop") // whoever sent half is cut
			}()
			client := &http.Client{Timeout: patience, Transport: &http.Transport{TLSClientConfig: trusting.Clone(), DisableKeepAlives: true}}
			answered := func(path string) {
				t.Helper()
				answer, err := client.Get("https://" + listener.Addr().String() + path)
				if err != nil {
					t.Fatal(err)
				}
				defer answer.Body.Close()
				if body, err := io.ReadAll(answer.Body); err != nil || string(body) != path {
					t.Errorf("got %q, %v, want %s", body, err, path)
				}
			}
			answered("/before")
			before := inUse()
			for range clients {
				connection, err := net.Dial("tcp", listener.Addr().String())
				if err != nil {
					t.Fatal(err)
				}
				defer connection.Close()
				one.begin(t, connection)
			}
			// Connections are taken in their order: the server has all of them before it has this one.
			answered("/beside")
			each := (inUse() - before) / clients >> 10
			t.Logf("a client that sent half of a %s holds %d KiB", name, each)
			if each > one.most {
				t.Errorf("want no more than %d KiB", one.most)
			}
		})
	}
}
