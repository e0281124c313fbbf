package network

import (
	"bytes"

	"github.com/nodevitals/nodevitals/collector/machine/hostfile"
	"github.com/nodevitals/nodevitals/snapshot"
)

// columns is how many numbers follow the name. A kernel that adds some adds them at the end.
const columns = 16

// parse appends one interface for each line after the two of the header.
//
//	Inter-|   Receive                                                |  Transmit
//	 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed
//	  eth0: 319967585   17315    0    0    0     0          0         0  1602401   14694    0    0    0     0       0          0
func (r *Reader) parse(dst []snapshot.Interface, text []byte) (interfaces []snapshot.Interface, malformed int) {
	for range 2 {
		var header []byte
		if header, text = hostfile.Line(text); bytes.IndexByte(header, '|') < 0 {
			malformed++
		}
	}
	r.names.begin()
	for len(text) > 0 {
		var line []byte
		line, text = hostfile.Line(text)
		name, numbers, ok := parseLine(line)
		switch {
		case !ok:
			malformed++
		case !ignored(name):
			dst = append(dst, snapshot.Interface{
				Name:    r.names.intern(name),
				RxBytes: numbers[0], RxPackets: numbers[1], RxErrors: numbers[2], RxDropped: numbers[3],
				TxBytes: numbers[8], TxPackets: numbers[9], TxErrors: numbers[10], TxDropped: numbers[11],
			})
		}
	}
	r.names.end()
	return dst, malformed
}

// parseLine takes a line apart. The name ends at the last colon: kernels before 4.0 allow colons in names, and print no blank
// before the first number if that is long.
func parseLine(line []byte) (name []byte, numbers [columns]uint64, ok bool) {
	at := bytes.LastIndexByte(line, ':')
	if at < 0 {
		return nil, numbers, false
	}
	name = bytes.TrimSpace(line[:at])
	if len(name) == 0 {
		return nil, numbers, false
	}
	rest := line[at+1:]
	for i := range numbers {
		var word []byte
		word, rest = hostfile.Word(rest)
		if numbers[i], ok = hostfile.Uint(word); !ok {
			return nil, numbers, false
		}
	}
	return name, numbers, true
}

// ignoredPrefixes are cAdvisor's: loopback, and the host's ends of what containers have, which show the same bytes again.
var ignoredPrefixes = [...]string{"lo", "veth", "docker", "nerdctl"}

// ignored reports whether cAdvisor leaves an interface out, whatever the case of its name.
func ignored(name []byte) bool {
	for _, prefix := range ignoredPrefixes {
		if len(name) >= len(prefix) && bytes.EqualFold(name[:len(prefix)], []byte(prefix)) {
			return true
		}
	}
	return false
}

// names keeps the names of the last reading, in order, so that equal names need no new string. On a node whose pods come and go
// a map of all names would grow for ever.
type names struct {
	last, current []string
	at            int
}

func (n *names) begin() { n.current, n.at = n.current[:0], 0 }

// intern returns the name as a string. The kernel's order is stable, so the search starts behind the last hit and as good as
// always ends there; where an interface has gone, a few places on.
func (n *names) intern(name []byte) string {
	found := -1
	for step := range n.last {
		if at := (n.at + step) % len(n.last); n.last[at] == string(name) {
			found = at
			break
		}
	}
	if found < 0 {
		n.current = append(n.current, string(name))
	} else {
		n.current = append(n.current, n.last[found])
		n.at = found + 1
	}
	return n.current[len(n.current)-1]
}

func (n *names) end() { n.last, n.current = n.current, n.last }
