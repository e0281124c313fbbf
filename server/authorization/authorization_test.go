package authorization

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
	authorization "k8s.io/api/authorization/v1"

	"github.com/nodevitals/nodevitals/server/authentication"
)

// reviewer answers as a function does, and remembers the questions.
type reviewer struct {
	mutex  sync.Mutex
	asked  []authorization.SubjectAccessReviewSpec
	answer func(ctx context.Context, spec authorization.SubjectAccessReviewSpec) (authorization.SubjectAccessReviewStatus, error)
}

func (r *reviewer) Access(ctx context.Context, spec authorization.SubjectAccessReviewSpec) (authorization.SubjectAccessReviewStatus, error) {
	r.mutex.Lock()
	r.asked = append(r.asked, spec)
	answer := r.answer
	r.mutex.Unlock()
	return answer(ctx, spec)
}

func (r *reviewer) count() int {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	return len(r.asked)
}

// grants says yes to some subresources.
func grants(subresources ...string) *reviewer {
	return &reviewer{answer: func(_ context.Context, spec authorization.SubjectAccessReviewSpec) (authorization.SubjectAccessReviewStatus, error) {
		return authorization.SubjectAccessReviewStatus{Allowed: slices.Contains(subresources, spec.ResourceAttributes.Subresource)}, nil
	}}
}

// sender is the user of every request, or why there is none.
type sender struct {
	user *authentication.User
	err  error
}

func (s sender) Authenticate(*http.Request) (*authentication.User, error) { return s.user, s.err }

var jane = &authentication.User{
	Name: "jane", UID: "7", Groups: []string{"staff", "system:authenticated"}, Extra: map[string][]string{"k": {"v"}},
}

// ask sends a request through a filter.
func ask(t *testing.T, who Authenticator, may *Authorizer, method, path string) (status int, body string, reached bool) {
	t.Helper()
	next := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		reached = true
		if r.Header.Get("Authorization") != "" {
			t.Error("the token reached the handler")
		}
	})
	r := httptest.NewRequest(method, path, nil)
	r.Header.Set("Authorization", "Bearer secret")
	w := httptest.NewRecorder()
	Filter(zap.NewNop(), who, may, next).ServeHTTP(w, r)
	text, _ := io.ReadAll(w.Result().Body)
	return w.Code, string(text), reached
}

func TestSubresourcesAndVerbs(t *testing.T) {
	for path, want := range map[string]string{
		"/stats": "stats", "/stats/": "stats", "/stats/summary": "stats", "/statsx": "proxy",
		"/metrics": "metrics", "/metrics/cadvisor": "metrics", "/metrics/resource": "metrics", "/metricsx": "proxy",
		"/healthz": "healthz proxy", "/healthz/ping": "healthz proxy", "/livez": "healthz proxy", "/readyz/collector": "healthz proxy",
		"/pods": "pods proxy", "/runningpods/": "pods proxy", "/allocatedPods": "pods proxy", "/configz": "configz proxy",
		"/flagz": "configz", "/statusz": "statusz", "/logs/": "log", "/checkpoint/x": "checkpoint",
		"/": "proxy", "": "proxy", "/run/x": "proxy", "//metrics": "proxy", "/../metrics": "proxy", "metrics": "proxy",
		"/METRICS": "proxy", "/debug/pprof/": "proxy",
	} {
		if got := strings.Join(Subresources(path), " "); got != want {
			t.Errorf("%q: got %s, want %s", path, got, want)
		}
	}
	for method, want := range map[string]string{
		"GET": "get", "POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete", "HEAD": "", "OPTIONS": "", "get": "", "X": "",
	} {
		if got := Verb(method); got != want {
			t.Errorf("%s: got %q, want %q", method, got, want)
		}
	}
}

