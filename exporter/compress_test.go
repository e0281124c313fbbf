package exporter

import (
	"bytes"
	stdgzip "compress/gzip"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/nodevitals/nodevitals/snapshot"
)

// busyNodeOf is nodeOf with what makes text hard to compress: IDs without a pattern, and figures of all sizes, two of three of them 0, as a
// kubelet has them.
func busyNodeOf(count int) *snapshot.Snapshot {
	s := nodeOf(count)
	random := rand.New(rand.NewPCG(1, 2))
	for i := range s.Cgroups {
		c := &s.Cgroups[i]
		if c.Identity.Name != "" {
			pod := sha256.Sum256([]byte(c.Identity.Pod))
			name := fmt.Sprintf("%x", sha256.Sum256([]byte(c.Identity.Name)))
			c.Identity.ID = fmt.Sprintf("/kubepods/burstable/pod%x-%x-%x-%x-%x/%s", pod[:4], pod[4:6], pod[6:8], pod[8:10], pod[10:16], name)
			c.Identity.Name = name
		}
		for f := range snapshot.FieldCount {
			if _, ok := c.Get(f); ok {
				c.Set(f, random.Uint64()>>(24+random.UintN(40))*uint64(random.UintN(3)/2))
			}
		}
	}
	return s
}

// compressedSizes are those of the same text: as it is, by the standard library's default level, and as we send it.
func compressedSizes(tb testing.TB, s *snapshot.Snapshot) (plain, standard, ours int) {
	tb.Helper()
	handler := NewCadvisorHandler(&source{s: s}, HandlerOptions{Groups: snapshot.All, Now: fixedNow})
	answered := func(encoding string) *httptest.ResponseRecorder {
		r := httptest.NewRequest(http.MethodGet, "/metrics/cadvisor", http.NoBody)
		r.Header.Set("Accept-Encoding", encoding)
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		return w
	}
	text := answered("identity").Body.Bytes()
	var reference bytes.Buffer
	writer := stdgzip.NewWriter(&reference)
	if _, err := writer.Write(text); err != nil {
		tb.Fatal(err)
	}
	if err := writer.Close(); err != nil {
		tb.Fatal(err)
	}
	zipped := answered("gzip").Body.Bytes()
	reader, err := stdgzip.NewReader(bytes.NewReader(zipped))
	if err != nil {
		tb.Fatal(err)
	}
	if back, err := io.ReadAll(reader); err != nil || !bytes.Equal(back, text) {
		tb.Fatalf("%d bytes came back of %d, error %v", len(back), len(text), err)
	}
	return len(text), reference.Len(), len(zipped)
}

// The speed of gzip is not bought with more than 15 % of size.
func TestGzipIsNearlyAsSmallAsTheStandardLibrarys(t *testing.T) {
	plain, standard, ours := compressedSizes(t, busyNodeOf(443))
	t.Logf("%d bytes, standard library %d, ours %d: %+.1f %%", plain, standard, ours, 100*(float64(ours)/float64(standard)-1))
	if ours*100 > standard*115 {
		t.Errorf("gzip makes %d bytes of %d, want no more than 15 %% above the standard library's %d", ours, plain, standard)
	}
}

// BenchmarkGzipOfTheStandardLibrary is what BenchmarkScrape/gzip is held against.
func BenchmarkGzipOfTheStandardLibrary(b *testing.B) {
	var r Renderer
	text := r.Cadvisor(busyNodeOf(443), Options{Groups: snapshot.All, Now: fixedNow()})
	writer := stdgzip.NewWriter(io.Discard)
	for b.Loop() {
		writer.Reset(io.Discard)
		if _, err := writer.Write(text); err != nil {
			b.Fatal(err)
		}
		if err := writer.Close(); err != nil {
			b.Fatal(err)
		}
	}
}

// discard is a client that takes everything.
type discard struct {
	header http.Header
	bytes  int
}

func (d *discard) Header() http.Header { return d.header }
func (d *discard) WriteHeader(int)     {}
func (d *discard) Write(b []byte) (int, error) {
	d.bytes += len(b)
	return len(b), nil
}

// numberedSource gives the same snapshot with a new number each time.
type numberedSource struct{ s snapshot.Snapshot }

func (n *numberedSource) Snapshot(context.Context, snapshot.Groups) (*snapshot.Snapshot, error) {
	n.s.Sequence++
	s := n.s
	return &s, nil
}

// BenchmarkScrape is what a scrape of 443 cgroups costs after its pass, to the bytes that go out: each is rendered and compressed anew.
func BenchmarkScrape(b *testing.B) {
	for _, encoding := range []string{"identity", "gzip", "zstd"} {
		b.Run(encoding, func(b *testing.B) {
			source := &numberedSource{s: *busyNodeOf(443)}
			handler := NewCadvisorHandler(source, HandlerOptions{Groups: snapshot.All})
			request := httptest.NewRequest(http.MethodGet, "/metrics/cadvisor", http.NoBody)
			request.Header.Set("Accept-Encoding", encoding)
			sent := 0
			b.ReportAllocs()
			for b.Loop() {
				client := &discard{header: http.Header{}}
				handler.ServeHTTP(client, request)
				sent = client.bytes
			}
			b.ReportMetric(float64(sent), "bytes/answer")
		})
	}
}
