package report

import (
	"fmt"
	"io"
	"math"
	"strings"
	"text/tabwriter"
)

// Table is a title with columns and rows of words.
type Table struct {
	Title   string
	Columns []string
	Rows    [][]string
}

// Text writes the table for a terminal.
func (t Table) Text(w io.Writer) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintf(table, "\n%s\n", t.Title)
	for _, row := range append([][]string{t.Columns}, t.Rows...) {
		fmt.Fprintln(table, strings.Join(row, "\t"))
	}
	return table.Flush()
}

// Markdown writes the table for a page.
func (t Table) Markdown(w io.Writer) {
	fmt.Fprintf(w, "%s\n\n| %s |\n|%s\n", t.Title, strings.Join(t.Columns, " | "), strings.Repeat("---|", len(t.Columns)))
	for _, row := range t.Rows {
		fmt.Fprintf(w, "| %s |\n", strings.Join(row, " | "))
	}
	fmt.Fprintln(w)
}

// Tables are all that a result tells, other than the budget.
func (r *Result) Tables() []Table {
	var all []Table
	if len(r.Programs) > 0 {
		all = append(all, r.answers(), r.processes())
	}
	if len(r.Sources) > 0 {
		all = append(all, r.sources())
	}
	if len(r.Growth) > 0 {
		all = append(all, r.growth())
	}
	for _, steps := range r.Steps {
		all = append(all, steps.table())
	}
	return all
}

// where says what a result is of.
func (r *Result) where() string {
	return fmt.Sprintf("%d pods of two containers, %d cgroups (v%d), Linux %s, %d processors, medians of %d rounds",
		r.Pods, r.Cgroups, r.Host.CgroupVersion, r.Host.Kernel, r.Host.Processors, r.Rounds)
}

func (r *Result) answers() Table {
	t := Table{Title: "An answer: " + r.where(), Columns: []string{
		"answer", "program", "CPU ms", "lowest–highest", "× nodevitals", "alone p50/p99 ms", "8 at once p50/p99 ms", "KiB", "KiB sent",
	}}
	own := r.Program(Nodevitals)
	for _, path := range []string{CadvisorPath, ResourcePath, SummaryPath} {
		for _, p := range r.Programs {
			e := p.Endpoint(path)
			if e.Path == "" {
				continue
			}
			sent := kib(e.Sent)
			if e.Encoding != "" {
				sent += " " + e.Encoding
			}
			t.Rows = append(t.Rows, []string{
				path, p.Name, decimal(e.CPU.Median), e.CPU.span(), decimal(e.CPU.Median / own.Endpoint(path).CPU.Median),
				e.Alone.String(), e.Crowd.String(), kib(e.Raw), sent,
			})
		}
	}
	for _, e := range r.Program(Reads).Endpoints {
		t.Rows = append(t.Rows, []string{
			fmt.Sprintf("%d files, %s", r.Files, e.Path), Reads, decimal(e.CPU.Median), e.CPU.span(),
			decimal(e.CPU.Median / own.Endpoint(CadvisorPath).CPU.Median), e.Alone.String(), "", "", "",
		})
	}
	return t
}

// isProcess tells a process from another port of the same, and from the bare reads.
func (p Program) isProcess() bool {
	return p.Name == Kubelet || p.Name == Cadvisor || p.Name == Nodevitals
}

func (r *Result) processes() Table {
	t := Table{Title: "A program", Columns: []string{
		"program", "idle: CPU ms a second", "lowest–highest", "schedule: CPU ms a minute", "lowest–highest", "resident at most MB", "own MB", "heap MB", "descriptors", "threads", "goroutines",
	}}
	for _, p := range r.Programs {
		if !p.isProcess() {
			continue
		}
		t.Rows = append(t.Rows, []string{
			p.Name, decimal(p.Idle.Median), p.Idle.span(), decimal(p.Schedule.Median), p.Schedule.span(),
			megabytes(p.Resident), megabytes(p.Own), megabytes(p.Heap), count(p.Descriptors), count(p.Threads), count(p.Goroutines),
		})
	}
	return t
}

func (r *Result) sources() Table {
	t := Table{Title: "Sources of names: nodevitals after three answers of each kind to one client", Columns: []string{
		"--pod-source", "resident at most MB", "own MB", "heap MB", "goroutines",
	}}
	for _, s := range r.Sources {
		t.Rows = append(t.Rows, []string{s.Name, megabytes(s.Resident), megabytes(s.Own), megabytes(s.Heap), count(s.Goroutines)})
	}
	return t
}

func (r *Result) growth() Table {
	t := Table{Title: "Growth: nodevitals alone, made cgroups of one sleeping process each", Columns: []string{
		"cgroups", "files", "opened for each read", "bare reads ms", "/metrics/cadvisor ms", "µs a cgroup", "× reads", "/metrics/resource ms", "/stats/summary ms",
		"resident at most MB", "goroutines", "a new one shown after",
	}}
	for _, g := range r.Growth {
		t.Rows = append(t.Rows, []string{
			count(g.Cgroups), count(g.Files), count(g.Unkept), decimal(g.Reads.Median), decimal(g.Cadvisor.Median),
			decimal(1000 * g.Cadvisor.Median / float64(max(g.Cgroups, 1))), decimal(g.Cadvisor.Median / g.Reads.Median),
			decimal(g.Resource.Median), decimal(g.Summary.Median), megabytes(g.Resident), count(g.Goroutines),
			fmt.Sprintf("answer %d, %s ms", g.NoticedAnswers, decimal(g.Noticed)),
		})
	}
	return t
}

func (s Steps) table() Table {
	t := Table{
		Title:   fmt.Sprintf("Steps within one process, %d made cgroups", s.Cgroups),
		Columns: []string{"step", "CPU ms", "lowest–highest", "× bare reads", "allocations", "KiB"},
	}
	for _, step := range s.Steps {
		t.Rows = append(t.Rows, []string{
			step.Name, decimal(step.CPU.Median), step.CPU.span(), decimal(step.CPU.Median / s.Steps[0].CPU.Median),
			fmt.Sprint(step.Allocations), fmt.Sprint(step.Bytes >> 10),
		})
	}
	return t
}

func (s Spread) span() string {
	if s == (Spread{}) {
		return ""
	}
	return decimal(s.Low) + "–" + decimal(s.High)
}

// String is both percentiles.
func (w Wall) String() string {
	if w.Count == 0 {
		return ""
	}
	return decimal(w.P50) + " / " + decimal(w.P99)
}

// decimal writes three digits that count, or the whole number.
func decimal(x float64) string {
	switch {
	case math.IsNaN(x): // nothing was measured for it
		return ""
	case x >= 100 || x <= -100:
		return fmt.Sprintf("%.0f", x)
	case x >= 10 || x <= -10:
		return fmt.Sprintf("%.1f", x)
	}
	return fmt.Sprintf("%.2f", x)
}

func kib(bytes int64) string {
	if bytes == 0 {
		return ""
	}
	return decimal(float64(bytes) / 1024)
}

func megabytes(bytes int64) string {
	if bytes == 0 {
		return ""
	}
	return decimal(float64(bytes) / 1e6)
}

func count(n int) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprint(n)
}
