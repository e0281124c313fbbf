package main

import (
	"os"
	"runtime/debug"
)

// collectAt is how much garbage, in percent of what is alive, is let be until it is collected. Go's own 100 is for programs that
// allocate all the time. A pass allocates two blocks whatever the number of cgroups, so that collecting four times as often cannot be
// measured in processor time, while the memory is a quarter less (docs/performance.md).
const collectAt = 25

// saveMemory sets up the collector of garbage, unless GOGC says how.
func saveMemory() {
	if _, set := os.LookupEnv("GOGC"); !set {
		debug.SetGCPercent(collectAt)
	}
}
