package prometheus

import (
	"bytes"
	"compress/gzip"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"
)

func TestAnswersAreRead(t *testing.T) {
	server := &Server{URL: "http://prometheus", Get: func(_ context.Context, url string) ([]byte, error) {
		if want := "http://prometheus/api/v1/query?query=up%5B1d%5D&time=12.500"; url != want {
			t.Errorf("asked %s, want %s", url, want)
		}
		return []byte(`{"status":"success","data":{"resultType":"matrix","result":[
			{"metric":{"__name__":"up","job":"a"},"values":[[10.25,"1"],[12.5,"NaN"]]}]}}`), nil
	}}
	got, err := server.Query(t.Context(), "up[1d]", 12.5)
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != 1 || got[0].Labels["job"] != "a" || len(got[0].Points) != 2 || got[0].Points[0] != (Point{10.25, 1}) || got[0].Last().At != 12.5 {
		t.Errorf("got %v", got)
	}
	vector, err := parseQuery([]byte(`{"data":{"resultType":"vector","result":[{"metric":{},"value":[1795487904,"3.5e+09"]}]}}`))
	if want := []Series{{Labels: map[string]string{}, Points: []Point{{1795487904, 3.5e9}}}}; err != nil || !reflect.DeepEqual(vector, want) {
		t.Errorf("got %v, %v, want %v", vector, err, want)
	}
	for _, text := range []string{"", `{"data":{"result":[{"metric":{}}]}}`, `{"data":{"result":[{"value":[1,"x"]}]}}`} {
		if got, err := parseQuery([]byte(text)); err == nil {
			t.Errorf("%q is read as %v, want an error", text, got)
		}
	}
}

func TestRelayPassesOnAndCounts(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root, to enter a network namespace")
	}
	var compressed bytes.Buffer
	writer := gzip.NewWriter(&compressed)
	_, _ = writer.Write([]byte(strings.Repeat("metric 1\n", 100)))
	_ = writer.Close()
	target := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/missing" {
			http.NotFound(w, r)
			return
		}
		if r.Header.Get("Accept") != "text/plain" || r.Header.Get("Accept-Encoding") != "gzip" || r.URL.RawQuery != "collect[]=cpu" {
			t.Errorf("passed on as %s with %v", r.URL, r.Header)
		}
		w.Header().Set("Content-Encoding", "gzip")
		w.Header().Set("Content-Type", "text/plain")
		_, _ = w.Write(compressed.Bytes())
	}))
	defer target.Close()
	relay, err := NewRelay(os.Getpid(), target.Listener.Addr().String(), "text/plain")
	if err != nil {
		t.Fatal(err)
	}
	defer relay.Close()
	ask := func(path string) []byte {
		t.Helper()
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+relay.Address+path, http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Accept-Encoding", "gzip")
		request.Header.Set("Accept", "application/openmetrics-text")
		answer, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Body.Close()
		text, err := io.ReadAll(answer.Body)
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	for range 2 {
		if got := ask("/metrics?collect[]=cpu"); !bytes.Equal(got, compressed.Bytes()) {
			t.Errorf("got %d bytes, want the %d of the target as they are", len(got), compressed.Len())
		}
	}
	ask("/missing")
	want := Traffic{
		Answers: 2, Bytes: 2 * int64(compressed.Len()),
		Types: map[string]int{"text/plain": 2}, Encodings: map[string]int{"gzip": 2},
	}
	// An answer counts once it is passed on, and that is a moment after its last byte.
	await := func(counted func(map[string]Traffic) bool) {
		for deadline := time.Now().Add(time.Minute); !counted(relay.Traffic()) && time.Now().Before(deadline); {
			time.Sleep(5 * time.Millisecond)
		}
	}
	await(func(t map[string]Traffic) bool {
		return t["/missing"].Failures > 0 && t["/metrics"].Answers >= want.Answers
	})
	if got := relay.Traffic(); !reflect.DeepEqual(got["/metrics"], want) || got["/missing"].Failures != 1 || got["/missing"].Answers != 0 {
		t.Errorf("counted %+v, want %+v and one failure of /missing", got, want)
	}
	target.Close()
	ask("/metrics")
	await(func(t map[string]Traffic) bool { return t["/metrics"].Failures > 0 })
	if got := relay.Traffic()["/metrics"]; got.Failures != 1 {
		t.Errorf("counted %+v after the target's end, want one failure", got)
	}
}

func TestConfiguration(t *testing.T) {
	const plain = `global:
  scrape_interval: 2s
  scrape_timeout: 2s
  evaluation_interval: 2s
scrape_configs:
- job_name: one
  metrics_path: /metrics
  static_configs:
  - targets: ["127.0.0.1:1"]
`
	job := Job{Name: "one", Target: "127.0.0.1:1", Path: "/metrics"}
	if got := Configuration(2*time.Second, []Job{job}); got != plain {
		t.Errorf("got:\n%s\nwant:\n%s", got, plain)
	}
	const more = `global:
  scrape_interval: 2s
  scrape_timeout: 2s
  evaluation_interval: 2s
rule_files:
- "/rules.yaml"
scrape_configs:
- job_name: one
  metrics_path: /metrics
  static_configs:
  - targets: ["127.0.0.1:1"]
    labels:
      job: "other"
      node: "n1"
`
	job.Labels = map[string]string{"node": "n1", "job": "other"}
	if got := Configuration(2*time.Second, []Job{job}, "/rules.yaml"); got != more {
		t.Errorf("got:\n%s\nwant:\n%s", got, more)
	}
}

func TestRulesAreRead(t *testing.T) {
	server := &Server{URL: "http://prometheus", Get: func(_ context.Context, url string) ([]byte, error) {
		if want := "http://prometheus/api/v1/rules"; url != want {
			t.Errorf("asked %s, want %s", url, want)
		}
		return []byte(`{"status":"success","data":{"groups":[{"name":"g","rules":[
			{"name":"a:b:c","type":"recording","health":"err","lastError":"many-to-many"},
			{"name":"Down","type":"alerting","health":"ok","state":"firing","alerts":[{"labels":{"node":"n1"},"state":"firing"}]}]}]}}`), nil
	}}
	got, err := server.Rules(t.Context())
	want := []Rule{{Name: "a:b:c", Group: "g", Type: "recording", Health: "err", LastError: "many-to-many"}, {Name: "Down", Group: "g", Type: "alerting", Health: "ok", State: "firing"}}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, %v, want %+v", got, err, want)
	}
}

func TestComplaints(t *testing.T) {
	promtool, err := Find("promtool")
	if err != nil {
		t.Skip(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	for text, want := range map[string]string{
		"# HELP good_bytes Good.\n# TYPE good_bytes gauge\ngood_bytes 1\n": "",
		"# HELP bad_total Bad.\n# TYPE bad_total gauge\nbad_total 1\n":     "bad_total non-counter metrics should not have",
		"# HELP bad Bad.\n# TYPE bad counter\nbad 1\n# HELP a B.\na 0\n":   `bad counter metrics should have "_total" suffix`,
	} {
		got, err := Complaints(ctx, promtool, []byte(text))
		if err != nil || (want == "") != (len(got) == 0) || want != "" && !strings.Contains(strings.Join(got, "\n"), want) {
			t.Errorf("%q: got %q, %v, want %q", text, got, err, want)
		}
	}
	if got, err := Complaints(ctx, promtool, []byte("no metrics {\n")); err == nil {
		t.Errorf("got %q of a text that is none, want an error", got)
	}
}
