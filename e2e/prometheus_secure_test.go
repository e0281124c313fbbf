package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nodevitals/nodevitals/e2e/cluster"
	"github.com/nodevitals/nodevitals/e2e/prometheus"
)

// A Prometheus that is given the ca.crt of an agent with a certificate of its own making verifies it, and scrapes with a token. One that is given
// the cluster's authority in its place does not get as far: it sends no token to whoever may answer.
func TestPrometheusVerifiesASelfMadeCertificate(t *testing.T) {
	needSecure(t)
	program, err := prometheus.Find("prometheus")
	if err != nil {
		t.Skip(err)
	}
	token := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(token, []byte(tokenOf(t, scraper(t, "e2e-prometheus"))), 0o600); err != nil {
		t.Fatal(err)
	}
	job := func(name, path, bundle string) map[string]any {
		return map[string]any{
			"job_name": name, "scheme": "https", "metrics_path": path,
			"authorization":  map[string]string{"credentials_file": token},
			"tls_config":     map[string]string{"ca_file": bundle},
			"static_configs": []any{map[string]any{"targets": []string{cluster.NodeAddress + ":" + securePort}}},
		}
	}
	made := filepath.Join(secureFolder(), "ca.crt")
	interval := "2s"
	if os.Getenv(machineVariable) != "" {
		interval = "20s"
	}
	configuration, err := json.Marshal(map[string]any{ // which is YAML, too
		"global": map[string]string{"scrape_interval": interval, "scrape_timeout": interval},
		"scrape_configs": []any{
			job("cadvisor", "/metrics/cadvisor", made), job("resource", "/metrics/resource", made), job("self", "/metrics", made),
			job("another-authority", "/metrics", node.CA()),
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	server := &prometheus.Server{URL: "http://127.0.0.1:20092", Get: node.Get}
	runPrometheus(t, "prometheus-secure", program, server.URL, string(configuration))
	for _, name := range []string{"cadvisor", "resource", "self", "another-authority"} {
		want := 1.0
		if name == "another-authority" {
			want = 0
		}
		err := cluster.Await(t.Context(), weatherLimit, fmt.Sprintf("up of job %s to be %v", name, want), func(ctx context.Context) error {
			series, err := server.Query(ctx, fmt.Sprintf("up{job=%q}", name), 0)
			if err == nil && (len(series) != 1 || series[0].Last().Value != want) {
				targets, _ := server.Get(ctx, server.URL+"/api/v1/targets")
				err = fmt.Errorf("got %v; Prometheus says %.2000s", series, targets)
			}
			return err
		})
		if err != nil {
			t.Error(err)
		}
	}
	targets, err := server.Get(t.Context(), server.URL+"/api/v1/targets")
	if err != nil {
		t.Fatal(err)
	}
	// Down for the reason that is meant, and no other.
	if got := strings.Count(string(targets), "certificate signed by unknown authority"); got != 1 {
		t.Errorf("%d targets are down for their certificate, want one: %.2000s", got, targets)
	}
}
