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
	// Lines that are remembered, and last lines by their first label; both powers of two.
	keptLines, keptFirsts = 256, 64
)

// sequence is a run of literals and the reference that follows it, which may be of no length.
type sequence struct {
	literals, length, distance uint32
}

// line is where a line and its fields stand in the text. A field begins after a quote, and behind the last quote after a space. The positions
// are hints: where they are wrong, less is found.
type line struct {
	start, end int
	count      int
	fields     [mostFields]int
}

// finder finds what of each line was there before.
type finder struct {
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
}

func (f *finder) reset(text []byte) {
	f.text, f.at, f.literals, f.count = text, 0, 0, 0
	clear(f.firsts[:])
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

// match is the present place within the present line, and in the one that it is compared with.
type match struct {
	current, source *line
	// at and from are positions in the text; field is the number of the field that at is in.
	at, from, field int
}

// line finds what of the next line was there before.
func (f *finder) line() {
	current := &f.lines[f.count%keptLines]
	current.start, current.end = f.at, f.at+lineLength(f.text[f.at:])
	current.count, current.fields[0] = 1, f.at
	before, alike := f.candidates(current)
	f.count++
	m := match{current: current, at: current.start}
	f.at = current.end
	if before == nil {
		return
	}
	m.source, m.from = alike, alike.start
	if last := len(f.found) - 1; last >= 0 && f.literals == m.at {
		// The reference may go on into this line.
		if from := m.at - int(f.found[last].distance); from == before.start {
			m.source, m.from = before, from
		}
	}
	self := -1
	if !f.take(&m, leastMatch) {
		m.source, m.from = before, before.start
		f.take(&m, leastMatch)
	}
	for m.at < current.end {
		switch other := otherOf(m.source, before, alike); {
		case f.takeFrom(&m, other, other.field(m.field)+m.at-current.fields[m.field]):
			m.source = other
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
}

// resume goes on at a separator: there the lines agree again, or else behind it.
func (f *finder) resume(m *match, before, alike *line) {
	if m.at >= m.current.end {
		return
	}
	for _, source := range [...]*line{m.source, otherOf(m.source, before, alike)} {
		if from := source.field(m.field+1) - 1; f.takeFrom(m, source, from) {
			m.source = source
			return
		}
		if from := source.end - (m.current.end - m.at); f.takeFrom(m, source, from) {
			m.source = source
			return
		}
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

// candidates returns the line before and the last one with the same first label, which may be the same; nil, nil for the first line.
func (f *finder) candidates(current *line) (before, alike *line) {
	if f.count > 0 {
		before = &f.lines[(f.count-1)%keptLines]
	}
	alike = before
	text := f.text[current.start:current.end]
	open := bytes.IndexByte(text, '"') + 1
	length := bytes.IndexByte(text[open:], '"')
	if open == 0 || length < 0 {
		return before, alike
	}
	kept := &f.firsts[hash(text[open:open+length], len(text)>>6)]
	if number := *kept; number > 0 && f.count-(number-1) < keptLines {
		alike = &f.lines[(number-1)%keptLines]
	}
	*kept = f.count + 1
	return before, alike
}

// hash of a label's value takes its length and its ends.
func hash(value []byte, length int) uint32 {
	h := uint32(len(value))*31 + uint32(length)
	if len(value) > 0 {
		h = h*31 + uint32(value[0])
		h = h*31 + uint32(value[len(value)/2])
		h = h*31 + uint32(value[len(value)-1])
	}
	return (h * 2654435761) >> (32 - 6)
}

// field returns where a field begins, or a place that nothing can be taken from.
func (l *line) field(number int) int {
	if number >= l.count {
		return -window
	}
	return l.fields[number]
}

// takeFrom is take at another place of another line.
func (f *finder) takeFrom(m *match, source *line, from int) bool {
	if from < 0 {
		return false
	}
	old, oldFrom := m.source, m.from
	m.source, m.from = source, from
	if f.take(m, leastMatch) {
		return true
	}
	m.source, m.from = old, oldFrom
	return false
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
	f.add(from, m.at, length)
	m.at += length
	return true
}

// take refers to as much as agrees from here, if that is enough, and notes the fields that this passes.
func (f *finder) take(m *match, least int) bool {
	length := f.matches(m.from, m.at, m.current.end)
	if length < least {
		return false
	}
	f.add(m.from, m.at, length)
	shift := m.at - m.from
	m.at += length
	m.from += length
	for m.field+1 < m.source.count && m.source.fields[m.field+1] <= m.from {
		m.field++
		m.current.fields[m.field] = m.source.fields[m.field] + shift
	}
	m.current.count = m.field + 1
	return true
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

// add refers to earlier text, after the literals before it, or lengthens the last reference if it goes on.
func (f *finder) add(from, at, length int) {
	distance, literals := uint32(at-from), uint32(at-f.literals)
	f.literals = at + length
	if last := len(f.found) - 1; last >= 0 && literals == 0 && f.found[last].distance == distance {
		f.found[last].length += uint32(length)
		return
	}
	f.found = append(f.found, sequence{literals, uint32(length), distance})
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
