package server

import (
	"net/http"
	"sync/atomic"
)

// The reasons of refusals that have no status: no request came of the connection.
const (
	refusedConnection = "connections"
	refusedHandshake  = "tls_handshake"
)

// refusalReasons are all reasons for which clients do not get what they came for: theirs, and with unavailable that there is nothing to answer
// with, or no room to do so. Those with a status are counted where it is answered, on any endpoint.
var refusalReasons = [...]struct {
	reason string
	status int
}{
	{"bad_request", http.StatusBadRequest},
	{"unauthorized", http.StatusUnauthorized},
	{"forbidden", http.StatusForbidden},
	{"not_found", http.StatusNotFound},
	{"method_not_allowed", http.StatusMethodNotAllowed},
	{"not_acceptable", http.StatusNotAcceptable},
	{"body_too_large", http.StatusRequestEntityTooLarge},
	{"too_many_requests", http.StatusTooManyRequests},
	{"unavailable", http.StatusServiceUnavailable},
	{refusedConnection, 0},
	{refusedHandshake, 0},
}

// Refusals counts what was refused for one reason.
type Refusals struct {
	// Reason is one of few fixed words.
	Reason string
	Count  uint64
}

// refusals counts by refusalReasons. It is safe for concurrent use.
type refusals struct {
	counts [len(refusalReasons)]atomic.Uint64
}

func (r *refusals) count(reason string) {
	for i := range refusalReasons {
		if refusalReasons[i].reason == reason {
			r.counts[i].Add(1)
		}
	}
}

// answered counts an answer, if its status is that of a refusal.
func (r *refusals) answered(status int) {
	if status < http.StatusBadRequest {
		return
	}
	for i := range refusalReasons {
		if refusalReasons[i].status == status {
			r.counts[i].Add(1)
		}
	}
}

// all has every reason, also those for which nothing was refused.
func (r *refusals) all() []Refusals {
	all := make([]Refusals, len(refusalReasons))
	for i := range refusalReasons {
		all[i] = Refusals{Reason: refusalReasons[i].reason, Count: r.counts[i].Load()}
	}
	return all
}
