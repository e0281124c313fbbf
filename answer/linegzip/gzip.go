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

// partBytes is how much text is searched, and weighed for a Huffman code, before it is written.
const partBytes = 192 << 10

// header is a gzip member's: deflate, no name, no time, the fastest method, an unknown system.
var header = [10]byte{0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 4, 255}

// Writer keeps what a compression needs, some 400 kB, for the next one. The zero Writer is ready. It is not safe for concurrent use.
type Writer struct {
	finder finder
	coder  coder
}

// Append appends text to dst as one gzip member and returns it. It allocates only where dst has no room.
func (w *Writer) Append(dst, text []byte) []byte {
	dst = append(dst, header[:]...)
	w.finder.reset(text)
	w.coder.reset(dst)
	for at := 0; at < len(text); {
		sequences := w.finder.sequences(partBytes)
		w.coder.begin(text, at, sequences)
		w.coder.write(text, at, sequences)
		at = w.finder.at
	}
	// A kept writer must not keep the text.
	w.finder.reset(nil)
	dst = w.coder.finish()
	dst = binary.LittleEndian.AppendUint32(dst, crc32.ChecksumIEEE(text))
	return binary.LittleEndian.AppendUint32(dst, uint32(len(text)))
}
