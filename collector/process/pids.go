package process

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/nodevitals/nodevitals/collector/machine/hostfile"
	"github.com/nodevitals/nodevitals/snapshot"
)

// openProc opens the host's /proc once.
func (r *Reader) openProc() error {
	if r.proc != noFolder {
		return nil
	}
	path := filepath.Join(r.hostRoot, "proc")
	proc, err := openFolder(path)
	if err != nil {
		return fmt.Errorf("open %s: %w", path, err)
	}
	r.proc = proc
	return nil
}

// Close closes the kept descriptor. The reader can be used again.
func (r *Reader) Close() {
	if r.proc != noFolder {
		r.proc.close()
		r.proc = noFolder
	}
}

// readPids fills r.pids with the processes of a cgroup. A threaded cgroup has threads of processes that belong to the cgroup
// above: those processes are its own here, each once.
func (r *Reader) readPids(target *Target) error {
	text, err := r.readProcs(target)
	threaded := false
	if errors.Is(err, unix.EOPNOTSUPP) {
		threaded = true
		r.path = append(append(r.path[:0], strings.TrimSuffix(target.Procs, "procs")...), "threads\x00"...)
		text, err = r.readFile()
	}
	if err != nil {
		return err
	}
	r.pids = parsePids(r.pids[:0], text)
	if threaded {
		// Whose threads they are tells /proc alone.
		if !r.sight.numbered || slices.Contains(r.pids, 0) {
			return errHiddenThreads
		}
		for i, tid := range r.pids {
			r.pids[i] = r.processOf(tid)
		}
		slices.Sort(r.pids)
		r.pids = slices.Compact(r.pids)
	}
	return nil
}

// readProcs reads a cgroup's cgroup.procs.
func (r *Reader) readProcs(target *Target) ([]byte, error) {
	if target.Kept > 0 && r.useKept {
		return r.readOpen(target.Kept - 1)
	}
	r.path = append(append(r.path[:0], target.Procs...), 0)
	return r.readFile()
}

// parsePids appends the numbers of cgroup.procs, one a line. What is no number is left out.
func parsePids(pids []int, text []byte) []int {
	for len(text) > 0 {
		var line []byte
		line, text = hostfile.Line(text)
		word, _ := hostfile.Word(line)
		if pid, ok := hostfile.Uint(word); ok && pid < 1<<31 {
			pids = append(pids, int(pid))
		}
	}
	return pids
}

// processOf returns the process that a thread belongs to, or the thread itself if that cannot be read.
func (r *Reader) processOf(tid int) int {
	text, err := r.readFileOf(tid, "/status")
	if err != nil {
		return tid
	}
	if pid, ok := parseThreadGroup(text); ok {
		return pid
	}
	return tid
}

// parseThreadGroup finds the process in /proc/TID/status.
//
//	Tgid:	1234
func parseThreadGroup(text []byte) (int, bool) {
	for len(text) > 0 {
		var line []byte
		line, text = hostfile.Line(text)
		if name, rest := hostfile.Word(line); string(name) == "Tgid:" {
			word, _ := hostfile.Word(rest)
			pid, ok := hostfile.Uint(word)
			return int(pid), ok && pid < 1<<31
		}
	}
	return 0, false
}

// readOpenFiles returns the soft limit of open files of a process. The system call takes a twentieth of what the file does; the kernel answers
// it, without CAP_SYS_RESOURCE, for processes of the same user alone.
func (r *Reader) readOpenFiles(pid int) (uint64, bool) {
	if r.sight.numbered && unix.Prlimit(pid, unix.RLIMIT_NOFILE, nil, &r.limit) == nil {
		if r.limit.Cur == unix.RLIM_INFINITY {
			return snapshot.Unlimited, true
		}
		return r.limit.Cur, true
	}
	text, err := r.readFileOf(pid, "/limits")
	if err != nil {
		return 0, false
	}
	return parseOpenFiles(text)
}

// readFileOf reads a process's file.
func (r *Reader) readFileOf(pid int, name string) ([]byte, error) {
	r.setPath(pid, name)
	return r.readFile()
}

// setPath makes r.path the zero-terminated path of a process's file below /proc.
func (r *Reader) setPath(pid int, name string) {
	r.path = strconv.AppendInt(r.path[:0], int64(pid), 10)
	r.path = append(append(r.path, name...), 0)
}

// readFile reads the file at r.path, below /proc unless it begins with a slash, into a buffer that is valid until the next
// call. Its errors are the kernel's bare numbers.
func (r *Reader) readFile() ([]byte, error) {
	fd, err := r.proc.openAt(r.path, 0)
	if err != nil {
		return nil, err
	}
	defer func() { _ = unix.Close(fd) }()
	return r.readOpen(fd)
}

// readOpen is readFile of an open file, from its start.
func (r *Reader) readOpen(fd int) ([]byte, error) {
	filled := 0
	for {
		if filled == len(r.text) {
			r.text = append(r.text, make([]byte, len(r.text))...)
		}
		room := r.text[filled:]
		n, err := unix.Pread(fd, room, int64(filled))
		switch {
		case errors.Is(err, unix.EINTR):
		case err != nil:
			return nil, err
		case n == 0:
			return r.text[:filled], nil
		default:
			filled += n
			if n < min(hostfile.FullRead, len(room)) {
				return r.text[:filled], nil
			}
		}
	}
}
