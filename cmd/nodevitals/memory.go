package main

import (
	"bytes"
	"context"
	"os"
	"runtime/debug"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// collectAt is how much garbage, in percent of what is alive, is let be until it is collected. Go's own 100 is for programs that
// allocate all the time. An answer leaves some 10 to 100 kB whatever the number of cgroups, so that collecting ten times as often takes
// less processor time than can be told from noise, while the memory is less by a quarter and more (docs/performance.md).
const collectAt = 10

// saveMemory sets up the collector of garbage, unless GOGC says how.
func saveMemory() {
	if _, set := os.LookupEnv("GOGC"); !set {
		debug.SetGCPercent(collectAt)
	}
}

// settled is how long after the start the first lists of pods and containers have been read, if they can be had at all.
const settled = 3 * time.Second

// giveBackStart gives back, once the start is over, what it alone needed: the garbage of reading lists, and a third of the program's own
// pages, which only the making of tables and types touches. What is needed after all comes back from the file's cached pages by itself.
func giveBackStart(ctx context.Context) {
	select {
	case <-time.After(settled):
	case <-ctx.Done():
		return
	}
	debug.FreeOSMemory()
	dropProgramPages()
}

// dropProgramPages lets go of the pages of the program's file that are mapped as they stand in it. An error leaves them, at no harm.
func dropProgramPages() {
	text, err := os.ReadFile("/proc/self/smaps")
	if err != nil {
		return
	}
	for _, one := range programPages(text) {
		_, _, _ = unix.Syscall(unix.SYS_MADVISE, one.start, one.end-one.start, unix.MADV_DONTNEED)
	}
}

// mapping is a range of addresses.
type mapping struct{ start, end uintptr }

// programPages finds, in the text of /proc/PID/smaps, the mappings of files that nobody may write to and of which no page is the process's
// own: one that a loader has changed before it was made read-only would be lost.
//
//	00400000-00f1f000 r-xp 00000000 fe:00 262402    /usr/bin/nodevitals
//	…
//	Anonymous:             0 kB
func programPages(smaps []byte) (found []mapping) {
	var candidate mapping
	for line := range bytes.Lines(smaps) {
		fields := bytes.Fields(line)
		switch {
		case len(fields) >= 6 && !bytes.HasSuffix(fields[0], []byte(":")):
			candidate = mapping{}
			if permissions := fields[1]; len(permissions) == 4 && permissions[1] == '-' && permissions[3] == 'p' && fields[5][0] == '/' {
				candidate = parseRange(fields[0])
			}
		case len(fields) == 5 && !bytes.HasSuffix(fields[0], []byte(":")):
			// Of no file.
			candidate = mapping{}
		case len(fields) == 3 && string(fields[0]) == "Anonymous:" && string(fields[1]) == "0" && candidate.end > candidate.start:
			found = append(found, candidate)
			candidate = mapping{}
		}
	}
	return found
}

// parseRange reads two hexadecimal addresses with a dash between; the zero mapping is none.
func parseRange(text []byte) mapping {
	first, second, _ := bytes.Cut(text, []byte("-"))
	start, err := strconv.ParseUint(string(first), 16, strconv.IntSize)
	if err != nil {
		return mapping{}
	}
	end, err := strconv.ParseUint(string(second), 16, strconv.IntSize)
	if err != nil {
		return mapping{}
	}
	return mapping{uintptr(start), uintptr(end)}
}
