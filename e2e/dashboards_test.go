package e2e

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/nodevitals/nodevitals/e2e/cluster"
)

// page is what a dashboard's file has for this test.
type page struct {
	UID    string
	Panels []struct {
		Title, Type, Description string
		Targets                  []struct{ RefID, Expr string }
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

// eachTarget calls a function for each query of each panel, with its name: DASHBOARD/SECTION/PANEL/QUERY.
func (p *page) eachTarget(do func(name, expression, description string)) {
	section := ""
	for _, panel := range p.Panels {
		if panel.Type == "row" {
			section = panel.Title
		}
		for _, target := range panel.Targets {
			do(strings.Join([]string{p.UID, section, panel.Title, target.RefID}, "/"), target.Expr, panel.Description)
		}
	}
}

// expressions are all that a dashboard asks, panels and variables, as Grafana would with what is picked.
func (p *page) expressions(t *testing.T, interval string, values map[string]string) (all []asked) {
	t.Helper()
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
	p.eachTarget(func(name, expression, _ string) {
		expression = filled.Replace(expression)
		if strings.Contains(expression, "$") {
			t.Errorf("%s has a variable that nobody knows: %s", name, expression)
		}
		all = append(all, asked{name, expression})
	})
	return all
}

// needing are the queries of panels that say what they need beside the defaults.
func (p *page) needing() map[string]lacking {
	all := map[string]lacking{}
	p.eachTarget(func(name, _, description string) {
		if _, needs, ok := strings.Cut(description, " Needs "); ok {
			all[name] = lacking{reason: "needs " + needs}
		}
	})
	return all
}

// withNode is a dashboard's picked values with another node, if it lets the user pick one.
func withNode(values map[string]string, node string) map[string]string {
	values = maps.Clone(values)
	if _, ok := values["node"]; ok {
		values["node"] = node
	}
	return values
}

// perNode are panels of which each node has its own figure, with what Prometheus has of one job alone: what takes two jobs, or two nodes, for one
// shows as a factor of two.
var perNode = map[string]string{
	"nodevitals-node/Overview/Pods/A":       `count by (node) (count by (node, namespace, pod) (container_last_seen{job="nodevitals",container!=""}))`,
	"nodevitals-node/Overview/Containers/A": `count by (node) (container_last_seen{job="nodevitals",container!=""})`,
	"nodevitals-node/Overview/CPU in use/A": `sum by (node) (rate(container_cpu_usage_seconds_total{job="nodevitals",id="/"}[$__rate_interval]))` +
		` / sum by (node) (machine_cpu_cores{job="nodevitals"})`,
	"nodevitals-node/Overview/Memory in use/A": `sum by (node) (container_memory_working_set_bytes{job="nodevitals",id="/"})` +
		` / sum by (node) (machine_memory_bytes{job="nodevitals"})`,
	"nodevitals-node/CPU/CPU time/A":                    `sum by (node) (rate(container_cpu_user_seconds_total{job="nodevitals",id="/"}[$__rate_interval]))`,
	"nodevitals-node/Network and processes/Processes/A": `sum by (node) (container_processes{job="nodevitals"})`,
}

// checkNodes holds panels against figures of one node, and asks all that go by node for one that there is not.
func checkNodes(t *testing.T, w *watching, pages []*page) {
	// Rates over more scrapes than a panel has: the agents are not asked at the same moment.
	interval := (10 * w.interval).String()
	held := 0
	for _, p := range pages {
		for _, one := range p.expressions(t, interval, withNode(picked[p.UID], ".+")) {
			if reference, ok := perNode[one.name]; ok {
				held++
				w.awaitEachNode(t, one.name, one.expression, strings.ReplaceAll(reference, "$__rate_interval", interval))
			}
		}
		if _, ok := picked[p.UID]["node"]; !ok {
			continue
		}
		for _, one := range p.expressions(t, interval, withNode(picked[p.UID], "no-such-node")) {
			if strings.Contains(one.name, "/variable ") {
				continue
			}
			series, err := w.server.Query(t.Context(), one.expression, 0)
			if err != nil {
				t.Errorf("%s: %v", one.name, err)
			}
			for _, s := range series {
				if got := s.Last().Value; got != 0 {
					t.Errorf("%s has %g of a node that there is not: %s", one.name, got, one.expression)
				}
			}
		}
	}
	if held != len(perNode) {
		t.Errorf("%d of %d panels were found", held, len(perNode))
	}
}

// checkPressure holds to an answer what cgroup v1 has nothing for. All else has been asked there.
func checkPressure(t *testing.T, w *watching, files []string, interval string, recorded []asked) {
	var all []asked
	for _, file := range files {
		p := pageOf(t, file)
		all = append(all, p.expressions(t, interval, picked[p.UID])...)
	}
	all = slices.DeleteFunc(append(all, recorded...), func(one asked) bool { return !strings.Contains(one.expression, "_pressure_") })
	if len(all) < len(emptyPanels) {
		t.Fatalf("only %d expressions are about pressure", len(all))
	}
	w.awaitAnswers(t, all, nil)
}

// Every query of every dashboard returns data from a Prometheus that scrapes nodevitals, but for those that may be empty; and so does every
// recording rule. From an agent with default flags all do whose panel does not say what it needs. Nodes are kept apart.
func TestDashboards(t *testing.T) {
	rules, recorded := rulesOf(t, "charts/nodevitals/files/rules.yaml")
	w := startWatching(t, rules)
	files, err := filepath.Glob("../manifests/components/grafana-dashboards/*.json")
	if err != nil || len(files) != len(picked) {
		t.Fatalf("%d dashboards, want %d: %v", len(files), len(picked), err)
	}
	// Four scrapes, as Grafana would have it.
	interval := (4 * w.interval).String()
	if ranElsewhere() {
		checkPressure(t, w, files, interval, recorded)
		return
	}
	var pages []*page
	for _, file := range files {
		p := pageOf(t, file)
		pages = append(pages, p)
		may := map[string]lacking{}
		for name, why := range emptyPanels {
			if strings.HasPrefix(name, p.UID+"/") {
				may[name] = why
			}
		}
		t.Run(p.UID, func(t *testing.T) { w.awaitAnswers(t, p.expressions(t, interval, picked[p.UID]), may) })
		t.Run(p.UID+" by default", func(t *testing.T) {
			all := p.expressions(t, interval, withNode(picked[p.UID], secondNode))
			for i := range all {
				// Pages of pods let nobody pick a node.
				all[i].expression = strings.ReplaceAll(all[i].expression, "{", fmt.Sprintf("{node=%q,", secondNode))
			}
			may := maps.Clone(may)
			for name, why := range p.needing() {
				if _, ok := may[name]; !ok { // what a kernel lacks is known better there
					may[name] = why
				}
			}
			w.awaitAnswers(t, all, may)
		})
	}
	t.Run("nodes", func(t *testing.T) { checkNodes(t, w, pages) })
	// Here and not with the other tests of rules, since it sees the version of cgroups.
	t.Run("recording rules", func(t *testing.T) { w.awaitAnswers(t, recorded, emptyRecords) })
}
