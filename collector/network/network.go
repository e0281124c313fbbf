// Package network reads the counters of network interfaces from /proc/PID/net/dev.
package network

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"syscall"

	"github.com/nodevitals/nodevitals/collector/machine/hostfile"
	"github.com/nodevitals/nodevitals/snapshot"
)

// ErrMalformed is returned, beside what could be read, where a line is not what the kernel prints.
var ErrMalformed = errors.New("malformed line")

// Reader reads the interfaces of one network namespace. It keeps a descriptor and the names between readings, and is
// not safe for concurrent use.
//
// The descriptor keeps the network namespace alive, also after its last process ended: Close the reader of a pod that is gone.
type Reader struct {
	file *hostfile.File
	// fallback is read where file cannot be; nil: there is none.
	fallback *hostfile.File
	names    names
}

// NewReader makes a reader for the network namespace of a process: that of process 1 is the host's. Where an ordinary user
// cannot see process 1 (mount option hidepid), the agent's own namespace stands in for it. Readers that are not used at the same time share a buffer.
func NewReader(hostRoot string, pid int, shared *hostfile.Buffer) *Reader {
	proc := filepath.Join(hostRoot, "proc")
	r := &Reader{file: hostfile.NewOfShortLines(filepath.Join(proc, strconv.Itoa(pid), "net/dev"), shared)}
	if pid == 1 {
		r.fallback = hostfile.NewOfShortLines(filepath.Join(proc, "net/dev"), shared)
	}
	return r
}

// Append appends the namespace's interfaces to dst in the kernel's order, without loopback and those that cAdvisor leaves out
// (see ignored). It allocates nothing where dst has room and the names are those of the last reading.
//
// It returns dst unchanged with an error that names the path if the file cannot be read, and all well-formed lines with an
// error that wraps [ErrMalformed] if some are not.
func (r *Reader) Append(dst []snapshot.Interface) ([]snapshot.Interface, error) {
	file := r.file
	text, err := file.Read()
	if err != nil && r.fallback != nil {
		if other, otherErr := r.fallback.Read(); otherErr == nil {
			file, text, err = r.fallback, other, nil
		}
	}
	if err != nil {
		return dst, err
	}
	dst, malformed := r.parse(dst, text)
	if malformed > 0 {
		return dst, fmt.Errorf("parse %s: %d times: %w", file.Path(), malformed, ErrMalformed)
	}
	return dst, nil
}

// Close closes the kept descriptors. The reader can be used again.
func (r *Reader) Close() {
	r.file.Close()
	if r.fallback != nil {
		r.fallback.Close()
	}
}

// Namespace returns a number that no other network namespace of the host has at the same time, for that of a process: the inode of its net/dev,
// which the kernel makes anew for each. Everyone may ask it, where the link /proc/PID/ns/net takes CAP_SYS_PTRACE. Where an ordinary user cannot see
// process 1 (mount option hidepid) and hostRoot is "/", the agent's own namespace stands in for it. It returns an error if the process is gone.
func Namespace(hostRoot string, pid int) (uint64, error) {
	proc := filepath.Join(hostRoot, "proc")
	info, err := os.Stat(filepath.Join(proc, strconv.Itoa(pid), "net/dev"))
	if err != nil && pid == 1 && hostRoot == "/" {
		info, err = os.Stat(filepath.Join(proc, "net/dev"))
	}
	if err != nil {
		return 0, fmt.Errorf("tell the network namespace of process %d: %w", pid, err)
	}
	status, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return 0, fmt.Errorf("tell the network namespace of process %d: no inode", pid)
	}
	return status.Ino, nil
}