func FuzzSubresources(f *testing.F) {
	for _, path := range []string{"/metrics/cadvisor", "/stats/", "", "/", "/healthz\x00", "/%2e%2e/metrics", "/pods/../metrics"} {
		f.Add(path)
	}
	f.Fuzz(func(t *testing.T, path string) {
		got := Subresources(path)
		if len(got) == 0 || slices.Contains(got, "") {
			t.Fatalf("%q: no subresource: %q", path, got)
		}
		// Whoever has the right to metrics alone must get at nothing else.
		if got[0] == "metrics" && path != "/metrics" && !strings.HasPrefix(path, "/metrics/") {
			t.Errorf("%q counts as metrics", path)
		}
	})
}

func TestQuestionHasTheKubeletsAttributes(t *testing.T) {
	r := grants("stats")
	a := New(Options{NodeName: "node-1", Access: r, AllowTTL: time.Hour})
	if status, body, reached := ask(t, sender{user: jane}, a, http.MethodPost, "/stats/summary"); status != http.StatusOK || !reached {
		t.Fatalf("got %d %s", status, body)
	}
	got, attributes := r.asked[0], r.asked[0].ResourceAttributes
	if got.User != "jane" || got.UID != "7" || !slices.Equal(got.Groups, jane.Groups) || !slices.Equal(got.Extra["k"], []string{"v"}) {
		t.Errorf("asked for %+v", got)
	}
	want := authorization.ResourceAttributes{Verb: "create", Version: "v1", Resource: "nodes", Subresource: "stats", Name: "node-1"}
	if *attributes != want || got.NonResourceAttributes != nil {
		t.Errorf("asked for %+v, want %+v", *attributes, want)
	}
}

func TestFinerRightIsTriedFirst(t *testing.T) {
	for _, one := range []struct {
		granted string
		asked   []string
		status  int
	}{
		{"healthz", []string{"healthz"}, 200},
		{"proxy", []string{"healthz", "proxy"}, 200},
		{"metrics", []string{"healthz", "proxy"}, 403},
	} {
		r := grants(one.granted)
		status, body, reached := ask(t, sender{user: jane}, New(Options{Access: r}), http.MethodGet, "/healthz")
		var asked []string
		for _, spec := range r.asked {
			asked = append(asked, spec.ResourceAttributes.Subresource)
		}
		if status != one.status || reached != (one.status == 200) || !slices.Equal(asked, one.asked) {
			t.Errorf("%s: got %d %s after asking for %q, want %d after %q", one.granted, status, body, asked, one.status, one.asked)
		}
	}
}

func TestRefusalsNameWhoMayNotDoWhat(t *testing.T) {
	none := New(Options{Access: grants()})
	broken := New(Options{Access: &reviewer{answer: func(context.Context, authorization.SubjectAccessReviewSpec) (authorization.SubjectAccessReviewStatus, error) {
		return authorization.SubjectAccessReviewStatus{Allowed: true}, errors.New("away")
	}}})
	both := New(Options{Access: &reviewer{answer: func(context.Context, authorization.SubjectAccessReviewSpec) (authorization.SubjectAccessReviewStatus, error) {
		return authorization.SubjectAccessReviewStatus{Allowed: true, Denied: true}, nil
	}}})
	unknown := sender{err: &authentication.Refused{Reason: "no credentials", Err: errors.New("inner words")}}
	flood := sender{err: &authentication.Refused{Reason: "too many from this address", TooMany: true}}
	for _, one := range []struct {
		name, method, path string
		who                Authenticator
		may                *Authorizer
		status             int
		body               string
	}{
		{"no right", "GET", "/metrics/cadvisor", sender{user: jane}, none, 403, "Forbidden (user=jane, verb=get, resource=nodes, subresource(s)=[metrics])\n"},
		{"neither right", "GET", "/healthz", sender{user: jane}, none, 403, "Forbidden (user=jane, verb=get, resource=nodes, subresource(s)=[healthz proxy])\n"},
		{"no verb", "HEAD", "/metrics", sender{user: jane}, none, 403, "Forbidden (user=jane, verb=, resource=nodes, subresource(s)=[metrics])\n"},
		{"unknown path", "GET", "/nothing", sender{user: jane}, none, 403, "Forbidden (user=jane, verb=get, resource=nodes, subresource(s)=[proxy])\n"},
		{"unknown sender", "GET", "/nothing\n", unknown, none, 401, "Unauthorized (verb=get, path=/nothing%0A): no credentials\n"},
		{
			"unknown sender of a long path", "GET", "/" + strings.Repeat("ü", 200), unknown, none,
			401, "Unauthorized (verb=get, path=/" + strings.Repeat("%C3%BC", 42) + "%C3…): no credentials\n",
		},
		{"flood", "GET", "/metrics", flood, none, 429, "Too Many Requests (verb=get, path=/metrics): too many from this address\n"},
		{"API server away", "GET", "/stats/summary", sender{user: jane}, broken, 500, "Authorization error (user=jane, verb=get, resource=nodes, subresource=stats)\n"},
		{"yes and no", "GET", "/stats/summary", sender{user: jane}, both, 500, "Authorization error (user=jane, verb=get, resource=nodes, subresource=stats)\n"},
	} {
		t.Run(one.name, func(t *testing.T) {
			path := strings.ReplaceAll(one.path, "\n", "%0A")
			status, body, reached := ask(t, one.who, one.may, one.method, path)
			if status != one.status || body != one.body || reached {
				t.Errorf("got %d %q, reached %t; want %d %q", status, body, reached, one.status, one.body)
			}
		})
	}
}

