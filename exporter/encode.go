package exporter

import (
	"io"
	"slices"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/nodevitals/nodevitals/snapshot"
)

// containerLabels are the labels of every row of a cgroup, in the order in which they are printed.
var containerLabels = [...]string{"container", "id", "image", "name", "namespace", "pod"}

// machineLabels are the labels of every row of the machine, in the order in which they are printed.
var machineLabels = [...]string{"boot_id", "machine_id", "system_uuid"}

// block says where the escaped labels of one cgroup, or of the machine, stand in encoder.labels. Label i is
// [ends[i], ends[i+1]); ends beyond the last label repeat it. The zero block has no label.
type block struct {
	ends [len(containerLabels) + 1]int
}

// labelKey is a label that only some families have.
type labelKey struct {
	// opening is what goes before the value: `,device="`.
	opening string
	// slot is how many labels of the block sort before this one.
	slot int
}

// newLabelKey prepares a label to be set among the labels of a block, base, at its sorted position.
func newLabelKey(name string, base []string) labelKey {
	slot, _ := slices.BinarySearch(base, name)
	return labelKey{opening: `,` + name + `="`, slot: slot}
}

// label is one extra label of one sample. Its value is text, or number if the kernel's name is one.
type label struct {
	key     *labelKey
	text    string
	number  uint64
	numeric bool
}

func (k *labelKey) of(text string) label    { return label{key: k, text: text} }
func (k *labelKey) ofNumber(n uint32) label { return label{key: k, number: uint64(n), numeric: true} }

// encoder appends samples to one buffer. It lives in a Renderer, so that its buffers serve many renders.
type encoder struct {
	// buf is the answer as far as it is written, or if it is handed on to a writer, what is not yet. err is the writer's first error.
	buf []byte
	to  io.Writer
	err error
	// labels holds the escaped labels of all blocks, each as `,name="value"`.
	labels []byte
	// suffix ends each sample: a timestamp if there is one, and the newline.
	suffix []byte

	snapshot *snapshot.Snapshot
	options  Options
	// groups are those that are both wanted and held by the snapshot.
	groups snapshot.Groups

	// timestamps tells whether samples have explicit timestamps.
	timestamps bool

	// count is the number of samples written.
	count int

	// family is the one being written, headed whether its header is.
	family *family
	headed bool
	// block holds the labels of the cgroup being written, machine those of the hardware.
	block, machine *block
	// layers are those of containers that are shown, by the cgroup's identity, which nothing else shares.
	layers map[*snapshot.Identity]layer
}

// noLabels is the block of the families that have neither a cgroup's nor the machine's labels.
var noLabels block

// addBlock escapes values, the labels of base in order, into e.labels.
func (e *encoder) addBlock(base []string, values ...string) (b block) {
	return e.addLabels(base, values, 0)
}

// addLabels is addBlock without the labels of the set dropped, whose bit i is label i.
func (e *encoder) addLabels(base, values []string, dropped labelSet) (b block) {
	b.ends[0] = len(e.labels)
	for i, value := range values {
		if dropped&(1<<i) != 0 {
			b.ends[i+1] = len(e.labels)
			continue
		}
		e.labels = append(e.labels, ',')
		e.labels = append(e.labels, base[i]...)
		e.labels = append(e.labels, '=', '"')
		e.labels = appendLabelValue(e.labels, value)
		e.labels = append(e.labels, '"')
		b.ends[i+1] = len(e.labels)
	}
	for i := len(values) + 1; i < len(b.ends); i++ {
		b.ends[i] = len(e.labels)
	}
	return b
}

// at sets the timestamp of the samples that follow. Without explicit timestamps, or for the zero time, they have none.
func (e *encoder) at(t time.Time) {
	e.suffix = e.suffix[:0]
	if e.timestamps && !t.IsZero() {
		e.suffix = append(e.suffix, ' ')
		ms := t.UnixMilli()
		if e.options.Format == OpenMetrics {
			if ms < 0 {
				e.suffix = append(e.suffix, '-')
				ms = -ms
			}
			e.suffix = appendDecimal(e.suffix, uint64(ms), 3)
		} else {
			e.suffix = strconv.AppendInt(e.suffix, ms, 10)
		}
	}
	e.suffix = append(e.suffix, '\n')
}

// sample writes one sample of the current family: n steps of 10^-decimals. Extra labels come in sorted order.
func (e *encoder) sample(n uint64, decimals int, extra ...label) {
	e.series(extra)
	e.buf = appendDecimal(e.buf, n, decimals)
	e.buf = append(e.buf, e.suffix...)
}

// signed writes one sample whose value can be negative.
func (e *encoder) signed(n int64, extra ...label) {
	e.series(extra)
	e.buf = strconv.AppendInt(e.buf, n, 10)
	e.buf = append(e.buf, e.suffix...)
}

