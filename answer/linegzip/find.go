package linegzip

import (
	"bytes"
	"encoding/binary"
	"math/bits"
)

const (
	// window is how far back deflate may refer.
	window = 32 << 10
	// leastMatch is what a reference must replace to be worth its bits, leastSelf what one within a line must.
	leastMatch, leastSelf = 5, 16
	// mostChance is how many bytes of a word may be found by chance before the rest is new.
	mostChance = 4
	// mostFields bounds the fields of a line that are remembered. More are literals.
	mostFields = 32
	// keptLines is how many lines are remembered, and keptFirsts how many last lines by their first label. Both are powers of two.
	keptLines, keptFirsts = 128, 1 << firstBits
	firstBits             = 6
)

// commentStart is as long as what stands before the name of a metric in the comments above its first line.
const commentStart = "# TYPE "

// sequence is a run of literals and the reference that follows it, which may be of no length.
type sequence struct {
	literals, length, distance uint32
}

// line is where a line and its fields stand in the text. A field begins after a quote, and behind the last quote after a space. The positions
// are hints: where they are wrong, less is found.
type line struct {
	start, end int
	// brace is where labels begin and labels their length, if row, the number of theirs, is not 0.
	brace, labels int
	row           uint32
	// count is how many fields are known, 0 that they were not looked for.
	count  int
	fields [mostFields]int
}

// finder finds what of each line was there before.
type finder struct {
	// text is the last of the text, and at where in it the next line begins.
	text  []byte
	at    int
	found []sequence
	// literals begin there that no sequence has yet.
	literals int

	lines [keptLines]line
	// count is the number of lines, of which the last keptLines are kept.
	count int
	// firsts has the number, from 1, of the last line with a first label of that hash.
	firsts [keptFirsts]int

	rows rows
	plan plan
	// name is that of the present metric, with the brace behind it; family counts the names. last is the row of the last line, if it had one.
	name   []byte
	family uint32
	last   uint32
}

func (f *finder) reset() {
	f.text, f.at, f.literals, f.count = f.text[:0], 0, 0, 0
	clear(f.firsts[:])
	f.rows.reset()
	f.name, f.family, f.last = f.name[:0], 0, 0
}

// sequences returns what the next lines consist of, some size bytes of them; the last run of literals may have no reference. They are good until
// the next call.
func (f *finder) sequences(size int) []sequence {
	f.found = f.found[:0]
	f.literals = f.at
	for stop := min(f.at+size, len(f.text)); f.at < stop; {
		f.line()
	}
	if f.literals < f.at {
		f.found = append(f.found, sequence{literals: uint32(f.at - f.literals)})
	}
	return f.found
}

// line finds what of the next line was there before.
func (f *finder) line() {
	current := &f.lines[f.count%keptLines]
	current.start, current.row, current.count = f.at, 0, 0
	r := f.expected(current)
	if r != nil && f.replay(current, r) {
		f.count++
		return
	}
	current.end = f.at + lineLength(f.text[f.at:])
	var slot *uint32
	if r == nil {
		r, slot = f.known(current)
		if r != nil && f.replay(current, r) {
			f.count++
			return
		}
	}
	f.plan.begin(current)
	bucket := f.search(current)
	f.remember(current, r, slot, bucket)
	f.count++
	f.at = current.end
}

// match is the present place within the present line, and in the one that it is compared with.
type match struct {
	current, source *line
	// at is the position in the text, and field the number of the field that it is in.
	at, field int
}

// search finds what of a line was there before, by comparing it with lines before. It returns the bucket of its first label.
func (f *finder) search(current *line) (bucket uint8) {
	current.count, current.fields[0] = 1, current.start
	before, alike, bucket := f.candidates(current)
	m := match{current: current, at: current.start}
	if before == nil {
		return bucket
	}
	f.opening(&m, before, alike)
	self := -1
	// The rest of a line of more fields is new: looking for their ends would take the square of its length.
	for m.at < current.end && m.field+1 < mostFields {
		switch other := otherOf(m.source, before, alike); {
		case other != m.source && f.take(&m, other, other.field(m.field)+m.at-current.fields[m.field]):
			continue
		case self >= 0 && f.takeSelf(&m, self+m.at-current.fields[m.field]):
		default:
			start := m.at
			m.at += fieldLength(f.text[m.at:current.end])
			if word := f.word(start, m.at); m.at-word >= leastSelf {
				self = word
			}
		}
		f.resume(&m, before, alike)
	}
	return bucket
}

