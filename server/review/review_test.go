package review

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	authentication "k8s.io/api/authentication/v1"
	authorization "k8s.io/api/authorization/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
)

// secret is a token that nobody but the API server is to see.
const secret = "secret-token-0123456789"

// patience is for what a healthy machine does at once.
const patience = 30 * time.Second

func newClient(t *testing.T, handler http.HandlerFunc) *Client {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	c, err := NewClient(&rest.Config{Host: server.URL})
	if err != nil {
		t.Fatal(err)
	}
	c.backoff.Duration = time.Millisecond
	// No try is given up because this machine is slow.
	c.patience, c.attempt = patience, patience
	return c
}

func reply(w http.ResponseWriter, status int, object any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(object)
}

// refusal is the API server's error with this code.
func refusal(code int, message string) meta.Status {
	return meta.Status{
		TypeMeta: meta.TypeMeta{Kind: "Status", APIVersion: "v1"}, Status: meta.StatusFailure, Code: int32(code), Message: message,
	}
}

func TestQuestionsReachTheAPIServerWhole(t *testing.T) {
	bodies := make(chan string, 2)
	c := newClient(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		bodies <- r.Method + " " + r.URL.Path + " " + string(body)
		if strings.HasSuffix(r.URL.Path, "tokenreviews") {
			reply(w, http.StatusCreated, authentication.TokenReview{
				TypeMeta: meta.TypeMeta{Kind: "TokenReview", APIVersion: "authentication.k8s.io/v1"},
				Status:   authentication.TokenReviewStatus{Authenticated: true, User: authentication.UserInfo{Username: "jane"}},
			})
			return
		}
		reply(w, http.StatusCreated, authorization.SubjectAccessReview{
			TypeMeta: meta.TypeMeta{Kind: "SubjectAccessReview", APIVersion: "authorization.k8s.io/v1"},
			Status:   authorization.SubjectAccessReviewStatus{Allowed: true},
		})
	})
	token, err := c.Token(t.Context(), authentication.TokenReviewSpec{Token: secret, Audiences: []string{"nodes"}})
	if err != nil || token.User.Username != "jane" {
		t.Errorf("token: got %+v, %v", token, err)
	}
	access, err := c.Access(t.Context(), authorization.SubjectAccessReviewSpec{
		User: "jane", ResourceAttributes: &authorization.ResourceAttributes{Verb: "get", Resource: "nodes", Subresource: "stats"},
	})
	if err != nil || !access.Allowed {
		t.Errorf("access: got %+v, %v", access, err)
	}
	for _, want := range [][]string{
		{"POST /apis/authentication.k8s.io/v1/tokenreviews ", `"token":"` + secret + `"`, `"audiences":["nodes"]`},
		{"POST /apis/authorization.k8s.io/v1/subjectaccessreviews ", `"verb":"get"`, `"subresource":"stats"`, `"user":"jane"`},
	} {
		got := <-bodies
		for _, part := range want {
			if !strings.Contains(got, part) {
				t.Errorf("asked %s, want %s in it", got, part)
			}
		}
	}
}

func TestPassingTroubleIsTriedAgain(t *testing.T) {
	for name, code := range map[string]int{"too many": 429, "internal": 500, "unavailable": 503} {
		t.Run(name, func(t *testing.T) {
			var asked atomic.Int32
			c := newClient(t, func(w http.ResponseWriter, _ *http.Request) {
				if asked.Add(1) < 3 {
					reply(w, code, refusal(code, "not now"))
					return
				}
				reply(w, http.StatusCreated, authentication.TokenReview{
					TypeMeta: meta.TypeMeta{Kind: "TokenReview", APIVersion: "authentication.k8s.io/v1"},
					Status:   authentication.TokenReviewStatus{Authenticated: true},
				})
			})
			status, err := c.Token(t.Context(), authentication.TokenReviewSpec{Token: secret})
			if err != nil || !status.Authenticated || asked.Load() != 3 {
				t.Errorf("got %+v, %v after %d questions, want a yes after 3", status, err, asked.Load())
			}
		})
	}
}

