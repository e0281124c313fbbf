package main

import (
	"bytes"
	"encoding/json"
	"fmt"

	"go.yaml.in/yaml/v3"
)

// output is a file that is made, by its path from the repository's root.
type output struct {
	path string
	text []byte
}

// Where outputs go. A chart may read no file outside of its own folder, so what kustomize takes is there twice.
const (
	kustomizeDashboards = "manifests/components/grafana-dashboards/"
	chartDashboards     = "charts/nodevitals/files/dashboards/"
	kustomizeRules      = "manifests/components/prometheus-rules/prometheusrule.yaml"
	chartRules          = "charts/nodevitals/files/rules.yaml"
)

const made = "# Made by `make monitoring` of the tables in tools/monitoring.\n"

// outputs are all files, in a fixed order. The same tables make the same files.
func outputs() ([]output, error) {
	var all []output
	for _, d := range dashboards {
		text, err := json.MarshalIndent(d.grafana(), "", "  ")
		if err != nil {
			return nil, fmt.Errorf("write dashboard %s: %w", d.name, err)
		}
		// Names like those of other dashboards would hide them: sidecars put all files into one folder.
		for _, folder := range []string{kustomizeDashboards, chartDashboards} {
			all = append(all, output{folder + "nodevitals-" + d.name + ".json", append(text, '\n')})
		}
	}
	kustomization, err := yamlOf(dashboardKustomization())
	if err != nil {
		return nil, err
	}
	groups := ruleGroups()
	object, err := yamlOf(prometheusRule(groups))
	if err != nil {
		return nil, err
	}
	plain, err := yamlOf(ruleFile{groups})
	if err != nil {
		return nil, err
	}
	return append(all,
		output{kustomizeDashboards + "kustomization.yaml", kustomization},
		output{kustomizeRules, object},
		output{chartRules, plain},
	), nil
}

func yamlOf(value any) ([]byte, error) {
	var b bytes.Buffer
	b.WriteString(made)
	encoder := yaml.NewEncoder(&b)
	encoder.SetIndent(2)
	if err := encoder.Encode(value); err != nil {
		return nil, fmt.Errorf("write YAML: %w", err)
	}
	return b.Bytes(), encoder.Close()
}

// kustomization is the component that makes a ConfigMap of each dashboard.
type kustomization struct {
	APIVersion string      `yaml:"apiVersion"`
	Kind       string      `yaml:"kind"`
	ConfigMaps []configMap `yaml:"configMapGenerator"`
}

type configMap struct {
	Name      string           `yaml:"name"`
	Namespace string           `yaml:"namespace"`
	Files     []string         `yaml:"files"`
	Options   configMapOptions `yaml:"options"`
}

type configMapOptions struct {
	Labels map[string]string `yaml:"labels"`
	// A sidecar looks for labels; a name that changes with the content would leave the old one behind.
	NoHash bool `yaml:"disableNameSuffixHash"`
}

func dashboardKustomization() kustomization {
	k := kustomization{APIVersion: "kustomize.config.k8s.io/v1alpha1", Kind: "Component"}
	for _, d := range dashboards {
		k.ConfigMaps = append(k.ConfigMaps, configMap{
			Name: "nodevitals-dashboard-" + d.name, Namespace: "nodevitals", Files: []string{"nodevitals-" + d.name + ".json"},
			Options: configMapOptions{
				Labels: map[string]string{"app.kubernetes.io/name": "nodevitals", "grafana_dashboard": "1"}, NoHash: true,
			},
		})
	}
	return k
}
