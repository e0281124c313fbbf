// Package du adds up what a folder's files take of its filesystem, as `du -x` does, in small steps and without a path, a string
// or an allocation for each file.
package du

import (
	"errors"
	"fmt"
	"sync"

	"golang.org/x/sys/unix"
)

// Usage is what a tree takes of its filesystem.
type Usage struct {
	// Bytes are those of allocated blocks: st_blocks times 512.
	Bytes uint64
	// Inodes is the number of files, folders and everything else, the top folder among them. What has several names counts once.
	Inodes uint64
}

const (
	// maxLevels is how deep a walk goes. A path of more levels than that exceeds PATH_MAX, so that no program that names
	// files by path gets there.
	maxLevels = 2048
	// keptAbove and keptBelow are how many folders stay open at the top of a walk and at its lower end; those in between are
	// opened again through "..". The upper ones stay because losing the way back there loses most.
	keptAbove, keptBelow = 4, 4
	// maxLinks is how many files of several names a walk remembers: some 8 MB. Further ones count with each of their names.
	maxLinks = 1 << 18
	// listBytes is the size of the buffer for getdents: some 500 entries.
	listBytes = 16 << 10
)

// Errors for what a walk leaves out or counts too high.
var (
	// ErrTooDeep is returned for a folder of more than 2,048 levels.
	ErrTooDeep = errors.New("folder lies too deep")
	// ErrMoved is returned for a folder that was moved elsewhere while its subfolders were walked.
	ErrMoved = errors.New("folder was moved")
	// ErrTooManyLinks is returned where files of several names were counted more than once.
	ErrTooManyLinks = errors.New("too many files of several names to remember")
)

// Walk adds up one tree. It stays on the filesystem of its top folder and follows no symbolic link, nor does it leave the tree
// when files are swapped for links while it runs. Files that vanish are no error. It is not safe for concurrent use.
type Walk struct {
	path   string
	kernel kernel

	begun, done bool
	usage       Usage
	device      device
	err         error
	left        int
	firstLeft   error
	links       map[uint64]struct{}

	// levels are the folders from the top to the one that is being listed. names holds, for each of them, the names of
	// subfolders that were found and not yet entered, each ended by a zero byte.
	levels []level
	names  []byte
	buffer *listBuffer
	stat   unix.Statx_t
}

type device struct{ major, minor uint32 }

// listBuffer is for getdents. Most walks are over after some ten entries, and many follow each other: so buffers are kept.
type listBuffer [listBytes]byte

var buffers = sync.Pool{New: func() any { return new(listBuffer) }}

// level is a folder that is being walked.
type level struct {
	// fd is -1 while the folder is closed.
	fd    int
	inode uint64
	// from is where this folder's names begin in Walk.names, next where the one to enter next does.
	from, next int
	// offset is where listing goes on, for when the folder has to be opened again.
	offset int64
	// listed: all entries have been taken.
	listed bool
}

// New returns a walk of the tree at path, which may be a file. Nothing is read before the first Step.
func New(path string) *Walk { return &Walk{path: path, kernel: system{}} }

// Step goes on until at least limit entries have been looked at, or the walk is over. It returns how many it looked at; a folder
// counts two more, for being opened and listed. It may go over the limit by what one getdents gives, some 500.
func (w *Walk) Step(limit int) (entries int, done bool) {
	if !w.begun {
		w.begun = true
		w.begin()
		entries++
	}
	for !w.done && entries < limit {
		entries += w.advance()
	}
	return entries, w.done
}

// Result returns what was added up. The error is that of the top folder, with its path, if it could not be read at all; the
// usage then means nothing. [os.ErrNotExist] says that there is none.
func (w *Walk) Result() (Usage, error) { return w.usage, w.err }

// Left returns how many entries the usage lacks, each with all that is below it, or counts too often, and the first one's reason.
func (w *Walk) Left() (entries int, first error) { return w.left, w.firstLeft }

// Close ends the walk and closes its folders.
func (w *Walk) Close() {
	for i := range w.levels {
		w.shut(&w.levels[i])
	}
	if w.buffer != nil {
		buffers.Put(w.buffer)
	}
	w.levels, w.names, w.buffer, w.links = nil, nil, nil, nil
	w.done = true
}

