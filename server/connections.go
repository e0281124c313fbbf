package server

import (
	"net"
	"net/http"
	"sync"
	"time"

	"go.uber.org/zap"
)

// connections keeps an endpoint to a number of connections. It goes by what [http.Server] tells of their state, so that it holds for TLS
// as well. It is safe for concurrent use.
type connections struct {
	limit    int
	refusals *refusals
	log      *zap.Logger

	mutex sync.Mutex
	// open has all connections; those that wait for a request have the time since when.
	open map[net.Conn]time.Time
}

func newConnections(limit int, refusals *refusals, log *zap.Logger) *connections {
	return &connections{limit: limit, refusals: refusals, log: log, open: make(map[net.Conn]time.Time)}
}

// changed is the [http.Server.ConnState] of the endpoint.
func (c *connections) changed(connection net.Conn, state http.ConnState) {
	switch state {
	case http.StateNew:
		// The server's own goroutine finds it closed, and says so here.
		switch surplus := c.admit(connection); surplus {
		case nil:
		case connection:
			c.refusals.count(refusedConnection)
			c.log.Warn("a connection was refused, since as many are open as may be; see who connects, or raise --max-connections",
				zap.Stringer("client", connection.RemoteAddr()), zap.Int("open", c.limit))
			_ = surplus.Close() // nobody waits for what it could say
		default:
			// TLS says goodbye first, which may take a while, and here nobody else can connect.
			go surplus.Close()
		}
	case http.StateIdle:
		c.note(connection, time.Now())
	case http.StateActive:
		c.note(connection, time.Time{})
	case http.StateClosed, http.StateHijacked:
		c.mutex.Lock()
		delete(c.open, connection)
		c.mutex.Unlock()
	}
}

// note sets since when a connection is idle.
func (c *connections) note(connection net.Conn, idle time.Time) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	if _, ok := c.open[connection]; ok {
		c.open[connection] = idle
	}
}

// admit counts a new connection. It returns the one to close for it, which may be itself.
func (c *connections) admit(connection net.Conn) (surplus net.Conn) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	if len(c.open) >= c.limit {
		surplus = c.longestIdle()
		if surplus == nil {
			return connection
		}
		delete(c.open, surplus)
	}
	c.open[connection] = time.Time{}
	return surplus
}

func (c *connections) longestIdle() (longest net.Conn) {
	var since time.Time
	for connection, idle := range c.open {
		if !idle.IsZero() && (longest == nil || idle.Before(since)) {
			longest, since = connection, idle
		}
	}
	return longest
}
