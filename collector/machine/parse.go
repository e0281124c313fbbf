package machine

import (
	"bytes"
	"errors"

	"github.com/nodevitals/nodevitals/collector/machine/hostfile"
	"github.com/nodevitals/nodevitals/snapshot"
)

// errMalformed is the error for text that is not what the kernel prints.
var errMalformed = errors.New("malformed text")

// meminfo is what a node needs of /proc/meminfo, in bytes. The kernel's kB are 1024 bytes.
//
//	MemTotal:       24684092 kB
//	SwapTotal:             0 kB
//	SwapFree:              0 kB
type meminfo struct {
	total, swapTotal, swapFree snapshot.Optional
}

// parse fills m. It returns errMalformed if the file has no MemTotal, or one of the wanted lines has no number.
func (m *meminfo) parse(text []byte) error {
	*m = meminfo{}
	var line []byte
	malformed := false
	for len(text) > 0 {
		line, text = hostfile.Line(text)
		name, rest := hostfile.Word(line)
		var into *snapshot.Optional
		switch string(name) {
		case "MemTotal:":
			into = &m.total
		case "SwapTotal:":
			into = &m.swapTotal
		case "SwapFree:":
			into = &m.swapFree
		default:
			continue
		}
		word, _ := hostfile.Word(rest)
		number, ok := hostfile.Uint(word)
		if !ok || number > ^uint64(0)>>10 {
			malformed = true
			continue
		}
		*into = snapshot.Some(number << 10)
		if into == &m.swapFree {
			break // the last of the three; what follows is forty lines
		}
	}
	if malformed || !m.total.Present {
		return errMalformed
	}
	return nil
}

// parseTasks returns the number of threads that exist: what follows the slash in the fourth word of /proc/loadavg.
//
//	0.01 0.04 0.07 1/85 14091
func parseTasks(text []byte) (uint64, bool) {
	var word []byte
	for range 4 {
		word, text = hostfile.Word(text)
	}
	at := bytes.IndexByte(word, '/')
	if at < 0 {
		return 0, false
	}
	return hostfile.Uint(word[at+1:])
}

// parseBootTime returns btime of /proc/stat, in seconds since 1970.
//
//	btime 1795557423
func parseBootTime(text []byte) (int64, bool) {
	var line []byte
	for len(text) > 0 {
		line, text = hostfile.Line(text)
		if name, rest := hostfile.Word(line); string(name) == "btime" {
			word, _ := hostfile.Word(rest)
			seconds, ok := hostfile.Uint(word)
			return int64(seconds), ok && seconds < 1<<40
		}
	}
	return 0, false
}

// parseSingle reads a file of one number, such as /proc/sys/kernel/pid_max.
func parseSingle(text []byte) (uint64, bool) {
	return hostfile.Uint(bytes.TrimSpace(text))
}
