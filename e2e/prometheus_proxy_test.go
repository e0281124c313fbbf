package e2e

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/nodevitals/nodevitals/e2e/cluster"
	"github.com/nodevitals/nodevitals/e2e/prometheus"
)

// prometheusPage has the job and the role, below a heading of their own.
const (
	prometheusPage = "prometheus.md"
	proxyHeader    = "## Through the API server's node proxy"
)

// testPrometheusThroughProxy has a Prometheus scrape the second node, whose endpoint is nodevitals, by way of the API server: with the job and the
// right that docs/integrations/prometheus.md tells, and with no other right to nodes than that.
func testPrometheusThroughProxy(t *testing.T) {
	folder, err := os.MkdirTemp(node.StateDir(), "through-proxy-")
	if err != nil {
		t.Fatal(err)
	}
	text, err := manifest(prometheusPage, map[string]string{
		"TOKEN_FILE": monitorToken(), "CA_FILE": node.CA(), "NODEVITALS_PORT": strconv.Itoa(pulledPort),
		"API_SERVER_ADDRESS": cluster.ServiceAddress + ":443",
	})
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(text, proxyHeader+"\n")
	blocks := strings.Split(section, "```")
	if len(blocks) != 5 {
		t.Fatalf("%s has %d parts between fences below %q, want a job and a role", prometheusPage, len(blocks), proxyHeader)
	}
	job, role := strings.TrimPrefix(blocks[1], "yaml\n"), strings.TrimPrefix(blocks[3], "yaml\n")
	grantForTest(t, role)
	configuration := "global: {scrape_interval: 5s, scrape_timeout: 5s}\nscrape_configs:\n" + job
	if err := os.WriteFile(filepath.Join(folder, "prometheus.yml"), []byte(configuration), 0o600); err != nil {
		t.Fatal(err)
	}
	const url = "http://" + cluster.NodeAddress + ":19093"
	p, err := node.Start(t.Context(), discovering("prometheus-through-proxy", url, folder))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := node.End(p); err != nil {
			t.Error(err)
		}
	})
	server := &prometheus.Server{URL: url, Get: node.Get}
	labels := fmt.Sprintf(`job="nodevitals-through-api-server",node=%q`, cluster.NeighbourName)
	// The first node's endpoint is its kubelet, which is not to be asked.
	awaitSeriesOf(t, server, "up", func(got []prometheus.Series) error {
		if len(got) != 1 || got[0].Labels["node"] != cluster.NeighbourName || got[0].Last().Value != 1 {
			return fmt.Errorf("got %v, want one target that is up: Prometheus has %s", got, targets(t.Context(), server))
		}
		return nil
	})
	awaitSeriesOf(t, server, `container_cpu_usage_seconds_total{pod="`+farPod+`",`+labels+`}`, func(got []prometheus.Series) error {
		if len(got) == 0 {
			return errors.New("there are none")
		}
		return nil
	})
}

// grantForTest applies a role and its binding for the length of a test.
func grantForTest(t *testing.T, role string) {
	t.Helper()
	if _, err := node.Kubectl(t.Context(), role, "apply", "-f", "-"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if _, err := node.Kubectl(context.WithoutCancel(t.Context()), role, "delete", "-f", "-"); err != nil {
			t.Error(err)
		}
	})
}
