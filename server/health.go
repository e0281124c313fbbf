package server

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"go.uber.org/zap"
)

// Check is one named condition of health.
type Check struct {
	// Name is the last element of the check's own path, and the word of ?exclude=.
	Name string
	// Outside tells that a failure is of something which no restart of this program mends. It shows in ?verbose, and fails no path but
	// the check's own.
	Outside bool
	// Check returns nil when all is well. It must return soon after ctx ends.
	Check func(ctx context.Context) error
}

// Ping always passes: an answer is the proof.
var Ping = Check{Name: "ping", Check: func(context.Context) error { return nil }}

// HealthRoutes returns the routes of one health path ("/healthz"): the path itself, which runs every check, and
// path/NAME for each. Bodies are byte for byte the kubelet's, which probes and operators read:
// "ok"; with ?verbose a line "[+]NAME ok" a check and "healthz check passed"; on failure always verbose, status 500,
// "[-]NAME failed: reason withheld". The reasons go to the log, and to path/NAME. ?exclude=NAME, repeatable, skips a check. What a
// kubelet has none of is a check of Outside: its line is "[-]NAME failed, not counted: reason withheld".
func HealthRoutes(log *zap.Logger, path, title string, checks ...Check) []Route {
	health := &health{log: log, name: strings.Trim(path, "/"), checks: checks}
	routes := []Route{{Path: path, Handler: health, Title: title}}
	for _, check := range checks {
		routes = append(routes, Route{Path: path + "/" + check.Name, Handler: single(check)})
	}
	return routes
}

// errWithheld stands for a reason that is in the log.
var errWithheld = errors.New("reason withheld")

// ProbeRoutes returns the routes of HealthRoutes for those who are to know whether, and not why: path/NAME tells no reason either.
func ProbeRoutes(log *zap.Logger, path, title string, checks ...Check) []Route {
	routes := HealthRoutes(log, path, title, checks...)
	for i, check := range checks {
		reticent := check
		reticent.Check = func(ctx context.Context) error {
			err := check.Check(ctx)
			if err == nil {
				return nil
			}
			log.Warn("health check failed", zap.String("path", path+"/"+check.Name), zap.String("check", check.Name), zap.Error(err))
			return errWithheld
		}
		routes[i+1].Handler = single(reticent)
	}
	return routes
}

// health runs every check of one path.
type health struct {
	log    *zap.Logger
	name   string
	checks []Check
}

func (h *health) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	excluded := query["exclude"]
	unmatched := slices.Clone(excluded)
	var body strings.Builder
	var failed []string
	for _, check := range h.checks {
		if slices.Contains(excluded, check.Name) {
			unmatched = slices.DeleteFunc(unmatched, func(name string) bool { return name == check.Name })
			fmt.Fprintf(&body, "[+]%s excluded: ok\n", check.Name)
			continue
		}
		err := check.Check(r.Context())
		if err == nil {
			fmt.Fprintf(&body, "[+]%s ok\n", check.Name)
			continue
		}
		if check.Outside {
			fmt.Fprintf(&body, "[-]%s failed, not counted: reason withheld\n", check.Name)
			continue
		}
		failed = append(failed, check.Name)
		h.log.Warn("health check failed", zap.String("path", r.URL.Path), zap.String("check", check.Name), zap.Error(err))
		fmt.Fprintf(&body, "[-]%s failed: reason withheld\n", check.Name)
	}
	if len(unmatched) > 0 {
		fmt.Fprintf(&body, "warn: some health checks cannot be excluded: no matches for %s\n", quoted(unmatched))
	}
	if len(failed) > 0 {
		http.Error(w, body.String()+h.name+" check failed", http.StatusInternalServerError)
		return
	}
	if !query.Has("verbose") {
		ok(w)
		return
	}
	plain(w)
	fmt.Fprintf(w, "%s%s check passed\n", body.String(), h.name)
}

// quoted lists names as the kubelet does: sorted, once each, in quotes, with bare commas.
func quoted(names []string) string {
	names = slices.Compact(slices.Sorted(slices.Values(names)))
	for i, name := range names {
		names[i] = fmt.Sprintf("%q", name)
	}
	return strings.Join(names, ",")
}

// single answers for one check.
func single(check Check) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := check.Check(r.Context()); err != nil {
			http.Error(w, fmt.Sprintf("internal server error: %v", err), http.StatusInternalServerError)
			return
		}
		ok(w)
	})
}

func ok(w http.ResponseWriter) {
	plain(w)
	_, _ = w.Write([]byte("ok")) // a client that left is no concern of ours
}

func plain(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("X-Content-Type-Options", "nosniff")
}
