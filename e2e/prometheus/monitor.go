package prometheus

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"

	"k8s.io/apimachinery/pkg/util/yaml"
)

// ScrapeConfig is one of the scrape_configs of a Prometheus that finds its targets through the API server.
type ScrapeConfig struct {
	JobName        string         `json:"job_name"`
	HonorLabels    bool           `json:"honor_labels,omitempty"`
	ScrapeInterval string         `json:"scrape_interval,omitempty"`
	MetricsPath    string         `json:"metrics_path,omitempty"`
	Scheme         string         `json:"scheme,omitempty"`
	TLS            *TLS           `json:"tls_config,omitempty"`
	Authorization  *Authorization `json:"authorization,omitempty"`
	Discovery      []Discovery    `json:"kubernetes_sd_configs"`
	Relabel        []Relabeling   `json:"relabel_configs"`
}

// TLS says whom to trust.
type TLS struct {
	CA                 string `json:"ca_file,omitempty"`
	ServerName         string `json:"server_name,omitempty"`
	InsecureSkipVerify bool   `json:"insecure_skip_verify,omitempty"`
}

// Authorization is a token in a file.
type Authorization struct {
	File string `json:"credentials_file"`
}

// Discovery is how targets are found by a Prometheus that is no pod. [ScrapeConfigs] fills in the role and the namespaces.
type Discovery struct {
	Role          string         `json:"role"`
	Server        string         `json:"api_server"`
	TLS           *TLS           `json:"tls_config"`
	Authorization *Authorization `json:"authorization"`
	Namespaces    struct {
		Names []string `json:"names"`
	} `json:"namespaces"`
}

// Relabeling is one step from what was found to a target's labels.
type Relabeling struct {
	Action      string   `json:"action,omitempty"`
	Source      []string `json:"source_labels,omitempty"`
	Regex       string   `json:"regex,omitempty"`
	Target      string   `json:"target_label,omitempty"`
	Replacement string   `json:"replacement,omitempty"`
}

// DiscoveringConfiguration is the text of a configuration. JSON is YAML, too.
func DiscoveringConfiguration(scrapes []ScrapeConfig) ([]byte, error) {
	return json.MarshalIndent(map[string]any{"scrape_configs": scrapes}, "", "  ")
}

// monitor is what there may be in a ServiceMonitor or a PodMonitor. A field that is not here is an error, so that nothing is passed over.
type monitor struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	Metadata   struct {
		Name      string            `json:"name"`
		Namespace string            `json:"namespace"`
		Labels    map[string]string `json:"labels"`
	} `json:"metadata"`
	Spec struct {
		JobLabel string `json:"jobLabel"`
		Selector struct {
			MatchLabels map[string]string `json:"matchLabels"`
		} `json:"selector"`
		Endpoints           []monitored `json:"endpoints"`
		PodMetricsEndpoints []monitored `json:"podMetricsEndpoints"`
	} `json:"spec"`
}

// monitored is one endpoint.
type monitored struct {
	Port            string `json:"port"`
	Path            string `json:"path"`
	Scheme          string `json:"scheme"`
	Interval        string `json:"interval"`
	HonorLabels     bool   `json:"honorLabels"`
	BearerTokenFile string `json:"bearerTokenFile"`
	Authorization   *struct {
		Credentials ofSecret `json:"credentials"`
	} `json:"authorization"`
	TLSConfig struct {
		ServerName string `json:"serverName"`
		CA         *struct {
			Secret ofSecret `json:"secret"`
		} `json:"ca"`
		InsecureSkipVerify bool `json:"insecureSkipVerify"`
	} `json:"tlsConfig"`
	Relabelings []struct {
		Action       string   `json:"action"`
		SourceLabels []string `json:"sourceLabels"`
		Regex        string   `json:"regex"`
		TargetLabel  string   `json:"targetLabel"`
		Replacement  string   `json:"replacement"`
	} `json:"relabelings"`
}

// ofSecret is a key of a Secret in the monitor's namespace.
type ofSecret struct {
	Name string `json:"name"`
	Key  string `json:"key"`
}

