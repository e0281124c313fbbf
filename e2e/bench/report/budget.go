package report

import (
	"fmt"
	"math"
)

// Row is one figure that has a budget.
type Row struct {
	// Name says what the figure is.
	Name string
	// Limit is what it must not exceed, or must reach if AtLeast.
	Limit   float64
	AtLeast bool
	// Noise is what chance may make of a figure that is nought.
	Noise float64
	// Of is the figure. It is not a number where nothing was measured for it.
	Of func(*Result) float64
}

// Budget is what the agent may cost: as ratios to the others within one run, since times differ from machine to machine.
var Budget = []Row{
	{Name: "/metrics/cadvisor: kubelet's CPU ÷ ours", Limit: 15, AtLeast: true, Of: against(CadvisorPath)},
	{Name: "/metrics/cadvisor: ours ÷ bare reads", Limit: 2.5, Of: func(r *Result) float64 {
		return r.cpu(Nodevitals, CadvisorPath) / r.cpu(Reads, KeptReads)
	}},
	{Name: "core pass ÷ bare reads", Limit: 1.5, Of: func(r *Result) float64 {
		steps, ok := r.largestSteps()
		if !ok {
			return math.NaN()
		}
		return steps.of("core pass") / steps.Steps[0].CPU.Median
	}},
	{Name: "/metrics/resource: kubelet's CPU ÷ ours", Limit: 8, AtLeast: true, Of: against(ResourcePath)},
	{Name: "/stats/summary: kubelet's CPU ÷ ours", Limit: 3, AtLeast: true, Of: against(SummaryPath)},
	{Name: "idle: kubelet's CPU ÷ ours", Limit: 50, AtLeast: true, Of: func(r *Result) float64 {
		return ratio(r.Program(Kubelet).Idle.Median, r.Program(Nodevitals).Idle.Median)
	}},
	{Name: "idle: cAdvisor's CPU ÷ ours", Limit: 15, AtLeast: true, Of: func(r *Result) float64 {
		return ratio(r.Program(Cadvisor).Idle.Median, r.Program(Nodevitals).Idle.Median)
	}},
	{Name: "realistic schedule: kubelet's CPU ÷ ours", Limit: 20, AtLeast: true, Of: func(r *Result) float64 {
		return ratio(r.Program(Kubelet).Schedule.Median, r.Program(Nodevitals).Schedule.Median)
	}},
	{Name: "resident memory at most, MB", Limit: 40, Of: func(r *Result) float64 {
		return nonzero(float64(r.Program(Nodevitals).Resident) / 1e6)
	}},
	{Name: "allocations of a core pass that grow with cgroups", Limit: 0, Of: func(r *Result) float64 {
		if len(r.Steps) < 2 {
			return math.NaN()
		}
		first, last := r.Steps[0], r.Steps[len(r.Steps)-1]
		return float64(last.allocations("core pass")) - float64(first.allocations("core pass"))
	}},
	// One connection more or less is a goroutine, too.
	{Name: "goroutines for each cgroup", Limit: 0.01, Noise: 0.01, Of: func(r *Result) float64 {
		if len(r.Growth) < 2 {
			return math.NaN()
		}
		first, last := r.Growth[0], r.Growth[len(r.Growth)-1]
		return max(0, float64(last.Goroutines-first.Goroutines)/float64(last.Cgroups-first.Cgroups))
	}},
}

// against is the kubelet's processor time for an endpoint as a multiple of the agent's, both over their secure ports.
func against(path string) func(*Result) float64 {
	return func(r *Result) float64 { return r.cpu(Kubelet, path) / r.cpu(Nodevitals, path) }
}

// cpu is what a program takes for an answer, or not a number.
func (r *Result) cpu(program, path string) float64 {
	return nonzero(r.Program(program).Endpoint(path).CPU.Median)
}

// largestSteps are those of the most cgroups.
func (r *Result) largestSteps() (Steps, bool) {
	if len(r.Steps) == 0 {
		return Steps{}, false
	}
	return r.Steps[len(r.Steps)-1], true
}

func (s Steps) of(name string) float64 {
	for _, step := range s.Steps {
		if step.Name == name {
			return step.CPU.Median
		}
	}
	return math.NaN()
}

func (s Steps) allocations(name string) uint64 {
	for _, step := range s.Steps {
		if step.Name == name {
			return step.Allocations
		}
	}
	return 0
}

func ratio(theirs, ours float64) float64 { return nonzero(theirs) / nonzero(ours) }

func nonzero(x float64) float64 {
	if x == 0 {
		return math.NaN()
	}
	return x
}

// Reached tells whether a figure is within the budget.
func (row Row) Reached(figure float64) bool {
	if row.AtLeast {
		return figure >= row.Limit
	}
	return figure <= row.Limit
}

// BudgetTable holds a result against the budget.
func (r *Result) BudgetTable() Table {
	t := Table{Title: "Budget", Columns: []string{"figure", "budget", "measured", ""}}
	for _, row := range Budget {
		figure := row.Of(r)
		if math.IsNaN(figure) {
			continue
		}
		limit, said := "≤ ", "not reached"
		if row.AtLeast {
			limit = "≥ "
		}
		if row.Reached(figure) {
			said = "reached"
		}
		t.Rows = append(t.Rows, []string{row.Name, limit + fmt.Sprint(row.Limit), decimal(figure), said})
	}
	return t
}

// Tolerance is how much worse than before a figure may be, as a factor, until it counts as worse: what machines and hours make differ
// in ratios is less.
const Tolerance = 1.25

// Worse lists, in words, the figures that became worse than in an earlier result. Figures that only one of them has are left out.
func (r *Result) Worse(before *Result) []string {
	var worse []string
	for _, row := range Budget {
		now, then := row.Of(r), row.Of(before)
		bound := max(then*Tolerance, row.Noise)
		if row.AtLeast {
			bound = then / Tolerance
		}
		// A comparison with what is not a number is false.
		if row.AtLeast && now < bound || !row.AtLeast && now > bound {
			worse = append(worse, fmt.Sprintf("%s: %s, and it was %s", row.Name, decimal(now), decimal(then)))
		}
	}
	return worse
}
