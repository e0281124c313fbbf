package exporter

import (
	"bufio"
	"compress/gzip"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nodevitals/nodevitals/answer"
	"github.com/nodevitals/nodevitals/collector"
	"github.com/nodevitals/nodevitals/collector/cgrouptest"
	"github.com/nodevitals/nodevitals/snapshot"
)

// TestAgreesWithCadvisorOnThisHost is TestAgreesWithCadvisor over what this host really has, with load on it.
func TestAgreesWithCadvisorOnThisHost(t *testing.T) {
	g := cgrouptest.New(t)
	limited := g.Child(t, "limited")
	if !limited.Set(t, "20000 100000", "cpu.max") {
		limited.Set(t, "20000", "cpu.cfs_quota_us")
	}
	limited.Set(t, "134217728", "memory.max", "memory.limit_in_bytes")
	limited.Start(t, "cpu")
	g.Child(t, "free").Start(t, "memory", "8")

	source, err := collector.New(collector.Options{HostRoot: "/", RootDir: "/var/lib/kubelet", Walker: cgrouptest.Walker(t)})
	if err != nil {
		t.Fatal(err)
	}
	defer source.Close()
	var r Renderer
	compared := 0
	for range 5 {
		s, err := source.Snapshot(context.Background(), snapshot.All)
		if err != nil {
			t.Fatal(err)
		}
		if s.Find(limited.ID) == nil {
			t.Fatalf("the snapshot lacks %s", limited.ID)
		}
		for _, timestamps := range []bool{false, true} {
			c := comparison{T: t, s: s, now: time.Now(), timestamps: timestamps, met: map[deviation]int{}}
			compared += c.run(&r)
		}
	}
	t.Logf("compared %d samples", compared)
}

// The memory of a snapshot serves the next one as soon as nobody uses it. Whoever asks and leaves meanwhile, each answer must be of one snapshot: all of its
// samples of a group have one time. The race detector sees the rest.
func TestEachAnswerIsOfOneSnapshot(t *testing.T) {
	source, err := collector.New(collector.Options{HostRoot: "/", RootDir: "/var/lib/kubelet", Walker: cgrouptest.Walker(t)})
	if err != nil {
		t.Fatal(err)
	}
	defer source.Close()
	options := HandlerOptions{Groups: snapshot.All, Timestamps: true, Answers: answer.NewStore(answer.Options{})}
	handlers := []http.Handler{NewCadvisorHandler(source, options), NewResourceHandler(source, options)}
	var clients sync.WaitGroup
	var whole atomic.Int64
	for client := range 8 {
		clients.Go(func() {
			for i := range 20 {
				ctx, leave := context.WithCancel(context.Background())
				if i%3 == client%3 {
					time.AfterFunc(time.Duration(i)*200*time.Microsecond, leave)
				}
				request := httptest.NewRequestWithContext(ctx, http.MethodGet, "/", nil)
				if client%2 == 0 {
					request.Header.Set("Accept-Encoding", "gzip")
				}
				recorder := httptest.NewRecorder()
				handlers[i%len(handlers)].ServeHTTP(recorder, request)
				if ctx.Err() == nil && recorder.Code == http.StatusOK {
					whole.Add(1)
					oneTime(t, recorder)
				}
				leave()
			}
		})
	}
	clients.Wait()
	if got := whole.Load(); got < 80 {
		t.Errorf("%d answers were whole, want those at least whose clients stayed", got)
	}
}

// oneTime checks that all samples of working sets in an answer are of one time, and that there are any.
func oneTime(t *testing.T, answer *httptest.ResponseRecorder) {
	t.Helper()
	var text io.Reader = answer.Body
	if answer.Header().Get("Content-Encoding") == "gzip" {
		unpacked, err := gzip.NewReader(text)
		if err != nil {
			t.Error(err)
			return
		}
		text = unpacked
	}
	times := map[string]int{}
	lines := bufio.NewScanner(text)
	for lines.Scan() {
		name, _, _ := strings.Cut(lines.Text(), " ")
		if words := strings.Fields(lines.Text()); strings.Contains(name, "working_set_bytes") && len(words) > 2 && words[0] != "#" {
			times[words[len(words)-1]]++
		}
	}
	if err := lines.Err(); err != nil || len(times) != 1 {
		t.Errorf("got samples of the times %v, %v; want one", times, err)
	}
}
