package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/nodevitals/nodevitals/e2e/cluster"
)

// page is what a dashboard's file has for this test.
type page struct {
	UID    string
	Panels []struct {
		Title, Type string
		Targets     []struct{ RefID, Expr string }
	}
	Templating struct {
		List []struct{ Name, Type, Definition string }
	}
}

// picked are the values of variables, by dashboard: what a user picks. Where one pod would do, two are, since no pod has all that is shown.
var picked = map[string]map[string]string{
	"nodevitals-node":      {"node": cluster.NodeName},
	"nodevitals-namespace": {"namespace": ".*"},
	"nodevitals-pod":       {"namespace": "default", "pod": "guaranteed|volumes"},
	"nodevitals-agent":     {"node": ".*"},
}

var noPressure = lacking{"the kernel here keeps no pressure (cgroup v1, or without PSI)", withoutPressure}

// emptyPanels are the panels that may be empty, by DASHBOARD/SECTION/PANEL/QUERY.
var emptyPanels = map[string]lacking{
	"nodevitals-agent/Requests/Errors/A":                    {reason: "nothing has failed"},
	"nodevitals-node/CPU/Pressure/A":                        noPressure,
	"nodevitals-node/CPU/Pressure/B":                        noPressure,
	"nodevitals-node/CPU/Pressure/C":                        noPressure,
	"nodevitals-node/CPU/Pressure/D":                        noPressure,
	"nodevitals-node/CPU/Pressure/E":                        noPressure,
	"nodevitals-namespace/CPU and memory of pods/Waiting/A": noPressure,
	"nodevitals-namespace/CPU and memory of pods/Waiting/B": noPressure,
	"nodevitals-namespace/CPU and memory of pods/Waiting/C": noPressure,
	"nodevitals-pod/CPU/Waiting/A":                          noPressure,
	"nodevitals-pod/CPU/Waiting/B":                          noPressure,
	"nodevitals-pod/CPU/Waiting/C":                          noPressure,
}

// pageOf reads a dashboard as it is put on a cluster.
func pageOf(t *testing.T, path string) *page {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var p page
	if err := json.Unmarshal(text, &p); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	return &p
}

// expressions are all that a dashboard asks, panels and variables, as Grafana would with what is picked.
func (p *page) expressions(t *testing.T, interval string) (all []asked) {
	t.Helper()
	values := picked[p.UID]
	replacements := []string{"$__rate_interval", interval, "$__interval", interval, "$__range", "1h"}
	for _, v := range p.Templating.List {
		if v.Type == "datasource" {
			continue
		}
		value, ok := values[v.Name]
		if !ok {
			t.Errorf("%s: nothing is picked for variable %s", p.UID, v.Name)
		}
		replacements = append(replacements, "$"+v.Name, value)
	}
	filled := strings.NewReplacer(replacements...)
	for _, v := range p.Templating.List {
		if match := regexp.MustCompile(`^label_values\((.+), (\w+)\)$`).FindStringSubmatch(v.Definition); match != nil {
			// Of series that have the label, as Grafana lists its values.
			name, matchers, _ := strings.Cut(strings.TrimSuffix(filled.Replace(match[1]), "}"), "{")
			all = append(all, asked{p.UID + "/variable " + v.Name, fmt.Sprintf(`group by (%[1]s) (%[2]s{%[1]s!="",%[3]s})`, match[2], name, matchers)})
		}
	}
	section := ""
	for _, panel := range p.Panels {
		if panel.Type == "row" {
			section = panel.Title
		}
		for _, target := range panel.Targets {
			expression := filled.Replace(target.Expr)
			if strings.Contains(expression, "$") {
				t.Errorf("%s: panel %s has a variable that nobody knows: %s", p.UID, panel.Title, expression)
			}
			all = append(all, asked{strings.Join([]string{p.UID, section, panel.Title, target.RefID}, "/"), expression})
		}
	}
	return all
}

// Every query of every dashboard returns data from a Prometheus that scrapes nodevitals, but for those that may be empty; and so does every
// recording rule.
func TestDashboards(t *testing.T) {
	rules, recorded := rulesOf(t, "charts/nodevitals/files/rules.yaml")
	w := startWatching(t, rules)
	files, err := filepath.Glob("../manifests/components/grafana-dashboards/*.json")
	if err != nil || len(files) != len(picked) {
		t.Fatalf("%d dashboards, want %d: %v", len(files), len(picked), err)
	}
	for _, file := range files {
		p := pageOf(t, file)
		t.Run(p.UID, func(t *testing.T) {
			may := map[string]lacking{}
			for name, why := range emptyPanels {
				if strings.HasPrefix(name, p.UID+"/") {
					may[name] = why
				}
			}
			// Four scrapes, as Grafana would have it.
			w.awaitAnswers(t, p.expressions(t, (4*w.interval).String()), may)
		})
	}
	// Here and not with the other tests of rules, since it sees the version of cgroups.
	t.Run("recording rules", func(t *testing.T) { w.awaitAnswers(t, recorded, emptyRecords) })
}
