// Package answer sends bodies that many clients ask for at once, in bounded memory.
//
// A body is made once for all requests that want the same one in the same encoding. What a client holds while it
// reads, however slowly, is a reference to a body that it shares with others. Few bodies are made at a time, and those that are being
// sent may take so many bytes; beyond that requests wait, and are refused in the end. Buffers serve again once the last reader is done.
//
// The package knows nothing of what it sends but its type: gzip of text of metrics is made by a compressor for such text.
package answer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"strconv"
	"sync"
	"time"

	"go.uber.org/zap"
)

// Key says which body is meant. Two answers of the same key have the same body.
type Key struct {
	// Path is the endpoint's.
	Path string
	// Of numbers what is shown, such as the sequence of a snapshot. 0: it has no number, and each request has a body made for itself.
	Of uint64
	// Variant is everything else that the body depends on: format, parameters. It must be comparable, or Serve panics.
	Variant any
}

// Answer is a body that can be made, and its type.
type Answer struct {
	Key Key
	// ContentType is the value of the header. It also tells how the body is compressed best.
	ContentType string
	// From is what the body is made of, which is used while it is made, also after whoever asked has left it to others; nil: nothing that ends.
	From Origin
	// Append appends the body to buffer and returns it. It runs in a goroutine of its own, for all who wait, and at most once at a
	// time for a key that has a number. An error of it is answered with 500 and its text; the next request has it called again.
	Append func(buffer []byte) ([]byte, error)
	// Write, if there is one, writes the same body in pieces, for an encoding to be made of it while it is rendered: a large body then never
	// stands whole in memory beside its compressed form. It runs as Append does, once for each encoding.
	Write func(to io.Writer) error
}

// Origin is what bodies are made of, such as a snapshot whose memory serves again.
type Origin interface {
	// Use makes the caller a user. It returns false if it was over before, and then nobody waits for a body of it: who does uses it too.
	Use() bool
	// Done ends a use.
	Done()
}

// Options bound a Store. Zero values take the defaults.
type Options struct {
	// Makers is how many bodies are rendered or compressed at a time. Default: 2, or the number of processors if that is less.
	Makers int
	// Bytes is how much the bodies that are being made and sent may take together. A single one is let through whatever its size.
	// Default: 64 MiB.
	Bytes int
	// Wait is how long a request waits for its turn before it gets 503. Default: 10 s.
	Wait time.Duration
	// Keep is how long a buffer that nobody needs is kept for the next body. Default: 1 min.
	Keep time.Duration
	// Log takes what an operator can act on; nil is silence.
	Log *zap.Logger
}

func (o Options) withDefaults() Options {
	if o.Makers == 0 {
		o.Makers = min(2, runtime.GOMAXPROCS(0))
	}
	if o.Bytes == 0 {
		o.Bytes = 64 << 20
	}
	if o.Wait == 0 {
		o.Wait = 10 * time.Second
	}
	if o.Keep == 0 {
		o.Keep = time.Minute
	}
	if o.Log == nil {
		o.Log = zap.NewNop()
	}
	return o
}

// Stats are the figures of a Store.
type Stats struct {
	// Rendered and Compressed count bodies made, Shared requests that were given another's, Refused those that got 503.
	Rendered, Compressed, Shared, Refused uint64
	// Readers is how many requests wait for a body or are being sent one, Bytes what these bodies take.
	Readers, Bytes int
}

// Store makes bodies and keeps them as long as somebody reads them. It is safe for concurrent use.
type Store struct {
	options     Options
	makers      chan struct{}
	compressors compressors

	// mutex guards what follows. It is never held while a body is made or sent.
	mutex sync.Mutex
	// bodies are those that are being made or sent and can be shared.
	bodies map[bodyKey]*body
	// sizes is how long a body of each kind last was, so that a new buffer need not grow by doubling.
	sizes map[bodyKey]int
	idle  idle
	// freed is closed when bytes become free, and then replaced.
	freed chan struct{}
	stats Stats
}

