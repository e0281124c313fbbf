package main

// dashboard is a page of Grafana: adding a panel is adding a row to one of its sections.
type dashboard struct {
	// name is the last word of the file's and the ConfigMap's name, and of the UID, which links keep to.
	name, title, about string
	variables          []variable
	sections           []section
}

// variable is what the user picks at the top. Each is used as =~"$name".
type variable struct {
	name, label string
	// query is Grafana's label_values(SELECTOR, LABEL).
	query string
	// several lets the user pick more than one, or all.
	several bool
}

// section is a row of Grafana: a heading with panels below it.
type section struct {
	title  string
	panels []panel
}

// panel is one picture.
type panel struct {
	title string
	// about says what is seen, and what to make of it.
	about string
	// needs is what has to be set or there for the panel to have data, where that is not so by default: one of the needs below.
	needs string
	unit  unit
	look  look
	// width is in 24ths of the page.
	width int
	// stack puts series on top of each other: for parts of a whole.
	stack   bool
	queries []query
}

// query is one expression, and the name of each of its series.
type query struct {
	expr, legend string
}

// look is the kind of picture.
type look uint8

const (
	// graph is lines over time.
	graph look = iota
	// number is the last value, in large.
	number
	// table is the last values with their labels.
	table
)

// unit is Grafana's word for a unit.
type unit string

// The units of panels.
const (
	plain      unit = "short"
	cores      unit = "none"
	bytesIEC   unit = "bytes"
	bytesPerS  unit = "binBps"
	perSecond  unit = "cps"
	packetsPS  unit = "pps"
	operations unit = "iops"
	share      unit = "percentunit"
	seconds    unit = "s"
	moment     unit = "dateTimeFromNow"
)

// What a panel or an alert may need besides the defaults.
const (
	needsPSI       = "Needs cgroup v2 and a kernel that keeps pressure (PSI)."
	needsEphemeral = "Needs --extra-series=ephemeral-storage."
	needsMemory    = "Needs --extra-series=memory."
	needsVolumes   = "Needs --extra-series=volumes."
	needsOOM       = "Needs --extra-series=oom."
	needsOOMOnV1   = "On cgroup v1 it sees few kills without --extra-series=oom, and seldom that of a container's first process."
	needsClaims    = "Needs the kubelet's /metrics, or --kubelet-series=on."
	needsLayers    = "Needs the container runtime's socket."
	needsSockets   = "Needs access to the sockets of others: components/sockets, access=sockets."
)
