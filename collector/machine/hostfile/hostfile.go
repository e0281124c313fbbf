// Package hostfile reads text files of /proc and /sys over and over, and takes their text apart, without allocating.
package hostfile

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// ErrTooLarge is returned for a file that does not end within [MaxSize] bytes.
var ErrTooLarge = errors.New("file too large")

// MaxSize is the most bytes that a File reads. The largest file that is read this way is the mountinfo of a node with
// some ten thousand mounts: two megabytes.
const MaxSize = 64 << 20

// File is a file that stays open between readings. It is not safe for concurrent use.
type File struct {
	path   string
	fd     int
	buffer *Buffer
	// full is the least that a read returns which is not the last, if there was room for more; 0 if that is not known.
	full int
}

// Buffer holds text of files that share it. The zero Buffer is ready.
type Buffer struct{ bytes []byte }

// New returns a File for a path, which is opened by the first Read.
func New(path string) *File { return &File{path: path, fd: -1, buffer: &Buffer{}} }

// FullRead is the least, in bytes, that a read with room for more returns if it is not the last of a file whose lines have no more than 256 bytes
// each: the kernel prints lines into a page, of 4 KiB at least, until one does not fit (seq_read_iter in fs/seq_file.c).
const FullRead = 4096 - 256

// NewOfShortLines is New for a file of the kernel's whose lines have no more than some 200 bytes each, such as net/dev. Its end is told by the length of
// what was read, which saves a read. Its text is in a buffer that other Files may share, and is valid until the next Read of any of them.
func NewOfShortLines(path string, shared *Buffer) *File {
	return &File{path: path, fd: -1, buffer: shared, full: FullRead}
}

// Path returns the path that the File was made for.
func (f *File) Path() string { return f.path }

// Descriptor returns the open descriptor, or -1 before the first successful Read.
func (f *File) Descriptor() int { return f.fd }

// Read returns the file's whole present text, valid until the next Read. Errors are those of open(2) and pread(2) with the
// path before them; the file is opened anew by the next Read.
func (f *File) Read() ([]byte, error) {
	if f.fd >= 0 {
		if text, err := f.readAll(); err == nil {
			return text, nil
		}
		// What the descriptor stood for may be gone while the path stands for something new: a cgroup, a process.
		f.Close()
	}
	fd, err := open(f.path)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", f.path, err)
	}
	f.fd = fd
	text, err := f.readAll()
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("read %s: %w", f.path, err)
	}
	return text, nil
}

// readAll reads from offset 0 to the end. The kernel makes the text anew when it is read from offset 0, and hands out files
// of many lines (net/dev, diskstats, mountinfo) in pieces of whole lines, a page each: so an end is only where a read gives
// nothing, or less than a page without room for another line.
func (f *File) readAll() ([]byte, error) {
	if f.buffer.bytes == nil {
		f.buffer.bytes = make([]byte, 4096)
	}
	filled := 0
	for {
		if filled == len(f.buffer.bytes) {
			if filled >= MaxSize {
				return nil, ErrTooLarge
			}
			f.buffer.bytes = append(f.buffer.bytes, make([]byte, len(f.buffer.bytes))...)
		}
		room := f.buffer.bytes[filled:]
		n, err := unix.Pread(f.fd, room, int64(filled))
		switch {
		case errors.Is(err, unix.EINTR):
		case err != nil:
			return nil, err
		case n < min(f.full, len(room)), n == 0:
			return f.buffer.bytes[:filled+n], nil
		default:
			filled += n
		}
	}
}

func open(path string) (int, error) {
	for {
		fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if !errors.Is(err, unix.EINTR) {
			return fd, err
		}
	}
}

// Close closes the descriptor. The File can be used again, which opens it anew.
func (f *File) Close() {
	if f.fd >= 0 {
		_ = unix.Close(f.fd)
		f.fd = -1
	}
}
