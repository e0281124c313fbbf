package exporter

import (
	"bytes"
	"hash/maphash"
	"slices"
	"strings"

	"github.com/nodevitals/nodevitals/snapshot"
)

// SliceRows says which cgroups that belong to no pod have rows: the root, slices, services.
type SliceRows uint8

const (
	// AllSlices are all of them.
	AllSlices SliceRows = iota
	// TopSlices are the root and those right below it, such as /system.slice.
	TopSlices
	// NoSlices leaves the root alone, which stands for the machine.
	NoSlices
)

// sliceWords are the words of --slices.
var sliceWords = [...]string{AllSlices: "all", TopSlices: "top", NoSlices: "none"}

// has tells whether a cgroup without a pod's name has rows.
func (rows SliceRows) has(id string) bool {
	switch {
	case rows == AllSlices || id == "/":
		return true
	case rows == TopSlices:
		return strings.LastIndexByte(id, '/') == 0
	}
	return false
}

// labelSet is a set of containerLabels, by their indices.
type labelSet uint8

// The labels that can be dropped, by their places in containerLabels. The others tell who a row is.
const (
	droppedID    labelSet = 1 << 1
	droppedImage labelSet = 1 << 2
	droppedName  labelSet = 1 << 3
)

// row is a cgroup that has rows.
type row struct {
	// index is the cgroup's in the snapshot.
	index int32
	// twin tells that the row before it in the order has the same labels.
	twin bool
}

// rowOrder is the choice of one render.
type rowOrder struct {
	// chosen tells that order counts; otherwise every cgroup has its rows.
	chosen bool
	order  []row

	// heads finds the first cgroup of each set of labels by its hash.
	heads map[uint64]int32
	// places say of each cgroup whether it is a head, and where its next twin is.
	places []place
	twins  []int32
}

// place is a cgroup's in the choice.
type place struct {
	// head tells that it is the first cgroup of its labels, next is the next one, or -1.
	head bool
	next int32
}

// seed makes hashes of labels. They say nothing about the order of rows.
var seed = maphash.MakeSeed()

// showCgroups prepares the labels of all cgroups and, where not all have rows as they come, chooses those that have.
func (r *Renderer) showCgroups(s *snapshot.Snapshot, show *Series) {
	e := &r.encoder
	for i := range s.Cgroups {
		id := s.Cgroups[i].Identity
		dropped := show.dropped
		if id.ID == "/" {
			// Without it nobody could tell the machine's row.
			dropped &^= droppedID
		}
		values := [...]string{id.Container, id.ID, id.Image, id.Name, id.Namespace, id.Pod}
		r.blocks = append(r.blocks, e.addLabels(containerLabels[:], values[:], dropped))
	}
	if show.dropped&droppedID == 0 && show.slices == AllSlices {
		return
	}
	r.rows.chosen, r.rows.order = true, r.rows.order[:0]
	if show.dropped&droppedID == 0 {
		for i := range s.Cgroups {
			if id := s.Cgroups[i].Identity; id.Pod != "" || show.slices.has(id.ID) {
				r.rows.order = append(r.rows.order, row{index: int32(i)})
			}
		}
		return
	}
	r.rows.pair(s, r.blocks, e.labels)
}

// pair orders the rows of a render without the label id, which alone tells apart all rows. Those of no pod are left out but for the
// root. Rows that became equal stand side by side: the pod's before its sandbox's, and of several containers or sandboxes
// the newest first.
func (o *rowOrder) pair(s *snapshot.Snapshot, blocks []block, labels []byte) {
	if o.heads == nil {
		o.heads = make(map[uint64]int32, len(blocks))
	}
	clear(o.heads)
	o.places = slices.Grow(o.places[:0], len(blocks))[:len(blocks)]
	text := func(i int32) []byte { return labels[blocks[i].ends[0]:blocks[i].ends[len(containerLabels)]] }
	for i := range int32(len(blocks)) {
		o.places[i] = place{next: -1}
		if id := s.Cgroups[i].Identity; id.Pod == "" && id.ID != "/" {
			continue
		}
		key := maphash.Bytes(seed, text(i))
		head, found := o.heads[key]
		for found && !bytes.Equal(text(head), text(i)) {
			key++
			head, found = o.heads[key]
		}
		if found {
			o.places[i].next, o.places[head].next = o.places[head].next, i
			continue
		}
		o.heads[key] = i
		o.places[i].head = true
	}
	for i := range int32(len(blocks)) {
		if o.places[i].head {
			o.add(s, i)
		}
	}
}

// add lists a head with its twins.
func (o *rowOrder) add(s *snapshot.Snapshot, head int32) {
	o.twins = o.twins[:0]
	for at := head; at >= 0; at = o.places[at].next {
		o.twins = append(o.twins, at)
	}
	if len(o.twins) > 1 {
		slices.SortFunc(o.twins, func(a, b int32) int { return before(s.Cgroups[a].Identity, s.Cgroups[b].Identity) })
	}
	for at, index := range o.twins {
		o.order = append(o.order, row{index: index, twin: at > 0})
	}
}

// before orders the cgroups of equal labels: the pod's own first, then the newer, then by ID.
func before(a, b *snapshot.Identity) int {
	if isPod := a.Kind == snapshot.PodCgroup; isPod != (b.Kind == snapshot.PodCgroup) {
		if isPod {
			return -1
		}
		return 1
	}
	if newer := b.Created.Compare(a.Created); newer != 0 {
		return newer
	}
	return strings.Compare(a.ID, b.ID)
}

// rowsInOrder writes the chosen rows of a family. Of rows with the same labels the first that has the family shows it: a pod's
// CPU is that of its own cgroup, its network that of the sandbox.
func (r *Renderer) rowsInOrder(f *family) {
	e := &r.encoder
	shown := false
	for _, one := range r.rows.order {
		if one.twin && shown {
			continue
		}
		count := e.count
		e.block = &r.blocks[one.index]
		f.emit(e, &e.snapshot.Cgroups[one.index])
		shown = e.count > count
		e.handOn(pieceBytes)
	}
}
