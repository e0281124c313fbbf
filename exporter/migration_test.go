package exporter

import (
	"maps"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/cadvisor/lib/container"
	"github.com/google/cadvisor/lib/metrics"
	cadvisor "github.com/google/cadvisor/lib/model"
	"github.com/prometheus/client_golang/prometheus"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/nodevitals/nodevitals/snapshot"
)

// migration is the guide whose tables these tests hold against the tables of families.
const migration = "../docs/migration.md"

// offByDefault are the kinds that standalone cAdvisor leaves out unless it is told otherwise.
var offByDefault = container.MetricSet{
	container.MemoryNumaMetrics: {}, container.NetworkTcpUsageMetrics: {}, container.NetworkUdpUsageMetrics: {},
	container.NetworkAdvancedTcpUsageMetrics: {}, container.ProcessSchedulerMetrics: {}, container.ProcessMetrics: {},
	container.HugetlbUsageMetrics: {}, container.ReferencedMemoryMetrics: {}, container.CPUTopologyMetrics: {},
	container.ResctrlMetrics: {}, container.CPUSetMetrics: {},
}

// migrationRows are the rows of the table below a heading of the guide: the names in their first cell, and all cells.
type migrationRow struct {
	names []string
	cells []string
}

var quoted = regexp.MustCompile("`([^`]+)`")

func migrationRows(t *testing.T, heading string) []migrationRow {
	t.Helper()
	text, err := os.ReadFile(migration)
	if err != nil {
		t.Fatal(err)
	}
	_, below, found := strings.Cut(string(text), "\n"+heading+"\n")
	if !found {
		t.Fatalf("%s has no heading %q", migration, heading)
	}
	below, _, _ = strings.Cut(below, "\n#")
	var rows []migrationRow
	for line := range strings.Lines(below) {
		if !strings.HasPrefix(line, "| `") {
			continue
		}
		row := migrationRow{cells: strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")}
		for i := range row.cells {
			row.cells[i] = strings.TrimSpace(row.cells[i])
		}
		for _, name := range quoted.FindAllStringSubmatch(row.cells[0], -1) {
			row.names = append(row.names, name[1])
		}
		rows = append(rows, row)
	}
	return rows
}

// labelsByFamily reads a list of a kubelet's families: "name label label", a line a family.
func labelsByFamily(t *testing.T, list string) map[string][]string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", list))
	if err != nil {
		t.Fatal(err)
	}
	families := make(map[string][]string)
	for line := range strings.Lines(string(text)) {
		words := strings.Fields(line)
		families[words[0]] = words[1:]
	}
	return families
}

var described = regexp.MustCompile(`fqName: "([^"]*)".*variableLabels: \{([^}]*)\}`)

// ofCadvisor are the families that cAdvisor's own collectors can have for kinds of metrics, with the labels that a row has besides
// those that say whose it is: what the collectors say of themselves, and what they show of a node.
func ofCadvisor(t *testing.T, kinds container.MetricSet) map[string][]string {
	t.Helper()
	p := &provider{s: extraSnapshot()}
	collectors := []prometheus.Collector{
		metrics.NewPrometheusCollector(p, kubeletLabels, kinds, clocktesting.NewFakeClock(fixedNow()), cadvisor.RequestOptions{}),
		metrics.NewPrometheusMachineCollector(p, kinds),
	}
	families := make(map[string][]string)
	descs := make(chan *prometheus.Desc, 1000)
	registry := prometheus.NewRegistry()
	for _, c := range collectors {
		c.Describe(descs)
		registry.MustRegister(c)
	}
	close(descs)
	for desc := range descs {
		found := described.FindStringSubmatch(desc.String())
		if found == nil {
			t.Fatalf("cannot read %s", desc)
		}
		families[found[1]] = own(strings.Split(found[2], ","))
	}
	shown, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range shown {
		var labels []string
		for _, label := range f.GetMetric()[0].GetLabel() {
			labels = append(labels, label.GetName())
		}
		families[f.GetName()] = own(labels)
	}
	return families
}

