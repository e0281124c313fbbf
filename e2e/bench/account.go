package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// cpuOf is the processor time that a process has taken so far, all its threads together, by the kernel's own clock of it: to the
// nanosecond, where /proc/PID/stat has hundredths of a second.
func cpuOf(pid int) (time.Duration, error) {
	// CPUCLOCK_SCHED of the whole process, as clock_getcpuclockid(3) makes it.
	id := int32(^pid<<3 | 2)
	var spent unix.Timespec
	if err := unix.ClockGettime(id, &spent); err != nil {
		return 0, fmt.Errorf("read the processor clock of process %d: %w", pid, err)
	}
	return time.Duration(spent.Nano()), nil
}

// memory is what a process's status says: the most pages that it had, those now that are no file's, in bytes, and its threads.
type memory struct {
	most, own int64
	threads   int
}

func memoryOf(pid int) (memory, error) {
	text, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "status"))
	if err != nil {
		return memory{}, err
	}
	var m memory
	for line := range bytes.Lines(text) {
		name, value, _ := strings.Cut(string(line), ":")
		fields := strings.Fields(value)
		if len(fields) == 0 {
			continue
		}
		number, _ := strconv.ParseInt(fields[0], 10, 64) // lines that hold no number are none of these
		switch name {
		case "VmHWM":
			m.most = number << 10
		case "RssAnon":
			m.own = number << 10
		case "Threads":
			m.threads = int(number)
		}
	}
	return m, nil
}

// descriptorsOf counts a process's open descriptors.
func descriptorsOf(pid int) (int, error) {
	entries, err := os.ReadDir(filepath.Join("/proc", strconv.Itoa(pid), "fd"))
	return len(entries), err
}

// sampleOf is the value of a series in a text of metrics. It returns false if there is none.
func sampleOf(text []byte, series string) (float64, bool) {
	for line := range bytes.Lines(text) {
		rest, ok := bytes.CutPrefix(line, []byte(series+" "))
		if !ok {
			continue
		}
		fields := bytes.Fields(rest)
		if len(fields) == 0 {
			return 0, false
		}
		value, err := strconv.ParseFloat(string(fields[0]), 64)
		return value, err == nil
	}
	return 0, false
}
