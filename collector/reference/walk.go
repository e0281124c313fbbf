package reference

import (
	"errors"
	"fmt"
	"time"

	"github.com/nodevitals/nodevitals/collector/cgroup"
	"github.com/nodevitals/nodevitals/snapshot"
)

// walks reads cgroups with a walker, which has a tree of its own: what is kept of a cgroup belongs to one reader.
type walks struct {
	tree   *cgroup.Tree
	reader *cgroup.Reader
}

func newWalks(hierarchy *cgroup.Hierarchy, walker cgroup.Walker) (*walks, error) {
	tree, err := cgroup.NewTree(hierarchy, cgroup.TreeOptions{MaxWatches: -1})
	if err != nil {
		walker.Close()
		return nil, err
	}
	return &walks{tree, cgroup.NewReader(tree, cgroup.ReaderOptions{Walker: walker})}, nil
}

func (w *walks) close() {
	w.reader.Close()
	w.tree.Close()
}

// read walks over all cgroups, and returns the record of one.
func (w *walks) read(id string) (*snapshot.Cgroup, error) {
	now := time.Now()
	w.tree.Update(now)
	w.reader.Begin(now, snapshot.Core, nil)
	if err := w.reader.Stats().WalkError; err != nil {
		return nil, fmt.Errorf("the reader in the kernel: %w", err)
	}
	known := w.tree.Known(id)
	record := &snapshot.Cgroup{}
	if known == nil || !w.reader.Read(known, record, snapshot.Core) {
		return nil, errGone
	}
	return record, nil
}

// compareWalk reads the files, the kernel's structures, and the files again.
func (v *verifier) compareWalk(known *cgroup.Cgroup) (comparison, error) {
	c := v.comparison(known.Identity.ID, Kernel)
	before, errBefore := v.core(known)
	middle, err := v.walks.read(c.id)
	after, errAfter := v.core(known)
	if err := errors.Join(errBefore, err, errAfter); err != nil {
		return c, err
	}
	for field := range snapshot.FieldCount {
		if snapshot.Fields[field].Group&snapshot.Core != 0 && field != snapshot.CPUNanoCores {
			c.walked(snapshot.Fields[field].Name, difference{field: field, isField: true}, fieldOf(before, field), fieldOf(middle, field), fieldOf(after, field))
		}
	}
	for _, record := range [...]*snapshot.Cgroup{before, middle} {
		for i := range record.Devices {
			device := &record.Devices[i]
			if record == middle && deviceOf(before, device.Major, device.Minor) != nil {
				continue // compared already
			}
			c.walkedDevice(device.Major, device.Minor, before, middle, after)
		}
	}
	return c, nil
}

// core reads the files of the core groups.
func (v *verifier) core(known *cgroup.Cgroup) (*snapshot.Cgroup, error) {
	record := &snapshot.Cgroup{}
	if known.Gone() || !v.reader.Read(known, record, snapshot.Core) {
		return nil, errGone
	}
	return record, nil
}

func (c *comparison) walkedDevice(major, minor uint32, before, middle, after *snapshot.Cgroup) {
	for _, figure := range deviceFigures {
		for op := range snapshot.Ops {
			name := fmt.Sprintf("%s %d:%d %s", figure.name, major, minor, snapshot.OpNames[op])
			c.walked(name, difference{}, deviceFigure(before, major, minor, figure.stat, op),
				deviceFigure(middle, major, minor, figure.stat, op), deviceFigure(after, major, minor, figure.stat, op))
		}
	}
}

// walked compares one number of a walk: it must be there if the files have it, and lie between what they say.
func (c *comparison) walked(name string, d difference, before, middle, after snapshot.Optional) {
	if !before.Present && !middle.Present && !after.Present {
		return
	}
	if middle.Present && before.Present && after.Present {
		d.reference = middle.Value
		c.number(name, d, before, after)
		return
	}
	c.numbers++
	if middle.Present && (before.Present || after.Present) {
		return // it came or went in between
	}
	c.findings = append(c.findings, Finding{
		Cgroup: c.id, Field: name, Reader: c.reader, Before: optional(before), Reference: optional(middle), After: optional(after),
	})
}

func fieldOf(record *snapshot.Cgroup, field snapshot.Field) snapshot.Optional {
	number, ok := record.Get(field)
	return snapshot.Optional{Value: number, Present: ok}
}

func deviceOf(record *snapshot.Cgroup, major, minor uint32) *snapshot.Device {
	for i := range record.Devices {
		if record.Devices[i].Major == major && record.Devices[i].Minor == minor {
			return &record.Devices[i]
		}
	}
	return nil
}
