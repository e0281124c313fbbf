package server

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"io"
	"math/big"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"
)

// startTLS serves handler with TLS, and returns the address, a client that knows the certificate, and the server.
func startTLS(t *testing.T, log *zap.Logger, handler http.Handler) (address string, client *http.Client, server *Server) {
	t.Helper()
	return startTLSLimited(t, log, patientLimits(), handler)
}

func startTLSLimited(t *testing.T, log *zap.Logger, limits Limits, handler http.Handler) (address string, client *http.Client, server *Server) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	text, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := x509.ParseCertificate(text)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(certificate)
	listener, err := Listen(t.Context(), Address{Host: "127.0.0.1"})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	s := New(log, limits)
	s.Add(Endpoint{Name: "secure", Listener: listener, Handler: handler, TLS: &tls.Config{
		MinVersion: tls.VersionTLS12, NextProtos: []string{"h2", "http/1.1"},
		Certificates: []tls.Certificate{{Certificate: [][]byte{text}, PrivateKey: key}},
	}})
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	client = &http.Client{Timeout: patience, Transport: &http.Transport{ForceAttemptHTTP2: true, TLSClientConfig: &tls.Config{RootCAs: roots}}}
	t.Cleanup(func() {
		client.CloseIdleConnections()
		cancel()
		if err := receive(t, done, "the server to stop"); err != nil {
			t.Error(err)
		}
	})
	return listener.Addr().String(), client, s
}

func TestTLSSpeaksHTTP2(t *testing.T) {
	address, client, _ := startTLS(t, zap.NewNop(), http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.TLS == nil {
			t.Error("the handler is not told of TLS")
		}
		_, _ = io.WriteString(w, r.Proto)
	}))
	answer, err := client.Get("https://" + address)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if body, _ := io.ReadAll(answer.Body); string(body) != "HTTP/2.0" {
		t.Errorf("spoke %s", body)
	}
}

// Who sends garbage gets no answer of a handler, and fills no log.
func TestGarbageOnATLSPort(t *testing.T) {
	core, logs := observer.New(zap.DebugLevel)
	reached := make(chan string, 100)
	address, client, server := startTLS(t, zap.New(core), http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { reached <- r.URL.Path }))
	for i := range 30 {
		conn, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		_ = conn.SetDeadline(time.Now().Add(patience))
		garbage := [][]byte{[]byte("garbage\r\n\r\n"), []byte("GET /garbage HTTP/1.1\r\nHost: x\r\n\r\n"), {0x16, 3, 1, 0, 5, 1, 0, 0, 1, 0}, make([]byte, 4096)}[i%4]
		_, _ = conn.Write(garbage)
		answer, _ := io.ReadAll(conn)
		if i%4 == 1 && !strings.Contains(string(answer), "HTTP request to an HTTPS server") {
			t.Errorf("plain HTTP was answered %q", answer)
		}
		conn.Close()
	}
	// net/http logs each once, also of who spoke plain HTTP, whom it answers and hangs up on before.
	await(t, "all broken handshakes to be logged", func() bool { return logs.Len() >= 30 })
	if got := refused(server, refusedHandshake); got != 30 || logs.Len() != 30 {
		t.Errorf("counted %d and logged %d broken handshakes of 30", got, logs.Len())
	}
	// The log limits lines by their message, so that has nothing of the client's.
	kinds := make(map[string]bool)
	for _, line := range logs.All() {
		kinds[line.Message] = true
	}
	if len(kinds) != 1 {
		t.Errorf("30 broken handshakes made lines of %d messages, want one: %v", len(kinds), kinds)
	}
	answer, err := client.Get("https://" + address + "/good")
	if err != nil {
		t.Fatalf("after garbage: %v", err)
	}
	answer.Body.Close()
	if got := receive(t, reached, "a request"); got != "/good" {
		t.Errorf("garbage reached a handler as %s", got)
	}
}

// Who asks with TCP alone whether the port is open is counted, and takes no line of those who fail at TLS.
func TestProbesOfATLSPort(t *testing.T) {
	core, logs := observer.New(zap.DebugLevel)
	address, _, server := startTLS(t, zap.New(core), http.NotFoundHandler())
	for i, end := range []func(*net.TCPConn){
		func(*net.TCPConn) {},
		func(conn *net.TCPConn) { _ = conn.SetLinger(0) }, // it resets the connection
		func(conn *net.TCPConn) {
			_, _ = conn.Write([]byte("garbage\r\n\r\n"))
			_, _ = io.ReadAll(conn)
		},
	} {
		conn, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		_ = conn.SetDeadline(time.Now().Add(patience))
		end(conn.(*net.TCPConn))
		conn.Close()
		await(t, "the handshake to be logged", func() bool { return logs.Len() == i+1 })
	}
	if got := refused(server, refusedHandshake); got != 3 {
		t.Errorf("counted %d broken handshakes, want 3", got)
	}
	for i, want := range []zapcore.Level{zap.DebugLevel, zap.DebugLevel, zap.InfoLevel} {
		if line := logs.All()[i]; line.Level != want || line.Message != "TLS handshake failed" {
			t.Errorf("line %d is %s %q %v, want level %s", i, line.Level, line.Message, line.ContextMap(), want)
		}
	}
}
