package linegzip

// append takes as much of a piece as there is room for, which is some if no part waits to be searched. It returns how much that is, and by how
// much the text has slid for it.
func (f *finder) append(piece []byte, s sizes) (taken, slid int) {
	if f.text == nil {
		f.text = make([]byte, 0, s.buffer)
	}
	if len(piece) > cap(f.text)-len(f.text) {
		slid = f.slide(s.kept)
	}
	taken = min(len(piece), cap(f.text)-len(f.text))
	f.text = append(f.text, piece[:taken]...)
	return taken, slid
}

// slide forgets the oldest text, except so much of what was searched, and moves the rest, with every position in it, which becomes negative where it is forgotten. It returns by how much.
func (f *finder) slide(kept int) (by int) {
	if by = f.at - kept; by <= 0 {
		return 0
	}
	f.text = f.text[:copy(f.text, f.text[by:])]
	f.at -= by
	f.literals -= by
	for i := range f.lines {
		l := &f.lines[i]
		l.start -= by
		l.end -= by
		l.brace -= by
		for field := range l.fields[:l.count] {
			l.fields[field] -= by
		}
	}
	for i := range f.rows.kept {
		f.rows.kept[i].at -= by
	}
	return by
}

// slide moves the positions of runs.
func (r *runs) slide(by int) {
	for i := range r {
		r[i].at = max(r[i].at-int32(by), forgotten)
	}
}
