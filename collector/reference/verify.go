package reference

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/google/cadvisor/lib/model"

	"github.com/nodevitals/nodevitals/collector/cgroup"
	"github.com/nodevitals/nodevitals/collector/machine"
	"github.com/nodevitals/nodevitals/collector/machine/hostfile"
	"github.com/nodevitals/nodevitals/collector/network"
	"github.com/nodevitals/nodevitals/collector/process"
	"github.com/nodevitals/nodevitals/snapshot"
)

// The readers that ours, of the files, is compared with.
const (
	Cadvisor = "cadvisor"
	Kernel   = "bpf"
)

// Finding is one number on which two readers disagree although it did not move.
type Finding struct {
	// Cgroup is the cgroup's ID, Field the number's name.
	Cgroup, Field string
	// Reader is who says otherwise: Cadvisor or Kernel.
	Reader string
	// Before and After are ours, read around the other's, which is Reference; "absent" where the kernel gave none.
	Before, Reference, After string
}

// Report is what Verify found.
type Report struct {
	// Cgroups and Numbers were compared, Walked numbers of them with the reader in the kernel.
	Cgroups, Numbers, Walked int
	// Findings are the differences that no deviation accounts for, by cgroup.
	Findings []Finding
	// Deviations counts the differences that are meant, by name.
	Deviations map[string]int
	// Gone are cgroups that were removed meanwhile, Unread those of which the reference gave nothing, with its words.
	Gone   int
	Unread map[string]string
}

// attempts is how often a number is read again that does not lie between ours: gauges go up and down, and may have done so
// in between. A true difference stays through all of them.
const attempts = 12

// verifier holds both readers.
type verifier struct {
	version   int
	own       string
	tree      *cgroup.Tree
	reader    *cgroup.Reader
	walks     *walks
	processes *process.Reader
	network   *network.Reader
	node      snapshot.Node
	report    *Report
}

// Verify reads every cgroup of this host both ways, or those whose ID match keeps, and returns what differs. With a walker it also
// compares what that takes; nil: there is none. The walker is closed. An error means that it could not compare at all.
func Verify(ctx context.Context, walker cgroup.Walker, match func(id string) bool) (*Report, error) {
	hierarchy, err := cgroup.Detect("/")
	if err != nil {
		return nil, err
	}
	tree, err := cgroup.NewTree(hierarchy, cgroup.TreeOptions{MaxWatches: -1})
	if err != nil {
		return nil, err
	}
	defer tree.Close()
	v := &verifier{
		version: int(hierarchy.Version), own: ownCgroup(), tree: tree, reader: cgroup.NewReader(tree, cgroup.ReaderOptions{}),
		processes: process.NewReader(process.Options{HostRoot: "/", Budget: process.Budget{Links: 1 << 30, Again: 1 << 30}}), network: network.NewReader("/", 1, &hostfile.Buffer{}),
		report: &Report{Deviations: make(map[string]int), Unread: make(map[string]string)},
	}
	defer v.reader.Close()
	if walker != nil {
		if v.walks, err = newWalks(hierarchy, walker); err != nil {
			return nil, err
		}
		defer v.walks.close()
	}
	defer v.network.Close()
	defer v.processes.Close()
	facts := machine.NewReader("/")
	defer facts.Close()
	if err := facts.ReadInto(&v.node, time.Now()); err != nil {
		return nil, err
	}
	now := time.Now()
	tree.Update(now)
	v.reader.Begin(now, snapshot.Core, nil)
	for _, known := range slices.Clone(tree.Cgroups()) {
		if ctx.Err() != nil {
			return nil, fmt.Errorf("verify: %w", context.Cause(ctx))
		}
		if match == nil || match(known.Identity.ID) {
			v.verify(known)
		}
	}
	return v.report, nil
}

// verify compares one cgroup with each of the other readers.
func (v *verifier) verify(known *cgroup.Cgroup) {
	reference, err := NewReader(known.Identity.ID)
	if err != nil {
		v.report.Unread[known.Identity.ID] = err.Error()
		return
	}
	if compared, ok := v.settle(known, func() (comparison, error) { return v.compare(known, reference) }); ok {
		v.report.Cgroups++
		v.report.Numbers += compared.numbers
	}
	if v.walks == nil {
		return
	}
	if compared, ok := v.settle(known, func() (comparison, error) { return v.compareWalk(known) }); ok {
		v.report.Numbers += compared.numbers
		v.report.Walked += compared.numbers
	}
}

