// Package server owns listeners, routes and health. It knows nothing of metrics: what it serves, it is given.
package server

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
)

// Limits bound what a client can make the server hold or wait for.
type Limits struct {
	// ReadHeader, Read, Write and Idle are the times of [http.Server] of the same names.
	ReadHeader, Read, Write, Idle time.Duration
	// Header and Body are the largest header and body of a request, in bytes.
	Header int
	Body   int64
	// Connections is the number of connections that an endpoint keeps at a time. Beyond it the longest idle one makes way, and if
	// none is idle the new one is closed. Streams is the number of requests at a time on one connection of HTTP/2.
	Connections, Streams int
	// Drain is the time that requests in flight get to finish once the server stops.
	Drain time.Duration
}

// DefaultLimits suit scrapers: small requests, and answers that a slow link gets a minute for.
func DefaultLimits() Limits {
	return Limits{
		ReadHeader: 10 * time.Second,
		Read:       30 * time.Second,
		Write:      60 * time.Second,
		Idle:       90 * time.Second,
		// Ten times a token of a service account, which is the largest line that clients of a node send.
		Header: 16 << 10,
		Body:   1 << 20,
		// A connection that is read slowly takes 11 kB of ours (go test ./answer -v -run Slow) and sendBuffer twice of the kernel's.
		Connections: 512,
		// Whoever wants more opens another connection. Strangers can have us hold a header and what an answer takes for each (TestStrangersHoldLittleMemory).
		Streams: 4,
		Drain:   20 * time.Second,
	}
}

// http2 are the limits as HTTP/2 has them. By itself net/http would take frames and bodies of a megabyte each on every connection, and keep
// both although nobody reads them. The form of a request for /stats/summary is smaller as a rule.
func (l *Limits) http2() *http.HTTP2Config {
	return &http.HTTP2Config{MaxConcurrentStreams: l.Streams, MaxReadFrameSize: 16 << 10, MaxReceiveBufferPerStream: 4 << 10}
}

// Endpoint is a listener and what answers on it.
type Endpoint struct {
	// Name tells endpoints apart in logs and errors.
	Name string
	// Listener is bound already, by [Listen]. The server closes it.
	Listener net.Listener
	// TLS is spoken on the listener; nil: plain HTTP.
	TLS *tls.Config
	// Handler answers; usually a [Mux].
	Handler http.Handler
	// Last keeps the endpoint open until requests in flight on all others are finished, so that there is somewhere to ask [Server.Check].
	Last bool
}

// Server serves several endpoints until it is told to stop. Its methods are safe for concurrent use.
type Server struct {
	log       *zap.Logger
	limits    Limits
	endpoints []Endpoint
	draining  atomic.Bool
	refusals  refusals
}

// New makes a server. It serves nothing before [Server.Add] and [Server.Run].
func New(log *zap.Logger, limits Limits) *Server {
	return &Server{log: log, limits: limits}
}

// Add takes an endpoint. It must not be called once Run was.
func (s *Server) Add(endpoint Endpoint) { s.endpoints = append(s.endpoints, endpoint) }

// Check fails while the server drains, so that /readyz takes this node's agent out of use first.
func (s *Server) Check() Check {
	return Check{Name: "shutdown", Check: func(context.Context) error {
		if s.draining.Load() {
			return errors.New("the server is draining")
		}
		return nil
	}}
}

// Refused counts what was refused since the start on all endpoints together, by reason: always the same reasons, in the same order. A
// header that is too large is not among them, since net/http answers that by itself.
func (s *Server) Refused() []Refusals { return s.refusals.all() }

// Run serves every endpoint until ctx ends, then stops taking connections, lets requests in flight finish within
// Limits.Drain, on endpoints that are Last after all others, and returns nil. An error means that an endpoint broke, or that the drain took too long and
// was cut. All listeners are closed when it returns.
func (s *Server) Run(ctx context.Context) error {
	servers := make([]*http.Server, len(s.endpoints))
	for i, endpoint := range s.endpoints {
		connections := newConnections(s.limits.Connections, &s.refusals, s.log.With(zap.String("endpoint", endpoint.Name)))
		servers[i] = &http.Server{
			Handler:   wrap(s.log, s.limits, &s.refusals, endpoint.Handler),
			ConnState: connections.changed,
			// Else "OPTIONS *" is answered by net/http: to everyone, uncounted, with 200.
			DisableGeneralOptionsHandler: true,

			HTTP2:             s.limits.http2(),
			ReadHeaderTimeout: s.limits.ReadHeader,
			ReadTimeout:       s.limits.Read,
			WriteTimeout:      s.limits.Write,
			IdleTimeout:       s.limits.Idle,
			MaxHeaderBytes:    s.limits.Header,
			ErrorLog:          errorLog(s.log.Named("http").With(zap.String("endpoint", endpoint.Name)), &s.refusals),
		}
	}
	broken := make(chan error, len(servers))
	for i, server := range servers {
		endpoint := s.endpoints[i]
		listener := endpoint.Listener
		if endpoint.TLS != nil {
			// Outermost: net/http knows a connection of TLS, and with it HTTP/2, by its type.
			listener = tls.NewListener(listener, endpoint.TLS)
		}
		go func() {
			if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
				broken <- fmt.Errorf("serve %s on %s: %w", endpoint.Name, endpoint.Listener.Addr(), err)
			}
		}()
	}
	var cause error
	select {
	case <-ctx.Done():
	case cause = <-broken:
	}
	return errors.Join(cause, s.drain(context.WithoutCancel(ctx), servers))
}

// drain stops the servers side by side, and those that are to be last after them. The deadline is one for all.
func (s *Server) drain(ctx context.Context, servers []*http.Server) error {
	s.draining.Store(true)
	ctx, cancel := context.WithTimeout(ctx, s.limits.Drain)
	defer cancel()
	failures := make([]error, len(servers))
	for _, last := range []bool{false, true} {
		var group sync.WaitGroup
		for i, server := range servers {
			if s.endpoints[i].Last != last {
				continue
			}
			group.Go(func() {
				if err := server.Shutdown(ctx); err != nil {
					_ = server.Close() // cuts what is left; the drain's error is the one to tell
					failures[i] = fmt.Errorf("drain %s: cut after %s: %w", s.endpoints[i].Name, s.limits.Drain, err)
				}
			})
		}
		group.Wait()
	}
	return errors.Join(failures...)
}
