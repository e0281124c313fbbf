package storage

import (
	"errors"
	"fmt"
	"strings"

	"github.com/nodevitals/nodevitals/collector/machine/hostfile"
	"github.com/nodevitals/nodevitals/snapshot"
)

// ErrMalformed is returned for a line of /proc/diskstats that is not what the kernel prints. Its device has no figures.
var ErrMalformed = errors.New("malformed line")

// diskTable is /proc/diskstats, every device of it: cAdvisor knows only names such as sda, vda1, xvdf and dm-0, so nodes on NVMe
// have zeros there.
type diskTable struct {
	rows     []diskRow
	byNumber map[uint64]int
}

type diskRow struct {
	name         string
	major, minor uint32
	disk         snapshot.Disk
}

// diskColumns is how many numbers follow a name in every kernel; discards (Linux 4.18) and flushes (5.5) come after them.
const diskColumns = 11

// parse takes the text as the whole table. Names of the last reading are used again.
//
//	254       0 vda 57329 13134 2393922 9493 24910 64760 5391224 9383 0 5444 19426 8688 46 1364680 447 3931 101
func (t *diskTable) parse(path string, text []byte) error {
	last := t.rows
	t.reset()
	malformed := 0
	for len(text) > 0 {
		var line []byte
		line, text = hostfile.Line(text)
		row, name, ok := parseDisk(line)
		if !ok {
			malformed++
			continue
		}
		if at := len(t.rows); at < len(last) && last[at].name == string(name) {
			row.name = last[at].name
		} else {
			row.name = string(name)
		}
		t.byNumber[number(row.major, row.minor)] = len(t.rows)
		t.rows = append(t.rows, row)
	}
	if malformed > 0 {
		return fmt.Errorf("parse %s: %d times: %w", path, malformed, ErrMalformed)
	}
	return nil
}

func (t *diskTable) reset() {
	t.rows = t.rows[:0]
	if t.byNumber == nil {
		t.byNumber = make(map[uint64]int)
	}
	clear(t.byNumber)
}

func parseDisk(line []byte) (row diskRow, name []byte, ok bool) {
	var head [2]uint64
	var word []byte
	for i := range head {
		word, line = hostfile.Word(line)
		if head[i], ok = hostfile.Uint(word); !ok || head[i] > 1<<32-1 {
			return row, nil, false
		}
	}
	name, line = hostfile.Word(line)
	if len(name) == 0 {
		return row, nil, false
	}
	row.major, row.minor = uint32(head[0]), uint32(head[1])
	d := &row.disk
	for _, into := range [diskColumns]*uint64{
		&d.Reads, &d.ReadsMerged, &d.SectorsRead, &d.ReadTime,
		&d.Writes, &d.WritesMerged, &d.SectorsWritten, &d.WriteTime,
		&d.InProgress, &d.IOTime, &d.WeightedIOTime,
	} {
		word, line = hostfile.Word(line)
		if *into, ok = hostfile.Uint(word); !ok {
			return row, nil, false
		}
	}
	return row, name, true
}

// find returns the row of a partition, or -1: by the name of its device, or else by its number, as with /dev/mapper and
// /dev/root.
func (t *diskTable) find(p *partition) int {
	at, found := t.byNumber[number(p.major, p.minor)]
	name, named := strings.CutPrefix(p.device, "/dev/")
	switch {
	case found && (!named || t.rows[at].name == name):
		return at
	case named:
		for i := range t.rows {
			if t.rows[i].name == name {
				return i
			}
		}
	}
	if !found {
		return -1
	}
	return at
}

func number(major, minor uint32) uint64 { return uint64(major)<<32 | uint64(minor) }
