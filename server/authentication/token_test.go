package authentication

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	authentication "k8s.io/api/authentication/v1"
)

// A refusal is kept for ten seconds, however long a yes is: a token that becomes valid is let in soon, and one that is tried over and over is not
// asked for each time.
func TestRefusalsAreKeptForTenSeconds(t *testing.T) {
	for name, one := range map[string]struct{ ttl, kept time.Duration }{
		"long TTL":  {time.Hour, 10 * time.Second},
		"short TTL": {time.Second, time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				stranger, jane := knows("another"), knows("late")
				var valid atomic.Bool
				r := &reviewer{answer: func(ctx context.Context, spec authentication.TokenReviewSpec) (authentication.TokenReviewStatus, error) {
					if valid.Load() {
						return jane.answer(ctx, spec)
					}
					return stranger.answer(ctx, spec)
				}}
				a := New(Options{Tokens: r, CacheTTL: one.ttl})
				refused := func() {
					t.Helper()
					user, err := a.Authenticate(request("late"))
					refusedBecause(t, user, err, "does not know it")
				}
				refused()
				valid.Store(true)
				time.Sleep(one.kept)
				refused()
				if got := r.asked.Load(); got != 1 {
					t.Errorf("asked %d times within %s, want once", got, one.kept)
				}
				time.Sleep(time.Millisecond)
				if user, err := a.Authenticate(request("late")); err != nil || user.Name != "jane" {
					t.Errorf("got %+v, %v after %s, want jane", user, err, one.kept)
				}
				// A yes is kept for the whole TTL.
				time.Sleep(one.ttl)
				if _, err := a.Authenticate(request("late")); err != nil || r.asked.Load() != 2 {
					t.Errorf("got %v after asking %d times, want jane after 2", err, r.asked.Load())
				}
				time.Sleep(time.Millisecond)
				if _, err := a.Authenticate(request("late")); err != nil || r.asked.Load() != 3 {
					t.Errorf("got %v after asking %d times, want jane after 3", err, r.asked.Load())
				}
			})
		})
	}
}
