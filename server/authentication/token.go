package authentication

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sync/singleflight"
	authentication "k8s.io/api/authentication/v1"
	"k8s.io/apimachinery/pkg/util/cache"
)

// Reviewer tells whose a token is. Its error means that this could not be found out.
type Reviewer interface {
	Token(ctx context.Context, spec authentication.TokenReviewSpec) (authentication.TokenReviewStatus, error)
}

const (
	// keptTokens is how many answers are kept. A node has a handful of scrapers; more are a flood, which is not to cost memory.
	keptTokens = 1024
	// refusedTTL is how long a refusal is kept at most: a token may become valid, and one that is tried over and over should not
	// be asked for each time.
	refusedTTL = 10 * time.Second
	// reviewPatience is how long a review may take for all who wait for it.
	reviewPatience = 12 * time.Second
)

// tokens has bearer tokens reviewed, and keeps the answers.
type tokens struct {
	reviewer  Reviewer
	audiences []string
	ttl       time.Duration
	log       *zap.Logger
	limit     *limit

	// answers are by a keyed hash of the token: no token is kept, and nobody can choose one that meets another's.
	key     []byte
	answers *cache.LRUExpireCache
	flights singleflight.Group
	reviews ReviewCounter
}

// answer is what is known of a token: a user, or why there is none.
type answer struct {
	user    *User
	refused string
}

func newTokens(options Options) *tokens {
	log := options.Log
	if log == nil {
		log = zap.NewNop()
	}
	t := &tokens{
		reviewer: options.Tokens, audiences: options.Audiences, ttl: options.CacheTTL, log: log, limit: newLimit(),
		key: make([]byte, sha256.Size), answers: cache.NewLRUExpireCache(keptTokens),
	}
	_, _ = rand.Read(t.key) // it never fails: it ends the program instead
	return t
}

// authenticate returns the token's user, from memory if it can. client is the address that sent it. The error is a [*Refused].
func (t *tokens) authenticate(ctx context.Context, token, client string) (*User, error) {
	hash := hmac.New(sha256.New, t.key)
	hash.Write([]byte(token))
	key := string(hash.Sum(nil))
	if kept, ok := t.answers.Get(key); ok {
		t.reviews.Kept()
		return kept.(answer).result()
	}
	// Who waits for a review that is under way takes part in it for nothing.
	flight := t.flights.DoChan(key, func() (any, error) {
		if kept, ok := t.answers.Get(key); ok {
			return kept, nil
		}
		done, err := t.limit.take(client)
		if err != nil {
			return nil, err
		}
		defer done()
		// The one whose request began the review may leave; the others still want it.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), reviewPatience)
		defer cancel()
		return t.review(ctx, key, token)
	})
	select {
	case result := <-flight:
		if result.Err != nil {
			return nil, result.Err
		}
		return result.Val.(answer).result()
	case <-ctx.Done():
		return nil, &Refused{Reason: "bearer token: the review was not awaited", Err: context.Cause(ctx)}
	}
}

// review asks for a token and keeps the answer, if there was one.
func (t *tokens) review(ctx context.Context, key, token string) (answer, error) {
	status, err := t.reviewer.Token(ctx, authentication.TokenReviewSpec{Token: token, Audiences: t.audiences})
	if err != nil {
		t.reviews.Failed()
		t.log.Warn("a bearer token could not be reviewed, and was refused; the API server must answer, and let this agent create tokenreviews "+
			"(cluster role system:auth-delegator)", zap.Error(err))
		return answer{}, &Refused{Reason: "bearer token: the API server could not be asked", Err: err}
	}
	a := t.judge(status)
	t.reviews.Answered(a.user != nil)
	ttl := t.ttl
	if a.user == nil {
		ttl = min(ttl, refusedTTL)
	}
	if ttl > 0 {
		t.answers.Add(key, a, ttl)
	}
	return a, nil
}

// judge turns the API server's word into an answer.
func (t *tokens) judge(status authentication.TokenReviewStatus) answer {
	switch {
	case !status.Authenticated:
		return answer{refused: "bearer token: the API server does not know it, or no longer"}
	case status.User.Username == "":
		return answer{refused: "bearer token: it has no user"}
	// An API server that does not know of audiences returns none, and has checked none.
	case len(t.audiences) > 0 && !slices.ContainsFunc(status.Audiences, func(audience string) bool { return slices.Contains(t.audiences, audience) }):
		return answer{refused: fmt.Sprintf("bearer token: it is for none of the audiences %q", t.audiences)}
	}
	user := &User{Name: status.User.Username, UID: status.User.UID, Groups: status.User.Groups}
	if len(status.User.Extra) > 0 {
		user.Extra = make(map[string][]string, len(status.User.Extra))
		for key, values := range status.User.Extra {
			user.Extra[key] = values
		}
	}
	return answer{user: known(user)}
}

func (a answer) result() (*User, error) {
	if a.user == nil {
		return nil, &Refused{Reason: a.refused}
	}
	return a.user, nil
}

// errTooMany is the cause of a refusal of a client that asks too often.
var errTooMany = errors.New("too many tokens to review")
