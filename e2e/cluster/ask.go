package cluster

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"
)

// Answers larger than this are none that a node of this size gives.
const largestAnswer = 64 << 20

// Get asks inside the cluster's network namespace, and returns what came with status 200.
func (c *Cluster) Get(ctx context.Context, url string) ([]byte, error) {
	return c.ask(ctx, http.MethodGet, url, nil, nil)
}

// post sends a document as JSON inside the cluster's network namespace, and returns what came with status 200.
func (c *Cluster) post(ctx context.Context, url string, document any) ([]byte, error) {
	text, err := json.Marshal(document)
	if err != nil {
		return nil, err
	}
	return c.ask(ctx, http.MethodPost, url, bytes.NewReader(text), nil)
}

// Kubelet asks the kubelet's secure port with an administrator's rights. The path starts with a slash.
func (c *Cluster) Kubelet(ctx context.Context, path string) ([]byte, error) {
	secure, err := c.AdminTLS()
	if err != nil {
		return nil, err
	}
	return c.ask(ctx, http.MethodGet, "https://"+NodeAddress+":10250"+path, nil, secure)
}

func (c *Cluster) ask(ctx context.Context, method, url string, sent io.Reader, secure *tls.Config) ([]byte, error) {
	// A connection of its own: a kept one could be to a process that has been replaced since.
	client := &http.Client{
		Transport: &http.Transport{DialContext: c.network.dial, TLSClientConfig: secure, DisableKeepAlives: true},
		Timeout:   time.Minute,
	}
	request, err := http.NewRequestWithContext(ctx, method, url, sent)
	if err != nil {
		return nil, err
	}
	response, err := client.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, largestAnswer))
	if err != nil {
		return nil, fmt.Errorf("read the answer of %s: %w", url, err)
	}
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s answers %s: %.3000s", url, response.Status, body)
	}
	return body, nil
}
