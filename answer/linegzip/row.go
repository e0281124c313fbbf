package linegzip

import (
	"bytes"
	"hash/crc32"
)

const (
	// mostRows is how many rows are remembered; a power of two.
	mostRows = 2048
	// mostSteps is how many references a row may consist of. One that takes more is searched each time.
	mostSteps = 8
	// leastLabels and mostLabels are the lengths of labels that are remembered.
	leastLabels, mostLabels = 16, 1<<16 - 1
)

// row is what lines of different metrics have in common: their labels, from the opening brace to the space behind the closing one. What they
// consist of is found once, in terms of other rows, and replayed where they come again. Rows are numbered from 1.
type row struct {
	// number is the row's own, and next that of the row which followed it last.
	number, next uint32
	// family numbers the metric in which the row was last.
	family uint32
	length uint16
	// bucket is that of its first label.
	bucket uint8
	// count is how many steps there are, 0 if it must be searched. after is the row that it stood behind when they were found: where it stands
	// behind another, there may be better ones.
	count uint8
	after uint32
	// literal is that the steps leave more than a few bytes to be written as they are.
	literal bool
	// at is where the labels last stood, negative if that is forgotten.
	at    int
	steps [mostSteps]step
}

// step is a run of literals, and then what another row, or this one if source is 0, has at an offset. The first step of a row begins with the
// metric's name, which is not counted in its length.
type step struct {
	literals, length, offset uint16
	source                   uint32
}

// rows remembers the last mostRows rows.
type rows struct {
	kept []row
	// count is the number of the last row.
	count uint32
	// index has the number of a row by the hash of its labels.
	index [2 * mostRows]uint32
}

func (r *rows) reset() {
	r.count = 0
	clear(r.index[:])
}

// row returns the row with a number, or nil if it is forgotten or there is none.
func (r *rows) row(number uint32) *row {
	at := (number - 1) % mostRows
	if number > r.count || at >= uint32(len(r.kept)) || r.kept[at].number != number {
		return nil
	}
	return &r.kept[at]
}

// find returns the row with these labels, or nil, and where its number is or belongs.
func (r *rows) find(text, labels []byte) (found *row, slot *uint32) {
	// The first bytes are much the same, and a checksum of whole 16 bytes takes half as long.
	hash := crc32.ChecksumIEEE(labels[len(labels)%16:])
	slot = &r.index[hash%uint32(len(r.index))]
	found = r.row(*slot)
	if found != nil && !found.is(text, labels) {
		found = nil
	}
	return found, slot
}

// add remembers another row, at a place of the index, and forgets the oldest if there are many.
func (r *rows) add(slot *uint32) *row {
	at := r.count % mostRows
	if at == uint32(len(r.kept)) {
		r.kept = append(r.kept, row{})
	}
	r.count++
	*slot = r.count
	r.kept[at] = row{number: r.count}
	return &r.kept[at]
}

// is tells if the row is that of these labels.
func (r *row) is(text, labels []byte) bool {
	return r.at >= 0 && bytes.Equal(text[r.at:r.at+int(r.length)], labels)
}

// begins tells if the text at a position begins with the row's labels.
func (r *row) begins(text []byte, at int) bool {
	end := at + int(r.length)
	return r.at >= 0 && end <= len(text) && bytes.Equal(text[r.at:r.at+int(r.length)], text[at:end])
}
