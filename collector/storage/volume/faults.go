package volume

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"syscall"

	"github.com/nodevitals/nodevitals/collector/storage"
	"github.com/nodevitals/nodevitals/collector/storage/du"
)

// faults sums up what is wrong now: one error for each kind, with a number of places, since a thousand volumes of one server
// need no thousand lines.
func (r *Reader) faults() error {
	kinds := make(map[error]*fault)
	note := func(kind, err error) {
		f := kinds[kind]
		if f == nil {
			f = &fault{err: err}
			kinds[kind] = f
		}
		f.count++
		// The least text stands for all, so that it is the same every time.
		if err.Error() < f.err.Error() {
			f.err = err
		}
	}
	for t := range r.tasks() {
		if t.err != nil {
			note(kindOf(t.err), t.err)
		}
		if t.busy && t.lane.hangs(t.device) {
			note(storage.ErrNoAnswer, fmt.Errorf("%s: %w", t.what, storage.ErrNoAnswer))
		}
	}
	all := make([]error, 0, len(kinds))
	for _, f := range kinds {
		if f.count > 1 {
			f.err = fmt.Errorf("%w (and %d more)", f.err, f.count-1)
		}
		all = append(all, f.err)
	}
	slices.SortFunc(all, func(a, b error) int { return cmp.Compare(a.Error(), b.Error()) })
	return errors.Join(all...)
}

type fault struct {
	err   error
	count int
}

// kindOf is what makes errors alike: the kernel's number, if there is one.
func kindOf(err error) error {
	for _, kind := range []error{du.ErrTooDeep, du.ErrMoved, du.ErrTooManyLinks} {
		if errors.Is(err, kind) {
			return kind
		}
	}
	if errno, ok := errors.AsType[syscall.Errno](err); ok {
		return errno
	}
	return err
}
