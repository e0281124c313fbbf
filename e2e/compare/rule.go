package compare

import "strings"

// Kind is how a figure moves.
type Kind string

// The kinds of figures.
const (
	// Counter only grows: ours lies between the sample before and the one after.
	Counter Kind = "counter"
	// Gauge goes up and down: ours lies in the range seen, with some room, since nobody sees all of it.
	Gauge Kind = "gauge"
	// Constant stays.
	Constant Kind = "constant"
	// Ignored is the answer's own, such as its time.
	Ignored Kind = "ignored"
)

// Rule is a figure's kind, and the room on either side of the range that the kubelet's samples span.
type Rule struct {
	Kind Kind
	// Relative is a share of the figure, Absolute in its own unit. They add up.
	Relative, Absolute float64
}

// Rules give each path its rule: the first row that matches.
type Rules []Row

// Row is a rule for the paths that match it.
type Row struct {
	// Within is a part of the path, or empty; Leaf is its last name, or empty.
	Within, Leaf string
	Rule
}

func (r Rules) of(path string) Rule {
	name := leaf(path)
	if family, _, ok := strings.Cut(path, "{"); ok {
		name = family // of metrics, where labels' values may have dots
	}
	for _, row := range r {
		if strings.Contains(path, row.Within) && (row.Leaf == "" || row.Leaf == name) {
			return row.Rule
		}
	}
	return Rule{Kind: Ignored}
}

const mebibyte = 1 << 20

var (
	counter  = Rule{Kind: Counter}
	constant = Rule{Kind: Constant}
	// Node-wide figures of memory and disk belong to everyone on the machine: they may leave their range by what one program takes.
	ofNode = Rule{Kind: Gauge, Relative: 0.05, Absolute: 64 * mebibyte}
	// A cgroup's move by the kernel's batches of pages, and by what one request takes.
	ofCgroup = Rule{Kind: Gauge, Relative: 0.1, Absolute: 4 * mebibyte}
	// Averages over ten seconds jump as fast as the load does, and have percent as unit.
	average = Rule{Kind: Gauge, Relative: 0.5, Absolute: 20}
	// Rates are over spans of their own on either side.
	rate = Rule{Kind: Gauge, Relative: 1, Absolute: 2e8}
	// Inodes and processes.
	count = Rule{Kind: Gauge, Relative: 0.1, Absolute: 200}
)

// SummaryRules are those of /stats/summary.
var SummaryRules = Rules{
	{Leaf: "time", Rule: Rule{Kind: Ignored}},
	{Leaf: "startTime", Rule: constant},
	{Leaf: "name", Rule: constant},
	{Leaf: "usageCoreNanoSeconds", Rule: counter},
	{Leaf: "pageFaults", Rule: counter},
	{Leaf: "majorPageFaults", Rule: counter},
	{Leaf: "usageNanoCores", Rule: rate},
	{Within: ".psi.", Leaf: "total", Rule: counter},
	{Within: ".psi.", Rule: average},
	{Leaf: "rxBytes", Rule: counter},
	{Leaf: "txBytes", Rule: counter},
	{Leaf: "rxErrors", Rule: counter},
	{Leaf: "txErrors", Rule: counter},
	{Leaf: "capacityBytes", Rule: Rule{Kind: Gauge, Absolute: mebibyte}},
	{Leaf: "maxpid", Rule: constant},
	{Leaf: "inodes", Rule: count},
	{Leaf: "inodesFree", Rule: count},
	{Leaf: "inodesUsed", Rule: count},
	{Leaf: "curproc", Rule: count},
	{Leaf: "process_count", Rule: Rule{Kind: Gauge, Absolute: 2}},
	{Leaf: "availableBytes", Rule: ofNode},
	{Leaf: "swapAvailableBytes", Rule: ofNode},
	{Within: "node.systemContainers[", Rule: ofNode},
	{Within: "pods[", Leaf: "usageBytes", Rule: ofCgroup},
	{Within: "pods[", Leaf: "workingSetBytes", Rule: ofCgroup},
	{Within: "pods[", Leaf: "rssBytes", Rule: ofCgroup},
	{Within: "pods[", Leaf: "swapUsageBytes", Rule: ofCgroup},
	{Within: "pods[", Leaf: "usedBytes", Rule: ofCgroup},
	{Leaf: "usageBytes", Rule: ofNode},
	{Leaf: "workingSetBytes", Rule: ofNode},
	{Leaf: "rssBytes", Rule: ofNode},
	{Leaf: "swapUsageBytes", Rule: ofNode},
	{Leaf: "usedBytes", Rule: ofNode},
	{Rule: constant}, // names and references
}

// MetricRules are those of the metrics endpoints, where a name tells the kind.
func MetricRules(families map[string]Family) Rules {
	var rules Rules
	add := func(name string, rule Rule) { rules = append(rules, Row{Leaf: name, Rule: rule}) }
	for name, family := range families {
		switch {
		case name == "container_last_seen" || name == "container_scrape_error" || name == "scrape_error" || name == "resource_scrape_error":
			add(name, Rule{Kind: Ignored})
		case family.Type == "COUNTER" || name == "container_memory_failcnt":
			// Written in seconds or as floats, a figure may be off in the last digit.
			add(name, Rule{Kind: Counter, Absolute: 1e-6})
		case strings.HasPrefix(name, "container_spec_") || strings.HasPrefix(name, "machine_") || strings.HasSuffix(name, "_info"):
			add(name, Rule{Kind: Constant, Absolute: 1e-6})
		case strings.HasSuffix(name, "_time_seconds"):
			add(name, Rule{Kind: Constant, Absolute: 1})
		case strings.HasSuffix(name, "_bytes") || strings.Contains(name, "_memory_"):
			add(name, ofNode)
		default:
			add(name, count)
		}
	}
	return rules
}