// Whose right is missing, and which, is told where an operator sees it, in the words of the answer but for "Forbidden": log lines with that word
// are of what the agent itself may not do. Who is not known can fill no log.
func TestLackOfARightIsLogged(t *testing.T) {
	core, logs := observer.New(zap.InfoLevel)
	may := New(Options{Access: grants()})
	for _, who := range []Authenticator{sender{user: jane}, sender{err: &authentication.Refused{Reason: "no credentials"}}} {
		Filter(zap.New(core), who, may, http.NotFoundHandler()).ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/healthz", nil))
	}
	if logs.Len() != 1 {
		t.Fatalf("logged %v, want one line", logs.All())
	}
	line := logs.All()[0]
	fields := line.ContextMap()
	if fields["user"] != "jane" || fields["verb"] != "get" || fields["resource"] != "nodes" || fmt.Sprint(fields["subresources"]) != "[healthz proxy]" ||
		line.Level != zap.InfoLevel || strings.Contains(strings.ToLower(line.Message), "forbidden") {
		t.Errorf("logged %s %q %v", line.Level, line.Message, fields)
	}
}

func TestAnswersAreKeptForTheirTime(t *testing.T) {
	for _, one := range []struct {
		name    string
		options Options
		granted bool
		want    int
	}{
		{"yes", Options{AllowTTL: time.Hour}, true, 1},
		{"no", Options{DenyTTL: time.Hour}, false, 1},
		{"yes, not kept", Options{DenyTTL: time.Hour}, true, 3},
		{"no, not kept", Options{AllowTTL: time.Hour}, false, 3},
	} {
		t.Run(one.name, func(t *testing.T) {
			r := grants()
			if one.granted {
				r = grants("stats")
			}
			one.options.Access = r
			a := New(one.options)
			for range 3 {
				if allowed, err := a.Authorize(t.Context(), jane, "get", "stats"); err != nil || allowed != one.granted {
					t.Errorf("got %t, %v", allowed, err)
				}
			}
			if got := r.count(); got != one.want {
				t.Errorf("asked %d times, want %d", got, one.want)
			}
		})
	}
}

