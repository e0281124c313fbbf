package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

func TestSecurePortLetsInWhoIsKnown(t *testing.T) {
	folder, ca := t.TempDir(), newAuthority(t)
	clients, made := filepath.Join(folder, "clients.crt"), filepath.Join(folder, "made")
	ca.write(t, clients)
	a, url := startSecure(t, "--client-ca-file="+clients, "--authorization-mode=AlwaysAllow", "--tls-cert-dir="+made)
	jane, old, eve := ca.issue(t, "jane", time.Now().Add(time.Hour)), ca.issue(t, "old", time.Now().Add(-time.Hour)), newAuthority(t).issue(t, "eve", time.Now().Add(time.Hour))
	known := secureClient{bundle: filepath.Join(made, "ca.crt"), certificate: &jane}
	for _, e := range endpoints {
		status, body, protocol := known.ask(t, http.MethodGet, url+e.path)
		if status != http.StatusOK || protocol != "HTTP/2.0" || !strings.Contains(body, e.has) {
			t.Errorf("%s: got %d over %s:\n%.300s", e.path, status, protocol, body)
		}
	}
	if status, _, _ := known.ask(t, http.MethodGet, url+"/nothing"); status != http.StatusNotFound {
		t.Errorf("a path that is not served: got %d for who may, want 404", status)
	}
	for name, stranger := range map[string]struct {
		client secureClient
		want   string
	}{
		"no certificate":      {secureClient{bundle: known.bundle}, "wanted is a client certificate"},
		"expired certificate": {secureClient{bundle: known.bundle, certificate: &old}, "expired"},
		"another authority's": {secureClient{bundle: known.bundle, certificate: &eve}, "unknown authority"},
		"a token":             {secureClient{bundle: known.bundle, token: "anything"}, "wanted is a client certificate"},
	} {
		for _, path := range []string{"/metrics", "/", "/healthz", "/nothing", "/metrics/../nothing", "/%00", "/stats/summary?x=%zz"} {
			status, body, _ := stranger.client.ask(t, http.MethodGet, strings.ReplaceAll(url+path, "%zz", "%25"))
			if status != http.StatusUnauthorized || !strings.HasPrefix(body, "Unauthorized (verb=get, path=/") || !strings.Contains(body, stranger.want) {
				t.Errorf("%s, %s: got %d %s", name, path, status, body)
			}
		}
	}
	if status, body := askRaw(t, known.bundle, url, "OPTIONS * HTTP/1.1\r\nHost: node\r\n\r\n"); status != http.StatusUnauthorized {
		t.Errorf("OPTIONS * of a stranger: got %d %q, want 401", status, body)
	}
	if status, body, _ := (secureClient{bundle: clients, certificate: &jane}).ask(t, http.MethodGet, url+"/metrics"); status != 0 {
		t.Errorf("a client that does not know the authority was answered %d %s", status, body)
	}
	if !strings.Contains(a.stdout.String(), url+"/ for who may\n") {
		t.Errorf("stdout does not tell of the secure port:\n%s", &a.stdout)
	}
	if status := a.terminate(t); status != 0 {
		t.Errorf("exit status after SIGTERM: got %d; stderr:\n%s", status, &a.stderr)
	}
}

