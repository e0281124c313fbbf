package linegzip

import (
	"encoding/binary"
	"slices"
)

const (
	literalSymbols  = 286
	distanceSymbols = 30
	endOfBlock      = 256
	// longest is the most bytes that one reference stands for, shortest the fewest.
	longest, shortest = 258, 3
	// sampled: of so many sequences one is counted for the code. A text is much the same from line to line.
	sampled = 4
)

// bitBuffer appends bits, the lowest first, to bytes[:length].
type bitBuffer struct {
	bytes  []byte
	length int
	bits   uint64
	count  uint
}

// room makes room for so many bytes, and for the eight that a flush writes at most.
func (b *bitBuffer) room(bytes int) {
	if bytes += b.length + 8; bytes > len(b.bytes) {
		b.bytes = slices.Grow(b.bytes[:b.length], bytes-b.length)
		b.bytes = b.bytes[:cap(b.bytes)]
	}
}

// add appends bits; with what is there, they must not be more than 64.
func (b *bitBuffer) add(bits uint64, count uint) {
	b.bits |= bits << (b.count & 63)
	b.count += count
}

// flush moves whole bytes out, after which fewer than 8 bits are left.
func (b *bitBuffer) flush() {
	binary.LittleEndian.PutUint64(b.bytes[b.length:], b.bits)
	b.length += int(b.count >> 3)
	b.bits >>= b.count & 56
	b.count &= 7
}

// finish moves everything out, up to a whole byte, and returns it.
func (b *bitBuffer) finish() []byte {
	b.room(0)
	b.flush()
	if b.count > 0 {
		b.length++
	}
	return b.bytes[:b.length]
}

// coder writes blocks with a Huffman code of their own each.
type coder struct {
	bits    bitBuffer
	builder builder

	literalWeights  [literalSymbols]uint32
	distanceWeights [distanceSymbols]uint32
	literals        [literalSymbols]uint32
	distances       [distanceSymbols]uint32
}

// block writes the sequences that make up the text from a position on.
func (c *coder) block(text []byte, at int, sequences []sequence, last bool) {
	c.weigh(text, at, sequences)
	c.builder.build(c.literals[:], c.literalWeights[:], mostBits)
	c.builder.build(c.distances[:], c.distanceWeights[:], mostBits)
	final := uint64(0)
	if last {
		final = 1
	}
	c.bits.room(2 * (literalSymbols + distanceSymbols))
	c.bits.add(final|2<<1, 3) // a block with a code of its own
	c.head()
	for i := range sequences {
		s := &sequences[i]
		c.writeLiterals(text[at : at+int(s.literals)])
		at += int(s.literals) + int(s.length)
		if s.length > 0 {
			c.writeReference(s.length, s.distance)
		}
	}
	c.bits.room(0)
	c.bits.add(uint64(c.literals[endOfBlock]&0xffff), uint(c.literals[endOfBlock]>>16))
	c.bits.flush()
}

// weigh counts how often symbols come, of some of the sequences, and gives those that do not come a code too.
func (c *coder) weigh(text []byte, at int, sequences []sequence) {
	for i := range c.literalWeights {
		c.literalWeights[i] = 1
	}
	for i := range c.distanceWeights {
		c.distanceWeights[i] = 1
	}
	for i := range sequences {
		s := &sequences[i]
		if i%sampled == 0 || len(sequences) < 1000 {
			for _, one := range text[at : at+int(s.literals)] {
				c.literalWeights[one] += 4
			}
			if s.length > 0 {
				c.literalWeights[lengthCodes[min(s.length, longest)].symbol] += 4
				c.distanceWeights[distanceCode(s.distance)] += 4
			}
		}
		at += int(s.literals) + int(s.length)
	}
}

// writeLiterals writes text as it is.
func (c *coder) writeLiterals(text []byte) {
	b, codes := &c.bits, &c.literals
	b.room(len(text) * mostBits / 8)
	// The buffer's fields stay in registers.
	into, length, bits, count := b.bytes, b.length, b.bits, b.count
	for len(text) >= 4 {
		one, two, three, four := codes[text[0]], codes[text[1]], codes[text[2]], codes[text[3]]
		text = text[4:]
		bits |= uint64(one&0xffff) << (count & 63)
		count += uint(one >> 16)
		bits |= uint64(two&0xffff) << (count & 63)
		count += uint(two >> 16)
		bits |= uint64(three&0xffff) << (count & 63)
		count += uint(three >> 16)
		bits |= uint64(four&0xffff) << (count & 63)
		count += uint(four >> 16)
		binary.LittleEndian.PutUint64(into[length:], bits)
		length += int(count >> 3)
		bits >>= count & 56
		count &= 7
	}
	for _, one := range text {
		code := codes[one]
		bits |= uint64(code&0xffff) << (count & 63)
		count += uint(code >> 16)
	}
	b.length, b.bits, b.count = length, bits, count
	b.flush()
}

// writeReference writes that so many bytes are those that stood so far back.
func (c *coder) writeReference(length, distance uint32) {
	c.bits.room(int(length)/64 + 16)
	for length > 0 {
		part := min(length, longest)
		if rest := length - part; rest > 0 && rest < shortest {
			part -= shortest
		}
		length -= part
		row := &lengthCodes[part]
		code := c.literals[row.symbol]
		c.bits.add(uint64(code&0xffff), uint(code>>16))
		c.bits.add(uint64(row.extra), uint(row.bits))
		symbol := distanceCode(distance)
		code = c.distances[symbol]
		c.bits.add(uint64(code&0xffff), uint(code>>16))
		c.bits.add(uint64(distance-distanceBases[symbol]), uint(distanceBits[symbol]))
		c.bits.flush()
	}
}
