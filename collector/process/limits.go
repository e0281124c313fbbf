package process

import (
	"bytes"

	"github.com/nodevitals/nodevitals/collector/machine/hostfile"
	"github.com/nodevitals/nodevitals/snapshot"
)

// parseOpenFiles returns the soft limit in the line "Max open files" of /proc/PID/limits, or [snapshot.Unlimited]. Only that
// line is looked at: prometheus/procfs takes all sixteen apart by a regular expression, and one that it does not know fails
// them all.
//
//	Limit                     Soft Limit           Hard Limit           Units
//	Max open files            32768                32768                files
func parseOpenFiles(text []byte) (uint64, bool) {
	for len(text) > 0 {
		var line []byte
		line, text = hostfile.Line(text)
		rest, found := bytes.CutPrefix(line, []byte("Max open files"))
		if !found {
			continue
		}
		soft, rest := hostfile.Word(rest)
		hard, _ := hostfile.Word(rest)
		if _, ok := parseLimit(hard); !ok {
			return 0, false
		}
		return parseLimit(soft)
	}
	return 0, false
}

// parseLimit reads a limit. -1 is how ulimit spells unlimited.
func parseLimit(word []byte) (uint64, bool) {
	if bytes.EqualFold(word, []byte("unlimited")) || string(word) == "-1" {
		return snapshot.Unlimited, true
	}
	return hostfile.Uint(word)
}
