package main

import "strings"

// record is a recording rule: adding one is adding a row to records.
type record struct {
	// name is LEVEL:METRIC:OPERATIONS, where LEVEL is the labels that are left.
	name, expr string
}

// alert is an alert: adding one is adding a row to alerts. Tests then ask for its section in docs/runbooks.md and for a case in which it
// fires and one in which it does not.
type alert struct {
	name, expr string
	// wait is how long the expression must hold: 10m. Empty: no time.
	wait     string
	severity severity
	// summary says what is wrong in one line, description with figures. Both may use $labels and $value.
	summary, description string
	// needs is what has to be set or there for the alert to have data, where that is not so by default. The runbook says it, too.
	needs string
}

// severity is how soon somebody has to look.
type severity string

const (
	// info is for who looks into something else.
	info severity = "info"
	// warning is for working hours.
	warning severity = "warning"
	// critical wants somebody at once, at any hour.
	critical severity = "critical"
)

// runbooks is where sections of docs/runbooks.md are read.
const runbooks = "https://github.com/nodevitals/nodevitals/blob/main/docs/runbooks.md"

// ruleFile is what Prometheus reads with rule_files.
type ruleFile struct {
	Groups []ruleGroup `yaml:"groups"`
}

type ruleGroup struct {
	Name  string `yaml:"name"`
	Rules []rule `yaml:"rules"`
}

// rule is either kind, in the order in which people write them.
type rule struct {
	Record      string            `yaml:"record,omitempty"`
	Alert       string            `yaml:"alert,omitempty"`
	Expr        string            `yaml:"expr"`
	For         string            `yaml:"for,omitempty"`
	Labels      map[string]string `yaml:"labels,omitempty"`
	Annotations map[string]string `yaml:"annotations,omitempty"`
}

// ruleObject is the Prometheus Operator's.
type ruleObject struct {
	APIVersion string         `yaml:"apiVersion"`
	Kind       string         `yaml:"kind"`
	Metadata   objectMetadata `yaml:"metadata"`
	Spec       ruleFile       `yaml:"spec"`
}

type objectMetadata struct {
	Name      string            `yaml:"name"`
	Namespace string            `yaml:"namespace"`
	Labels    map[string]string `yaml:"labels"`
}

func prometheusRule(groups []ruleGroup) ruleObject {
	return ruleObject{
		APIVersion: "monitoring.coreos.com/v1", Kind: "PrometheusRule", Spec: ruleFile{groups},
		Metadata: objectMetadata{Name: "nodevitals", Namespace: "nodevitals", Labels: map[string]string{"app.kubernetes.io/name": "nodevitals"}},
	}
}

// ruleGroups are all rules. Recording rules come first: alerts use them.
func ruleGroups() []ruleGroup {
	recorded := ruleGroup{Name: "nodevitals.records"}
	for _, r := range records {
		recorded.Rules = append(recorded.Rules, rule{Record: r.name, Expr: r.expr})
	}
	groups := []ruleGroup{recorded}
	for _, of := range alertGroups {
		group := ruleGroup{Name: of.name}
		for _, a := range of.alerts {
			group.Rules = append(group.Rules, a.rule())
		}
		groups = append(groups, group)
	}
	return groups
}

func (a *alert) rule() rule {
	return rule{
		Alert: a.name, Expr: a.expr, For: a.wait, Labels: map[string]string{"severity": string(a.severity)},
		Annotations: map[string]string{"summary": a.summary, "description": a.description, "runbook_url": a.runbook()},
	}
}

// runbook is the address of the alert's section, whose heading is the alert's name.
func (a *alert) runbook() string { return runbooks + "#" + strings.ToLower(a.name) }
