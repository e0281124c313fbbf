package authorization

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"

	"go.uber.org/zap"
	review "k8s.io/api/authentication/v1"

	"github.com/nodevitals/nodevitals/server/authentication"
)

// nobodys are an API server's words on tokens, none of which makes a sender known.
type nobodys struct{}

func (nobodys) Token(_ context.Context, spec review.TokenReviewSpec) (review.TokenReviewStatus, error) {
	jane := review.UserInfo{Username: "jane", Groups: []string{"system:masters"}}
	switch len(spec.Token) % 5 {
	case 0:
		return review.TokenReviewStatus{User: jane, Audiences: spec.Audiences}, nil
	case 1:
		return review.TokenReviewStatus{Authenticated: true, Audiences: spec.Audiences}, nil
	case 2:
		return review.TokenReviewStatus{Authenticated: true, User: jane, Audiences: []string{"elsewhere"}}, nil
	case 3:
		return review.TokenReviewStatus{Authenticated: true, User: jane}, nil
	default:
		return review.TokenReviewStatus{Authenticated: true, User: jane, Audiences: spec.Audiences}, errors.New("away")
	}
}

// FuzzFilter: whatever a sender asks for, with whatever headers, who is not known never reaches what is behind the filter.
func FuzzFilter(f *testing.F) {
	for _, seed := range []string{
		"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n",
		"GET /metrics HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer a\r\n\r\n",
		"GET /metrics HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ab\r\n\r\n",
		"GET /metrics HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer abc\r\nAuthorization: Bearer abcd\r\n\r\n",
		"GET /metrics HTTP/1.1\r\nHost: x\r\nAuthorization: bearer  abcd\r\n\r\n",
		"GET /metrics HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer abcde\r\n\r\n",
		"GET /metrics HTTP/1.1\r\nHost: x\r\nAuthorization: Basic amFuZTpqYW5l\r\nX-Remote-User: jane\r\nImpersonate-User: jane\r\n\r\n",
		"POST /stats/summary HTTP/1.1\r\nHost: x\r\nAuthorization: \r\nContent-Length: 3\r\n\r\na=b",
		"HEAD //healthz/../metrics?access_token=abc HTTP/1.0\r\n\r\n",
		"GET http://[::1]:1/%2e%2e/livez;x%0a HTTP/1.1\r\nHost: x\r\n\r\n",
		"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n",
		"CONNECT a:1 HTTP/1.1\r\nHost: x\r\n\r\n",
	} {
		f.Add([]byte(seed))
	}
	reached := false
	who := authentication.New(authentication.Options{ClientCAs: x509.NewCertPool, Tokens: nobodys{}, Audiences: []string{"nodes"}})
	// Whoever were known might do everything.
	filter := Filter(zap.NewNop(), who, New(Options{}), http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached = true }))
	client := netip.MustParseAddr("10.0.0.0")
	f.Fuzz(func(t *testing.T, raw []byte) {
		request, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(raw)))
		if err != nil {
			return
		}
		// Each from another address: one that asks often would soon be refused for that.
		client = client.Next()
		request.RemoteAddr = netip.AddrPortFrom(client, 1).String()
		request.TLS = &tls.ConnectionState{}
		recorder := httptest.NewRecorder()
		filter.ServeHTTP(recorder, request)
		if reached {
			t.Fatalf("an unknown sender reached the handler with %q", raw)
		}
		body := recorder.Body.String()
		if recorder.Code != http.StatusUnauthorized || !strings.HasPrefix(body, "Unauthorized (verb=") || strings.Count(body, "\n") != 1 {
			t.Errorf("%q: got %d %q, want 401 and one line", raw, recorder.Code, body)
		}
	})
}