// opening refers to what a line begins with.
func (f *finder) opening(m *match, before, alike *line) {
	m.source = before
	length := f.matches(before.start, m.at, m.current.end)
	if alike != before {
		least := length
		if last := len(f.found) - 1; last >= 0 && f.literals == m.at && m.at-int(f.found[last].distance) == before.start {
			// The last reference may go on into this line.
			least += leastMatch
		}
		if other := f.matches(alike.start, m.at, m.current.end); other > least {
			m.source, length = alike, other
		}
	}
	if length >= leastMatch {
		f.refer(m, m.source, m.source.start, length)
		return
	}
	m.source = before
	if f.text[before.start] != '#' {
		return
	}
	// The name stands in the comment above, whose fields are not those of this line.
	from := before.start + len(commentStart)
	if length := f.matches(from, m.at, m.current.end); length >= leastMatch {
		f.plan.ok = false
		f.add(from, m.at, length)
		m.at += length
	}
}

// resume goes on at a separator: there the lines agree again, or else behind it.
func (f *finder) resume(m *match, before, alike *line) {
	if m.at >= m.current.end {
		return
	}
	source, other := m.source, otherOf(m.source, before, alike)
	from := source.field(m.field+1) - 1
	length := f.matches(from, m.at, m.current.end)
	if other != source && m.at+length < m.current.end {
		otherFrom := other.field(m.field+1) - 1
		if more := f.matches(otherFrom, m.at, m.current.end); more > length {
			source, from, length = other, otherFrom, more
		}
	}
	if length >= leastMatch {
		f.refer(m, source, from, length)
		return
	}
	// A line may have another number of fields: then the last ones may agree.
	rest := m.current.end - m.at
	if f.take(m, m.source, m.source.end-rest) || other != m.source && f.take(m, other, other.end-rest) {
		return
	}
	m.at++
	if m.field+1 < mostFields {
		m.field++
		m.current.fields[m.field] = m.at
		m.current.count = m.field + 1
	}
}

func otherOf(source, before, alike *line) *line {
	if source == before {
		return alike
	}
	return before
}

// candidates returns the line before and the last one with the same first label, which may be the same, or nil, nil if there is none; and the
// bucket of that label.
func (f *finder) candidates(current *line) (before, alike *line, bucket uint8) {
	if f.count == 0 {
		return nil, nil, 0
	}
	if before = f.kept(f.count - 1); before == nil {
		return nil, nil, 0
	}
	alike = before
	text := f.text[current.start:current.end]
	open := bytes.IndexByte(text, '"') + 1
	length := bytes.IndexByte(text[open:], '"')
	if open == 0 || length < 0 {
		return before, alike, 0
	}
	bucket = hash(text[open:open+length], len(text)>>6)
	if number := f.firsts[bucket]; number > 0 && f.count-(number-1) < keptLines {
		if kept := f.kept(number - 1); kept != nil {
			alike = kept
		}
	}
	f.firsts[bucket] = f.count + 1
	return before, alike, bucket
}

// kept returns a line, with its fields, or nil if its beginning is forgotten.
func (f *finder) kept(number int) *line {
	l := &f.lines[number%keptLines]
	if l.start < 0 {
		return nil
	}
	if l.count == 0 {
		f.split(l)
	}
	return l
}

// split finds the fields of a line that was replayed.
func (f *finder) split(l *line) {
	l.fields[0], l.count = l.start, 1
	for at := l.start; l.count < mostFields; l.count++ {
		if at += fieldLength(f.text[at:l.end]) + 1; at >= l.end {
			break
		}
		l.fields[l.count] = at
	}
}

// hash of a label's value takes its length and its ends.
func hash(value []byte, length int) uint8 {
	h := uint32(len(value))*31 + uint32(length)
	if len(value) > 0 {
		h = h*31 + uint32(value[0])
		h = h*31 + uint32(value[len(value)/2])
		h = h*31 + uint32(value[len(value)-1])
	}
	return uint8((h * 2654435761) >> (32 - firstBits))
}

