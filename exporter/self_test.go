package exporter

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
)

func busyStatus() SelfStatus {
	return SelfStatus{
		Passes:         []NamedCount{{"full", 3}, {"light", 40}},
		Groups:         []GroupStatus{{"cpu", 5 * time.Millisecond, time.Second}, {"storage", 0, -1}},
		SnapshotsTaken: 3, SnapshotsShared: 9,
		PodsExpected: 110, PodsSeen: 109, ContainersExpected: 330, ContainersSeen: 328,
		Sources: []SourceStatus{{"api", true, false, time.Second}, {"cri", false, true, time.Hour}, {"late", false, false, -1}},
		Cgroups: 443, CgroupsExpected: 444, Watches: 442, Descriptors: 5000, DescriptorBudget: 8000, FallbackReads: 12, Reader: "bpf",
		Errors:       []ErrorCount{{"cgroup", "vanished", 2}, {"storage", "timeout", 1}},
		Refused:      []NamedCount{{"unauthorized", 5}, {"connections", 0}},
		Certificates: []CertificateStatus{{"serving", time.Unix(1800000000, 0)}},
		Reviews:      []ReviewStatus{{Kind: "token", Yes: 4, No: 3, Failed: 2, Kept: 70}},
		LogLines:     []LogCount{{"warn", 6, 90}},
		Scrapes:      []ScrapeCount{{"/metrics/cadvisor", "success", 8}, {"/metrics/cadvisor", "canceled", 1}},
	}
}

func TestSelfMetrics(t *testing.T) {
	registry := NewSelfRegistry(Build{Version: "v1", Revision: "abc"}, busyStatus)
	w := get(NewSelfHandler(registry, nil, nil), "/metrics", "")
	if w.Code != http.StatusOK {
		t.Fatalf("status %d: %s", w.Code, w.Body)
	}
	text := w.Body.String()
	for _, want := range []string{
		`nodevitals_passes_total{kind="full"} 3`,
		`nodevitals_passes_total{kind="light"} 40`,
		`nodevitals_group_last_duration_seconds{group="cpu"} 0.005`,
		`nodevitals_group_age_seconds{group="cpu"} 1`,
		`nodevitals_snapshots_total{origin="shared"} 9`,
		`nodevitals_snapshots_total{origin="taken"} 3`,
		`nodevitals_cgroups{state="expected"} 444`,
		`nodevitals_cgroups{state="seen"} 443`,
		`nodevitals_watches 442`,
		`nodevitals_reader{reader="bpf"} 1`,
		`nodevitals_pods{state="expected"} 110`,
		`nodevitals_pods{state="seen"} 109`,
		`nodevitals_containers{state="expected"} 330`,
		`nodevitals_containers{state="seen"} 328`,
		`nodevitals_pod_source_connected{source="api"} 1`,
		`nodevitals_pod_source_connected{source="cri"} 0`,
		`nodevitals_pod_source_stale{source="cri"} 1`,
		`nodevitals_pod_source_age_seconds{source="cri"} 3600`,
		`nodevitals_descriptors 5000`,
		`nodevitals_descriptors_limit 8000`,
		`nodevitals_fallback_reads_total 12`,
		`nodevitals_errors_total{part="storage",reason="timeout"} 1`,
		`nodevitals_requests_refused_total{reason="unauthorized"} 5`,
		`nodevitals_requests_refused_total{reason="connections"} 0`,
		`nodevitals_certificate_expiration_timestamp_seconds{certificate="serving"} 1.8e+09`,
		`nodevitals_reviews_total{result="yes",review="token"} 4`,
		`nodevitals_reviews_total{result="no",review="token"} 3`,
		`nodevitals_reviews_total{result="error",review="token"} 2`,
		`nodevitals_review_cache_hits_total{review="token"} 70`,
		`nodevitals_log_lines_total{level="warn",outcome="written"} 6`,
		`nodevitals_log_lines_total{level="warn",outcome="held_back"} 90`,
		`nodevitals_scrapes_total{endpoint="/metrics/cadvisor",outcome="success"} 8`,
		`nodevitals_scrapes_total{endpoint="/metrics/cadvisor",outcome="canceled"} 1`,
		`revision="abc",version="v1"} 1`,
		`go_goroutines `,
		`process_open_fds `,
	} {
		if !strings.Contains(text, want) {
			t.Errorf("/metrics lacks %s", want)
		}
	}
	if strings.Contains(text, `nodevitals_pod_source_age_seconds{source="late"}`) {
		t.Error("/metrics has an age of a source that never told anything")
	}
	if strings.Contains(text, `nodevitals_group_age_seconds{group="storage"}`) {
		t.Error("/metrics has an age of a group that was never read")
	}
}

func TestSelfMetricsLint(t *testing.T) {
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(newSelfCollector(busyStatus))
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	if len(families) != len(selfFamilies) {
		t.Errorf("%d families, want one of each of %d rows", len(families), len(selfFamilies))
	}
	problems, err := promlint.NewWithMetricFamilies(families).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
	for _, f := range families {
		if !strings.HasPrefix(f.GetName(), "nodevitals_") {
			t.Errorf("%s does not begin with nodevitals_", f.GetName())
		}
	}
}