// own returns, sorted and never nil, the labels that do not say whose a row is.
func own(labels []string) []string {
	others := []string{}
	for _, label := range labels {
		if label != "" && !slices.Contains(containerLabels[:], label) && !slices.Contains(machineLabels[:], label) {
			others = append(others, label)
		}
	}
	slices.Sort(others)
	return others
}

// shownLabels are the labels of each family of an exposition, sorted and never nil.
func shownLabels(a exposition) map[string][]string {
	labels := make(map[string][]string)
	for _, s := range a.samples {
		all := slices.AppendSeq(labels[s.name], maps.Keys(s.labels))
		slices.Sort(all)
		labels[s.name] = append([]string{}, slices.Compact(all)...)
	}
	return labels
}

func compared(kubelet, ours []string) string {
	if slices.Equal(kubelet, ours) {
		return "same"
	}
	return "other labels"
}

// checkRows wants exactly these rows, by name, in their order; the cells that follow the last wanted one are free.
func checkRows(t *testing.T, heading string, want [][]string) {
	t.Helper()
	rows := migrationRows(t, heading)
	known := make(map[string][]string)
	for _, row := range rows {
		for _, name := range row.names {
			if known[name] != nil {
				t.Errorf("%q has two rows for %s", heading, name)
			}
			known[name] = row.cells
		}
	}
	for _, cells := range want {
		row := "| `" + cells[0] + "` | " + strings.Join(cells[1:], " | ") + " |"
		got := known[cells[0]]
		delete(known, cells[0])
		switch {
		case got == nil:
			t.Errorf("%q has no row for %s; it would begin with: %s", heading, cells[0], row)
		case len(got) != len(cells)+1 || !slices.Equal(got[1:len(cells)], cells[1:]):
			t.Errorf("%q has the row %q, want it to begin with: %s", heading, got, row)
		}
	}
	for name := range known {
		t.Errorf("%q has a row for %s, which nodevitals does not have there", heading, name)
	}
}

func TestMigrationOfCadvisorSeries(t *testing.T) {
	kubelet := labelsByFamily(t, "kubelet-1.37.2-cadvisor.labels")
	kubeletCan, standalone := ofCadvisor(t, kubeletMetrics), ofCadvisor(t, container.AllMetrics)
	byDefault := ofCadvisor(t, container.AllMetrics.Difference(offByDefault))
	show := mustSeries(t, SeriesOptions{Extra: []string{allSets}})
	var r Renderer
	node := extraSnapshot()
	// What one of the two cgroup versions tells, and limits that are set.
	node.Cgroups[0].Spec.CPUWeight = snapshot.Some(100)
	app := &node.Cgroups[3]
	app.Spec.MemoryLimit, app.Spec.MemoryReservation = snapshot.Some(2<<30), snapshot.Some(1<<30)
	for _, cost := range []snapshot.DeviceStat{snapshot.CostWait, snapshot.CostIndebt, snapshot.CostIndelay} {
		app.Devices[0].Set(cost, snapshot.OpCount, 1500)
	}
	ours := shownLabels(parse(t, r.Cadvisor(node, Options{Groups: snapshot.All, Now: fixedNow(), Series: show}), Text))

	var want [][]string
	for _, f := range show.families {
		labels := ours[f.name]
		if labels == nil && kubeletCan[f.name] == nil {
			t.Fatalf("the node of this test does not show %s", f.name)
		}
		beside := "same"
		switch {
		case kubelet[f.name] != nil:
			beside = compared(kubelet[f.name], labels)
		case kubeletCan[f.name] == nil:
			beside = "new: `" + setOf(f.name) + "`"
		case labels != nil:
			beside = compared(kubeletCan[f.name], own(labels))
		}
		alone := "other labels"
		switch {
		case standalone[f.name] == nil:
			alone = "new"
		case f.node != nil:
			alone = compared(standalone[f.name], own(labels))
		case byDefault[f.name] == nil:
			alone = "other labels; off"
		}
		has := own(labels)
		if f.pod != nil || f.container != nil {
			has = labels
		}
		want = append(want, []string{f.name, beside, alone, strings.Join(has, ", ")})
	}
	checkRows(t, "### /metrics/cadvisor", want)

	for name := range kubelet {
		if ours[name] == nil {
			t.Errorf("a kubelet has %s, and nodevitals does not: the guide needs a row that says why", name)
		}
	}
	checkLacking(t, "### Of cAdvisor's", slices.Collect(maps.Keys(standalone)), func(name string) bool { return ours[name] != nil || kubeletCan[name] != nil })
}

