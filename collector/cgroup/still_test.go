package cgroup_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/nodevitals/nodevitals/collector/cgroup"
	"github.com/nodevitals/nodevitals/snapshot"
)

// writableHost is a copy of the recorded v1 tree, whose files of /load.slice can be written to.
func writableHost(t *testing.T, options cgroup.TreeOptions, vmstat string) (h *host, write func(name, text string)) {
	t.Helper()
	root := t.TempDir()
	if err := os.CopyFS(root, os.DirFS("testdata/v1-6.18.44")); err != nil {
		t.Fatal(err)
	}
	return newHost(t, root, options, cgroup.ReaderOptions{VMStat: vmstat}), func(name, text string) {
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
	h, write := writableHost(t, cgroup.TreeOptions{MaxWatches: -1}, "")
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
				h, write := writableHost(t, cgroup.TreeOptions{MaxWatches: watches}, "")
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

// A cgroup's count of kills is read again after any kill on the host, in the pass that finds it and in the next, and else not.
func TestKillsAreReadAgainAfterAKill(t *testing.T) {
	const before, after = "nr_free_pages 1\npgfault 2\n", "drop_pagecache 0\noom_kill_disable 9\n"
	vmstat := filepath.Join(t.TempDir(), "vmstat")
	tell := func(text string) {
		t.Helper()
		if err := os.WriteFile(vmstat, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	tell(before + after)
	h, write := writableHost(t, cgroup.TreeOptions{MaxWatches: -1}, vmstat)
	for at, step := range []struct {
		vmstat string
		file   int
		groups snapshot.Groups
		want   uint64
	}{
		{before + after, 1, snapshot.Core, 1},
		{before + after, 2, snapshot.Core, 2}, // a kernel that does not tell
		{before + "oom_kill 5\n" + after, 3, snapshot.Core, 3},
		{before + "oom_kill 5\n" + after, 4, snapshot.Core, 4},
		{before + "oom_kill 5\n" + after, 5, snapshot.Core, 4},
		{before + "oom_kill 6\n" + after, 6, snapshot.MemoryUse, 0}, // nobody asks
		{before + "oom_kill 6\n" + after, 6, snapshot.Core, 6},
		{before + "oom_kill 6\n" + after, 7, snapshot.Core, 7},
		{before + "oom_kill 6\n" + after, 8, snapshot.Core, 7},
		{before + "oom_kill 7", 9, snapshot.Core, 9}, // a line that may go on
		{before + "oom_kill 7", 10, snapshot.Core, 10},
		{"", 11, snapshot.Core, 11},
	} {
		tell(step.vmstat)
		write("memory.oom_control", fmt.Sprintf("oom_kill_disable 0\nunder_oom 0\noom_kill %d\n", step.file))
		if got, _ := h.pass(step.groups)["/load.slice"].Get(snapshot.MemoryOOMKills); got != step.want {
			t.Errorf("step %d: got %d, want %d", at, got, step.want)
		}
	}
}

// What the kernel says of itself is found however far down it says so.
func TestKillsOfThisHost(t *testing.T) {
	told := func() uint64 {
		text, err := os.ReadFile("/proc/vmstat")
		_, after, found := strings.Cut(string(text), "\noom_kill ")
		if err != nil || !found {
			t.Skip("needs a kernel that counts kills in /proc/vmstat (Linux 4.13)")
		}
		line, _, _ := strings.Cut(after, "\n")
		number, err := strconv.ParseUint(line, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		return number
	}
	least := told()
	total, ok := cgroup.ReadKills("/proc/vmstat")
	if most := told(); !ok || total < least || total > most {
		t.Errorf("got %d %t, want from %d to %d", total, ok, least, most)
	}
}
