package prometheus

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"runtime"
	"sync"

	"golang.org/x/sys/unix"
)

// Relay stands between Prometheus and what it scrapes. It passes everything on as it is, and counts what goes over the wire. Its methods are
// safe for concurrent use.
type Relay struct {
	// Address is where it listens: HOST:PORT, in the network namespace of the process that it was made with.
	Address string

	listener net.Listener
	server   *http.Server
	mutex    sync.Mutex
	traffic  map[string]*Traffic
}

// Traffic is what went over the wire for one path.
type Traffic struct {
	// Answers counts those that were passed on whole, with status 200; Failures all others.
	Answers, Failures int
	// Bytes are those of bodies, as encoded for the wire.
	Bytes int64
	// Types and Encodings count answers by Content-Type and Content-Encoding.
	Types, Encodings map[string]int
}

// NewRelay listens on a free port of the loopback interface in the network namespace of the process pid, and passes requests on to target, HOST:PORT
// there. With accept it asks for that type of content, whatever Prometheus asks for: older ones cannot be told to want another.
func NewRelay(pid int, target, accept string) (*Relay, error) {
	r := &Relay{traffic: map[string]*Traffic{}}
	err := inNetworkOf(pid, func() (err error) {
		r.listener, err = net.Listen("tcp", "127.0.0.1:0")
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("listen for a relay: %w", err)
	}
	r.Address = r.listener.Addr().String()
	proxy := &httputil.ReverseProxy{
		Rewrite: func(request *httputil.ProxyRequest) {
			request.SetURL(&url.URL{Scheme: "http", Host: target})
			if accept != "" {
				request.Out.Header.Set("Accept", accept)
			}
		},
		Transport: &http.Transport{
			DisableCompression: true,
			DialContext: func(ctx context.Context, network, address string) (conn net.Conn, err error) {
				err = inNetworkOf(pid, func() error {
					conn, err = (&net.Dialer{}).DialContext(ctx, network, address)
					return err
				})
				return conn, err
			},
		},
		ModifyResponse: func(response *http.Response) error {
			response.Body = &counted{ReadCloser: response.Body, relay: r, answer: response}
			return nil
		},
		ErrorHandler: func(w http.ResponseWriter, request *http.Request, err error) {
			r.note(request.URL.Path, func(t *Traffic) { t.Failures++ })
			http.Error(w, err.Error(), http.StatusBadGateway)
		},
	}
	r.server = &http.Server{Handler: proxy} //nolint:gosec // one client, which is ours
	go func() { _ = r.server.Serve(r.listener) }()
	return r, nil
}

// Close ends the relay.
func (r *Relay) Close() error { return r.server.Close() }

// Traffic returns what there was so far, by path.
func (r *Relay) Traffic() map[string]Traffic {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	copied := make(map[string]Traffic, len(r.traffic))
	for path, traffic := range r.traffic {
		one := *traffic
		one.Types, one.Encodings = maps.Clone(one.Types), maps.Clone(one.Encodings)
		copied[path] = one
	}
	return copied
}

func (r *Relay) note(path string, change func(*Traffic)) {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	traffic := r.traffic[path]
	if traffic == nil {
		traffic = &Traffic{Types: map[string]int{}, Encodings: map[string]int{}}
		r.traffic[path] = traffic
	}
	change(traffic)
}

// counted is the body of an answer that is passed on.
type counted struct {
	io.ReadCloser
	relay  *Relay
	answer *http.Response
	bytes  int64
	whole  bool
}

// Read implements [io.Reader].
func (c *counted) Read(b []byte) (int, error) {
	n, err := c.ReadCloser.Read(b)
	c.bytes += int64(n)
	c.whole = c.whole || err == io.EOF
	return n, err
}

// Close implements [io.Closer].
func (c *counted) Close() error {
	c.relay.note(c.answer.Request.URL.Path, func(t *Traffic) {
		t.Bytes += c.bytes
		if !c.whole || c.answer.StatusCode != http.StatusOK {
			t.Failures++
			return
		}
		t.Answers++
		t.Types[c.answer.Header.Get("Content-Type")]++
		t.Encodings[c.answer.Header.Get("Content-Encoding")]++
	})
	return c.ReadCloser.Close()
}

// inNetworkOf runs f in the network namespace of a process. The sockets that f makes stay there. Its thread goes back to its own: a thread
// that ends takes with it what it has started, as the cluster's programs.
func inNetworkOf(pid int, f func() error) error {
	there, err := os.Open(fmt.Sprintf("/proc/%d/ns/net", pid))
	if err != nil {
		return err
	}
	defer there.Close()
	result := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		result <- enter(there, f)
	}()
	return <-result
}

// enter runs f in a network namespace, and gives the thread free if it can bring it back.
func enter(there *os.File, f func() error) error {
	here, err := os.Open("/proc/thread-self/ns/net")
	if err != nil {
		runtime.UnlockOSThread()
		return err
	}
	defer here.Close()
	if err := unix.Setns(int(there.Fd()), unix.CLONE_NEWNET); err != nil {
		runtime.UnlockOSThread()
		return fmt.Errorf("enter a network namespace: %w", err)
	}
	err = f()
	if back := unix.Setns(int(here.Fd()), unix.CLONE_NEWNET); back != nil {
		return errors.Join(err, fmt.Errorf("leave a network namespace: %w", back))
	}
	runtime.UnlockOSThread()
	return err
}