func TestRightsDoNotMix(t *testing.T) {
	r := grants("metrics")
	a := New(Options{Access: r, AllowTTL: time.Hour, DenyTTL: time.Hour})
	joe := &authentication.User{Name: "joe"}
	r.answer = func(_ context.Context, spec authorization.SubjectAccessReviewSpec) (authorization.SubjectAccessReviewStatus, error) {
		right := spec.User == "jane" && spec.ResourceAttributes.Subresource == "metrics" && spec.ResourceAttributes.Verb == "get"
		return authorization.SubjectAccessReviewStatus{Allowed: right}, nil
	}
	for range 2 {
		for _, one := range []struct {
			user              *authentication.User
			verb, subresource string
			want              bool
		}{{jane, "get", "metrics", true}, {jane, "create", "metrics", false}, {jane, "get", "stats", false}, {joe, "get", "metrics", false}} {
			if got, err := a.Authorize(t.Context(), one.user, one.verb, one.subresource); err != nil || got != one.want {
				t.Errorf("%s %s %s: got %t, %v", one.user.Name, one.verb, one.subresource, got, err)
			}
		}
	}
}

func TestFailuresAreNotKept(t *testing.T) {
	core, logs := observer.New(zap.DebugLevel)
	r := grants("stats")
	yes := r.answer
	r.answer = func(context.Context, authorization.SubjectAccessReviewSpec) (authorization.SubjectAccessReviewStatus, error) {
		return authorization.SubjectAccessReviewStatus{Allowed: true}, errors.New("away")
	}
	a := New(Options{Access: r, AllowTTL: time.Hour, DenyTTL: time.Hour, Log: zap.New(core)})
	for range 3 {
		if allowed, err := a.Authorize(t.Context(), jane, "get", "stats"); err == nil || allowed {
			t.Errorf("got %t, %v of an API server that is away", allowed, err)
		}
	}
	// To limit them is up to the log, which goes by the message.
	if got := logs.FilterMessageSnippet("a user's rights could not be reviewed").Len(); got != 3 || got != logs.Len() {
		t.Errorf("logged %d lines, want 3 of one message: %+v", got, logs.All())
	}
	r.mutex.Lock()
	r.answer = yes
	r.mutex.Unlock()
	if allowed, err := a.Authorize(t.Context(), jane, "get", "stats"); err != nil || !allowed {
		t.Errorf("got %t, %v once it is back", allowed, err)
	}
	for range 2 {
		if allowed, err := a.Authorize(t.Context(), jane, "get", "metrics"); err != nil || allowed {
			t.Errorf("got %t, %v of a right that is not granted", allowed, err)
		}
	}
	if got, want := a.Reviews(), (authentication.Reviews{Yes: 1, No: 1, Failed: 3, Kept: 1}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestConcurrentQuestionsAreOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		r := grants("stats")
		r.answer = func(ctx context.Context, _ authorization.SubjectAccessReviewSpec) (authorization.SubjectAccessReviewStatus, error) {
			<-release
			return authorization.SubjectAccessReviewStatus{Allowed: true}, ctx.Err()
		}
		a := New(Options{Access: r, AllowTTL: time.Hour})
		// The first leaves before the answer is there, which must not take it from the others.
		first, leave := context.WithCancel(t.Context())
		left := make(chan error, 1)
		go func() {
			_, err := a.Authorize(first, jane, "get", "stats")
			left <- err
		}()
		synctest.Wait()
		leave()
		if err := <-left; err == nil {
			t.Error("no error for who left")
		}
		var all sync.WaitGroup
		for range 20 {
			all.Go(func() {
				if allowed, err := a.Authorize(t.Context(), jane, "get", "stats"); err != nil || !allowed {
					t.Errorf("got %t, %v", allowed, err)
				}
			})
		}
		synctest.Wait() // until all wait for the answer
		close(release)
		all.Wait()
		if got := r.count(); got != 1 {
			t.Errorf("asked %d times, want once", got)
		}
	})
}

func TestWithoutReviewerEveryUserMay(t *testing.T) {
	status, body, reached := ask(t, sender{user: jane}, New(Options{}), http.MethodGet, "/stats/summary")
	if status != http.StatusOK || !reached {
		t.Errorf("got %d %s", status, body)
	}
}
