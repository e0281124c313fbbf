package report

import (
	"encoding/xml"
	"errors"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// sample is a result in which every figure of the budget is reached.
func sample() *Result {
	endpoints := func(cadvisor, resource, summary float64) []Endpoint {
		spread := func(x float64) Spread { return SpreadOf([]float64{x, x * 1.1, x * 0.9}) }
		return []Endpoint{
			{Path: CadvisorPath, CPU: spread(cadvisor), Alone: WallOf([]float64{1, 2, 3}), Raw: 4096, Sent: 1024, Encoding: "gzip"},
			{Path: ResourcePath, CPU: spread(resource)},
			{Path: SummaryPath, CPU: spread(summary)},
		}
	}
	one := SpreadOf([]float64{1})
	steps := func(cgroups int) Steps {
		return Steps{Cgroups: cgroups, Steps: []Step{
			{Name: "bare preads of the same files", CPU: one},
			{Name: "core pass", CPU: SpreadOf([]float64{1.2}), Allocations: 8},
		}}
	}
	return &Result{
		Taken: time.Date(2026, 11, 25, 0, 0, 0, 0, time.UTC), Pods: 110, Rounds: 3, Files: 100,
		Programs: []Program{
			{Name: Nodevitals, Idle: one, Schedule: one, Resident: 30e6, Endpoints: endpoints(20, 5, 10)},
			{Name: Kubelet, Idle: SpreadOf([]float64{80}), Schedule: SpreadOf([]float64{50}), Resident: 160e6, Endpoints: endpoints(400, 60, 60)},
			{Name: Cadvisor, Idle: SpreadOf([]float64{30}), Schedule: SpreadOf([]float64{40}), Resident: 60e6, Endpoints: endpoints(500, 0, 0)[:1]},
			{Name: Reads, Endpoints: []Endpoint{{Path: KeptReads, CPU: SpreadOf([]float64{10})}}},
		},
		Growth: []Growth{
			{Cgroups: 10, Reads: one, Cadvisor: one, Resource: one, Summary: one, Goroutines: 9},
			{Cgroups: 100, Reads: SpreadOf([]float64{9}), Cadvisor: SpreadOf([]float64{10}), Resource: one, Summary: one, Goroutines: 9},
		},
		Steps: []Steps{steps(10), steps(443)},
	}
}

func TestSpreadAndWall(t *testing.T) {
	if got, want := SpreadOf([]float64{4, 1, 3, 2}), (Spread{Median: 2.5, Low: 1, High: 4}); got != want {
		t.Errorf("spread: got %v, want %v", got, want)
	}
	times := make([]float64, 200)
	for i := range times {
		times[i] = float64(200 - i)
	}
	if got, want := WallOf(times), (Wall{Count: 200, P50: 100, P99: 198}); got != want {
		t.Errorf("wall: got %v, want %v", got, want)
	}
	if got, want := WallOf([]float64{7}), (Wall{Count: 1, P50: 7, P99: 7}); got != want {
		t.Errorf("wall of one: got %v, want %v", got, want)
	}
}

func TestBudget(t *testing.T) {
	r := sample()
	table := r.BudgetTable()
	if len(table.Rows) != len(Budget) {
		t.Errorf("rows: got %d, want all %d", len(table.Rows), len(Budget))
	}
	for _, row := range table.Rows {
		if row[3] != "reached" {
			t.Errorf("%v, want it reached", row)
		}
	}
	r.Programs[0].Endpoints[1].CPU.Median = 60.0 / 7
	reached := func(row []string) bool { return row[3] == "reached" }
	missed := slices.DeleteFunc(r.BudgetTable().Rows, reached)
	if len(missed) != 1 || !strings.Contains(missed[0][0], ResourcePath) || missed[0][2] != "7.00" {
		t.Errorf("not reached: got %v, want %s alone, at 7.00", missed, ResourcePath)
	}
	// What was not measured is neither reached nor missed.
	r.Programs, r.Growth = nil, nil
	for _, row := range r.BudgetTable().Rows {
		if !strings.Contains(row[0], "core pass") {
			t.Errorf("%v, want only figures that were measured", row)
		}
	}
}

func TestWorse(t *testing.T) {
	before, now := sample(), sample()
	if got := now.Worse(before); len(got) > 0 {
		t.Errorf("the same results: got %v, want nothing worse", got)
	}
	now.Programs[0].Resident = 36e6 // by a fifth, which is within the tolerance
	now.Programs[0].Idle = SpreadOf([]float64{0.5})
	now.Steps[1].Steps[1].Allocations = 9
	now.Growth[1].Goroutines++ // not quite one for each hundred cgroups, which is within the noise
	now.Growth[1].Cgroups = 1010
	now.Programs[0].Endpoints[0].CPU.Median = 30
	got := now.Worse(before)
	want := []string{
		"/metrics/cadvisor: kubelet's CPU ÷ ours: 13.3, and it was 20.0", "/metrics/cadvisor: ours ÷ bare reads: 3.00, and it was 2.00",
		"allocations of a core pass that grow with cgroups: 1.00, and it was 0.00",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := now.Worse(&Result{}); len(got) > 0 {
		t.Errorf("against nothing: got %v, want nothing worse", got)
	}
}

func TestResultsAreKept(t *testing.T) {
	path := filepath.Join(t.TempDir(), "result.json")
	if err := sample().Write(path); err != nil {
		t.Fatal(err)
	}
	got, err := Read(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range Budget {
		if now, then := row.Of(got), row.Of(sample()); now != then || math.IsNaN(now) {
			t.Errorf("%s: got %v from the file, want %v", row.Name, now, then)
		}
	}
}

func TestPage(t *testing.T) {
	path := filepath.Join(t.TempDir(), "page.md")
	if err := os.WriteFile(path, []byte("# Title\n"+beginMark+"old\n"+endMark+"the rest\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	var pages [2]string
	for i := range pages { // the second time finds what the first left
		if err := sample().WritePage(path, "plot.svg"); err != nil {
			t.Fatal(err)
		}
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		pages[i] = string(text)
	}
	for _, want := range []string{"# Title\n", "\nthe rest\n", "](plot.svg)\n", "| /metrics/cadvisor: kubelet's CPU ÷ ours | ≥ 15 | 20.0 | reached |", "| 100 files, kept descriptors |"} {
		if !strings.Contains(pages[0], strings.TrimPrefix(want, "\n")) {
			t.Errorf("the page lacks %q:\n%s", want, pages[0])
		}
	}
	if strings.Contains(pages[0], "old") || pages[1] != pages[0] {
		t.Errorf("the second page: got\n%s\nwant the first again:\n%s", pages[1], pages[0])
	}
	if _, err := sample().page("no marks", ""); err == nil {
		t.Error("a page without a place: got no error, want one")
	}
}

func TestPlotIsXML(t *testing.T) {
	decoder := xml.NewDecoder(strings.NewReader(string(sample().plot())))
	elements := map[string]int{}
	for {
		token, err := decoder.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if start, ok := token.(xml.StartElement); ok {
			elements[start.Name.Local]++
		}
	}
	// Seven answers and one row of reads, three programs with three figures each, the page, and the key of the lines.
	if elements["rect"] != 8+9+1+3 || elements["polyline"] != 3 {
		t.Errorf("elements: got %v, want 21 rectangles and 3 lines", elements)
	}
}
