package cgroup

import (
	"bytes"
	"slices"

	"github.com/nodevitals/nodevitals/snapshot"
)

// A parser turns the whole text of one file into fields of a record. It returns the number of values that it had to
// leave out because they were no number below 2^64; unknown keys are no fault, kernels add some with every release.
// A parser keeps what it learned of the kernel's order, and so belongs to one reader.
type parser interface {
	parse(text []byte, record *snapshot.Cgroup) (malformed int)
}

// single parses a file of one number, such as memory.current. "max" is no number: such files are limits, see spec.go.
type single snapshot.Field

func (s single) parse(text []byte, record *snapshot.Cgroup) int {
	number, ok := parseUint(bytes.TrimRight(text, "\n "))
	if !ok {
		return 1
	}
	record.Set(snapshot.Field(s), number)
	return 0
}

// lines parses a file by counting its lines: cgroup.procs of a root that has no pids.current.
type lines snapshot.Field

func (l lines) parse(text []byte, record *snapshot.Cgroup) int {
	record.Set(snapshot.Field(l), uint64(bytes.Count(text, newline)))
	return 0
}

var newline = []byte{'\n'}

// key is a row of a keyed file's table.
type key struct {
	name  string
	field snapshot.Field
	// scale multiplies the kernel's number into the field's unit.
	scale uint64
}

// keyed parses lines of "key number", such as memory.stat. A kernel prints its keys in one order, of which some cgroups
// lack a part (cpu.stat without the cpu controller), so the order is learned and then only compared: with 60 lines of
// which 14 are wanted this takes a third of the time of a look-up per line.
type keyed struct {
	keys []key
	// order is every key seen so far, wanted or not, such that each cgroup's file is a part of it in the same order.
	order []line
}

// line is one line of the learned order: its key, and that key's row or -1.
type line struct {
	name string
	row  int
}

func newKeyed(keys ...key) *keyed { return &keyed{keys: keys} }

func (k *keyed) parse(text []byte, record *snapshot.Cgroup) (malformed int) {
	for at, wanted := 0, len(k.keys); len(text) > 0 && wanted > 0; at++ {
		var current []byte
		if end := bytes.IndexByte(text, '\n'); end >= 0 {
			current, text = text[:end], text[end+1:]
		} else {
			current, text = text, nil
		}
		if at >= len(k.order) || !startsWithKey(current, k.order[at].name) {
			at = k.locate(current, at)
		}
		if k.order[at].row >= 0 {
			wanted--
			malformed += k.take(current, k.order[at], record)
		}
	}
	return malformed
}

// take stores the number of a line whose key is wanted.
func (k *keyed) take(current []byte, known line, record *snapshot.Cgroup) (malformed int) {
	row := &k.keys[known.row]
	if len(current) <= len(known.name) {
		return 1
	}
	number, ok := parseUint(current[len(known.name)+1:])
	if !ok || number > ^uint64(0)/row.scale {
		return 1
	}
	record.Set(row.field, number*row.scale)
	return 0
}

// locate returns the place of the line's key in the learned order, which it teaches a new key. The search starts at the
// place where the key was expected, since what is missing there is most often a few keys that this cgroup lacks.
func (k *keyed) locate(current []byte, expected int) int {
	name, _, _ := bytes.Cut(current, space)
	for step := range k.order {
		at := (expected + step) % len(k.order)
		if string(name) == k.order[at].name {
			return at
		}
	}
	learned := line{name: string(name), row: -1}
	for row := range k.keys {
		if k.keys[row].name == learned.name {
			learned.row = row
		}
	}
	expected = min(expected, len(k.order))
	k.order = slices.Insert(k.order, expected, learned)
	return expected
}

var (
	space  = []byte{' '}
	equals = []byte{'='}
)

func startsWithKey(current []byte, name string) bool {
	return len(current) > len(name) && current[len(name)] == ' ' && string(current[:len(name)]) == name
}

// pressure parses a pressure file into the eight fields that start at its "some" total. In Linux before 5.13
// cpu.pressure has no "full" line, which then stays absent.
//
//	some avg10=0.00 avg60=0.12 avg300=0.05 total=1234
//	full avg10=0.00 avg60=0.00 avg300=0.00 total=0
type pressure snapshot.Field

func (p pressure) parse(text []byte, record *snapshot.Cgroup) (malformed int) {
	for len(text) > 0 {
		var current []byte
		current, text, _ = bytes.Cut(text, newline)
		word, rest := nextWord(current)
		base := snapshot.Field(p)
		switch string(word) {
		case "some":
		case "full":
			base += snapshot.PressureLine
		default:
			continue
		}
		for len(rest) > 0 {
			word, rest = nextWord(rest)
			malformed += setPressure(word, base, record)
		}
	}
	return malformed
}

func setPressure(word []byte, base snapshot.Field, record *snapshot.Cgroup) (malformed int) {
	name, text, found := bytes.Cut(word, equals)
	if !found {
		return 0
	}
	parse, offset := parseHundredths, snapshot.Field(0)
	switch string(name) {
	case "avg10":
		offset = snapshot.PressureAvg10
	case "avg60":
		offset = snapshot.PressureAvg60
	case "avg300":
		offset = snapshot.PressureAvg300
	case "total":
		parse, offset = parseUint, snapshot.PressureTotal
	default:
		return 0
	}
	number, ok := parse(text)
	if !ok {
		return 1
	}
	record.Set(base+offset, number)
	return 0
}

// nextWord splits off the first word; text has single spaces between words, as the kernel prints them, but more do no harm.
func nextWord(text []byte) (word, rest []byte) {
	for len(text) > 0 && text[0] == ' ' {
		text = text[1:]
	}
	if at := bytes.IndexByte(text, ' '); at >= 0 {
		return text[:at], text[at+1:]
	}
	return text, nil
}

// parseUint reads a decimal number below 2^64 that fills the whole text.
func parseUint(text []byte) (uint64, bool) {
	if len(text) == 0 || len(text) > 20 {
		return 0, false
	}
	var number uint64
	for i, digit := range text {
		digit -= '0'
		if digit > 9 {
			return 0, false
		}
		if i == 19 && (number > 1844674407370955161 || number == 1844674407370955161 && digit > 5) {
			return 0, false
		}
		number = number*10 + uint64(digit)
	}
	return number, true
}

// parseHundredths reads a number with two decimals, as the kernel prints averages, in hundredths.
func parseHundredths(text []byte) (uint64, bool) {
	at := bytes.IndexByte(text, '.')
	if at < 0 || len(text)-at != 3 {
		return 0, false
	}
	whole, ok := parseUint(text[:at])
	if !ok || whole > 1<<32 {
		return 0, false
	}
	part, ok := parseUint(text[at+1:])
	return whole*100 + part, ok
}