// settle compares again and again while a number moves. It returns the comparison that counts, unless there was nothing to compare.
func (v *verifier) settle(known *cgroup.Cgroup, compare func() (comparison, error)) (first comparison, ok bool) {
	first, err := compare()
	pending := first.findings
	for attempt := 1; attempt < attempts && (err != nil || len(pending) > 0) && !errors.Is(err, errGone); attempt++ {
		time.Sleep(time.Duration(attempt) * 2 * time.Millisecond)
		var again comparison
		failed := err != nil
		if again, err = compare(); err == nil {
			if failed {
				first, pending = again, again.findings
			}
			pending = slices.DeleteFunc(pending, func(f Finding) bool { return !again.found(f.Field) })
		}
	}
	switch {
	case errors.Is(err, errGone):
		v.report.Gone++
	case err != nil:
		v.report.Unread[known.Identity.ID] = err.Error()
		v.report.Deviations[RefusedSample]++
	default:
		v.report.Findings = append(v.report.Findings, pending...)
		for name, count := range first.deviations {
			v.report.Deviations[name] += count
		}
	}
	return first, err == nil
}

// ownCgroup is the cgroup that the memory of this process is counted in; "" where it cannot be told.
func ownCgroup() string {
	text, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return ""
	}
	unified := ""
	for line := range strings.Lines(string(text)) {
		_, rest, _ := strings.Cut(strings.TrimSpace(line), ":")
		controllers, id, _ := strings.Cut(rest, ":")
		switch controllers {
		case "memory":
			return id
		case "":
			unified = id
		}
	}
	return unified
}

var errGone = errors.New("the cgroup was removed")

// comparison is the outcome of one attempt with one cgroup.
type comparison struct {
	id, reader string
	version    int
	own        bool
	numbers    int
	findings   []Finding
	deviations map[string]int
}

// found reports whether this attempt found a difference in the field too.
func (c *comparison) found(field string) bool {
	return slices.ContainsFunc(c.findings, func(f Finding) bool { return f.Field == field })
}

func (v *verifier) comparison(id, reader string) comparison {
	return comparison{
		id: id, reader: reader, version: v.version, own: id == "/" || id == v.own || strings.HasPrefix(v.own, id+"/"),
		deviations: make(map[string]int),
	}
}

// compare reads ours, the reference, and ours again.
func (v *verifier) compare(known *cgroup.Cgroup, reference *Reader) (comparison, error) {
	id := known.Identity.ID
	c := v.comparison(id, Cadvisor)
	before, err := v.ours(known)
	if err != nil {
		return c, err
	}
	stats, statsErr := reference.Stats()
	spec, specErr := reference.Spec()
	after, err := v.ours(known)
	if err != nil {
		return c, err
	}
	if err := errors.Join(statsErr, specErr); err != nil {
		return c, err
	}
	for i := range fields {
		c.field(&fields[i], before, after, stats)
	}
	c.devices(before, after, stats.DiskIo)
	if c.id == "/" && stats.Network != nil {
		c.interfaces(before, after, stats.Network)
	}
	c.spec(before.Spec, after.Spec, &spec)
	return c, nil
}

// ours reads all groups of one cgroup with the fast reader.
func (v *verifier) ours(known *cgroup.Cgroup) (*snapshot.Cgroup, error) {
	record := &snapshot.Cgroup{}
	if known.Gone() || !v.reader.Read(known, record, snapshot.Core) {
		return nil, errGone
	}
	now := time.Now()
	spec := *v.reader.Spec(known, now, 0)
	record.Spec = &spec
	target := process.Target{Procs: v.reader.ProcsPath(known), Values: &record.Values}
	if known.Identity.ID == "/" {
		target.LimitsPID = 1
		spec.HasMemory, spec.MemoryLimit, spec.SwapLimit = true, v.node.MemoryTotal, v.node.SwapTotal
		if _, ok := record.Get(snapshot.MemorySwap); !ok && v.node.SwapTotal.Present {
			record.Set(snapshot.MemorySwap, v.node.SwapTotal.Value-v.node.SwapFree.Value)
		}
		var err error
		if record.Interfaces, err = v.network.Append(nil); err != nil {
			return nil, err
		}
	}
	if target.Procs != "" {
		if err := v.processes.Read([]process.Target{target}, now); err != nil {
			return nil, err
		}
	}
	return record, nil
}