// While the API server errs, is silent or away, who is known goes on, who is not is refused, and no log has a token.
func TestSecurePortInBadWeather(t *testing.T) {
	withRaceDetector(t)
	fake, api := startAPI(t)
	made := t.TempDir()
	a, url := startSecure(t, "--kubeconfig="+kubeconfigOf(t, api.URL), "--tls-cert-dir="+made,
		// What was answered is kept for as long as the test takes, which is until silence has ended all its questions.
		"--authentication-token-webhook-cache-ttl=1h", "--authorization-webhook-cache-authorized-ttl=1h", "--authorization-webhook-cache-unauthorized-ttl=1h")
	bundle := filepath.Join(made, "ca.crt")
	known := secureClient{bundle: bundle, token: "known-secret"}
	expect := func(client secureClient, path string, status int, want string) {
		t.Helper()
		if got, body, _ := client.ask(t, http.MethodGet, url+path); got != status || !strings.Contains(body, want) {
			t.Errorf("%s: got %d %.300s, want %d with %q", path, got, body, status, want)
		}
	}
	expect(known, "/metrics/resource", 200, "node_cpu_usage_seconds_total")
	expect(known, "/stats/summary", 403, "Forbidden (user=jane, verb=get, resource=nodes, subresource(s)=[stats])\n")
	expect(known, "/nothing", 403, "Forbidden (user=jane, verb=get, resource=nodes, subresource(s)=[proxy])\n")
	expect(secureClient{bundle: bundle, token: "unknown-secret"}, "/metrics", 401, "does not know it")
	expect(secureClient{bundle: bundle}, "/metrics", 401, "wanted is a bearer token")
	for series, want := range map[string]int{
		`nodevitals_requests_refused_total{reason="unauthorized"}`: 2,
		`nodevitals_requests_refused_total{reason="forbidden"}`:    2,
		`nodevitals_reviews_total{result="yes",review="token"}`:    1,
		`nodevitals_reviews_total{result="no",review="token"}`:     1,
		`nodevitals_reviews_total{result="error",review="token"}`:  0,
		`nodevitals_review_cache_hits_total{review="token"}`:       2,
		`nodevitals_reviews_total{result="yes",review="access"}`:   1,
		// /stats/summary needs one right, and so does what is not served.
		`nodevitals_reviews_total{result="no",review="access"}`: 2,
	} {
		awaitMetric(t, a, series, want)
	}
	for i, mode := range []string{"error", "silence", "away"} {
		fake.mode.Store(mode)
		if mode == "away" {
			api.CloseClientConnections()
			_ = api.Listener.Close() // httptest closes it again
		}
		expect(known, "/metrics/resource", 200, "node_cpu_usage_seconds_total")
		expect(known, "/stats/summary", 403, "Forbidden")
		expect(known, "/healthz", 500, "Authorization error (user=jane, verb=get, resource=nodes, subresource=healthz)\n")
		expect(secureClient{bundle: bundle, token: fmt.Sprintf("other-secret-%d", i)}, "/metrics", 401, "could not be asked")
	}
	if got := fake.asked.Load(); got != 2 {
		t.Errorf("reviewed %d tokens while all was well, want each of the two once", got)
	}
	awaitMetric(t, a, `nodevitals_reviews_total{result="error",review="token"}`, 3)
	awaitMetric(t, a, `nodevitals_reviews_total{result="error",review="access"}`, 3)
	if status := a.terminate(t); status != 0 {
		t.Errorf("exit status: got %d", status)
	}
	logs := a.stderr.String() + a.stdout.String()
	if strings.Contains(logs, "-secret") {
		t.Errorf("a token is in the log:\n%s", logs)
	}
	if got := strings.Count(logs, `"msg":"a bearer token could not be reviewed`); got != 3 {
		t.Errorf("told %d times that tokens cannot be reviewed, want it of each of 3:\n%s", got, logs)
	}
}

// Who is not known yet waits for an API server that takes its time, and is answered: its first scrape is not lost.
func TestSecurePortWaitsForASlowAPIServer(t *testing.T) {
	fake, api := startAPI(t)
	made := t.TempDir()
	a, url := startSecure(t, "--kubeconfig="+kubeconfigOf(t, api.URL), "--tls-cert-dir="+made)
	fake.mode.Store("slow")
	client := secureClient{bundle: filepath.Join(made, "ca.crt"), token: "known-secret"}
	if status, body, _ := client.ask(t, http.MethodGet, url+"/metrics/resource"); status != http.StatusOK {
		t.Errorf("got %d %.300s while the API server takes %s for each question, want 200; stderr:\n%s", status, body, slowness, &a.stderr)
	}
}

func TestSecurePortIsOffWithoutAnybodyToLetIn(t *testing.T) {
	a := startAgent(t, 0)
	if strings.Contains(a.stdout.String(), "https://") {
		t.Errorf("stdout tells of a secure port:\n%s", &a.stdout)
	}
}

