// Package report shows what a measurement found: as a table, as a page with a plot, against a budget, and against an earlier one.
package report

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"time"
)

// The programs that are measured, by the names that the results carry. Kubelet and agent are asked at their secure ports, as scrapers do,
// with TLS and a client certificate, and at their read-only ports besides. cAdvisor has neither TLS nor clients that it knows.
const (
	Kubelet         = "kubelet"
	KubeletPlain    = "kubelet, read-only port"
	Cadvisor        = "cAdvisor"
	Nodevitals      = "nodevitals"
	NodevitalsPlain = "nodevitals, read-only port"
	// NodevitalsKernel is the agent whose reader is in the kernel.
	NodevitalsKernel = "nodevitals --reader=bpf"
	Reads            = "bare reads"
)

// The endpoints that are asked. Standalone cAdvisor has one, /metrics; its figures stand under that of the same families. The bare reads
// have none: their passes stand in its place.
const (
	CadvisorPath = "/metrics/cadvisor"
	ResourcePath = "/metrics/resource"
	SummaryPath  = "/stats/summary"
	KeptReads    = "kept descriptors"
	OpenedReads  = "open, read, close"
)

// Result is one run.
type Result struct {
	Taken time.Time `json:"taken"`
	Host  Host      `json:"host"`
	// Pods and Containers are those that were made, Cgroups all that the node had, and Files what a pass reads of them.
	Pods       int       `json:"pods"`
	Containers int       `json:"containers"`
	Cgroups    int       `json:"cgroups"`
	Files      int       `json:"files"`
	Rounds     int       `json:"rounds"`
	Programs   []Program `json:"programs"`
	Sources    []Source  `json:"sources,omitempty"`
	Growth     []Growth  `json:"growth,omitempty"`
	Steps      []Steps   `json:"steps,omitempty"`
}

// Host is the machine that a run took place on.
type Host struct {
	Kernel        string `json:"kernel"`
	CgroupVersion int    `json:"cgroupVersion"`
	Processors    int    `json:"processors"`
	// Emulated says that times mean nothing, and ratios little.
	Emulated bool `json:"emulated,omitempty"`
}

// Spread is a figure over several rounds.
type Spread struct {
	Median float64 `json:"median"`
	Low    float64 `json:"low"`
	High   float64 `json:"high"`
}

// SpreadOf is that of values, of which there is one at least.
func SpreadOf(values []float64) Spread {
	sorted := slices.Sorted(slices.Values(values))
	middle := len(sorted) / 2
	median := sorted[middle]
	if len(sorted)%2 == 0 {
		median = (sorted[middle-1] + median) / 2
	}
	return Spread{Median: median, Low: sorted[0], High: sorted[len(sorted)-1]}
}

// Program is one of those that took turns.
type Program struct {
	Name string `json:"name"`
	// Idle is processor time in milliseconds a second while nobody asks, Schedule in milliseconds a minute of the realistic one.
	Idle     Spread `json:"idle"`
	Schedule Spread `json:"schedule"`
	// Resident, Own and Heap are bytes: the most pages that the process ever had, those at the end that are no file's, and the runtime's
	// heap at the end.
	Resident int64 `json:"resident"`
	Own      int64 `json:"own"`
	Heap     int64 `json:"heap,omitempty"`
	// Descriptors, Threads and Goroutines are counts at the end.
	Descriptors int        `json:"descriptors"`
	Threads     int        `json:"threads"`
	Goroutines  int        `json:"goroutines,omitempty"`
	Endpoints   []Endpoint `json:"endpoints"`
}

// Endpoint is what one kind of answer costs.
type Endpoint struct {
	Path string `json:"path"`
	// CPU is processor time in milliseconds a scrape, less what the program takes while idle.
	CPU Spread `json:"cpu"`
	// Alone and Crowd are how long an answer takes when one client asks and when several do at once.
	Alone Wall `json:"alone"`
	Crowd Wall `json:"crowd,omitzero"`
	// Raw and Sent are the answer's bytes before compression and on the wire, and Encoding how they are compressed.
	Raw      int64  `json:"raw,omitempty"`
	Sent     int64  `json:"sent,omitempty"`
	Encoding string `json:"encoding,omitempty"`
}

// Wall is a distribution of times in milliseconds.
type Wall struct {
	Count int     `json:"count"`
	P50   float64 `json:"p50"`
	P99   float64 `json:"p99"`
}

// WallOf is that of times in milliseconds. Of less than a hundred, the greatest is the 99th percentile.
func WallOf(times []float64) Wall {
	if len(times) == 0 {
		return Wall{}
	}
	sorted := slices.Sorted(slices.Values(times))
	at := func(percent int) float64 { return sorted[(len(sorted)*percent+99)/100-1] }
	return Wall{Count: len(sorted), P50: at(50), P99: at(99)}
}

// Source is what memory the agent takes with one source of names, in bytes, after some answers to one client. The members are those of
// Program.
type Source struct {
	Name       string `json:"name"`
	Resident   int64  `json:"resident"`
	Own        int64  `json:"own"`
	Heap       int64  `json:"heap"`
	Goroutines int    `json:"goroutines"`
}

// Growth is what the agent costs at one number of cgroups.
type Growth struct {
	// Made are the cgroups that were made, Cgroups those and the host's own.
	Made    int `json:"made"`
	Cgroups int `json:"cgroups"`
	// Files are those that a pass reads from kept descriptors, Unkept those that it has to open for lack of descriptors.
	Files  int `json:"files"`
	Unkept int `json:"unkept,omitempty"`
	// Reads and the others are processor time in milliseconds: a pass of bare reads, and an answer of each endpoint.
	Reads    Spread `json:"reads"`
	Cadvisor Spread `json:"cadvisor"`
	Resource Spread `json:"resource"`
	Summary  Spread `json:"summary"`
	// Resident is in bytes, after these answers.
	Resident int64 `json:"resident"`
	Threads  int   `json:"threads"`
	// Goroutines are those of the agent.
	Goroutines int `json:"goroutines"`
	// NoticedAnswers and Noticed are how many answers and milliseconds it took until a new cgroup was shown.
	NoticedAnswers int     `json:"noticedAnswers"`
	Noticed        float64 `json:"noticed"`
}

// Steps are what the parts of an answer take within one process, as bench measures them over made cgroups.
type Steps struct {
	Cgroups int    `json:"cgroups"`
	Steps   []Step `json:"steps"`
}

// Step is a row of them.
type Step struct {
	Name string `json:"name"`
	// CPU is processor time in milliseconds.
	CPU Spread `json:"cpu"`
	// Allocations and Bytes are those of the last round.
	Allocations uint64 `json:"allocations"`
	Bytes       uint64 `json:"bytes"`
}

// Program returns the program of that name, or an empty one.
func (r *Result) Program(name string) Program {
	for _, p := range r.Programs {
		if p.Name == name {
			return p
		}
	}
	return Program{}
}

// Endpoint returns the endpoint of that path, or an empty one.
func (p Program) Endpoint(path string) Endpoint {
	for _, e := range p.Endpoints {
		if e.Path == path {
			return e
		}
	}
	return Endpoint{}
}

// Read reads a result that Write wrote.
func Read(path string) (*Result, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	r := &Result{}
	if err := json.Unmarshal(text, r); err != nil {
		return nil, fmt.Errorf("read the results in %s: %w", path, err)
	}
	return r, nil
}

// Write keeps a result as JSON.
func (r *Result) Write(path string) error {
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(text, '\n'), 0o644)
}