// ScrapeConfigs makes of a ServiceMonitor or PodMonitor what the Prometheus Operator does (0.85, pkg/prometheus/promcfg.go), as far as ours use it.
// Found are targets as by says. The function file returns where a file is that the object names: by its path in Prometheus' pod, or by SECRET/KEY.
func ScrapeConfigs(object []byte, by Discovery, file func(name string) (string, error)) ([]ScrapeConfig, error) {
	text, err := yaml.ToJSON(object)
	if err != nil {
		return nil, fmt.Errorf("read a monitor: %w", err)
	}
	var m monitor
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&m); err != nil {
		return nil, fmt.Errorf("read a monitor: %w", err)
	}
	endpoints := m.Spec.Endpoints
	// An EndpointSlice, as the Operator looks for with serviceDiscoveryRole: by default it still looks for Endpoints, which are the same.
	job, of, port := "serviceMonitor", "service", "__meta_kubernetes_endpointslice_port_name"
	by.Role = "endpointslice"
	if m.Kind == "PodMonitor" {
		endpoints = m.Spec.PodMetricsEndpoints
		job, of, port = "podMonitor", "pod", "__meta_kubernetes_pod_container_port_name"
		by.Role = "pod"
	}
	if len(endpoints) == 0 {
		return nil, fmt.Errorf("%s %s has no endpoints", m.Kind, m.Metadata.Name)
	}
	by.Namespaces.Names = []string{m.Metadata.Namespace}
	var scrapes []ScrapeConfig
	for i := range endpoints {
		one := &endpoints[i]
		scrape := ScrapeConfig{
			JobName: fmt.Sprintf("%s/%s/%s/%d", job, m.Metadata.Namespace, m.Metadata.Name, i), HonorLabels: one.HonorLabels,
			ScrapeInterval: one.Interval, MetricsPath: one.Path, Scheme: one.Scheme, Discovery: []Discovery{by}, Relabel: m.relabelings(of, port, one),
		}
		if err := one.secure(&scrape, file); err != nil {
			return nil, fmt.Errorf("%s %s: %w", m.Kind, m.Metadata.Name, err)
		}
		scrapes = append(scrapes, scrape)
	}
	return scrapes, nil
}

// secure says whom to trust, and whose token to show.
func (one *monitored) secure(scrape *ScrapeConfig, file func(string) (string, error)) (err error) {
	scrape.TLS = &TLS{ServerName: one.TLSConfig.ServerName, InsecureSkipVerify: one.TLSConfig.InsecureSkipVerify}
	if ca := one.TLSConfig.CA; ca != nil {
		if scrape.TLS.CA, err = file(ca.Secret.Name + "/" + ca.Secret.Key); err != nil {
			return err
		}
	}
	token := one.BearerTokenFile
	if one.Authorization != nil {
		token = one.Authorization.Credentials.Name + "/" + one.Authorization.Credentials.Key
	}
	if token != "" {
		scrape.Authorization = &Authorization{}
		scrape.Authorization.File, err = file(token)
	}
	return err
}

// relabelings are the Operator's: those that choose targets, those that every target gets, and then the monitor's own. Chosen is by labels of
// services or pods.
func (m *monitor) relabelings(of, port string, one *monitored) []Relabeling {
	steps := []Relabeling{{Source: []string{"job"}, Target: "__tmp_prometheus_job_name"}}
	for _, label := range slices.Sorted(maps.Keys(m.Spec.Selector.MatchLabels)) {
		steps = append(steps, Relabeling{
			Action: "keep", Regex: "(" + m.Spec.Selector.MatchLabels[label] + ");true",
			Source: []string{"__meta_kubernetes_" + of + "_label_" + inLabel(label), "__meta_kubernetes_" + of + "_labelpresent_" + inLabel(label)},
		})
	}
	steps = append(steps,
		Relabeling{Action: "keep", Source: []string{port}, Regex: one.Port},
		Relabeling{Source: []string{"__meta_kubernetes_namespace"}, Target: "namespace"},
		Relabeling{Source: []string{"__meta_kubernetes_pod_name"}, Target: "pod"},
		Relabeling{Source: []string{"__meta_kubernetes_pod_container_name"}, Target: "container"},
		Relabeling{Action: "drop", Source: []string{"__meta_kubernetes_pod_phase"}, Regex: "(Failed|Succeeded)"},
	)
	if of == "service" {
		steps = append(steps,
			Relabeling{Source: []string{"__meta_kubernetes_service_name"}, Target: "service"},
			Relabeling{Source: []string{"__meta_kubernetes_service_name"}, Target: "job"},
		)
	} else {
		steps = append(steps, Relabeling{Target: "job", Replacement: m.Metadata.Namespace + "/" + m.Metadata.Name})
	}
	if m.Spec.JobLabel != "" {
		steps = append(steps, Relabeling{Source: []string{"__meta_kubernetes_" + of + "_label_" + inLabel(m.Spec.JobLabel)}, Regex: "(.+)", Target: "job"})
	}
	steps = append(steps, Relabeling{Target: "endpoint", Replacement: one.Port})
	for _, own := range one.Relabelings {
		steps = append(steps, Relabeling{
			Action: own.Action, Source: own.SourceLabels, Regex: own.Regex, Target: own.TargetLabel, Replacement: own.Replacement,
		})
	}
	return steps
}

var noLabel = regexp.MustCompile(`[^a-zA-Z0-9_]`)

// inLabel is how Prometheus writes a label of an object in a label of its own.
func inLabel(name string) string { return noLabel.ReplaceAllString(name, "_") }