func TestRefusalIsNotTriedAgain(t *testing.T) {
	var asked atomic.Int32
	c := newClient(t, func(w http.ResponseWriter, _ *http.Request) {
		asked.Add(1)
		reply(w, http.StatusForbidden, refusal(http.StatusForbidden, "may not create tokenreviews"))
	})
	_, err := c.Token(t.Context(), authentication.TokenReviewSpec{Token: secret})
	if err == nil || !strings.Contains(err.Error(), "may not create tokenreviews") || asked.Load() != 1 {
		t.Errorf("got %v after %d questions, want the server's words after 1", err, asked.Load())
	}
}

func TestSilenceEnds(t *testing.T) {
	release := make(chan struct{})
	c := newClient(t, func(http.ResponseWriter, *http.Request) { <-release })
	defer close(release)
	c.patience, c.attempt = 200*time.Millisecond, 50*time.Millisecond
	done := make(chan error, 1)
	go func() {
		_, err := c.Access(t.Context(), authorization.SubjectAccessReviewSpec{User: "jane"})
		done <- err
	}()
	select {
	case err := <-done:
		if err == nil {
			t.Error("no error of an API server that does not answer")
		}
	case <-time.After(patience):
		t.Fatalf("waited %s for the question to end", patience)
	}
}

// One try that is not answered leaves time for another.
func TestSilenceIsTriedAgain(t *testing.T) {
	release := make(chan struct{})
	defer close(release)
	var asked atomic.Int32
	c := newClient(t, func(w http.ResponseWriter, r *http.Request) {
		if asked.Add(1) == 1 {
			select {
			case <-release:
			case <-r.Context().Done():
			}
			return
		}
		reply(w, http.StatusCreated, authorization.SubjectAccessReview{
			TypeMeta: meta.TypeMeta{Kind: "SubjectAccessReview", APIVersion: "authorization.k8s.io/v1"},
			Status:   authorization.SubjectAccessReviewStatus{Allowed: true},
		})
	})
	c.patience, c.attempt = patience, patience/10
	if status, err := c.Access(t.Context(), authorization.SubjectAccessReviewSpec{User: "jane"}); err != nil || !status.Allowed {
		t.Errorf("got %+v, %v, want the second answer", status, err)
	}
}

func TestNoErrorHasTheToken(t *testing.T) {
	for name, handler := range map[string]http.HandlerFunc{
		"in a refusal": func(w http.ResponseWriter, _ *http.Request) {
			reply(w, http.StatusBadRequest, refusal(http.StatusBadRequest, "what is "+secret+"?"))
		},
		"in garbage": func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "<html>"+secret) },
	} {
		t.Run(name, func(t *testing.T) {
			_, err := newClient(t, handler).Token(t.Context(), authentication.TokenReviewSpec{Token: secret})
			if err == nil {
				t.Fatal("no error of a refusal")
			}
			if strings.Contains(err.Error(), secret) {
				t.Errorf("the token is in %v", err)
			}
		})
	}
}

// What a proxy in between answers is none of the API server's reasons, and may quote what was sent.
func TestNoErrorHasABodyOfAnotherKind(t *testing.T) {
	for _, code := range []int{http.StatusForbidden, http.StatusInternalServerError} {
		c := newClient(t, func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "page of a proxy", code) })
		_, tokenErr := c.Token(t.Context(), authentication.TokenReviewSpec{Token: secret})
		_, accessErr := c.Access(t.Context(), authorization.SubjectAccessReviewSpec{User: "jane"})
		for _, err := range []error{tokenErr, accessErr} {
			if err == nil || strings.Contains(err.Error(), "proxy") || !strings.HasSuffix(err.Error(), fmt.Sprintf(": status %d", code)) {
				t.Errorf("got %v, want the status %d and nothing of the body", err, code)
			}
		}
	}
}