// checkLacking wants a row with a reason for each name that nodevitals does not have, and no row for one that it has.
func checkLacking(t *testing.T, heading string, names []string, has func(string) bool) {
	t.Helper()
	used := make(map[string]bool)
	patterns := make(map[string]string)
	for _, row := range migrationRows(t, heading) {
		for _, pattern := range row.names {
			patterns[pattern] = row.cells[len(row.cells)-1]
			if row.cells[len(row.cells)-1] == "" {
				t.Errorf("%q gives no reason for %s", heading, pattern)
			}
		}
	}
	for _, name := range names {
		found := false
		for pattern := range patterns {
			if ok, err := path.Match(pattern, name); err != nil {
				t.Fatalf("%q: %s: %v", heading, pattern, err)
			} else if !ok {
				continue
			}
			if has(name) {
				// A pattern may be wider than what it is about.
				if pattern == name {
					t.Errorf("%q has a row for %s, which nodevitals has", heading, name)
				}
				continue
			}
			found, used[pattern] = true, true
		}
		if !found && !has(name) {
			t.Errorf("%q has no row for %s", heading, name)
		}
	}
	for pattern := range patterns {
		if !used[pattern] {
			t.Errorf("%q has a row for %s, which is nowhere", heading, pattern)
		}
	}
}

func TestMigrationOfResourceSeries(t *testing.T) {
	kubelet := labelsByFamily(t, "kubelet-1.37.2-resource.labels")
	var r Renderer
	ours := shownLabels(parse(t, r.Resource(extraSnapshot(), Options{Groups: snapshot.All, Now: fixedNow()}), Text))
	var want [][]string
	for _, f := range resourceFamilies {
		if kubelet[f.name] == nil {
			t.Errorf("a kubelet has no %s", f.name)
		}
		want = append(want, []string{f.name, compared(kubelet[f.name], ours[f.name]), strings.Join(ours[f.name], ", ")})
	}
	checkRows(t, "### /metrics/resource", want)
	for name := range kubelet {
		if ours[name] == nil {
			t.Errorf("a kubelet has %s, and nodevitals does not: the guide needs a row that says why", name)
		}
	}
}

// TestMigrationOfOwnSeries holds the guide against all that a real kubelet's /metrics had.
func TestMigrationOfOwnSeries(t *testing.T) {
	var want [][]string
	for _, f := range kubeletFamilies {
		want = append(want, []string{f.name, "same", strings.Join(slices.Sorted(slices.Values(f.labels)), ", ")})
	}
	checkRows(t, "### /metrics", want)
	has := func(name string) bool {
		return slices.ContainsFunc(kubeletFamilies, func(f kubeletFamily) bool { return f.name == name })
	}
	checkLacking(t, "### Of a kubelet's", slices.Collect(maps.Keys(labelsByFamily(t, "kubelet-1.37.2-metrics.names"))), has)
}

// A remark that names a deviation names one that docs/fidelity.md has.
func TestMigrationNamesDeviations(t *testing.T) {
	fidelity, err := os.ReadFile("../docs/fidelity.md")
	if err != nil {
		t.Fatal(err)
	}
	named := 0
	for _, heading := range []string{"### /metrics/cadvisor", "### /metrics/resource", "### /metrics"} {
		for _, row := range migrationRows(t, heading) {
			for _, name := range quoted.FindAllStringSubmatch(row.cells[len(row.cells)-1], -1) {
				named++
				if !strings.Contains(string(fidelity), "\n| "+name[1]+" |") {
					t.Errorf("the row of %s names %q, which is no deviation of docs/fidelity.md", row.cells[0], name[1])
				}
			}
		}
	}
	if named == 0 {
		t.Error("no remark names a deviation")
	}
}