func TestSecureMistakesAreOneLine(t *testing.T) {
	folder, ca := t.TempDir(), newAuthority(t)
	clients, broken := filepath.Join(folder, "ca.crt"), filepath.Join(folder, "broken")
	ca.write(t, clients)
	writeFile(t, broken, []byte("garbage"))
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	taken := strconv.Itoa(listener.Addr().(*net.TCPAddr).Port)
	free := strconv.Itoa(freePorts(t, 1)[0])
	alone := []string{"--read-only-port=0", "--healthz-port=0"}
	allowed := append([]string{"--client-ca-file=" + clients, "--authorization-mode=AlwaysAllow", "--secure-port=" + free}, alone...)
	with := func(base []string, more ...string) []string { return append(append([]string(nil), base...), more...) }
	for _, test := range []struct {
		name   string
		args   []string
		status int
		want   []string
	}{
		{"nobody to let in", []string{"--secure-port=" + free}, exitUsage, []string{"--secure-port", "--kubeconfig", "--client-ca-file"}},
		{"nobody to decide", []string{"--client-ca-file=" + clients}, exitUsage, []string{"--authorization-mode", "--kubeconfig", "AlwaysAllow"}},
		{"unknown mode", with(allowed, "--authorization-mode=RBAC"), exitUsage, []string{"--authorization-mode", "RBAC", "Webhook"}},
		{"no kubeconfig", []string{"--kubeconfig=" + folder + "/none"}, exitFailure, []string{"--kubeconfig", "none"}},
		{"no address", with(allowed, "--bind-address=here"), exitUsage, []string{"--bind-address", "here"}},
		{"port too large", []string{"--secure-port=70000"}, exitUsage, []string{"--secure-port", "70000"}},
		{"half of a pair", with(allowed, "--tls-cert-file="+clients), exitUsage, []string{"--tls-cert-file", "--tls-private-key-file"}},
		{"two certificates", with(allowed, "--tls-cert-file=a", "--tls-private-key-file=b", "--tls-cert-dir=c"), exitUsage, []string{"--tls-cert-dir"}},
		{"no name", with(allowed, "--tls-san=a b"), exitUsage, []string{"--tls-san", "a b"}},
		{"old TLS", with(allowed, "--tls-min-version=VersionTLS10"), exitUsage, []string{"--tls-min-version", "VersionTLS12"}},
		{"unknown suite", with(allowed, "--tls-cipher-suites=TLS_NULL"), exitUsage, []string{"--tls-cipher-suites", "TLS_NULL", "TLS_ECDHE"}},
		{"negative TTL", with(allowed, "--authentication-token-webhook-cache-ttl=-1s"), exitUsage, []string{"--authentication-token-webhook-cache-ttl"}},
		{"broken authorities", with(allowed, "--client-ca-file="+broken), exitFailure, []string{"--client-ca-file", broken}},
		{"broken certificate", with(allowed, "--tls-cert-file="+broken, "--tls-private-key-file="+broken), exitFailure, []string{"--tls-cert-file", broken}},
		{"no folder", with(allowed, "--tls-cert-dir="+broken+"/x"), exitFailure, []string{"--tls-cert-dir"}},
		{
			"taken port", with(allowed, "--bind-address=127.0.0.1", "--secure-port="+taken), exitFailure,
			[]string{"127.0.0.1:" + taken, "address already in use", "kubelet", "--secure-port"},
		},
		{"TLS and plain", with(allowed, "--read-only-port="+free), exitUsage, []string{"--secure-port", "--read-only-port", free, "TLS"}},
		{"TLS and health", with(allowed, "--healthz-port="+free), exitUsage, []string{"--secure-port", "--healthz-port", free, "TLS"}},
		{
			"overlap",
			[]string{"--read-only-port=" + free, "--healthz-port=" + free, "--healthz-bind-address=0.0.0.0"},
			exitUsage,
			[]string{"--healthz-port", "--read-only-port", "0.0.0.0"},
		},
		{"pods without a secure port", append([]string{"--serve-pods", "--secure-port=0"}, "--read-only-port="+free, "--healthz-port=0"), exitUsage, []string{"--serve-pods", "--secure-port"}},
		{"pods without an API server", with(allowed, "--serve-pods"), exitUsage, []string{"--serve-pods", "--kubeconfig", "--pod-source"}},
		{"relative socket", with(alone, "--read-only-socket=s"), exitUsage, []string{"--read-only-socket"}},
		{"no socket", with(alone, "--read-only-socket="+broken), exitFailure, []string{"--read-only-socket", broken, "no socket"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := command(t, test.args...)
			if got.status != test.status || got.stdout != "" {
				t.Errorf("status %d, stdout %q; want status %d and nothing", got.status, got.stdout, test.status)
			}
			if !strings.HasPrefix(got.stderr, "nodevitals: ") || strings.Count(got.stderr, "\n") != 1 {
				t.Errorf("stderr: got %q, want one line from nodevitals", got.stderr)
			}
			for _, want := range test.want {
				if !strings.Contains(got.stderr, want) {
					t.Errorf("stderr lacks %q: %s", want, got.stderr)
				}
			}
		})
	}
}

func TestReadOnlySocket(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "s")
	a := startAgent(t, 0, "--read-only-port=0", "--read-only-socket="+socket)
	client := http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", socket)
	}}}
	for _, e := range endpoints {
		answer, err := client.Get("http://node" + e.path)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(answer.Body)
		answer.Body.Close()
		if answer.StatusCode != http.StatusOK || !strings.Contains(string(body), e.has) {
			t.Errorf("%s: got %d:\n%.300s", e.path, answer.StatusCode, body)
		}
	}
	if info, err := os.Stat(socket); err != nil || info.Mode().Perm() != 0o660 {
		t.Errorf("want mode 0660, got %v, %v", info, err)
	}
	if status := a.terminate(t); status != 0 {
		t.Errorf("exit status: got %d; stderr:\n%s", status, &a.stderr)
	}
	if _, err := os.Stat(socket); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the socket is still there: %v", err)
	}
}

func TestHealthSharesTheReadOnlyPort(t *testing.T) {
	// The later flag counts, so both of the test's ports become one.
	port := strconv.Itoa(freePorts(t, 1)[0])
	p := start(t, 0, "--read-only-port="+port, "--healthz-port="+port, "--log-format=json")
	a := &running{process: p, readOnly: "http://127.0.0.1:" + port, healthz: "http://127.0.0.1:" + port}
	if !a.ready(t) {
		t.Fatalf("the agent ended; stderr:\n%s", &a.stderr)
	}
	for _, path := range []string{"/healthz", "/metrics", "/readyz"} {
		if answer, body := get(t, a.readOnly+path, nil); answer.StatusCode != http.StatusOK {
			t.Errorf("%s: got %d %.300s", path, answer.StatusCode, body)
		}
	}
}