// begin looks at the top.
func (w *Walk) begin() {
	if w.path == "" {
		// To statx it would be the working folder.
		w.fail("stat", unix.ENOENT)
		return
	}
	name := append([]byte(w.path), 0)
	if err := w.kernel.stat(unix.AT_FDCWD, &name[0], &w.stat); err != nil {
		w.fail("stat", err)
		return
	}
	w.device = device{w.stat.Dev_major, w.stat.Dev_minor}
	w.usage = Usage{Bytes: w.stat.Blocks * 512, Inodes: 1}
	if w.stat.Mode&unix.S_IFMT != unix.S_IFDIR {
		w.Close()
		return
	}
	fd, err := w.kernel.open(unix.AT_FDCWD, &name[0])
	if err != nil {
		w.fail("open", err)
		return
	}
	w.buffer = buffers.Get().(*listBuffer)
	w.levels = append(make([]level, 0, 16), level{fd: fd, inode: w.stat.Ino})
}

func (w *Walk) fail(operation string, err error) {
	w.err = fmt.Errorf("%s %s: %w", operation, w.path, err)
	w.Close()
}

// advance enters the next subfolder that is known, or else takes entries of the folder at the lower end, or else leaves it.
func (w *Walk) advance() (entries int) {
	bottom := &w.levels[len(w.levels)-1]
	switch {
	case bottom.next < len(w.names):
		w.enter(bottom)
		return 1
	case !bottom.listed:
		w.names = w.names[:bottom.from]
		bottom.next = bottom.from
		return w.list(bottom)
	default:
		w.leave()
		return 0
	}
}

// enter goes down into a folder's next subfolder.
func (w *Walk) enter(parent *level) {
	name := &w.names[parent.next]
	parent.next = nextName(w.names, parent.next)
	if len(w.levels) >= maxLevels {
		w.leaveOut(ErrTooDeep)
		return
	}
	fd, err := w.kernel.open(parent.fd, name)
	if err != nil {
		w.leaveOut(err)
		return
	}
	// Whatever has the name now counts, if it is on this filesystem.
	if err := w.kernel.stat(fd, &empty[0], &w.stat); err != nil || !w.here() {
		_ = unix.Close(fd)
		if err != nil {
			w.leaveOut(err)
		}
		return
	}
	w.levels = append(w.levels, level{fd: fd, inode: w.stat.Ino, from: len(w.names), next: len(w.names)})
	if spare := len(w.levels) - 1 - keptBelow; spare >= keptAbove {
		w.shut(&w.levels[spare])
	}
}

func nextName(names []byte, from int) int {
	for names[from] != 0 {
		from++
	}
	return from + 1
}

// leave goes back up from a folder that is done with.
func (w *Walk) leave() {
	last := len(w.levels) - 1
	child := w.levels[last].fd
	w.names = w.names[:w.levels[last].from]
	w.levels = w.levels[:last]
	if last > 0 && w.levels[last-1].fd < 0 {
		if err := w.reopen(child, &w.levels[last-1]); err != nil {
			w.abandon(err)
		}
	}
	_ = unix.Close(child)
	if last == 0 {
		w.Close()
	}
}

// abandon gives up the folders that cannot be gone back to. The one at the top is always open.
func (w *Walk) abandon(err error) {
	for last := len(w.levels) - 1; w.levels[last].fd < 0; last-- {
		w.leaveOut(err)
		w.names = w.names[:w.levels[last].from]
		w.levels = w.levels[:last]
	}
}

// reopen opens the folder above a child, and finds the place where its listing stopped.
func (w *Walk) reopen(child int, parent *level) error {
	fd, err := w.kernel.open(child, &above[0])
	if err != nil {
		return err
	}
	if err = w.kernel.stat(fd, &empty[0], &w.stat); err == nil && (!w.here() || w.stat.Ino != parent.inode) {
		err = ErrMoved
	}
	if err == nil && !parent.listed {
		_, err = unix.Seek(fd, parent.offset, unix.SEEK_SET)
	}
	if err != nil {
		_ = unix.Close(fd)
		return err
	}
	parent.fd = fd
	return nil
}

var (
	empty = [...]byte{0}
	above = [...]byte{'.', '.', 0}
)

func (w *Walk) here() bool { return w.device == device{w.stat.Dev_major, w.stat.Dev_minor} }

func (w *Walk) shut(l *level) {
	if l.fd >= 0 {
		_ = unix.Close(l.fd)
		l.fd = -1
	}
}

// leaveOut notes what the usage lacks. What is not there any more, or no folder any more, lacks nothing.
func (w *Walk) leaveOut(err error) {
	if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENOTDIR) || errors.Is(err, unix.ELOOP) {
		return
	}
	w.left++
	if w.firstLeft == nil {
		w.firstLeft = err
	}
}