// series writes the name and the labels of a sample, before the first one the family's header.
func (e *encoder) series(extra []label) {
	e.count++
	if !e.headed {
		e.headed = true
		e.header()
	}
	e.buf = append(e.buf, e.family.name...)
	// Every label brings its comma; the first one's becomes the brace.
	open := len(e.buf)
	from := e.block.ends[0]
	for i := range extra {
		l := &extra[i]
		to := e.block.ends[l.key.slot]
		e.buf = append(e.buf, e.labels[from:to]...)
		from = to
		e.buf = append(e.buf, l.key.opening...)
		if l.numeric {
			e.buf = strconv.AppendUint(e.buf, l.number, 10)
		} else {
			e.buf = appendLabelValue(e.buf, l.text)
		}
		e.buf = append(e.buf, '"')
	}
	e.buf = append(e.buf, e.labels[from:e.block.ends[len(e.block.ends)-1]]...)
	if len(e.buf) > open {
		e.buf[open] = '{'
		e.buf = append(e.buf, '}')
	}
	e.buf = append(e.buf, ' ')
}

// pieceBytes is about how much is handed on at a time: more than what compressors look back over, and less than what a processor keeps near.
const pieceBytes = 64 << 10

// handOn gives whole lines to the writer, if there is one and enough of them. It is called between rows.
func (e *encoder) handOn(least int) {
	if e.to == nil || len(e.buf) < least {
		return
	}
	if e.err == nil {
		_, e.err = e.to.Write(e.buf)
	}
	e.buf = e.buf[:0]
}

// header writes the HELP and TYPE lines of the current family.
func (e *encoder) header() {
	name, kind := e.family.described(e.options.Format)
	e.buf = append(e.buf, "# HELP "...)
	e.buf = append(e.buf, name...)
	e.buf = append(e.buf, ' ')
	e.buf = appendHelp(e.buf, e.family.help, e.options.Format)
	e.buf = append(e.buf, "\n# TYPE "...)
	e.buf = append(e.buf, name...)
	e.buf = append(e.buf, ' ')
	e.buf = append(e.buf, kind...)
	e.buf = append(e.buf, '\n')
}

// exactFloat is the largest range in which every integer is a float64.
const exactFloat = 1 << 53

var powersOfTen = [...]uint64{1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9}

// appendDecimal appends n × 10^-decimals, so that it parses to float64(n) / 10^decimals to the last bit: within
// 2^53 both are the one correctly rounded quotient, and above it the division, which rounds twice, is done as such.
func appendDecimal(dst []byte, n uint64, decimals int) []byte {
	if decimals == 0 {
		return strconv.AppendUint(dst, n, 10)
	}
	step := powersOfTen[decimals]
	if n > exactFloat {
		return strconv.AppendFloat(dst, float64(n)/float64(step), 'f', -1, 64)
	}
	dst = strconv.AppendUint(dst, n/step, 10)
	rest := n % step
	if rest == 0 {
		return dst
	}
	for rest%10 == 0 {
		rest /= 10
		decimals--
	}
	dst = append(dst, '.')
	start := len(dst)
	dst = append(dst, "000000000"[:decimals]...)
	for i := start + decimals - 1; rest > 0; i-- {
		dst[i] = byte('0' + rest%10)
		rest /= 10
	}
	return dst
}

// appendLabelValue appends s with backslash, quote and newline escaped. Each run of bytes that are not UTF-8
// becomes one U+FFFD: no format can carry them, and a row with an odd name is worth more than no row.
func appendLabelValue(dst []byte, s string) []byte {
	return appendEscaped(dst, s, true)
}

// appendHelp appends s with backslash and newline escaped; OpenMetrics escapes quotes too.
func appendHelp(dst []byte, s string, format Format) []byte {
	return appendEscaped(dst, s, format == OpenMetrics)
}

func appendEscaped(dst []byte, s string, quotes bool) []byte {
	start := 0
	for i := 0; i < len(s); {
		c := s[i]
		switch {
		case c == '\\' || c == '\n' || quotes && c == '"':
			dst = append(dst, s[start:i]...)
			if c == '\n' {
				c = 'n'
			}
			dst = append(dst, '\\', c)
			i++
			start = i
		case c < utf8.RuneSelf:
			i++
		default:
			r, size := utf8.DecodeRuneInString(s[i:])
			if r != utf8.RuneError || size > 1 {
				i += size
				continue
			}
			dst = append(dst, s[start:i]...)
			dst = append(dst, "\uFFFD"...)
			for i < len(s) && s[i] >= utf8.RuneSelf {
				if r, size := utf8.DecodeRuneInString(s[i:]); r != utf8.RuneError || size > 1 {
					break
				}
				i++
			}
			start = i
		}
	}
	return append(dst, s[start:]...)
}
