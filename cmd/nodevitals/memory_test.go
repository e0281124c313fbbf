package main

import (
	"os"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"testing"
)

func TestSaveMemoryLeavesGOGCToItsOwner(t *testing.T) {
	before := debug.SetGCPercent(80)
	t.Cleanup(func() { debug.SetGCPercent(before) })

	t.Setenv("GOGC", "80")
	saveMemory()
	if got := debug.SetGCPercent(80); got != 80 {
		t.Errorf("with GOGC=80: got %d, want it left alone", got)
	}
	if err := os.Unsetenv("GOGC"); err != nil { // t.Setenv puts back what was there
		t.Fatal(err)
	}
	saveMemory()
	if got := debug.SetGCPercent(80); got != collectAt {
		t.Errorf("without GOGC: got %d, want %d", got, collectAt)
	}
}

// A page that is the process's own must not be dropped: it would come back as it stands in the file.
func TestProgramPages(t *testing.T) {
	const smaps = `00400000-00f1f000 r-xp 00000000 fe:00 262402                           /usr/bin/node vitals
Size:              11388 kB
Anonymous:             0 kB
VmFlags: rd ex mr mw me sd
00f1f000-01ad6000 r--p 00b1f000 fe:00 262402                           /usr/bin/node vitals
Anonymous:             0 kB
01ad6000-01b00000 r--p 016d6000 fe:00 262402                           /usr/bin/node vitals
Anonymous:            12 kB
01b00000-01b79000 rw-p 016d6000 fe:00 262402                           /usr/bin/node vitals
Anonymous:             0 kB
01b79000-03bb3000 r--p 00000000 00:00 0 
Anonymous:             0 kB
7f0000000000-7f0000021000 r--s 00000000 00:01 1024                     /dev/shm/shared
Anonymous:             0 kB
7ffd9cf9a000-7ffd9cf9c000 r-xp 00000000 00:00 0                        [vdso]
Anonymous:             0 kB
oops-7f0000021000 r--p 00000000 00:01 1024                     /odd
Anonymous:             0 kB
`
	if got, want := programPages([]byte(smaps)), []mapping{{0x400000, 0xf1f000}, {0xf1f000, 0x1ad6000}}; !slices.Equal(got, want) {
		t.Errorf("got %x, want %x", got, want)
	}
}

func TestDropProgramPages(t *testing.T) {
	before := fileBackedKiB(t)
	dropProgramPages()
	if after := fileBackedKiB(t); after >= before {
		t.Errorf("%d KiB of files are resident after, %d before, want less", after, before)
	}
}

// fileBackedKiB is the RssFile of this process.
func fileBackedKiB(t *testing.T) int {
	t.Helper()
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if fields := strings.Fields(line); len(fields) > 1 && fields[0] == "RssFile:" {
			kib, err := strconv.Atoi(fields[1])
			if err != nil {
				t.Fatal(err)
			}
			return kib
		}
	}
	t.Skip("the kernel does not tell RssFile")
	return 0
}
