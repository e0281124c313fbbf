package main

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestCertificatesAreReloadedWhileServing(t *testing.T) {
	withRaceDetector(t)
	folder, first, second := t.TempDir(), newAuthority(t), newAuthority(t)
	clients, serving, bundle := filepath.Join(folder, "clients.crt"), filepath.Join(folder, "serving.pem"), filepath.Join(folder, "bundle.crt")
	first.write(t, clients)
	writePair(t, serving, first.issue(t, "server", time.Now().Add(time.Hour)))
	a, url := startSecure(t, "--client-ca-file="+clients, "--authorization-mode=AlwaysAllow", "--tls-cert-file="+serving, "--tls-private-key-file="+serving)
	jane, joe := first.issue(t, "jane", time.Now().Add(time.Hour)), second.issue(t, "joe", time.Now().Add(time.Hour))
	first.write(t, bundle)
	if status, body, _ := (secureClient{bundle: bundle, certificate: &jane}).ask(t, http.MethodGet, url+"/metrics"); status != http.StatusOK {
		t.Fatalf("before: got %d %s", status, body)
	}
	await := func(what string, client secureClient, want int) {
		t.Helper()
		var status int
		var body string
		for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(100 * time.Millisecond) {
			if status, body, _ = client.ask(t, http.MethodGet, url+"/healthz/ping"); status == want {
				return
			}
		}
		t.Fatalf("waited %s for %s: want %d, got %d %s; stderr:\n%s", patience, what, want, status, body, &a.stderr)
	}
	expiry := func(certificate string) string {
		return fmt.Sprintf("nodevitals_certificate_expiration_timestamp_seconds{certificate=%q}", certificate)
	}
	awaitMetric(t, a, expiry("client_ca"), int(first.certificate.NotAfter.Unix()))
	// The new authority's certificate for the server, and its clients.
	later := time.Now().Add(3 * time.Hour)
	writePair(t, serving, second.issue(t, "server", later))
	second.write(t, clients)
	second.write(t, bundle)
	await("the new authority's client at the new certificate", secureClient{bundle: bundle, certificate: &joe}, http.StatusOK)
	await("the end of the old authority's clients", secureClient{bundle: bundle, certificate: &jane}, http.StatusUnauthorized)
	awaitMetric(t, a, expiry("serving"), int(later.Unix()))
	awaitMetric(t, a, expiry("client_ca"), int(second.certificate.NotAfter.Unix()))
	// Files of no use, and then none at all. Each file's word is awaited, for that one is said twice does not say the other.
	awaitWords := func(reason string) {
		t.Helper()
		missing := []string{"the serving certificate changed and is of no use", "the file of clients' authorities changed and is of no use"}
		for deadline := time.Now().Add(patience); len(missing) > 0; time.Sleep(100 * time.Millisecond) {
			for line := range strings.Lines(a.stderr.String()) {
				missing = slices.DeleteFunc(missing, func(words string) bool { return strings.Contains(line, words) && strings.Contains(line, reason) })
			}
			if time.Now().After(deadline) {
				t.Fatalf("waited %s for %q with %q; stderr:\n%s", patience, missing, reason, &a.stderr)
			}
		}
	}
	writeFile(t, serving, []byte("garbage"))
	writeFile(t, clients, nil)
	awaitWords("")
	await("the ones before, as the new files are of no use", secureClient{bundle: bundle, certificate: &joe}, http.StatusOK)
	for _, path := range []string{serving, clients} {
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
	}
	awaitWords("no such file")
	await("the ones before, as there are no files", secureClient{bundle: bundle, certificate: &joe}, http.StatusOK)
	await("a client of no authority, as there are no files", secureClient{bundle: bundle, certificate: &jane}, http.StatusUnauthorized)
}
