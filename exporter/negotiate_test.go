package exporter

import "testing"

func TestNegotiate(t *testing.T) {
	for _, test := range []struct {
		name, accept string
		want         Format
	}{
		{"none", "", Text},
		{"curl", "*/*", Text},
		{"browser", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", Text},
		{"Prometheus 2.26", "application/openmetrics-text; version=0.0.1,text/plain;version=0.0.4;q=0.5,*/*;q=0.1", Text},
		{"Prometheus 2.45", "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1", OpenMetrics},
		{"Prometheus 2.45 with native histograms", "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited,application/openmetrics-text;version=1.0.0;q=0.8,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1", OpenMetrics},
		{"Prometheus 3", "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2", OpenMetrics},
		{"metrics-server", "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited, text/plain;version=0.0.4", Text},
		{"protobuf alone", "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited", Text},
		{"OpenMetrics of any version", "application/openmetrics-text", OpenMetrics},
		{"OpenMetrics to come", "application/openmetrics-text;version=2.0.0", Text},
		{"text preferred", "application/openmetrics-text;version=1.0.0;q=0.1,text/plain;q=0.9", Text},
		{"wildcard preferred", "application/openmetrics-text;version=1.0.0;q=0.1,*/*;q=0.9", Text},
		{"OpenMetrics refused", "application/openmetrics-text;version=1.0.0;q=0", Text},
		{"nonsense", ";;;,,,/;q=x", Text},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := Negotiate(test.accept); got != test.want {
				t.Errorf("Negotiate(%q) = %s, want %s", test.accept, got.ContentType(), test.want.ContentType())
			}
		})
	}
}
