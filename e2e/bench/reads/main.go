// Command reads reads the files that another process keeps open under /sys/fs/cgroup and /proc, and does nothing with what they say: the
// floor under the cost of that process.
//
//	reads PID
//
// Each line of its input is an order, and gets one line of answer:
//
//	look      takes stock of the process's descriptors       FILES
//	kept N    N times a pread of each file, kept open         BYTES
//	opened N  N times open, read once, and close each         BYTES
package main

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

func main() {
	if len(os.Args) != 2 {
		fail(fmt.Errorf("usage: reads PID"))
	}
	r := &reader{folder: filepath.Join("/proc", os.Args[1], "fd"), buffer: make([]byte, 256<<10)}
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		answer, err := r.obey(lines.Text())
		if err != nil {
			fail(err)
		}
		fmt.Println(answer)
	}
	if err := lines.Err(); err != nil {
		fail(err)
	}
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, "reads:", err)
	os.Exit(1)
}

type reader struct {
	folder string
	paths  []string
	kept   []int
	buffer []byte
}

// obey does what one line says, and returns the answer.
func (r *reader) obey(line string) (int, error) {
	order, argument, _ := strings.Cut(line, " ")
	if order == "look" {
		return r.look()
	}
	pass, ok := map[string]func() int{"kept": r.readKept, "opened": r.readOpened}[order]
	times, err := strconv.Atoi(argument)
	if !ok || err != nil || times < 1 {
		return 0, fmt.Errorf("order %q: want look, kept N or opened N", line)
	}
	total := 0
	for range times {
		total += pass()
	}
	return total, nil
}

// seldom are files that are kept open, and not read by each pass: processes are counted every few seconds, and the list of mounts, half a megabyte,
// is read when it changes.
var seldom = map[string]bool{"cgroup.procs": true, "mountinfo": true}

// look finds the process's files and opens them here. It returns their number.
func (r *reader) look() (int, error) {
	for _, fd := range r.kept {
		unix.Close(fd)
	}
	r.paths, r.kept = nil, nil
	entries, err := os.ReadDir(r.folder)
	if err != nil {
		return 0, fmt.Errorf("read the descriptors of the other process: %w", err)
	}
	for _, entry := range entries {
		path, err := os.Readlink(filepath.Join(r.folder, entry.Name()))
		if err != nil || !strings.HasPrefix(path, "/sys/fs/cgroup/") && !strings.HasPrefix(path, "/proc/") {
			continue // closed meanwhile, a socket, or none of those that are read
		}
		if info, err := os.Stat(path); err != nil || info.IsDir() || seldom[filepath.Base(path)] {
			continue
		}
		r.paths = append(r.paths, path)
	}
	// As a pass reads them: cgroup by cgroup.
	slices.SortFunc(r.paths, func(a, b string) int {
		if order := strings.Compare(cgroupOf(a), cgroupOf(b)); order != 0 {
			return order
		}
		return strings.Compare(a, b)
	})
	opened := r.paths[:0]
	for _, path := range r.paths {
		fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
		switch {
		case errors.Is(err, unix.ENOENT):
			continue // its cgroup or process is gone
		case err != nil:
			return 0, fmt.Errorf("open %s: %w", path, err)
		}
		opened = append(opened, path)
		r.kept = append(r.kept, fd)
	}
	r.paths = opened
	return len(r.kept), nil
}

// cgroupOf is a path without the mount's folder, which on cgroup v1 is one for each controller, and without the file.
func cgroupOf(path string) string {
	rest := strings.TrimPrefix(path, "/sys/fs/cgroup/")
	if _, below, ok := strings.Cut(rest, "/"); ok && rest != path {
		if _, err := os.Stat("/sys/fs/cgroup/cgroup.controllers"); err != nil {
			rest = below
		}
	}
	return filepath.Dir(rest)
}

func (r *reader) readKept() (bytes int) {
	for _, fd := range r.kept {
		n, err := unix.Pread(fd, r.buffer, 0)
		if err == nil { // a file that is gone was asked for all the same
			bytes += n
		}
	}
	return bytes
}

func (r *reader) readOpened() (bytes int) {
	for _, path := range r.paths {
		fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if err != nil {
			continue
		}
		if n, err := unix.Read(fd, r.buffer); err == nil {
			bytes += n
		}
		unix.Close(fd)
	}
	return bytes
}