// NewStore makes a Store.
func NewStore(options Options) *Store {
	options = options.withDefaults()
	return &Store{
		options: options,
		makers:  make(chan struct{}, options.Makers),
		bodies:  make(map[bodyKey]*body),
		sizes:   make(map[bodyKey]int),
		freed:   make(chan struct{}),
	}
}

// Stats returns the present figures.
func (s *Store) Stats() Stats {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	return s.stats
}

var (
	// errNoRoom ends the wait of a request whose turn does not come.
	errNoRoom = errors.New("no room for another answer")
	// errGone ends that of a client which did not stay for it.
	errGone = errors.New("the request ended first")
)

// Serve answers a GET or HEAD, or a POST that changes nothing, with 200 and the body in the encoding that the client likes best. It
// returns once the client has the body or is gone. A client that accepts no encoding there is gets 406, one whose turn does not come
// 503 with Retry-After, and one whose body could not be made 500, each with one line.
func (s *Store) Serve(w http.ResponseWriter, r *http.Request, a Answer) {
	header := w.Header()
	header.Add("Vary", "Accept-Encoding")
	encoding, ok := negotiate(r.Header["Accept-Encoding"])
	if !ok {
		http.Error(w, "406: Not Acceptable: there are zstd, gzip and identity", http.StatusNotAcceptable)
		return
	}
	b := s.acquire(bodyKey{Key: a.Key, encoding: encoding}, a)
	s.count(1)
	sent := true
	defer func() {
		s.count(-1)
		s.release(b, sent)
	}()
	if err := s.wait(r.Context(), b); err != nil {
		s.refuse(w, err)
		return
	}
	header.Set("Content-Type", a.ContentType)
	header.Set("Content-Length", strconv.Itoa(len(b.bytes)))
	if encoding != identity {
		header.Set("Content-Encoding", encoding.String())
	}
	if r.Method == http.MethodHead {
		return
	}
	// HTTP/2 may return an error while it still reads what it was given, so then the buffer must not serve again.
	sent = false
	_, err := w.Write(b.bytes)
	sent = err == nil
}

// count notes that so many more requests are there.
func (s *Store) count(readers int) {
	s.mutex.Lock()
	s.stats.Readers += readers
	s.mutex.Unlock()
}

// wait returns once the body is made. It gives up with ctx, or when the making has not begun within Options.Wait.
func (s *Store) wait(ctx context.Context, b *body) error {
	timer := time.NewTimer(s.options.Wait)
	defer timer.Stop()
	expired := timer.C
	for {
		select {
		case <-b.done:
			return b.err
		case <-ctx.Done():
			return fmt.Errorf("%w: %w", errGone, context.Cause(ctx))
		case <-expired:
			if !s.started(b) {
				return errNoRoom
			}
			// It is being made: that ends, and soon.
			expired = nil
		}
	}
}

// refuse answers for a body that there is not.
func (s *Store) refuse(w http.ResponseWriter, err error) {
	switch {
	case errors.Is(err, errNoRoom):
		line := s.refusal()
		w.Header().Set("Retry-After", "5")
		http.Error(w, "503: "+line, http.StatusServiceUnavailable)
	case errors.Is(err, errGone):
		http.Error(w, "503: "+err.Error(), http.StatusServiceUnavailable)
	default:
		http.Error(w, "500: "+err.Error(), http.StatusInternalServerError)
	}
}

// refusal counts a refusal and says why it was.
func (s *Store) refusal() string {
	s.mutex.Lock()
	s.stats.Refused++
	readers, bytes := s.stats.Readers, s.stats.Bytes
	s.mutex.Unlock()
	s.options.Log.Warn("a request was refused, since answers that others read slowly take all the memory there is for them; see who connects",
		zap.Int("requests", readers), zap.Int("bytes", bytes), zap.Int("limit", s.options.Bytes))
	return fmt.Sprintf("%v within %s: %d requests hold %d bytes, of at most %d; ask again later", errNoRoom, s.options.Wait, readers, bytes, s.options.Bytes)
}