// number compares one number: the reference's must lie between ours.
func (c *comparison) number(name string, d difference, before, after snapshot.Optional) {
	c.numbers++
	d.version, d.own = c.version, c.own
	d.present = before.Present || after.Present
	low, high := min(before.Value, after.Value), max(before.Value, after.Value)
	switch {
	case d.reference < low:
		d.apart = low - d.reference
	case d.reference > high:
		d.apart = d.reference - high
	case before.Present && after.Present:
		return
	}
	for _, deviation := range Deviations {
		if deviation.excuses(d) {
			c.deviations[deviation.Name]++
			return
		}
	}
	c.findings = append(c.findings, Finding{
		Cgroup: c.id, Field: name, Reader: c.reader, Before: optional(before), Reference: fmt.Sprint(d.reference), After: optional(after),
	})
}

func (c *comparison) field(f *field, before, after *snapshot.Cgroup, stats *model.ContainerStats) {
	left, okLeft := before.Get(f.field)
	right, okRight := after.Get(f.field)
	c.number(snapshot.Fields[f.field].Name, difference{field: f.field, isField: true, reference: f.get(stats)},
		snapshot.Optional{Value: left, Present: okLeft}, snapshot.Optional{Value: right, Present: okRight})
}

// devices compares every figure that either side has of any device.
func (c *comparison) devices(before, after *snapshot.Cgroup, stats *model.DiskIoStats) {
	if stats == nil {
		stats = &model.DiskIoStats{}
	}
	for _, figure := range deviceFigures {
		type place struct {
			major, minor uint32
			op           snapshot.Op
		}
		theirs := make(map[place]uint64)
		for _, disk := range figure.get(stats) {
			for op, name := range snapshot.OpNames {
				if number, ok := disk.Stats[name]; ok {
					theirs[place{uint32(disk.Major), uint32(disk.Minor), snapshot.Op(op)}] = number
				}
			}
		}
		all := maps.Clone(theirs)
		for _, record := range [...]*snapshot.Cgroup{before, after} {
			for i := range record.Devices {
				for op := range snapshot.Ops {
					if _, ok := record.Devices[i].Get(figure.stat, op); ok {
						all[place{record.Devices[i].Major, record.Devices[i].Minor, op}] = 0
					}
				}
			}
		}
		for at := range all {
			name := fmt.Sprintf("%s %d:%d %s", figure.name, at.major, at.minor, snapshot.OpNames[at.op])
			c.number(name, difference{reference: theirs[at]},
				deviceFigure(before, at.major, at.minor, figure.stat, at.op), deviceFigure(after, at.major, at.minor, figure.stat, at.op))
		}
	}
}

func deviceFigure(record *snapshot.Cgroup, major, minor uint32, stat snapshot.DeviceStat, op snapshot.Op) snapshot.Optional {
	for i := range record.Devices {
		if device := &record.Devices[i]; device.Major == major && device.Minor == minor {
			number, ok := device.Get(stat, op)
			return snapshot.Optional{Value: number, Present: ok}
		}
	}
	return snapshot.Optional{}
}

func (c *comparison) interfaces(before, after *snapshot.Cgroup, stats *model.NetworkStats) {
	if len(before.Interfaces) != len(stats.Interfaces) {
		c.number("network.interfaces", difference{reference: uint64(len(stats.Interfaces))},
			snapshot.Some(uint64(len(before.Interfaces))), snapshot.Some(uint64(len(after.Interfaces))))
		return
	}
	for i := range stats.Interfaces {
		theirs := &stats.Interfaces[i]
		for _, figure := range interfaceFigures {
			var left, right snapshot.Optional
			for at := range before.Interfaces {
				if before.Interfaces[at].Name == theirs.Name {
					left = snapshot.Some(figure.ours(&before.Interfaces[at]))
				}
			}
			for at := range after.Interfaces {
				if after.Interfaces[at].Name == theirs.Name {
					right = snapshot.Some(figure.ours(&after.Interfaces[at]))
				}
			}
			c.number("network."+theirs.Name+"."+figure.name, difference{reference: figure.reference(theirs)}, left, right)
		}
	}
}