// field returns where a field begins, or a place that nothing can be taken from.
func (l *line) field(number int) int {
	if number >= l.count {
		return -window
	}
	return l.fields[number]
}

// word returns where the last part begins of a path, of which the text from start to end is new: it comes again as a name. Some of its first bytes
// may not be in there, since they were found elsewhere by chance.
func (f *finder) word(start, end int) int {
	for from := start; ; {
		slash := bytes.IndexByte(f.text[from:end], '/')
		if slash < 0 && from > start {
			return from
		}
		if slash < 0 {
			break
		}
		from += slash + 1
	}
	for back := 1; back <= mostChance && back <= start; back++ {
		if one := f.text[start-back]; one == '/' || one == '"' {
			return start - back + 1
		}
	}
	return start
}

// takeSelf refers to what this very line had before.
func (f *finder) takeSelf(m *match, from int) bool {
	length := f.matches(from, m.at, m.current.end)
	if length < leastSelf {
		return false
	}
	// What follows a field is told better by other lines.
	if end := bytes.IndexByte(f.text[m.at:m.at+length], '"'); end >= leastSelf {
		length = end
	}
	f.plan.note(m.current, m.current, from, m.at, length)
	f.add(from, m.at, length)
	m.at += length
	return true
}

// take refers to as much as agrees at a place of a source, if that is enough.
func (f *finder) take(m *match, source *line, from int) bool {
	length := f.matches(from, m.at, m.current.end)
	if length < leastMatch {
		return false
	}
	f.refer(m, source, from, length)
	return true
}

// refer refers to a place of a source, and notes the fields that this passes.
func (f *finder) refer(m *match, source *line, from, length int) {
	f.plan.note(m.current, source, from, m.at, length)
	f.add(from, m.at, length)
	shift := m.at - from
	m.source = source
	m.at += length
	for m.field+1 < source.count && source.fields[m.field+1] <= from+length {
		m.field++
		m.current.fields[m.field] = source.fields[m.field] + shift
	}
	m.current.count = m.field + 1
}

// matches returns how many bytes at a place agree with those at an earlier one, up to a limit; 0 if that is out of reach.
func (f *finder) matches(from, at, limit int) int {
	if from < 0 || from >= at || at-from > window {
		return 0
	}
	earlier, later := f.text[from:], f.text[at:limit]
	n := 0
	for len(later)-n >= 8 {
		different := binary.LittleEndian.Uint64(earlier[n:]) ^ binary.LittleEndian.Uint64(later[n:])
		if different != 0 {
			return n + bits.TrailingZeros64(different)>>3
		}
		n += 8
	}
	for n < len(later) && earlier[n] == later[n] {
		n++
	}
	return n
}

// add refers to earlier text, after the literals before it, or lengthens the last reference if it goes on. What is too short to be referred to
// stays literal.
func (f *finder) add(from, at, length int) {
	end := at + length
	for at > f.literals && from > 0 && f.text[from-1] == f.text[at-1] {
		from--
		at--
	}
	distance, literals := uint32(at-from), uint32(at-f.literals)
	if last := len(f.found) - 1; last >= 0 && literals == 0 && f.found[last].distance == distance {
		f.found[last].length += uint32(end - at)
	} else if end-at >= shortest {
		f.found = append(f.found, sequence{literals, uint32(end - at), distance})
	} else {
		return
	}
	f.literals = end
}

// lineLength returns the length of the first line, with its end.
func lineLength(text []byte) int {
	if n := bytes.IndexByte(text, '\n'); n >= 0 {
		return n + 1
	}
	return len(text)
}

// fieldLength returns how far the next separator is: a quote, or where there is none left, a space, or the line's end.
func fieldLength(text []byte) int {
	if n := bytes.IndexByte(text, '"'); n >= 0 {
		return n
	}
	if n := bytes.IndexByte(text, ' '); n >= 0 {
		return n
	}
	if n := len(text) - 1; text[n] == '\n' {
		return n
	}
	return len(text)
}
