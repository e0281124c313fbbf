package identity

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
)

// runAPI runs a source against a server until the test ends. It asks again sooner than it would in earnest.
func runAPI(t *testing.T, config *rest.Config, patience time.Duration) *Index {
	t.Helper()
	x := NewIndex()
	a, err := NewAPIServer(config, "lab-node", x, zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	a.patience, a.backoff.Duration, a.backoff.Cap = patience, 10*time.Millisecond, 50*time.Millisecond
	a.claimPatience, a.claimRetry = patient, time.Hour
	runUntilTheEnd(t, a.Run)
	return x
}

// runUntilTheEnd runs a source until the test ends, and checks that it then ends.
func runUntilTheEnd(t *testing.T, run func(context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() {
		if err := run(ctx); !errors.Is(err, context.Canceled) {
			t.Errorf("Run: got %v, want that it was cancelled", err)
		}
	})
	t.Cleanup(func() {
		cancel()
		running.Wait()
	})
}

// patient is a deadline that no test reaches.
const patient = time.Minute

// named waits until a container is known as one of a pod, or for "" of none.
func named(t *testing.T, x *Index, path, pod string) {
	t.Helper()
	eventually(t, fmt.Sprintf("%s is a container of %q", path, pod), func() bool {
		got := x.Resolve(path)
		return got.Pod == pod && (got.Container != "") == (pod != "")
	})
}

func connected(t *testing.T, x *Index, name string, want bool) {
	t.Helper()
	eventually(t, fmt.Sprintf("%s connected: %t", name, want), func() bool { return stateOf(x, name).Connected == want })
}

func TestAPIServerListsAndWatches(t *testing.T) {
	for _, jsonOnly := range []bool{false, true} {
		t.Run(fmt.Sprintf("json=%t", jsonOnly), func(t *testing.T) {
			server := newFakeAPI(t)
			server.jsonOnly = jsonOnly
			pod := podOf("web", "app", idA)
			server.set(pod)
			server.start()
			x := runAPI(t, server.config(), patient)
			named(t, x, pathOf(idA), "web")
			connected(t, x, apiName, true)

			pod.Status.ContainerStatuses[0] = running("app", idB, 1)
			server.set(pod)
			named(t, x, pathOf(idB), "web")
			wantLabels(t, x, pathOf(idB), "default", "web", "app", "localhost/app:1", idB)

			static := podOf("static-lab-node", "s", idD)
			static.UID = "7d3a3bd2-6c23-4d69-8b6a-3a1b1c3f2a10"
			static.Annotations = map[string]string{configMirror: hash, configHash: hash}
			server.set(static)
			named(t, x, "/kubepods/pod"+hash+"/"+idD, "static-lab-node")

			server.bookmark()
			server.remove(pod)
			named(t, x, pathOf(idB), "")
			server.remove(static)
			named(t, x, "/kubepods/pod"+hash+"/"+idD, "")
			if lists, watches := server.counts(); lists != 1 || watches != 1 {
				t.Errorf("got %d lists and %d watches, want one of each", lists, watches)
			}
			if pods := x.Pods(); len(pods) != 0 {
				t.Errorf("got %+v, want no pods", pods)
			}
		})
	}
}

// TestAPIServerAwayAtStart: it comes later, and goes, and comes back with other pods.
func TestAPIServerAwayAtStart(t *testing.T) {
	server := newFakeAPI(t)
	x := runAPI(t, server.config(), patient)
	eventually(t, "the server was asked", func() bool { return stateOf(x, apiName).Err != "" })
	if got := stateOf(x, apiName); got.Connected || got.Stale {
		t.Errorf("before the server was ever there: got %+v", got)
	}
	pod := podOf("web", "app", idA)
	server.set(pod)
	server.start()
	named(t, x, pathOf(idA), "web")
	connected(t, x, apiName, true)

	server.stop()
	connected(t, x, apiName, false)
	if got := stateOf(x, apiName); !got.Stale {
		t.Errorf("while the server is away: got %+v, want stale", got)
	}
	wantLabels(t, x, pathOf(idA), "default", "web", "app", "localhost/app:1", idA)

	server.remove(pod)
	other := podOf("other", "app", idB)
	other.UID = hash
	server.set(other)
	server.compact()
	server.start()
	named(t, x, "/kubepods/pod"+hash+"/"+idB, "other")
	named(t, x, pathOf(idA), "")
	connected(t, x, apiName, true)
	if got := stateOf(x, apiName); got.Stale || got.Err != "" {
		t.Errorf("with the server back: got %+v", got)
	}
}

// TestAPIServerForgetsVersions: a watch goes on where the connection broke, and is begun anew by a list after 410.
func TestAPIServerForgetsVersions(t *testing.T) {
	server := newFakeAPI(t)
	pod := podOf("web", "app", idA)
	server.set(pod)
	server.start()
	x := runAPI(t, server.config(), patient)
	named(t, x, pathOf(idA), "web")
	connected(t, x, apiName, true)

	pod.Status.ContainerStatuses[0] = running("app", idB, 1)
	server.stop()
	server.set(pod)
	server.start()
	named(t, x, pathOf(idB), "web")

	server.stop()
	pod.Status.ContainerStatuses[0] = running("app", idC, 2)
	server.set(pod)
	server.compact()
	server.start()
	named(t, x, pathOf(idC), "web")
}

func TestAPIServerErrors(t *testing.T) {
	for _, code := range []int{http.StatusInternalServerError, http.StatusForbidden, http.StatusTooManyRequests, http.StatusServiceUnavailable} {
		t.Run(http.StatusText(code), func(t *testing.T) {
			server := newFakeAPI(t)
			refuse := func(w http.ResponseWriter, _ *http.Request) bool {
				http.Error(w, http.StatusText(code), code)
				return true
			}
			server.troubled(refuse)
			server.start()
			x := runAPI(t, server.config(), patient)
			eventually(t, "the error is told", func() bool { return stateOf(x, apiName).Err != "" })
			server.troubled(nil)
			server.set(podOf("web", "app", idA))
			named(t, x, pathOf(idA), "web")

			server.troubled(refuse)
			server.breakConnections()
			connected(t, x, apiName, false)
			wantLabels(t, x, pathOf(idA), "default", "web", "app", "localhost/app:1", idA)
			server.troubled(nil)
			connected(t, x, apiName, true)
		})
	}
}

// The log has nothing of an answer that is not the API server's own, of pods or of claims, and neither has what health tells.
func TestForeignAnswersAreNotLogged(t *testing.T) {
	for _, code := range []int{http.StatusInternalServerError, http.StatusForbidden} {
		for _, part := range []string{"/pods", "/persistentvolumeclaims/"} {
			t.Run(fmt.Sprint(code, part), func(t *testing.T) {
				server := newFakeAPI(t)
				server.troubled(func(w http.ResponseWriter, r *http.Request) bool {
					if !strings.Contains(r.URL.Path, part) {
						return false
					}
					http.Error(w, "page of a proxy", code)
					return true
				})
				server.set(withClaims(podOf("web"), "data", "more"))
				server.start()
				core, logs := observer.New(zap.DebugLevel)
				x := NewIndex()
				a, err := NewAPIServer(server.config(), "lab-node", x, zap.New(core))
				if err != nil {
					t.Fatal(err)
				}
				a.patience, a.claimPatience, a.backoff.Duration = patient, patient, time.Hour
				runUntilTheEnd(t, a.Run)
				eventually(t, "the refusal is logged", func() bool { return logs.FilterLevelExact(zap.WarnLevel).Len() > 0 })
				if got := fmt.Sprint(logs.FilterLevelExact(zap.WarnLevel).All()[0].ContextMap()["error"]); !strings.HasSuffix(got, fmt.Sprintf("status %d", code)) {
					t.Errorf("logged %q, want the status %d", got, code)
				}
				if text := fmt.Sprint(logs.All(), stateOf(x, apiName)); strings.Contains(text, "proxy") {
					t.Errorf("the body of another's answer is told: %s", text)
				}
			})
		}
	}
}

// TestAPIServerHangs: it takes requests and does not answer them, lists and watches alike.
func TestAPIServerHangs(t *testing.T) {
	for _, watches := range []bool{false, true} {
		t.Run(fmt.Sprintf("watches=%t", watches), func(t *testing.T) {
			server := newFakeAPI(t)
			hang := func(_ http.ResponseWriter, r *http.Request) bool {
				if watches != (r.URL.Query().Get("watch") != "") {
					return false
				}
				<-r.Context().Done()
				return true
			}
			server.troubled(hang)
			server.set(podOf("web", "app", idA))
			server.start()
			// Longer than a healthy answer takes, even on a machine that is busy; if not, it is asked again.
			x := runAPI(t, server.config(), 2*time.Second)
			eventually(t, "the deadline is told", func() bool {
				return stateOf(x, apiName).Err != "" && !stateOf(x, apiName).Connected
			})
			server.troubled(nil)
			named(t, x, pathOf(idA), "web")
			connected(t, x, apiName, true)
		})
	}
}

// TestAPIServerSendsNonsense: an answer that is no list breaks nothing.
func TestAPIServerSendsNonsense(t *testing.T) {
	server := newFakeAPI(t)
	server.troubled(func(w http.ResponseWriter, _ *http.Request) bool {
		fmt.Fprint(w, "<html>sign in</html>")
		return true
	})
	server.start()
	x := runAPI(t, server.config(), patient)
	eventually(t, "the nonsense is told", func() bool { return stateOf(x, apiName).Err != "" })
	server.troubled(nil)
	server.set(podOf("web", "app", idA))
	named(t, x, pathOf(idA), "web")
}

// TestAPIServerManyPods: a full node's pods in one list, and each of them gone again.
func TestAPIServerManyPods(t *testing.T) {
	server := newFakeAPI(t)
	var pods []*corev1.Pod
	for i := range 500 {
		pod := podOf(fmt.Sprintf("web-%d", i), "app", fmt.Sprintf("%064x", i))
		pod.UID = types.UID(fmt.Sprintf("%08x-0000-4000-8000-000000000000", i))
		pods = append(pods, pod)
		server.set(pod)
	}
	server.start()
	x := runAPI(t, server.config(), patient)
	eventually(t, "all pods are known", func() bool { return len(x.Pods()) == len(pods) })
	connected(t, x, apiName, true)
	for _, pod := range pods {
		server.remove(pod)
	}
	eventually(t, "no pod is known", func() bool { return len(x.Pods()) == 0 })
}

func TestNewAPIServerRefuses(t *testing.T) {
	if _, err := NewAPIServer(&rest.Config{Host: "http://127.0.0.1:1"}, "", NewIndex(), zap.NewNop()); err == nil {
		t.Error("without a node's name: got no error")
	}
	if _, err := NewAPIServer(&rest.Config{Host: "http://%zz"}, "lab-node", NewIndex(), zap.NewNop()); err == nil {
		t.Error("with a bad address: got no error")
	}
}
