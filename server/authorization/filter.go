package authorization

import (
	"errors"
	"fmt"
	"net/http"

	"go.uber.org/zap"

	"github.com/nodevitals/nodevitals/server/authentication"
)

// Authenticator finds out who sent a request. Its error is a [*authentication.Refused].
type Authenticator interface {
	Authenticate(r *http.Request) (*authentication.User, error)
}

// Filter lets through to next those requests whose sender is known and has the right to what is asked, and answers the others:
//
//   - 401 if the sender is not known, or 429 if it asked too often for that to be found out;
//   - 403 if it lacks the right, with the kubelet's words: "Forbidden (user=…, verb=…, resource=nodes, subresource(s)=[…])";
//   - 500 if that could not be found out.
//
// No path is left out, and a path that is not served is not told to be so before the sender may ask for it.
func Filter(log *zap.Logger, who Authenticator, may *Authorizer, next http.Handler) http.Handler {
	return &filter{log: log, who: who, may: may, next: next}
}

type filter struct {
	log  *zap.Logger
	who  Authenticator
	may  *Authorizer
	next http.Handler
}

func (f *filter) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	user, err := f.who.Authenticate(r)
	if err != nil {
		f.unknown(w, r, err)
		return
	}
	// Nothing behind this needs the token any more.
	r.Header.Del("Authorization")
	verb, tried := Verb(r.Method), Subresources(r.URL.Path)
	for _, subresource := range tried {
		allowed, err := f.may.Authorize(r.Context(), user, verb, subresource)
		if err != nil {
			refuse(w, http.StatusInternalServerError,
				fmt.Sprintf("Authorization error (user=%s, verb=%s, resource=nodes, subresource=%s)", user.Name, verb, subresource))
			return
		}
		if allowed {
			f.next.ServeHTTP(w, r)
			return
		}
	}
	// Only who is known comes this far, and to grant the right, or to stop the one who asks, takes somebody who reads of it.
	f.log.Info("a user lacks the right to what it asked for; grant it one of these subresources if it is to have that", zap.String("user", user.Name),
		zap.String("verb", verb), zap.String("resource", "nodes"), zap.Strings("subresources", tried), zap.String("client", r.RemoteAddr))
	refuse(w, http.StatusForbidden,
		fmt.Sprintf("Forbidden (user=%s, verb=%s, resource=nodes, subresource(s)=%v)", user.Name, verb, tried))
}

// unknown answers a request whose sender is not known. Why is in the body: the kubelet's word alone helps nobody.
func (f *filter) unknown(w http.ResponseWriter, r *http.Request, err error) {
	status, reason := http.StatusUnauthorized, "not known"
	if refused, ok := errors.AsType[*authentication.Refused](err); ok {
		reason = refused.Reason
		if refused.TooMany {
			status = http.StatusTooManyRequests
			w.Header().Set("Retry-After", "5")
		}
	}
	if status == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", "Bearer")
	}
	f.log.Debug("unauthorized", zap.String("reason", reason), zap.String("client", r.RemoteAddr), zap.NamedError("cause", errors.Unwrap(err)))
	// A client that does not read its answer has us hold it, and a path may be as long as a header.
	path := r.URL.EscapedPath()
	if len(path) > longestPath {
		path = path[:longestPath] + "…"
	}
	refuse(w, status, fmt.Sprintf("%s (verb=%s, path=%s): %s", http.StatusText(status), Verb(r.Method), path, reason))
}

// longestPath is how much of a path is told to a sender who is not known, in bytes. It is escaped, so that none of its characters has more than one.
const longestPath = 256

func refuse(w http.ResponseWriter, status int, text string) {
	// What is refused now may be allowed next time.
	w.Header().Set("Cache-Control", "no-store")
	http.Error(w, text, status)
}
