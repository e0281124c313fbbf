package prometheus

import (
	"encoding/json"
	"os"
	"strings"
	"testing"
)

// fileOf finds every file in a folder.
func fileOf(name string) (string, error) { return "/there/" + name, nil }

// What is made of the monitors that are in the manifests.
func TestMonitorsBecomeScrapes(t *testing.T) {
	by := Discovery{Server: "https://10.96.0.1", TLS: &TLS{CA: "/ca"}, Authorization: &Authorization{File: "/token"}}
	for _, one := range []struct {
		path, job, want string
	}{
		{"service-monitor/servicemonitor.yaml", "serviceMonitor/nodevitals/nodevitals/", `{
			"honor_labels": true, "scrape_interval": "30s", "scheme": "https", "tls_config": {"ca_file": "/there/nodevitals-serving/ca.crt", "server_name": "nodevitals.nodevitals.svc"},
			"authorization": {"credentials_file": "/there//var/run/secrets/kubernetes.io/serviceaccount/token"},
			"kubernetes_sd_configs": [{"role": "endpointslice", "api_server": "https://10.96.0.1", "tls_config": {"ca_file": "/ca"},
				"authorization": {"credentials_file": "/token"}, "namespaces": {"names": ["nodevitals"]}}],
			"relabel_configs": [
				{"source_labels": ["job"], "target_label": "__tmp_prometheus_job_name"},
				{"action": "keep", "regex": "(nodevitals);true", "source_labels": ["__meta_kubernetes_service_label_app_kubernetes_io_name",
					"__meta_kubernetes_service_labelpresent_app_kubernetes_io_name"]},
				{"action": "keep", "source_labels": ["__meta_kubernetes_endpointslice_port_name"], "regex": "https-metrics"},
				{"source_labels": ["__meta_kubernetes_namespace"], "target_label": "namespace"},
				{"source_labels": ["__meta_kubernetes_pod_name"], "target_label": "pod"},
				{"source_labels": ["__meta_kubernetes_pod_container_name"], "target_label": "container"},
				{"action": "drop", "source_labels": ["__meta_kubernetes_pod_phase"], "regex": "(Failed|Succeeded)"},
				{"source_labels": ["__meta_kubernetes_service_name"], "target_label": "service"},
				{"source_labels": ["__meta_kubernetes_service_name"], "target_label": "job"},
				{"source_labels": ["__meta_kubernetes_service_label_app_kubernetes_io_name"], "regex": "(.+)", "target_label": "job"},
				{"target_label": "endpoint", "replacement": "https-metrics"},
				{"source_labels": ["__metrics_path__"], "target_label": "metrics_path"},
				{"source_labels": ["__meta_kubernetes_pod_node_name"], "target_label": "node"}]}`},
		{"pod-monitor/podmonitor.yaml", "podMonitor/nodevitals/nodevitals/", `{
			"honor_labels": true, "scrape_interval": "30s", "scheme": "https", "tls_config": {"ca_file": "/there/nodevitals-serving/ca.crt", "server_name": "nodevitals.nodevitals.svc"},
			"authorization": {"credentials_file": "/there/nodevitals-scraper/token"},
			"kubernetes_sd_configs": [{"role": "pod", "api_server": "https://10.96.0.1", "tls_config": {"ca_file": "/ca"},
				"authorization": {"credentials_file": "/token"}, "namespaces": {"names": ["nodevitals"]}}],
			"relabel_configs": [
				{"source_labels": ["job"], "target_label": "__tmp_prometheus_job_name"},
				{"action": "keep", "regex": "(nodevitals);true", "source_labels": ["__meta_kubernetes_pod_label_app_kubernetes_io_name",
					"__meta_kubernetes_pod_labelpresent_app_kubernetes_io_name"]},
				{"action": "keep", "source_labels": ["__meta_kubernetes_pod_container_port_name"], "regex": "https-metrics"},
				{"source_labels": ["__meta_kubernetes_namespace"], "target_label": "namespace"},
				{"source_labels": ["__meta_kubernetes_pod_name"], "target_label": "pod"},
				{"source_labels": ["__meta_kubernetes_pod_container_name"], "target_label": "container"},
				{"action": "drop", "source_labels": ["__meta_kubernetes_pod_phase"], "regex": "(Failed|Succeeded)"},
				{"target_label": "job", "replacement": "nodevitals/nodevitals"},
				{"source_labels": ["__meta_kubernetes_pod_label_app_kubernetes_io_name"], "regex": "(.+)", "target_label": "job"},
				{"target_label": "endpoint", "replacement": "https-metrics"},
				{"source_labels": ["__metrics_path__"], "target_label": "metrics_path"},
				{"source_labels": ["__meta_kubernetes_pod_node_name"], "target_label": "node"}]}`},
	} {
		t.Run(one.path, func(t *testing.T) {
			text, err := os.ReadFile("../../manifests/components/" + one.path)
			if err != nil {
				t.Fatal(err)
			}
			got, err := ScrapeConfigs(text, by, fileOf)
			if err != nil {
				t.Fatal(err)
			}
			for i, path := range []string{"/metrics/cadvisor", "/metrics"} {
				var want ScrapeConfig
				if err := json.Unmarshal([]byte(one.want), &want); err != nil {
					t.Fatal(err)
				}
				want.JobName, want.MetricsPath = one.job+string(rune('0'+i)), path
				if len(got) != 2 || inJSON(t, got[i]) != inJSON(t, want) {
					t.Errorf("of %d scrapes number %d is\n%s\nwant\n%s", len(got), i, inJSON(t, got[i]), inJSON(t, want))
				}
			}
		})
	}
}

func inJSON(t *testing.T, one ScrapeConfig) string {
	t.Helper()
	text, err := DiscoveringConfiguration([]ScrapeConfig{one})
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// A monitor that verifies, and one that has what is not understood.
func TestMonitorsOfOthers(t *testing.T) {
	const head = "kind: ServiceMonitor\nmetadata: {name: one, namespace: there}\nspec:\n"
	got, err := ScrapeConfigs([]byte(head+`
  selector: {matchLabels: {app: one}}
  endpoints:
    - port: https
      tlsConfig: {serverName: one.there.svc, ca: {secret: {name: serving, key: ca.crt}}}
      relabelings: [{targetLabel: job, replacement: kubelet}]
`), Discovery{}, fileOf)
	if err != nil {
		t.Fatal(err)
	}
	if tls := got[0].TLS; tls == nil || *tls != (TLS{CA: "/there/serving/ca.crt", ServerName: "one.there.svc"}) || got[0].Authorization != nil {
		t.Errorf("got TLS %+v and authorization %+v", tls, got[0].Authorization)
	}
	if last := got[0].Relabel[len(got[0].Relabel)-1]; last.Target != "job" || last.Replacement != "kubelet" {
		t.Errorf("the last relabeling is %+v, want the monitor's own", last)
	}
	for text, want := range map[string]string{
		head + "  sampleLimit: 1\n  endpoints: [{port: https}]\n":         "sampleLimit",
		head + "  endpoints: [{port: https, params: {collect: [cpu]}}]\n": "params",
		head + "  podMetricsEndpoints: [{port: https}]\n":                 "no endpoints",
		"{": "read a monitor",
	} {
		if _, err := ScrapeConfigs([]byte(text), Discovery{}, fileOf); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want an error that says %q", text, err, want)
		}
	}
}
