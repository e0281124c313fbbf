package e2e

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	meta "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/nodevitals/nodevitals/e2e/cluster"
)

// What the API server takes back is gone once its answers are forgotten.
func TestSecurePortForgetsWhatIsTakenBack(t *testing.T) {
	needSecure(t)
	account := scraper(t, "e2e-revoked")
	scraping := sender{token: tokenOf(t, account)}
	scraping.await(t, "the account's right to metrics", "/metrics", http.StatusOK)
	if err := node.Client().RbacV1().ClusterRoleBindings().Delete(t.Context(), account.Name, meta.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	scraping.await(t, "the end of the right", "/metrics", http.StatusForbidden)
	if err := node.Client().CoreV1().ServiceAccounts(account.Namespace).Delete(t.Context(), account.Name, meta.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	scraping.await(t, "the end of the account", "/metrics", http.StatusUnauthorized)
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
