// Package exporter renders one snapshot in the text formats of Prometheus: as the kubelet's /metrics/cadvisor and
// /metrics/resource, name by name, and the agent's own numbers as /metrics.
//
// Families are rows of tables (family*.go, resource*.go). The encoder (encode.go) appends to one buffer and allocates
// nothing per cgroup, since a node has some 70 families of some hundred cgroups and is asked every few seconds.
package exporter

import (
	"io"
	"time"

	"github.com/nodevitals/nodevitals/snapshot"
)

// Options choose what a render shows and how.
type Options struct {
	// Groups are those to render. What the snapshot does not hold, or Groups does not name, is left out.
	Groups snapshot.Groups
	// Format is the text format.
	Format Format
	// Timestamps puts explicit timestamps on the samples of /metrics/cadvisor, as cAdvisor does: each sample carries
	// the time at which its group was read. /metrics/resource always has them, since metrics-server makes rates of them.
	Timestamps bool
	// NoContainerFilesystems leaves out the rows of container_fs_* that show what a container's own layer takes of its
	// filesystem. A kubelet has none with containerd.
	NoContainerFilesystems bool
	// Series chooses families, rows and labels of /metrics/cadvisor; nil is what a kubelet has.
	Series *Series
	// Now is the moment of the request, for container_last_seen.
	Now time.Time
}

// Renderer turns snapshots into text. It keeps its buffers from render to render; the zero Renderer is ready.
// It is not safe for concurrent use.
type Renderer struct {
	encoder encoder
	// blocks are the labels of each cgroup of the snapshot, machine those of the hardware.
	blocks  []block
	machine block
	// rows are the cgroups to show, if not all.
	rows rowOrder
	// pods and containers are those that have rows of their own.
	pods       []podRow
	containers []containerRow
	// parts say where each family of the answer stands, and cut what was left out of it, if there is a limit.
	parts []part
	cut   cut
}

// Cadvisor renders /metrics/cadvisor. A nil snapshot, one that could not be taken, renders as scrape errors alone.
// The result is good until the next call.
func (r *Renderer) Cadvisor(s *snapshot.Snapshot, o Options) []byte {
	show := o.Series
	if show == nil {
		show = fullSeries
	}
	e := r.start(s, o)
	e.groups &= show.groups
	if s != nil {
		r.showCgroups(s, show)
		if show.ofPods {
			r.showPods(s, func(*encoder, *snapshot.Container) bool { return true })
		}
		if m := s.Node.Machine; m != nil {
			r.machine = e.addBlock(machineLabels[:], m.BootID, m.ID, m.SystemUUID)
			e.machine = &r.machine
		}
		if s.Groups.Has(snapshot.Layers) && e.groups.Has(snapshot.Filesystems) && !o.NoContainerFilesystems {
			e.findLayers(s)
		}
	}
	r.families(show.families, o.Timestamps)
	r.keepWithin(show)
	return r.finish()
}

// Resource renders /metrics/resource. A nil snapshot renders as a scrape error alone.
// The result is good until the next call.
func (r *Renderer) Resource(s *snapshot.Snapshot, o Options) []byte {
	r.start(s, o)
	if s != nil {
		r.showPods(s, (*encoder).sampled)
	}
	r.families(resourceFamilies, true)
	return r.finish()
}

// SetBuffer makes the next render write into buffer instead of the one that the Renderer keeps. What that returns is then the caller's,
// once SetBuffer(nil) made the Renderer forget it.
func (r *Renderer) SetBuffer(buffer []byte) { r.encoder.buf = buffer }

// WriteCadvisor writes what [Renderer.Cadvisor] returns to a writer, in pieces of whole lines, so that the answer never stands whole in memory:
// except under a limit of series, since what it leaves out is known at the end. It returns the writer's first error.
func (r *Renderer) WriteCadvisor(to io.Writer, s *snapshot.Snapshot, o Options) error {
	e := &r.encoder
	if o.Series == nil || o.Series.most == 0 {
		e.to = to
	}
	text := r.Cadvisor(s, o)
	err := e.err
	e.to, e.err = nil, nil
	if err == nil {
		_, err = to.Write(text)
	}
	return err
}

func (r *Renderer) start(s *snapshot.Snapshot, o Options) *encoder {
	e := &r.encoder
	*e = encoder{buf: e.buf[:0], labels: e.labels[:0], suffix: e.suffix[:0], snapshot: s, options: o, layers: e.layers, to: e.to}
	if s != nil {
		e.groups = s.Groups & o.Groups
	}
	r.blocks, r.parts = r.blocks[:0], r.parts[:0]
	r.rows.chosen = false
	return e
}

// finish ends the answer and lets go of the snapshot, so that a kept Renderer does not keep a whole node alive.
func (r *Renderer) finish() []byte {
	e := &r.encoder
	if e.options.Format == OpenMetrics {
		e.buf = append(e.buf, "# EOF\n"...)
	}
	e.snapshot, e.family, e.block, e.machine = nil, nil, nil, nil
	clear(e.layers)
	clear(r.pods)
	clear(r.containers)
	r.pods, r.containers = r.pods[:0], r.containers[:0]
	return e.buf
}

func (r *Renderer) families(table []family, timestamps bool) {
	e := &r.encoder
	e.timestamps = timestamps
	for i := range table {
		f := &table[i]
		from, count := len(e.buf), e.count
		if f.groups == 0 || f.groups&e.groups != 0 {
			e.family, e.headed, e.block = f, false, &noLabels
			e.stamp(f)
			r.family(f)
			e.handOn(pieceBytes)
		}
		r.parts = append(r.parts, part{from: from, to: len(e.buf), series: e.count - count})
	}
}

// family writes the rows of a family.
func (r *Renderer) family(f *family) {
	e := &r.encoder
	switch {
	case f.node != nil:
		f.node(e)
	case e.snapshot == nil:
	case f.pod != nil:
		for i := range r.pods {
			e.block = &r.pods[i].block
			f.pod(e, r.pods[i].pod)
		}
	case f.container != nil:
		for i := range r.containers {
			e.block = &r.containers[i].block
			f.container(e, r.containers[i].container)
		}
	case r.rows.chosen:
		r.rowsInOrder(f)
	default:
		for i := range e.snapshot.Cgroups {
			e.block = &r.blocks[i]
			f.emit(e, &e.snapshot.Cgroups[i])
			e.handOn(pieceBytes)
		}
	}
}

// stamp sets the timestamp that the samples of f carry.
func (e *encoder) stamp(f *family) {
	if e.snapshot == nil {
		e.at(time.Time{})
		return
	}
	switch f.stamp {
	case stampNone:
		e.at(time.Time{})
	case stampNow:
		e.at(e.options.Now)
	case stampReading:
		groups := f.groups & e.groups
		if f.groups == 0 {
			// The core groups come first in reading order, so that theirs is the time if there are any.
			groups = snapshot.All
		}
		e.atReading(groups)
	}
}

// atReading sets the timestamp to the time at which the first of groups was read.
func (e *encoder) atReading(groups snapshot.Groups) { e.at(e.snapshot.Time(groups)) }
