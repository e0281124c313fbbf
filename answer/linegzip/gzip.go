// Package linegzip compresses text whose lines resemble the ones before them, as metrics do, into gzip (RFC 1952, RFC 1951).
//
// A general compressor looks at every byte for something that was there before. In a text of metrics that is known beforehand: a line has
// the labels of the line before, or of the last one with the same first label, and where a value differs, the text agrees again after it; and
// a metric has the rows of the metric before. So this one looks there and nowhere else, once for each row, which takes less than half of the
// time. Where a metric takes more than deflate's window it finds as much; on less it misses what stands in there by chance. Any text comes
// back as it was; one without such lines is hardly made smaller.
package linegzip

import (
	"encoding/binary"
	"hash/crc32"
)

// sizes are numbers of bytes of text.
type sizes struct {
	// part is how much is searched, and weighed for a Huffman code, before it is written. A line that begins in it is searched whole if it ends in
	// the next few bytes, line.
	part, line int
	// kept is how much is remembered, which is more than deflate's window and than a metric of most nodes takes, and buffer how much is in memory:
	// no less than both together.
	kept, buffer int
}

// usual are the sizes of every Writer but those of tests.
var usual = sizes{part: 192 << 10, line: 4 << 10, kept: 512 << 10, buffer: 1 << 20}

// header is a gzip member's: deflate, no name, no time, the fastest method, an unknown system.
var header = [10]byte{0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 4, 255}

// Writer keeps what a compression needs, some 1.4 MB, for the next one. The zero Writer is ready. It is not safe for concurrent use.
type Writer struct {
	sizes  sizes
	finder finder
	coder  coder
	// checksum and size are those of the text so far; deflate has them modulo 2^32.
	checksum, size uint32
}

// Begin begins a gzip member behind dst, which is the Writer's until End.
func (w *Writer) Begin(dst []byte) {
	if w.sizes == (sizes{}) {
		w.sizes = usual
	}
	w.finder.reset()
	w.coder.reset(append(dst, header[:]...))
	w.checksum, w.size = 0, 0
}

// Write adds text. Pieces of whole lines, of some ten kB and more, suit best; any others do. There is no error.
func (w *Writer) Write(piece []byte) (int, error) {
	w.checksum = crc32.Update(w.checksum, crc32.IEEETable, piece)
	w.size += uint32(len(piece))
	for rest := piece; len(rest) > 0; {
		taken, slid := w.finder.append(rest, w.sizes)
		rest = rest[taken:]
		if slid > 0 {
			w.coder.runs.slide(slid)
		}
		for len(w.finder.text)-w.finder.at >= w.sizes.part+w.sizes.line {
			w.part()
		}
	}
	return len(piece), nil
}

// End ends the member, and returns what Begin was given with it. It allocates only where that has no room.
func (w *Writer) End() []byte {
	for w.finder.at < len(w.finder.text) {
		w.part()
	}
	dst := w.coder.finish()
	dst = binary.LittleEndian.AppendUint32(dst, w.checksum)
	return binary.LittleEndian.AppendUint32(dst, w.size)
}

// Append appends text to dst as one gzip member and returns it.
func (w *Writer) Append(dst, text []byte) []byte {
	w.Begin(dst)
	_, _ = w.Write(text) // there is no error
	return w.End()
}

// part compresses the next lines.
func (w *Writer) part() {
	at := w.finder.at
	sequences := w.finder.sequences(w.sizes.part)
	w.coder.begin(w.finder.text, at, sequences)
	w.coder.write(w.finder.text, at, sequences)
}
