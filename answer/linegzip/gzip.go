// Package linegzip compresses text whose lines resemble the ones before them, as metrics do, into gzip (RFC 1952, RFC 1951).
//
// A general compressor looks at every byte for something that was there before. In a text of metrics that is known beforehand: a line has
// the labels of the line before, or of the last one with the same first label, and where a value differs, the text agrees again after it.
// So this one looks there and nowhere else, which takes a third of the time, and finds as much. Any text comes back as it was; one without
// such lines is hardly made smaller.
package linegzip

import (
	"encoding/binary"
	"hash/crc32"
)

// blockBytes is how much text shares one Huffman code.
const blockBytes = 256 << 10

// header is a gzip member's: deflate, no name, no time, the fastest method, an unknown system.
var header = [10]byte{0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 4, 255}

// Writer keeps what a compression needs, some 200 kB, for the next one. The zero Writer is ready. It is not safe for concurrent use.
type Writer struct {
	finder finder
	coder  coder
}

// Append appends text to dst as one gzip member and returns it. It allocates only where dst has no room.
func (w *Writer) Append(dst, text []byte) []byte {
	dst = append(dst, header[:]...)
	w.finder.reset(text)
	w.coder.bits = bitBuffer{bytes: dst[:cap(dst)], length: len(dst)}
	for at := 0; ; {
		from := at
		sequences := w.finder.sequences(blockBytes)
		at = w.finder.at
		w.coder.block(text, from, sequences, at == len(text))
		if at == len(text) {
			break
		}
	}
	w.finder.text = nil
	dst = w.coder.bits.finish()
	w.coder.bits = bitBuffer{}
	dst = binary.LittleEndian.AppendUint32(dst, crc32.ChecksumIEEE(text))
	return binary.LittleEndian.AppendUint32(dst, uint32(len(text)))
}
