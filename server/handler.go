package server

import (
	"net/http"
	"runtime/debug"
	"time"

	"go.uber.org/zap"
)

// wrap puts around a handler what every endpoint needs: a limit on bodies and a net under panics.
func wrap(log *zap.Logger, limits Limits, refusals *refusals, handler http.Handler) http.Handler {
	return http.MaxBytesHandler(&guard{log: log, refusals: refusals, next: handler}, limits.Body)
}

// guard answers 500 for a handler that panics, counts refusals, and logs requests at debug level.
type guard struct {
	log      *zap.Logger
	refusals *refusals
	next     http.Handler
}

func (g *guard) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	response := &response{ResponseWriter: w}
	start := time.Now()
	defer func() {
		recovered := recover()
		if recovered == http.ErrAbortHandler { //nolint:errorlint // the value itself, as net/http compares it
			panic(recovered)
		}
		if recovered != nil {
			g.log.Error("handler panicked", zap.String("path", r.URL.Path), zap.Any("panic", recovered), zap.ByteString("stack", debug.Stack()))
			if response.status != 0 {
				// Half an answer is out. Cutting the connection is the one way left to tell the client that it is not whole.
				panic(http.ErrAbortHandler)
			}
			http.Error(response, http.StatusText(http.StatusInternalServerError), http.StatusInternalServerError)
		}
		g.refusals.answered(response.status)
		if entry := g.log.Check(zap.DebugLevel, "request"); entry != nil {
			entry.Write(zap.String("method", r.Method), zap.String("path", r.URL.Path), zap.Int("status", response.status),
				zap.String("client", r.RemoteAddr), zap.Duration("took", time.Since(start)))
		}
	}()
	g.next.ServeHTTP(response, r)
}

// response remembers whether and how an answer began. Not safe for concurrent use, as no ResponseWriter is.
type response struct {
	http.ResponseWriter
	status int
}

// WriteHeader implements [http.ResponseWriter].
func (r *response) WriteHeader(status int) {
	if r.status == 0 {
		r.status = status
	}
	r.ResponseWriter.WriteHeader(status)
}

// Write implements [http.ResponseWriter].
func (r *response) Write(b []byte) (int, error) {
	if r.status == 0 {
		r.status = http.StatusOK
	}
	return r.ResponseWriter.Write(b)
}

// Unwrap lets [http.ResponseController] reach the connection.
func (r *response) Unwrap() http.ResponseWriter { return r.ResponseWriter }
