package authorization

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sync/singleflight"
	authorization "k8s.io/api/authorization/v1"
	"k8s.io/apimachinery/pkg/util/cache"

	"github.com/nodevitals/nodevitals/server/authentication"
)

// Reviewer tells what somebody may do. Its error means that this could not be found out.
type Reviewer interface {
	Access(ctx context.Context, spec authorization.SubjectAccessReviewSpec) (authorization.SubjectAccessReviewStatus, error)
}

const (
	// keptReviews is how many answers are kept: users times rights.
	keptReviews = 1024
	// largestKey is the longest question whose answer is kept, in bytes: groups and extras are the user's to choose, in part.
	largestKey = 10_000
	// reviewPatience is how long a review may take for all who wait for it.
	reviewPatience = 12 * time.Second
)

// Options say who decides.
type Options struct {
	// NodeName is this node's, at the API server.
	NodeName string
	// Access reviews rights. Nil: every user may do everything.
	Access Reviewer
	// AllowTTL and DenyTTL are how long the API server's yes and no are kept. 0: it is asked each time.
	AllowTTL, DenyTTL time.Duration
	// Log takes what an operator should know; nil: nothing.
	Log *zap.Logger
}

// Authorizer decides what users may do with this node. Its methods are safe for concurrent use.
type Authorizer struct {
	options Options
	log     *zap.Logger
	answers *cache.LRUExpireCache
	flights singleflight.Group
	reviews authentication.ReviewCounter
}

// New makes an Authorizer.
func New(options Options) *Authorizer {
	log := options.Log
	if log == nil {
		log = zap.NewNop()
	}
	return &Authorizer{options: options, log: log, answers: cache.NewLRUExpireCache(keptReviews)}
}

// Authorize tells whether a user has the right to verb on a subresource of this node. An error means that it could not be found out;
// it is not kept.
func (a *Authorizer) Authorize(ctx context.Context, user *authentication.User, verb, subresource string) (bool, error) {
	if a.options.Access == nil {
		return true, nil
	}
	spec := a.spec(user, verb, subresource)
	text, err := json.Marshal(spec)
	if err != nil {
		return false, fmt.Errorf("put a question of access into words: %w", err)
	}
	key := string(text)
	if kept, ok := a.answers.Get(key); ok {
		a.reviews.Kept()
		return kept.(bool), nil
	}
	flight := a.flights.DoChan(key, func() (any, error) {
		// The one whose request began the review may leave; the others still want it.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), reviewPatience)
		defer cancel()
		return a.review(ctx, key, spec)
	})
	select {
	case result := <-flight:
		if result.Err != nil {
			return false, result.Err
		}
		return result.Val.(bool), nil
	case <-ctx.Done():
		return false, context.Cause(ctx)
	}
}

// Reviews tells what became of the questions for rights. One request may have several: see [Subresources].
func (a *Authorizer) Reviews() authentication.Reviews { return a.reviews.Reviews() }

func (a *Authorizer) spec(user *authentication.User, verb, subresource string) authorization.SubjectAccessReviewSpec {
	spec := authorization.SubjectAccessReviewSpec{
		User: user.Name, UID: user.UID, Groups: user.Groups,
		ResourceAttributes: &authorization.ResourceAttributes{
			Verb: verb, Version: "v1", Resource: "nodes", Subresource: subresource, Name: a.options.NodeName,
		},
	}
	if len(user.Extra) > 0 {
		spec.Extra = make(map[string]authorization.ExtraValue, len(user.Extra))
		for key, values := range user.Extra {
			spec.Extra[key] = values
		}
	}
	return spec
}

// errBoth is an answer of yes and no at once.
var errBoth = errors.New("the API server answered both allowed and denied")

// review asks for a right and keeps the answer, if there was one.
func (a *Authorizer) review(ctx context.Context, key string, spec authorization.SubjectAccessReviewSpec) (bool, error) {
	status, err := a.options.Access.Access(ctx, spec)
	if err == nil && status.Allowed && status.Denied {
		err = errBoth
	}
	if err != nil {
		a.reviews.Failed()
		a.log.Warn("a user's rights could not be reviewed, and the request was not answered; the API server must answer, and let this agent create "+
			"subjectaccessreviews (cluster role system:auth-delegator)", zap.String("user", spec.User), zap.Error(err))
		return false, err
	}
	a.reviews.Answered(status.Allowed)
	ttl := a.options.DenyTTL
	if status.Allowed {
		ttl = a.options.AllowTTL
	}
	if ttl > 0 && len(key) <= largestKey {
		a.answers.Add(key, status.Allowed, ttl)
	}
	return status.Allowed, nil
}
