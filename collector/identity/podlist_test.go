package identity

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// lister is a source that is asked for whole pods, and not run.
func lister(t *testing.T, server *fakeAPI, patience time.Duration) *APIServer {
	t.Helper()
	a, err := NewAPIServer(server.config(), "lab-node", NewIndex(), zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	a.patience = patience
	return a
}

func TestListPodsAsTheKubeletHasThem(t *testing.T) {
	server := newFakeAPI(t)
	web, static := podOf("web", "app", idA), podOf("static-lab-node", "s", idD)
	web.ManagedFields = []metav1.ManagedFieldsEntry{{Manager: "kubectl"}}
	static.UID = "7d3a3bd2-6c23-4d69-8b6a-3a1b1c3f2a10"
	static.Annotations = map[string]string{configMirror: hash, configHash: hash}
	server.set(web)
	server.set(static)
	server.troubled(func(_ http.ResponseWriter, r *http.Request) bool {
		if version := r.URL.Query().Get("resourceVersion"); version != "0" {
			t.Errorf("got a list of version %q, want 0, which the API server has in its cache", version)
		}
		return false
	})
	server.start()
	list, err := lister(t, server, patient).ListPods(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	byName := map[string]*corev1.Pod{}
	for i := range list.Items {
		byName[list.Items[i].Name] = &list.Items[i]
	}
	if len(list.Items) != 2 || byName["web"] == nil || byName["static-lab-node"] == nil {
		t.Fatalf("got %d pods, want web and static-lab-node", len(list.Items))
	}
	if got := byName["web"]; got.UID != web.UID || len(got.Status.ContainerStatuses) != 1 || got.ManagedFields != nil {
		t.Errorf("web: got UID %q, %d containers and managed fields %v, want %q, 1 and none", got.UID, len(got.Status.ContainerStatuses), got.ManagedFields, web.UID)
	}
	if got := byName["static-lab-node"].UID; got != hash {
		t.Errorf("a static pod: got UID %q, want that of its cgroup, %q", got, hash)
	}
}

func TestListPodsTellsWhyThereAreNone(t *testing.T) {
	server := newFakeAPI(t)
	a := lister(t, server, patient)
	if _, err := a.ListPods(t.Context()); err == nil || !strings.Contains(err.Error(), "list pods of node lab-node") || !strings.Contains(err.Error(), "refused") {
		t.Errorf("away: got %v", err)
	}
	server.start()
	server.troubled(func(w http.ResponseWriter, _ *http.Request) bool {
		http.Error(w, "not for you", http.StatusForbidden)
		return true
	})
	if _, err := a.ListPods(t.Context()); err == nil || !strings.Contains(err.Error(), "not for you") {
		t.Errorf("forbidden: got %v", err)
	}
	server.troubled(func(_ http.ResponseWriter, r *http.Request) bool {
		<-r.Context().Done()
		return true
	})
	a.patience = 50 * time.Millisecond
	if _, err := a.ListPods(t.Context()); !errors.Is(err, errNoAnswer) {
		t.Errorf("silent: got %v, want %v", err, errNoAnswer)
	}
}
