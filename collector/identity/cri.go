package identity

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"go.uber.org/zap"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// runtimeName is the name of the container runtime in SourceState.
const runtimeName = "cri"

// Runtime tells an Index of the pods and containers that the container runtime has, through the Container Runtime Interface. It
// lists them once a minute while somebody asks, at once when the Index meets a container that it does not know, and
// when the runtime tells of a change. It changes nothing in the runtime. It is safe for concurrent use.
type Runtime struct {
	index *Index
	log   *zap.Logger
	dial  dialer
	// patience is how long one call may take, measuring one that has the runtime measure every container, thorough how long those
	// that only make names better may take together.
	patience, measuring, thorough time.Duration
	// gap is the least time between the beginnings of two lists, period that between lists that nothing asks for, and away how long after a
	// runtime gave none it is asked for another.
	gap, period, away time.Duration

	// wake has a message when a list is wanted soon, connected when there is a new connection.
	wake, connected chan struct{}
	// turn is held by whoever lists; it guards listed and details.
	turn    chan struct{}
	listed  time.Time
	details details

	mutex      sync.Mutex
	connection *connection
}

// quiet is how long after the last question the index is kept current.
const quiet = 2 * time.Minute

// NewRuntime makes a source of the runtime behind the first of these sockets that serves the Container Runtime Interface ("unix://"
// may stand before a path). Which one that is, is found out when it is needed, and again whenever the connection is lost.
func NewRuntime(sockets []string, index *Index, log *zap.Logger) *Runtime {
	return &Runtime{
		index: index, log: log, dial: dialer{sockets: sockets},
		patience: 5 * time.Second, measuring: 15 * time.Second, thorough: 2 * time.Second,
		gap: time.Second, period: time.Minute, away: 10 * time.Second,
		details: details{patience: 500 * time.Millisecond, retry: time.Second},
		wake:    make(chan struct{}, 1), connected: make(chan struct{}, 1), turn: make(chan struct{}, 1),
	}
}

// Run keeps the Index current until ctx ends, whatever happens to the runtime. It returns the error of ctx.
func (r *Runtime) Run(ctx context.Context) error {
	var events sync.WaitGroup
	defer r.close()
	defer events.Wait()
	events.Go(func() { r.followEvents(ctx) })

	timer := time.NewTimer(0)
	defer timer.Stop()
	// What a list does not name is asked for again soon, and then less and less often: a container's cgroup may be there before
	// the runtime lists it.
	var again time.Duration
	var generation uint64
	due := true
	for ctx.Err() == nil {
		wait := r.period
		if due {
			r.pause(ctx)
			if r.Refresh(ctx) == nil { // the index has the error
				wait = min(wait, r.untilDetails())
			} else {
				wait = min(wait, r.away)
			}
		}
		if again > 0 && again < r.period && r.index.generation.Load() == generation {
			wait, again = min(wait, again), 2*again
		} else {
			again = 0
		}
		timer.Reset(wait)
		select {
		case <-ctx.Done():
		case <-timer.C:
			due = again > 0 || r.index.askedWithin(quiet) || !r.isConnected()
		case <-r.index.unknown:
			due, again, generation = true, r.gap, r.index.generation.Load()
		case <-r.wake:
			due = true
		}
	}
	return ctx.Err()
}

// pause waits until the gap after the last list is over.
func (r *Runtime) pause(ctx context.Context) {
	r.turn <- struct{}{}
	left := r.gap - time.Since(r.listed)
	<-r.turn
	if left <= 0 {
		return
	}
	timer := time.NewTimer(left)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

// untilDetails returns how long until a detail that there was no answer to is asked for again, and the period if there is none.
func (r *Runtime) untilDetails() time.Duration {
	r.turn <- struct{}{}
	defer func() { <-r.turn }()
	if next := r.details.next(); !next.IsZero() {
		return max(time.Until(next), 0)
	}
	return r.period
}

// Refresh lists now. If the last list began less than a second ago, it leaves that to Run and returns at once. Of concurrent calls
// one lists, and the others wait for it. It returns an error if the runtime is not there or does not answer; the Index then
// keeps what it knew.
func (r *Runtime) Refresh(ctx context.Context) error {
	select {
	case r.turn <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-r.turn }()
	if time.Since(r.listed) < r.gap {
		signal(r.wake)
		return nil
	}
	r.listed = time.Now()
	err := r.list(ctx)
	if err != nil && status.Code(err) == codes.Unavailable {
		// It was restarted since the last time, most likely.
		err = r.list(ctx)
	}
	switch {
	case err == nil:
		if r.index.heard(runtimeName) {
			r.log.Info("the container runtime answers; names of containers are current")
		}
	case errors.Is(ctx.Err(), context.Canceled):
		// We, or the caller, are ending; that tells nothing of the runtime.
	case r.index.lost(runtimeName, err):
		r.log.Warn("the container runtime gives no containers; the last known names stay, and it is asked again", zap.Error(err))
	}
	return err
}

// list takes over what the runtime has now.
func (r *Runtime) list(ctx context.Context) error {
	c, err := r.connect(ctx)
	if err != nil {
		return err
	}
	// Containers first: a sandbox is there before its containers, so each container's is found in the later list.
	var containers *cri.ListContainersResponse
	err = r.call(ctx, c, r.patience, "list containers", func(ctx context.Context) (err error) {
		containers, err = c.runtime.ListContainers(ctx, &cri.ListContainersRequest{})
		return err
	})
	if err != nil {
		return err
	}
	var sandboxes *cri.ListPodSandboxResponse
	err = r.call(ctx, c, r.patience, "list pod sandboxes", func(ctx context.Context) (err error) {
		sandboxes, err = c.runtime.ListPodSandbox(ctx, &cri.ListPodSandboxRequest{})
		return err
	})
	if err != nil {
		return err
	}
	patient, cancel := context.WithTimeout(ctx, r.thorough)
	defer cancel()
	if !r.details.complete(patient, c, sandboxes.GetItems(), containers.GetContainers()) && ctx.Err() == nil {
		signal(r.wake)
	}
	r.index.replace(fromRuntime, r.details.reports(c, sandboxes.GetItems(), containers.GetContainers()))
	return nil
}

// call makes one call with a deadline of its own, and gives up the connection if that is broken.
func (r *Runtime) call(
	ctx context.Context, c *connection, patience time.Duration, what string, do func(context.Context) error,
) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	err := do(ctx)
	if err == nil {
		return nil
	}
	if status.Code(err) == codes.Unavailable {
		r.drop(c)
	}
	return fmt.Errorf("%s at %s: %w", what, c.socket, err)
}

// signal sends a message on a channel that keeps one.
func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
