package hostfile

import (
	"hash/maphash"

	"golang.org/x/sys/unix"
)

// Mounts is the list of mounts of a process, /proc/PID/mountinfo, whose text is half a megabyte on a node with a thousand mounts: it is read only
// when the kernel tells of a change, and kept no longer than it takes to take it apart. It is not safe for concurrent use.
type Mounts struct {
	file  *File
	seed  maphash.Seed
	known bool
	sum   uint64
}

// NewMounts returns the Mounts of a path, which is opened by the first Read.
func NewMounts(path string) *Mounts { return &Mounts{file: New(path), seed: maphash.MakeSeed()} }

// Path returns the path that the Mounts were made for.
func (m *Mounts) Path() string { return m.file.Path() }

// Read returns the whole text if it is another than the last that it returned, or else false. Errors are those of [File.Read]; after one, the
// next text is another.
func (m *Mounts) Read() (text []byte, changed bool, err error) {
	if m.known && !m.signalled() {
		return nil, false, nil
	}
	text, err = m.file.Read()
	// The next reading makes another: what is returned is the caller's, and garbage when that has taken it apart.
	m.file.buffer.bytes = nil
	if err != nil {
		m.known = false
		return nil, false, err
	}
	sum := maphash.Bytes(m.seed, text)
	if m.known && sum == m.sum {
		return nil, false, nil
	}
	m.known, m.sum = true, sum
	return text, true, nil
}

// Forget makes the next text another, whatever it is.
func (m *Mounts) Forget() { m.known = false }

// Close closes the descriptor, and forgets the last text.
func (m *Mounts) Close() {
	m.file.Close()
	m.known = false
}

// signalled asks the kernel whether mounts changed since the last time it was asked (proc_pid_mountinfo(5)): a poll in place of
// a text of up to megabytes. A recorded tree's plain file cannot tell, so it is always read.
func (m *Mounts) signalled() bool {
	fd := m.file.Descriptor()
	if fd < 0 {
		return true
	}
	polled := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLPRI}}
	if _, err := unix.Poll(polled, 0); err != nil {
		return true
	}
	if polled[0].Revents != 0 {
		return true
	}
	var stat unix.Stat_t
	return unix.Fstat(fd, &stat) != nil || stat.Size > 0
}
