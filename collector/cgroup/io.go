package cgroup

import (
	"bytes"

	"github.com/nodevitals/nodevitals/snapshot"
)

// deviceList is an append-only store of a pass's devices. Records hold parts of it.
type deviceList struct {
	devices []snapshot.Device
	start   int
}

// begin starts the devices of the next cgroup.
func (l *deviceList) begin() { l.start = len(l.devices) }

// current are the devices of this cgroup so far. The part is cut off so that a later append cannot reach into it.
func (l *deviceList) current() []snapshot.Device {
	return l.devices[l.start:len(l.devices):len(l.devices)]
}

// find returns this cgroup's entry for a device, which it adds if there is none.
func (l *deviceList) find(major, minor uint32) *snapshot.Device {
	for i := l.start; i < len(l.devices); i++ {
		if l.devices[i].Major == major && l.devices[i].Minor == minor {
			return &l.devices[i]
		}
	}
	l.devices = append(l.devices, snapshot.Device{Major: major, Minor: minor})
	return &l.devices[len(l.devices)-1]
}

// ioKey is a row of io.stat's table.
type ioKey struct {
	name string
	stat snapshot.DeviceStat
	op   snapshot.Op
}

// ioKeys are the figures of io.stat that are read. dbytes and dios are not, as cAdvisor has no series for them on v2.
var ioKeys = []ioKey{
	{"rbytes", snapshot.ServiceBytes, snapshot.OpRead},
	{"wbytes", snapshot.ServiceBytes, snapshot.OpWrite},
	{"rios", snapshot.Serviced, snapshot.OpRead},
	{"wios", snapshot.Serviced, snapshot.OpWrite},
	{"cost.usage", snapshot.CostUsage, snapshot.OpCount},
	{"cost.wait", snapshot.CostWait, snapshot.OpCount},
	{"cost.indebt", snapshot.CostIndebt, snapshot.OpCount},
	{"cost.indelay", snapshot.CostIndelay, snapshot.OpCount},
}

// ioStat parses io.stat. Some kernels (5.x) print a device that has no figures without ending its line, so a device
// number in mid-line starts the next device.
//
//	8:0 rbytes=1459200 wbytes=314773504 rios=192 wios=353 dbytes=0 dios=0
type ioStat struct{ list *deviceList }

func (p ioStat) parse(text []byte, record *snapshot.Cgroup) (malformed int) {
	p.list.begin()
	for len(text) > 0 {
		var current []byte
		current, text, _ = bytes.Cut(text, newline)
		var major, minor uint32
		numbered := false
		for len(current) > 0 {
			var word []byte
			word, current = nextWord(current)
			at := bytes.IndexByte(word, '=')
			if at < 0 {
				if len(word) > 0 {
					major, minor, numbered = parseDevice(word)
				}
				continue
			}
			row := findIOKey(word[:at])
			if row == nil || !numbered {
				continue
			}
			number, ok := parseUint(word[at+1:])
			if !ok {
				malformed++
				continue
			}
			p.list.find(major, minor).Set(row.stat, row.op, number)
		}
	}
	record.Devices = p.list.current()
	return malformed
}

func findIOKey(name []byte) *ioKey {
	for i := range ioKeys {
		if string(name) == ioKeys[i].name {
			return &ioKeys[i]
		}
	}
	return nil
}

// blkio parses one of v1's blkio files into one kind of figure. The sum over all devices at the end has no device.
//
//	8:0 Read 4096
//	8:0 Total 4096
//	Total 4096
type blkio struct {
	list *deviceList
	stat snapshot.DeviceStat
	// first says that this file is the first of its cgroup.
	first bool
}

func (p blkio) parse(text []byte, record *snapshot.Cgroup) (malformed int) {
	if p.first {
		p.list.begin()
	}
	for len(text) > 0 {
		var current []byte
		current, text, _ = bytes.Cut(text, newline)
		word, rest := nextWord(current)
		major, minor, ok := parseDevice(word)
		if !ok {
			continue
		}
		word, rest = nextWord(rest)
		op := snapshot.OpCount
		if number := rest; len(number) > 0 {
			if op, ok = findOp(word); !ok {
				continue
			}
			word, _ = nextWord(number)
		}
		number, ok := parseUint(word)
		if !ok {
			malformed++
			continue
		}
		p.list.find(major, minor).Set(p.stat, op, number)
	}
	record.Devices = p.list.current()
	return malformed
}

func findOp(word []byte) (snapshot.Op, bool) {
	for op, name := range snapshot.OpNames {
		if string(word) == name {
			return snapshot.Op(op), true
		}
	}
	return 0, false
}

var colon = []byte{':'}

// parseDevice reads "major:minor".
func parseDevice(word []byte) (major, minor uint32, ok bool) {
	before, after, found := bytes.Cut(word, colon)
	if !found {
		return 0, 0, false
	}
	left, okLeft := parseUint(before)
	right, okRight := parseUint(after)
	if !okLeft || !okRight || left > 1<<32-1 || right > 1<<32-1 {
		return 0, 0, false
	}
	return uint32(left), uint32(right), true
}
