package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/nodevitals/nodevitals/e2e/bench/report"
)

// program is one that takes turns with the others.
type program struct {
	name string
	pid  int
	// base is the beginning of its endpoints' addresses, and paths what it is asked for, by the path that the results carry.
	base  string
	paths map[string]string
	// own is where its runtime tells of itself.
	own    string
	client *http.Client
}

// dial connects where the programs are.
type dial func(ctx context.Context, kind, address string) (net.Conn, error)

// patience is how long any answer may take.
const patience = 2 * time.Minute

// newClient keeps its connections, as scrapers do.
func newClient(dial dial, secure *tls.Config) *http.Client {
	return &http.Client{
		Transport: &http.Transport{
			DialContext: dial, TLSClientConfig: secure, MaxIdleConnsPerHost: 2 * crowd, DisableCompression: true,
		},
		Timeout: patience,
	}
}

// answer is what one request brought.
type answer struct {
	took     time.Duration
	sent     int64
	encoding string
}

// ask sends one request with the headers of Prometheus, and reads the answer to its end. A nil into drops the text.
func (p *program) ask(ctx context.Context, path string, into io.Writer) (answer, error) {
	url := p.base + path
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return answer{}, err
	}
	request.Header.Set("Accept-Encoding", "gzip")
	request.Header.Set("Accept", "text/plain;version=0.0.4;q=0.5,*/*;q=0.1")
	start := time.Now()
	response, err := p.client.Do(request)
	if err != nil {
		return answer{}, err
	}
	defer response.Body.Close()
	if into == nil {
		into = io.Discard
	}
	sent, err := io.Copy(into, response.Body)
	if err != nil {
		return answer{}, fmt.Errorf("read the answer of %s: %w", url, err)
	}
	if response.StatusCode != http.StatusOK {
		return answer{}, fmt.Errorf("%s answers %s", url, response.Status)
	}
	return answer{took: time.Since(start), sent: sent, encoding: response.Header.Get("Content-Encoding")}, nil
}

// text asks once and returns the text as it was before compression.
func (p *program) text(ctx context.Context, path string) ([]byte, error) {
	var body bytes.Buffer
	got, err := p.ask(ctx, path, &body)
	if err != nil || got.encoding != "gzip" {
		return body.Bytes(), err
	}
	unpacked, err := gzip.NewReader(&body)
	if err != nil {
		return nil, fmt.Errorf("unpack the answer of %s%s: %w", p.base, path, err)
	}
	text, err := io.ReadAll(unpacked)
	if err != nil {
		return nil, fmt.Errorf("unpack the answer of %s%s: %w", p.base, path, err)
	}
	return text, nil
}

// state fills in what the process is now.
func (p *program) state(ctx context.Context, into *report.Program) error {
	memory, err := memoryOf(p.pid)
	if err != nil {
		return err
	}
	into.Resident, into.Own, into.Threads = memory.most, memory.own, memory.threads
	if into.Descriptors, err = descriptorsOf(p.pid); err != nil {
		return err
	}
	if p.own == "" {
		return nil
	}
	text, err := p.text(ctx, p.own)
	if err != nil {
		return err
	}
	if heap, ok := sampleOf(text, "go_memstats_heap_inuse_bytes"); ok {
		into.Heap = int64(heap)
	}
	if goroutines, ok := sampleOf(text, "go_goroutines"); ok {
		into.Goroutines = int(goroutines)
	}
	return nil
}
