package e2e

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"time"
)

// answer is what a server said.
type answer struct {
	status int
	body   string
}

// askWith asks inside the cluster's network namespace, over a connection of its own, with what secure trusts and shows; with a token if that is
// not empty.
func askWith(ctx context.Context, secure *tls.Config, token, method, url string) (answer, error) {
	client := &http.Client{
		Timeout:   time.Minute,
		Transport: &http.Transport{DialContext: node.Dial, TLSClientConfig: secure.Clone(), DisableKeepAlives: true},
	}
	return ask(ctx, client, token, method, url)
}

// askThrough asks in plain HTTP over a connection that dial makes.
func askThrough(ctx context.Context, dial func(ctx context.Context, kind, address string) (net.Conn, error), url string) (answer, error) {
	client := &http.Client{Timeout: time.Minute, Transport: &http.Transport{DialContext: dial, DisableKeepAlives: true}}
	return ask(ctx, client, "", http.MethodGet, url)
}

func ask(ctx context.Context, client *http.Client, token, method, url string) (answer, error) {
	request, err := http.NewRequestWithContext(ctx, method, url, http.NoBody)
	if err != nil {
		return answer{}, err
	}
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	response, err := client.Do(request)
	if err != nil {
		return answer{}, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	return answer{response.StatusCode, string(body)}, err
}
