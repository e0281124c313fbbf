package storage

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/nodevitals/nodevitals/snapshot"
)

// ErrNoAnswer is returned for a filesystem that did not answer in time: a dead NFS server, a stuck FUSE daemon.
var ErrNoAnswer = errors.New("filesystem does not answer")

// asker is something that may block for ever.
type asker interface{ ask() }

// question is what one filesystem is asked, and its last answer.
type question struct {
	path   string
	statfs func(string, *unix.Statfs_t) error

	mutex sync.Mutex
	// busy: it has been asked and has not answered.
	busy bool
	// answered is when it last answered with figures; they are kept while it is silent, and dropped when it refuses.
	answered time.Time
	figures  unix.Statfs_t
	err      error
}

func newQuestion(path string, statfs func(string, *unix.Statfs_t) error) *question {
	return &question{path: path, statfs: statfs}
}

// begin marks the question as asked. It returns false if it is so already.
func (q *question) begin() bool {
	q.mutex.Lock()
	defer q.mutex.Unlock()
	if q.busy {
		return false
	}
	q.busy = true
	return true
}

func (q *question) ask() {
	var figures unix.Statfs_t
	err := q.statfs(q.path, &figures)
	now := time.Now()
	q.mutex.Lock()
	defer q.mutex.Unlock()
	q.busy, q.err = false, err
	if err != nil {
		q.answered = time.Time{}
		return
	}
	q.answered, q.figures = now, figures
}

// fill gives the filesystem the last answer's figures.
func (q *question) fill(filesystem *snapshot.Filesystem) {
	q.mutex.Lock()
	defer q.mutex.Unlock()
	if q.answered.IsZero() {
		return
	}
	// f_bsize is the best size for transfers, which on network filesystems is not what blocks are counted in.
	size := uint64(q.figures.Frsize)
	if size == 0 {
		size = uint64(q.figures.Bsize)
	}
	filesystem.Time = q.answered
	filesystem.Capacity, filesystem.Free, filesystem.Available = q.figures.Blocks*size, q.figures.Bfree*size, q.figures.Bavail*size
	if q.figures.Files > 0 {
		filesystem.HasInodes = true
		filesystem.Inodes, filesystem.InodesFree = q.figures.Files, q.figures.Ffree
	}
}

// report notes what is wrong with the filesystem.
func (q *question) report(mountPoint string, silent, refused *faults) {
	q.mutex.Lock()
	defer q.mutex.Unlock()
	switch {
	case q.busy:
		silent.add(mountPoint, ErrNoAnswer)
	case q.err != nil && !errors.Is(q.err, unix.ENOENT):
		// Mounts of pods come and go while the list is walked; in a container some are not to be seen at all.
		refused.add(mountPoint, q.err)
	}
}

// faults collects what went wrong, one entry for each kind: a thousand mounts that nobody may see make one line.
type faults struct{ kinds []fault }

type fault struct {
	path string
	err  error
}

func (f *faults) add(path string, err error) {
	for i := range f.kinds {
		if kind := &f.kinds[i]; errors.Is(err, kind.err) {
			// The least path stands for all, so that the text is the same every time.
			kind.path = min(kind.path, path)
			return
		}
	}
	f.kinds = append(f.kinds, fault{path, err})
}

func (f *faults) err() error {
	slices.SortFunc(f.kinds, func(a, b fault) int { return strings.Compare(a.path, b.path) })
	var all []error
	for _, kind := range f.kinds {
		all = append(all, fmt.Errorf("statfs %s: %w", kind.path, kind.err))
	}
	return errors.Join(all...)
}

// patience is how long a worker may be without an answer before another takes over what is left.
const patience = 10 * time.Millisecond

// ask puts all questions, and returns when all are answered or ctx ends. One worker does that: a healthy filesystem answers in
// microseconds. Only when it gets no answer does another go on with the rest, and the first one ends once it has its answer. So
// there is never more than one goroutine, and one thread of the process, for each filesystem that hangs.
func ask(ctx context.Context, questions []asker) {
	if len(questions) == 0 {
		return
	}
	var next, answered atomic.Int64
	done := make(chan struct{})
	// turn is the worker whose turn it is.
	var turn atomic.Int64
	work := func(own int64) {
		for turn.Load() == own {
			at := next.Add(1) - 1
			if at >= int64(len(questions)) {
				return
			}
			questions[at].ask()
			if answered.Add(1) == int64(len(questions)) {
				close(done)
			}
		}
	}
	go work(0)
	ticker := time.NewTicker(patience)
	defer ticker.Stop()
	before := int64(0)
	for {
		select {
		case <-done:
			return
		case <-ctx.Done():
			// What has not been put to its filesystem must not look as if it had been.
			finish(&turn, &next, questions)
			return
		case <-ticker.C:
			now := answered.Load()
			if now == before && next.Load() < int64(len(questions)) {
				go work(turn.Add(1))
			}
			before = now
		}
	}
}

// finish takes back the questions that no worker has taken.
func finish(turn, next *atomic.Int64, questions []asker) {
	turn.Store(-1)
	for {
		at := next.Add(1) - 1
		if at >= int64(len(questions)) {
			return
		}
		if waiting, ok := questions[at].(interface{ withdraw() }); ok {
			waiting.withdraw()
		}
	}
}

// withdraw takes back a question that was not put.
func (q *question) withdraw() {
	q.mutex.Lock()
	defer q.mutex.Unlock()
	q.busy = false
}

func statfs(path string, buffer *unix.Statfs_t) error {
	for {
		if err := unix.Statfs(path, buffer); !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}
