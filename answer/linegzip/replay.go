package linegzip

import "bytes"

// plan collects the steps of the present line.
type plan struct {
	steps [mostSteps]step
	count int
	// ok is that there is nothing in it that cannot be replayed. labels ends there; at is the end of the last step.
	ok         bool
	at, labels int
}

// begin begins a plan for a line, which has none if it has no labels.
func (p *plan) begin(current *line) {
	p.ok, p.count, p.at, p.labels = current.labels > 0, 0, current.brace, current.brace+current.labels
}

// note notes a reference of the present line to a source, which may be the line itself.
func (p *plan) note(current, source *line, from, at, length int) {
	if !p.ok || at >= p.labels {
		return
	}
	if p.count == 0 {
		// The name belongs to the first step, and is replayed only where the source has the same.
		name := current.brace - current.start
		if at != current.start || from != source.start || source.brace-source.start != name || length <= name || source.row == 0 {
			p.ok = false
			return
		}
		from, at, length = source.brace, current.brace, length-name
	}
	length = min(length, p.labels-at)
	offset := from - source.brace
	if p.count == mostSteps || source != current && source.row == 0 || offset < 0 || offset+length > source.labels {
		p.ok = false
		return
	}
	p.steps[p.count] = step{literals: uint16(at - p.at), length: uint16(length), offset: uint16(offset), source: source.row}
	p.count++
	p.at = at + length
}

// literals is how many of them are in a plan.
func (p *plan) literals() (count int) {
	for _, s := range p.steps[:p.count] {
		count += int(s.literals)
	}
	return count + p.labels - p.at
}

// expected returns the row that followed the last one before, if the next line has it.
func (f *finder) expected(current *line) *row {
	last := f.rows.row(f.last)
	if last == nil || !bytes.HasPrefix(f.text[current.start:], f.name) {
		return nil
	}
	r := f.rows.row(last.next)
	current.brace = current.start + len(f.name) - 1
	if r == nil || !r.begins(f.text, current.brace) {
		return nil
	}
	current.labels = int(r.length)
	return r
}

// known looks at a line's name and labels. It returns the row of these labels, or nil, and where that is in the index; nil, nil if there are no
// labels.
func (f *finder) known(current *line) (r *row, slot *uint32) {
	text := f.text[current.start:current.end]
	if len(f.name) == 0 || !bytes.HasPrefix(text, f.name) {
		f.name = append(f.name[:0], text[:bytes.IndexByte(text, '{')+1]...)
		f.family++
	}
	open := len(f.name) - 1
	length := bytes.LastIndexByte(text, '}') + len("} ") - open
	if open < 0 || length < leastLabels || length > mostLabels || open+length > len(text) {
		current.labels = 0
		return nil, nil
	}
	current.brace, current.labels = current.start+open, length
	return f.rows.find(f.text, text[open:open+length])
}

// remember keeps what a line was found to consist of.
func (f *finder) remember(current *line, r *row, slot *uint32, bucket uint8) {
	if current.labels == 0 {
		f.last = 0
		return
	}
	if r == nil {
		r = f.rows.add(slot)
		r.length, r.bucket = uint16(current.labels), bucket
	}
	if f.plan.ok && f.plan.count > 0 {
		r.steps, r.count, r.after = f.plan.steps, uint8(f.plan.count), f.last
		r.literal = f.plan.literals() > mostChance
	}
	f.follow(current, r)
}

// follow notes that the present line has a row.
func (f *finder) follow(current *line, r *row) {
	r.at, r.family = current.brace, f.family
	current.row = r.number
	if last := f.rows.row(f.last); last != nil {
		last.next = r.number
	}
	f.last = r.number
}

// replay has a line consist of what its row was found to consist of, and says if it did.
func (f *finder) replay(current *line, r *row) bool {
	end := current.brace + int(r.length)
	var bases [mostSteps]int
	var at, from int
	switch near, planned := end-r.at <= window, r.count > 0 && r.after == f.last; {
	case planned && (!near || !r.literal) && f.reach(current, r, &bases):
		at, from = f.steps(current, r, &bases)
	case near:
		at, from = f.near(current, r)
	default:
		return false
	}
	f.firsts[r.bucket] = f.count + 1
	f.follow(current, r)
	if at < end {
		from = -1
	}
	f.value(current, end, from)
	return true
}

// near refers to the last line of the same row, which the window reaches, for its labels, and to the line before for its name. It returns the
// end of that, and where what is referred to ends.
func (f *finder) near(current *line, r *row) (at, from int) {
	at = current.start
	end := current.brace + int(r.length)
	before := f.lines[(f.count-1)%keptLines].start
	if before >= 0 && f.text[before] == '#' {
		before += len(commentStart)
	}
	if length := f.matches(before, at, end); length >= leastMatch {
		f.add(before, at, length)
		at += length
	}
	if at == end {
		return at, before + at - current.start
	}
	at = max(at, current.brace)
	from = r.at + at - current.brace
	f.add(from, at, end-at)
	return end, from + end - at
}

// steps replays the steps of a row, whose sources are at such places. It returns the end of that, and where what is referred to ends.
func (f *finder) steps(current *line, r *row, bases *[mostSteps]int) (at, from int) {
	name := current.brace - current.start
	length := int(r.steps[0].length)
	f.add(bases[0]-name, current.start, name+length)
	at, from = current.brace+length, bases[0]+length
	for i := 1; i < int(r.count); i++ {
		s := &r.steps[i]
		at, from = at+int(s.literals), bases[i]+int(s.offset)
		f.add(from, at, int(s.length))
		at, from = at+int(s.length), from+int(s.length)
	}
	return at, from
}

// reach finds where the sources of a row's steps last stood, and says if all can be referred to.
func (f *finder) reach(current *line, r *row, bases *[mostSteps]int) bool {
	end := current.brace + int(r.length)
	for i := range r.steps[:r.count] {
		number := r.steps[i].source
		if number == 0 {
			bases[i] = current.brace
			continue
		}
		source := f.rows.row(number)
		if source == nil || end-source.at > window {
			return false
		}
		if i == 0 && source.family != f.family {
			return false
		}
		bases[i] = source.at
	}
	return true
}

// value finds what of the rest of a line was there before: at first where the labels' last reference goes on, if from is not -1, and from a space
// on, behind which is a timestamp, in the line before.
func (f *finder) value(current *line, at, from int) {
	end := at + lineLength(f.text[at:])
	current.end, f.at = end, end
	if from >= 0 {
		if length := f.matches(from, at, end); length > 0 {
			f.add(from, at, length)
			at += length
		}
	}
	if end-at < leastMatch {
		return
	}
	space := bytes.IndexByte(f.text[at:end], ' ')
	if space < 0 {
		return
	}
	at += space
	from = current.start - (end - at)
	if length := f.matches(from, at, end); length >= leastMatch {
		f.add(from, at, length)
	}
}
