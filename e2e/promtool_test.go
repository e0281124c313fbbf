package e2e

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nodevitals/nodevitals/e2e/prometheus"
)

// promtool has nothing to say of our answers, but what the kubelet's names bring with them: then it says the same of the kubelet's.
func TestPromtoolSaysNothingNew(t *testing.T) {
	needScraped(t)
	promtool, err := prometheus.Find("promtool")
	if err != nil {
		t.Skip(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	complaints := func(answer []byte, err error) []string {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		lines, err := prometheus.Complaints(ctx, promtool, answer)
		if err != nil {
			t.Fatal(err)
		}
		return lines
	}
	for path, inherits := range map[string]bool{"/metrics/cadvisor": true, "/metrics/resource": false, "/metrics": false} {
		t.Run(path, func(t *testing.T) {
			ours := complaints(node.Get(ctx, "http://"+scrapedAgent+path))
			var allowed []string
			if inherits {
				allowed = complaints(node.Kubelet(ctx, path))
			}
			for _, line := range ours {
				if !slices.Contains(allowed, line) {
					t.Errorf("promtool says of ours alone: %s", line)
				}
			}
			if len(ours) > 0 {
				t.Logf("%d complaints, as of the kubelet's: %s", len(ours), strings.Join(ours, "; "))
			}
		})
	}
}
