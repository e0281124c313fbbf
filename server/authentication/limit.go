package authentication

import (
	"net/netip"
	"sync"

	"golang.org/x/time/rate"
	"k8s.io/utils/lru"
)

// What one client, and all together, may have reviewed. Only tokens that are not in memory count: a scraper needs one review in
// each TTL.
const (
	clientRate  = 2  // a second
	clientBurst = 20 // at once
	inFlight    = 64 // of all clients, at one time
	keptClients = 1024
)

// limit keeps a flood of tokens from the API server, and one client's flood from the others.
type limit struct {
	slots chan struct{}

	mutex   sync.Mutex
	clients *lru.Cache
}

func newLimit() *limit {
	return &limit{slots: make(chan struct{}, inFlight), clients: lru.New(keptClients)}
}

// take lets a client at this remote address have a token reviewed. done is to be called once it is.
func (l *limit) take(client string) (done func(), err error) {
	if !l.of(network(client)).Allow() {
		return nil, &Refused{Reason: "bearer token: too many from this address", TooMany: true, Err: errTooMany}
	}
	select {
	case l.slots <- struct{}{}:
		return func() { <-l.slots }, nil
	default:
		return nil, &Refused{Reason: "bearer token: too many are being reviewed", TooMany: true, Err: errTooMany}
	}
}

func (l *limit) of(network netip.Prefix) *rate.Limiter {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	if kept, ok := l.clients.Get(network); ok {
		return kept.(*rate.Limiter)
	}
	fresh := rate.NewLimiter(clientRate, clientBurst)
	l.clients.Add(network, fresh)
	return fresh
}

// network is what one client has in its hand: an IPv4 address, or an IPv6 network of 64 bits. Clients without an address are one.
func network(client string) netip.Prefix {
	at, err := netip.ParseAddrPort(client)
	if err != nil {
		return netip.Prefix{}
	}
	address := at.Addr().Unmap()
	bits := 32
	if address.Is6() {
		bits = 64
	}
	prefix, err := address.WithZone("").Prefix(bits)
	if err != nil {
		return netip.Prefix{}
	}
	return prefix
}
