package main

import (
	"net/http"
	"sync/atomic"
)

// outcome is how a request came out.
type outcome uint8

const (
	success outcome = iota
	clientError
	serverError
	canceled
	outcomeCount
)

// outcomeNames are the words of the label.
var outcomeNames = [outcomeCount]string{"success", "client_error", "server_error", "canceled"}

// scrapeCount counts the requests of one path by outcome.
type scrapeCount struct {
	path   string
	counts [outcomeCount]atomic.Uint64
}

// counted makes a handler count its requests for the agent's own metrics.
func (a *agent) counted(path string, handler http.Handler) http.Handler {
	scrape := &scrapeCount{path: path}
	a.scrapes = append(a.scrapes, scrape)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		answer := &countedAnswer{ResponseWriter: w, request: r}
		// A handler that panics has not answered, and its request counts all the same.
		ended := false
		defer func() { scrape.counts[answer.outcome(ended)].Add(1) }()
		handler.ServeHTTP(answer, r)
		ended = true
	})
}

// countedAnswer remembers how an answer went. It is not safe for concurrent use, as no ResponseWriter is.
type countedAnswer struct {
	http.ResponseWriter
	request *http.Request
	status  int
	// gone tells that the client had hung up before the newest part of the answer was written, or would not take it. One that hangs up after the
	// last part has its answer.
	gone bool
}

// outcome judges an answer once its handler has returned, or has not, if ended is false.
func (a *countedAnswer) outcome(ended bool) outcome {
	switch {
	case a.gone || a.status == 0 && a.request.Context().Err() != nil:
		return canceled
	case !ended || a.status >= http.StatusInternalServerError:
		return serverError
	case a.status >= http.StatusBadRequest:
		return clientError
	}
	return success
}

// WriteHeader implements [http.ResponseWriter].
func (a *countedAnswer) WriteHeader(status int) {
	if a.status == 0 {
		a.status = status
	}
	a.gone = a.gone || a.request.Context().Err() != nil
	a.ResponseWriter.WriteHeader(status)
}

// Write implements [http.ResponseWriter].
func (a *countedAnswer) Write(b []byte) (int, error) {
	if a.status == 0 {
		a.status = http.StatusOK
	}
	a.gone = a.gone || a.request.Context().Err() != nil
	n, err := a.ResponseWriter.Write(b)
	a.gone = a.gone || err != nil
	return n, err
}

// Unwrap lets [http.ResponseController] reach the connection.
func (a *countedAnswer) Unwrap() http.ResponseWriter { return a.ResponseWriter }
