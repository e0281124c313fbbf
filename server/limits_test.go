package server

import (
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"
)

// Whoever takes longer than a limit allows, at whatever, is hung up on. All other limits are farther off than the test waits.
func TestSlowClientsAreCut(t *testing.T) {
	const short = 100 * time.Millisecond
	for _, test := range []struct {
		name  string
		limit func(*Limits) *time.Duration
		tls   bool
		// sent is what the client sends before it falls silent; asks: it has had an answer before.
		sent string
		asks bool
	}{
		{name: "half a header", limit: func(l *Limits) *time.Duration { return &l.ReadHeader }, sent: "GET / HTTP/1.1\r\nHost: slow\r\n"},
		{name: "half a body", limit: func(l *Limits) *time.Duration { return &l.Read }, sent: "POST /body HTTP/1.1\r\nHost: slow\r\nContent-Length: 9\r\n\r\nhalf"},
		{name: "an answer that is not read", limit: func(l *Limits) *time.Duration { return &l.Write }, sent: "GET /endless HTTP/1.1\r\nHost: slow\r\n\r\n"},
		{name: "a connection that is kept", limit: func(l *Limits) *time.Duration { return &l.Idle }, asks: true},
		{name: "no word of TLS", limit: func(l *Limits) *time.Duration { return &l.ReadHeader }, tls: true},
	} {
		t.Run(test.name, func(t *testing.T) {
			limits := patientLimits()
			for _, one := range []*time.Duration{&limits.ReadHeader, &limits.Read, &limits.Write, &limits.Idle} {
				*one = time.Hour
			}
			*test.limit(&limits) = short
			limits.Drain = time.Millisecond // what hangs although it must not is not waited for
			cut := make(chan error, 1)
			handler := http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
				var err error
				switch request.URL.Path {
				case "/body":
					_, err = io.ReadAll(request.Body)
				case "/endless":
					for err == nil {
						_, err = w.Write(make([]byte, 1<<20))
					}
				default:
					_, _ = io.WriteString(w, "ok")
					return
				}
				cut <- err
			})
			address := ""
			if test.tls {
				limits.Drain = patience / 2
				address, _, _ = startTLSLimited(t, zap.NewNop(), limits, handler)
			} else {
				address = start(t, zap.NewNop(), limits, handler).address
			}
			c := (&running{address: address}).dial(t)
			if test.asks {
				if body, err := c.ask("/"); err != nil || body != "ok" {
					t.Fatalf("got %q, %v", body, err)
				}
			}
			if _, err := io.WriteString(c, test.sent); err != nil {
				t.Fatal(err)
			}
			if strings.Contains(test.sent, "/endless") {
				// The client must not read, so the handler is who learns of it.
				if err := receive(t, cut, "the answer to be given up"); err == nil {
					t.Error("the whole answer was written to a client that reads nothing")
				}
				return
			}
			if _, err := io.Copy(io.Discard, c.reader); isTimeout(err) {
				t.Errorf("got %v, want the connection closed by the server", err)
			}
		})
	}
}

func TestLargeHeaderIsRefused(t *testing.T) {
	limits := patientLimits()
	r := start(t, zap.NewNop(), limits, fixed("text/plain", "ok"))
	for _, one := range []struct{ size, status int }{{limits.Header - 1024, http.StatusOK}, {limits.Header + 8<<10, http.StatusRequestHeaderFieldsTooLarge}} {
		answer, body := r.get(t, http.MethodGet, "/", http.Header{"X": {strings.Repeat("x", one.size)}})
		if answer.StatusCode != one.status {
			t.Errorf("a header of %d bytes under a limit of %d: got %d %q, want %d", one.size, limits.Header, answer.StatusCode, body, one.status)
		}
	}
}

// What may be sent at a time on one connection of HTTP/2, clients are told before they send anything.
func TestHTTP2TellsItsLimits(t *testing.T) {
	limits := patientLimits()
	limits.Streams, limits.Header = 7, 5000
	address, client, _ := startTLSLimited(t, zap.NewNop(), limits, fixed("text/plain", "ok"))
	f := dialFrames(t, address, client, firstWindow)
	// net/http adds what ten lines of a header count for beyond their bytes.
	for setting, want := range map[uint16]int{settingStreams: 7, settingHeaderList: 5000 + 10*32, settingFrame: 16 << 10, settingWindow: 4 << 10} {
		if got := f.settings[setting]; got != want {
			t.Errorf("setting %d: got %d, want %d", setting, got, want)
		}
	}
}

func isTimeout(err error) bool {
	var network net.Error
	return errors.As(err, &network) && network.Timeout()
}

func TestLargeBodyIsCut(t *testing.T) {
	limits := DefaultLimits()
	limits.Body = 16
	r := start(t, zap.NewNop(), limits, http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		if _, err := io.ReadAll(request.Body); err != nil {
			http.Error(w, err.Error(), http.StatusRequestEntityTooLarge)
		}
	}))
	answer, err := http.Post("http://"+r.address+"/", "text/plain", strings.NewReader(strings.Repeat("x", 17)))
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusRequestEntityTooLarge {
		t.Errorf("body of 17 bytes under a limit of 16: got status %d, want 413", answer.StatusCode)
	}
}