// spec compares limits.
func (c *comparison) spec(before, after *snapshot.Spec, theirs *model.ContainerSpec) {
	for _, limit := range []struct {
		name      string
		get       func(*snapshot.Spec) snapshot.Optional
		reference uint64
	}{
		{"spec.cpu_shares", func(s *snapshot.Spec) snapshot.Optional { return s.CPUShares }, theirs.Cpu.Limit},
		{"spec.cpu_quota", func(s *snapshot.Spec) snapshot.Optional { return s.CPUQuota }, theirs.Cpu.Quota},
		{"spec.cpu_period", func(s *snapshot.Spec) snapshot.Optional { return s.CPUPeriod }, theirs.Cpu.Period},
		{"spec.memory_limit", func(s *snapshot.Spec) snapshot.Optional { return s.MemoryLimit }, theirs.Memory.Limit},
		{"spec.memory_reservation", func(s *snapshot.Spec) snapshot.Optional { return s.MemoryReservation }, theirs.Memory.Reservation},
		{"spec.swap_limit", func(s *snapshot.Spec) snapshot.Optional { return s.SwapLimit }, theirs.Memory.SwapLimit},
		{"spec.pids_limit", func(s *snapshot.Spec) snapshot.Optional { return s.PidsLimit }, theirs.Processes.Limit},
		{"spec.has_cpu", func(s *snapshot.Spec) snapshot.Optional { return flag(s.HasCPU) }, flag(theirs.HasCpu).Value},
		{"spec.has_memory", func(s *snapshot.Spec) snapshot.Optional { return flag(s.HasMemory) }, flag(theirs.HasMemory).Value},
		{"spec.has_io", func(s *snapshot.Spec) snapshot.Optional { return flag(s.HasIO) }, flag(theirs.HasDiskIo).Value},
	} {
		c.number(limit.name, difference{reference: limit.reference}, limit.get(before), limit.get(after))
	}
	// The reference also looks at controllers whose files nobody reads, which a runtime made a moment earlier or later; and
	// it reckons the machine's start from an uptime in whole seconds, to the minute, which can fall on either side of one.
	apart := before.Created.Sub(theirs.CreationTime).Abs()
	if tolerated := 2 * time.Second; apart <= tolerated || apart.Round(tolerated) == time.Minute {
		c.numbers++
		return
	}
	c.number("spec.created", difference{reference: uint64(theirs.CreationTime.Unix())},
		snapshot.Some(uint64(before.Created.Unix())), snapshot.Some(uint64(after.Created.Unix())))
}

func flag(is bool) snapshot.Optional {
	if is {
		return snapshot.Some(1)
	}
	return snapshot.Some(0)
}

func optional(o snapshot.Optional) string {
	if !o.Present {
		return "absent"
	}
	return fmt.Sprint(o.Value)
}

// Print writes a report for a reader at a terminal: each difference in a row, then what was compared.
func (r *Report) Print(w io.Writer) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	if len(r.Findings) > 0 {
		fmt.Fprintln(table, "CGROUP\tFIELD\tOURS BEFORE\tREADER\tREFERENCE\tOURS AFTER")
	}
	for _, f := range r.Findings {
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\n", f.Cgroup, f.Field, f.Before, f.Reader, f.Reference, f.After)
	}
	if err := table.Flush(); err != nil {
		return err
	}
	for _, id := range slices.Sorted(maps.Keys(r.Unread)) {
		fmt.Fprintf(w, "not compared: %s: the reference gave nothing: %s\n", id, r.Unread[id])
	}
	names := make([]string, 0, len(r.Deviations))
	for _, name := range slices.Sorted(maps.Keys(r.Deviations)) {
		names = append(names, fmt.Sprintf("%s %d", name, r.Deviations[name]))
	}
	if len(names) > 0 {
		fmt.Fprintf(w, "meant to differ, see docs/fidelity.md: %s\n", strings.Join(names, ", "))
	}
	if r.Walked > 0 {
		fmt.Fprintf(w, "compared %d of the numbers with the reader in the kernel too\n", r.Walked)
	}
	_, err := fmt.Fprintf(w, "compared %d numbers of %d cgroups (%d removed meanwhile): %d differ\n", r.Numbers, r.Cgroups, r.Gone, len(r.Findings))
	return err
}
