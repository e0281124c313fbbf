package identity

import (
	"context"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// followEvents has a list made whenever the runtime tells of a change, where it does that and to all who ask. An event is taken
// as a hint and not as news: the list that follows cannot be incomplete or out of order.
func (r *Runtime) followEvents(ctx context.Context) {
	for {
		r.mutex.Lock()
		c := r.connection
		r.mutex.Unlock()
		retry := time.Duration(-1)
		if c != nil && c.events {
			if status.Code(r.receive(ctx, c)) != codes.Unimplemented {
				// The runtime ended, or has other troubles. A list finds out which, and connects anew.
				signal(r.wake)
				retry = r.period
			}
		}
		if !r.awaitConnection(ctx, retry) {
			return
		}
	}
}

// receive takes events until there are no more, and returns why.
func (r *Runtime) receive(ctx context.Context, c *connection) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := c.runtime.GetContainerEvents(ctx, &cri.GetEventsRequest{})
	if err != nil {
		return err
	}
	for {
		if _, err := stream.Recv(); err != nil {
			return err
		}
		// When nobody asks, the next question's first unknown container is early enough.
		if r.index.askedWithin(quiet) {
			signal(r.wake)
		}
	}
}

// awaitConnection waits for a new connection, or for some time unless that is below 0. It returns false when ctx ends.
func (r *Runtime) awaitConnection(ctx context.Context, most time.Duration) bool {
	var late <-chan time.Time
	if most >= 0 {
		timer := time.NewTimer(most)
		defer timer.Stop()
		late = timer.C
	}
	select {
	case <-ctx.Done():
		return false
	case <-r.connected:
	case <-late:
	}
	return true
}
