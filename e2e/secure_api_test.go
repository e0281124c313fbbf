package e2e

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	authentication "k8s.io/api/authentication/v1"
	authorization "k8s.io/api/authorization/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/nodevitals/nodevitals/e2e/cluster"
)

// stillAnswered is how many requests may be answered as before once the API server says no, each sent a TTL of the agent after the one before it. The
// first may still come out of what is kept. A TTL that is not heeded gets through all of them.
const stillAnswered = 2

// becomes asks that agent again and again, a TTL apart, until it answers with a status in place of 200.
func (s sender) becomes(t *testing.T, status int) {
	t.Helper()
	for count := range stillAnswered + 1 {
		time.Sleep(secureTTL)
		got := s.secured(t, http.MethodGet, "/metrics")
		if got.status == status {
			t.Logf("%d requests were answered as before", count)
			return
		}
		if got.status != http.StatusOK {
			t.Fatalf("got %d %.200s, want %d", got.status, got.body, status)
		}
	}
	t.Errorf("%d requests, each %s or more after the one before, were answered as before the API server said no, want no more than %d",
		stillAnswered+1, secureTTL, stillAnswered)
}

// awaitNo waits until the API server itself says no: it takes its time, too, which is not the agent's.
func awaitNo(t *testing.T, what string, ask func(context.Context) (yes bool, err error)) {
	t.Helper()
	err := cluster.Await(t.Context(), secureLimit, "the API server's no to "+what, func(ctx context.Context) error {
		yes, err := ask(ctx)
		if err == nil && yes {
			err = errors.New("it says yes")
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// What the API server takes back is gone once its answers are forgotten, which is after the TTL that the agent was given.
func TestSecurePortForgetsWhatIsTakenBack(t *testing.T) {
	needSecure(t)
	client, account := node.Client(), scraper(t, "e2e-revoked")
	scraping := sender{token: tokenOf(t, account)}
	scraping.await(t, "the account's right to metrics", "/metrics", http.StatusOK)
	if err := client.RbacV1().ClusterRoleBindings().Delete(t.Context(), account.Name, meta.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	awaitNo(t, "the account's right", func(ctx context.Context) (bool, error) {
		review, err := client.AuthorizationV1().SubjectAccessReviews().Create(ctx, &authorization.SubjectAccessReview{Spec: authorization.SubjectAccessReviewSpec{
			User:               "system:serviceaccount:" + account.Namespace + ":" + account.Name,
			ResourceAttributes: &authorization.ResourceAttributes{Verb: "get", Version: "v1", Resource: "nodes", Subresource: "metrics", Name: cluster.NodeName},
		}}, meta.CreateOptions{})
		return err == nil && review.Status.Allowed, err
	})
	scraping.becomes(t, http.StatusForbidden)

	// With the right again, so that it is the account alone which is gone.
	_, err := client.RbacV1().ClusterRoleBindings().Create(t.Context(), bindingOf(account), meta.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	scraping.await(t, "the account's right once more", "/metrics", http.StatusOK)
	if err := client.CoreV1().ServiceAccounts(account.Namespace).Delete(t.Context(), account.Name, meta.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	awaitNo(t, "the account's token", func(ctx context.Context) (bool, error) {
		review, err := client.AuthenticationV1().TokenReviews().Create(ctx,
			&authentication.TokenReview{Spec: authentication.TokenReviewSpec{Token: scraping.token}}, meta.CreateOptions{})
		return err == nil && review.Status.Authenticated, err
	})
	scraping.becomes(t, http.StatusUnauthorized)
}

// While the API server is away, who is known goes on; who is not is refused, and what is not known is not guessed.
func TestSecurePortWhileTheAPIServerIsAway(t *testing.T) {
	needAgent(t)
	needOnlyOnce(t)
	const name, port, health = "nodevitals-kept", "20451", "http://127.0.0.1:20449/healthz"
	p, err := node.Start(t.Context(), secureAgent(name, port, health))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := node.End(p); err != nil {
			t.Error(err)
		}
	})
	account := scraper(t, "e2e-kept")
	ask := func(s sender, path string) (answer, error) {
		return s.at(t.Context(), name, port, path)
	}
	expect := func(s sender, path string, status int) {
		t.Helper()
		if got, err := ask(s, path); err != nil || got.status != status {
			t.Errorf("%s: got %d %.300s, %v; want %d", path, got.status, got.body, err, status)
		}
	}
	known, late := sender{token: tokenOf(t, account)}, sender{token: tokenOf(t, account)}
	err = cluster.Await(t.Context(), secureLimit, "the account's right to metrics", func(context.Context) error {
		got, err := ask(known, "/metrics")
		if err == nil && got.status != http.StatusOK {
			err = fmt.Errorf("answered %d %s", got.status, got.body)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	server, err := node.Kill("kube-apiserver")
	if err != nil {
		t.Fatal(err)
	}
	again := sync.OnceFunc(func() {
		if err := node.Again(context.WithoutCancel(t.Context()), server); err != nil {
			t.Error(err)
		}
	})
	defer again()
	expect(known, "/metrics/cadvisor", http.StatusOK)
	expect(known, "/stats/summary", http.StatusInternalServerError)
	expect(late, "/metrics", http.StatusUnauthorized)
	// Health is asked once the agent knows, too: whoever restarts it by that would lose who is known.
	err = cluster.Await(t.Context(), weatherLimit, "[-]pod-source in "+health+"?verbose", func(ctx context.Context) error {
		text, err := node.Get(ctx, health+"?verbose")
		if err == nil && !strings.Contains(string(text), "[-]pod-source") {
			err = fmt.Errorf("it says %s", text)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
	for _, path := range []string{"/healthz", "/livez", "/readyz"} {
		if text, err := node.Get(t.Context(), strings.TrimSuffix(health, "/healthz")+path); err != nil {
			t.Errorf("%s fails while the API server is away: %s %v", path, text, err)
		}
	}
	expect(known, "/metrics/cadvisor", http.StatusOK)
	again()
	for _, one := range []struct {
		sender
		path   string
		status int
	}{{known, "/stats/summary", http.StatusForbidden}, {late, "/metrics", http.StatusOK}} {
		err := cluster.Await(t.Context(), secureLimit, fmt.Sprintf("status %d of %s once the API server is back", one.status, one.path), func(context.Context) error {
			got, err := ask(one.sender, one.path)
			if err == nil && got.status != one.status {
				err = fmt.Errorf("answered %d %.300s", got.status, got.body)
			}
			return err
		})
		if err != nil {
			t.Error(err)
		}
	}
}
