package cgroup_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nodevitals/nodevitals/collector/cgroup"
	"github.com/nodevitals/nodevitals/snapshot"
)

// writableHost is a copy of the recorded v1 tree, whose files of /load.slice can be written to.
func writableHost(t *testing.T, options cgroup.TreeOptions) (h *host, write func(name, text string)) {
	t.Helper()
	root := t.TempDir()
	if err := os.CopyFS(root, os.DirFS("testdata/v1-6.18.44")); err != nil {
		t.Fatal(err)
	}
	return newHost(t, root, options, cgroup.ReaderOptions{}), func(name, text string) {
		t.Helper()
		files, err := filepath.Glob(filepath.Join(root, "sys/fs/cgroup/*/load.slice", name))
		if err != nil || len(files) == 0 {
			t.Fatalf("%s: %v, %v", name, files, err)
		}
		for _, file := range files {
			if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// The split of a CPU time is read again when there is more of it, and not before.
func TestSplitIsReadAgainWithMoreTime(t *testing.T) {
	h, write := writableHost(t, cgroup.TreeOptions{MaxWatches: -1})
	for _, step := range []struct {
		usage, stat  string
		groups       snapshot.Groups
		user, system uint64
	}{
		{"1000", "user 5\nsystem 7\n", snapshot.Core, 50e6, 70e6},
		{"1000", "user 6\nsystem 8\n", snapshot.Core, 50e6, 70e6},
		{"2000", "user 6\nsystem 8\n", snapshot.Core, 60e6, 80e6},
		{"2000", "user 7\nsystem 9\n", snapshot.CPUDetail, 70e6, 90e6}, // whether there is more is not known
		{"2000", "none of it\n", snapshot.Core, 0, 0},
		{"2000", "user 1\nsystem 2\n", snapshot.Core, 10e6, 20e6},
	} {
		write("cpuacct.usage", step.usage+"\n")
		write("cpuacct.stat", step.stat)
		record := h.pass(step.groups)["/load.slice"]
		user, _ := record.Get(snapshot.CPUUser)
		system, _ := record.Get(snapshot.CPUSystem)
		if user != step.user || system != step.system {
			t.Errorf("%+v: got %d and %d", step, user, system)
		}
	}
}

// What counts how often a limit was hit is read while there is such a limit, or while it cannot be known that there is none.
func TestCountsOfLimitsStandStillWithoutOne(t *testing.T) {
	const unlimited = "9223372036854771712\n"
	for _, test := range []struct {
		limit, none, some, file, text string
		field                         snapshot.Field
		// seen is that a write to the file itself is seen, since it can be set back.
		seen bool
	}{
		{"cpu.cfs_quota_us", "-1\n", "5000\n", "cpu.stat", "nr_periods %\nnr_throttled 2\nthrottled_time 3\n", snapshot.CPUPeriods, false},
		{"memory.limit_in_bytes", unlimited, "4096\n", "memory.failcnt", "%\n", snapshot.MemoryFailcnt, true},
	} {
		for name, watches := range map[string]int{"watched": 0, "not watched": -1} {
			t.Run(test.file+" "+name, func(t *testing.T) {
				h, write := writableHost(t, cgroup.TreeOptions{MaxWatches: watches})
				shown := func(number string) uint64 {
					write(test.file, strings.Replace(test.text, "%", number, 1))
					value, _ := h.pass(snapshot.Core)["/load.slice"].Get(test.field)
					return value
				}
				write(test.limit, test.none)
				shown("10") // that there is no limit is known afterwards
				if got := shown("11"); got != 11 {
					t.Errorf("at first: got %d, want 11", got)
				}
				want := uint64(12)
				if watches == 0 && !test.seen {
					want = 11
				}
				if got := shown("12"); got != want {
					t.Errorf("again: got %d, want %d", got, want)
				}
				write(test.limit, test.some)
				for _, number := range []string{"20", "21"} {
					if got := shown(number); fmt.Sprint(got) != number {
						t.Errorf("with a limit: got %d, want %s", got, number)
					}
				}
			})
		}
	}
}
