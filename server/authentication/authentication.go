// Package authentication finds out who sent a request, as a kubelet does: by a client certificate, or by a bearer token that the API
// server reviews.
package authentication

import (
	"crypto/x509"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"go.uber.org/zap"
)

// Users and groups that Kubernetes knows by these names.
const (
	anonymousUser        = "system:anonymous"
	unauthenticatedGroup = "system:unauthenticated"
	authenticatedGroup   = "system:authenticated"
)

// User is who sent a request, in the words of the API server.
type User struct {
	Name   string
	UID    string
	Groups []string
	// Extra is what else the source of the identity told, by key.
	Extra map[string][]string
}

// Refused is the error of a request whose sender is not known.
type Refused struct {
	// Reason says why, to the sender: no names of ours, and never the token.
	Reason string
	// TooMany: the sender asked too often for it to be found out.
	TooMany bool
	// Err is the cause, for the log alone; nil if Reason says it all.
	Err error
}

// Error implements error.
func (r *Refused) Error() string { return r.Reason }

// Unwrap returns the cause.
func (r *Refused) Unwrap() error { return r.Err }

// Options say whom to believe. The zero Options believe nobody.
type Options struct {
	// ClientCAs returns the authorities whose client certificates are believed, at this moment. Nil: certificates are ignored.
	ClientCAs func() *x509.CertPool
	// Tokens reviews bearer tokens. Nil: tokens are ignored.
	Tokens Reviewer
	// Audiences are those of which a token must have one. Empty: the API server's own.
	Audiences []string
	// CacheTTL is how long the API server's word on a token is kept. 0: it is asked each time.
	CacheTTL time.Duration
	// Anonymous lets in those who show neither certificate nor token, as system:anonymous.
	Anonymous bool
	// Log takes what an operator should know; nil: nothing.
	Log *zap.Logger
}

// Authenticator finds out who sent a request. Its methods are safe for concurrent use.
type Authenticator struct {
	options Options
	tokens  *tokens
}

// New makes an Authenticator.
func New(options Options) *Authenticator {
	a := &Authenticator{options: options}
	if options.Tokens != nil {
		a.tokens = newTokens(options)
	}
	return a
}

// Authenticate returns who sent the request. Its error is a [*Refused].
//
// A certificate that is believed settles it; else the token does. What was shown and not believed is refused even where anonymous
// requests are let in: the sender would not know why it may so little.
func (a *Authenticator) Authenticate(r *http.Request) (*User, error) {
	var failed []error
	if a.options.ClientCAs != nil {
		user, err := byCertificate(r.TLS, a.options.ClientCAs())
		if user != nil {
			return user, nil
		}
		failed = append(failed, err)
	}
	if token := bearer(r.Header); token != "" && a.tokens != nil {
		user, err := a.tokens.authenticate(r.Context(), token, r.RemoteAddr)
		if user != nil {
			return user, nil
		}
		failed = append(failed, err)
	}
	if err := errors.Join(failed...); err != nil {
		return nil, joined(failed)
	}
	if a.options.Anonymous {
		return &User{Name: anonymousUser, Groups: []string{unauthenticatedGroup}}, nil
	}
	return nil, &Refused{Reason: a.wanted()}
}

// Reviews tells what became of the tokens that were shown. A token that the API server knows, and whose user or audience is of no use here, is a No.
func (a *Authenticator) Reviews() Reviews {
	if a.tokens == nil {
		return Reviews{}
	}
	return a.tokens.reviews.Reviews()
}

// wanted says what a request without credentials lacks.
func (a *Authenticator) wanted() string {
	var ways []string
	if a.options.ClientCAs != nil {
		ways = append(ways, "a client certificate")
	}
	if a.tokens != nil {
		ways = append(ways, "a bearer token")
	}
	if len(ways) == 0 {
		return "nobody is let in"
	}
	return "no credentials: wanted is " + strings.Join(ways, " or ")
}

// joined makes one refusal of several.
func joined(all []error) *Refused {
	together := &Refused{}
	var reasons []string
	for _, err := range all {
		if refused, ok := errors.AsType[*Refused](err); ok {
			reasons = append(reasons, refused.Reason)
			together.TooMany = together.TooMany || refused.TooMany
			together.Err = errors.Join(together.Err, refused.Err)
		}
	}
	together.Reason = strings.Join(reasons, "; ")
	return together
}

// bearer returns the request's token, or nothing.
func bearer(header http.Header) string {
	kind, token, _ := strings.Cut(strings.TrimSpace(header.Get("Authorization")), " ")
	if !strings.EqualFold(kind, "bearer") {
		return ""
	}
	token, _, _ = strings.Cut(token, " ")
	return token
}

// known puts a user among those whom the API server takes for authenticated.
func known(user *User) *User {
	if user.Name != anonymousUser && !slices.Contains(user.Groups, authenticatedGroup) && !slices.Contains(user.Groups, unauthenticatedGroup) {
		user.Groups = append(slices.Clone(user.Groups), authenticatedGroup)
	}
	return user
}
