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
	// sampled: 64 sequences of so many times 64 are weighed for a code. A text is much the same from line to line.
	sampled = 8
	// tolerance is by how many percent a block may be larger for having the code of the one before.
	tolerance = 3
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
		b.grow(bytes)
	}
}

func (b *bitBuffer) grow(length int) {
	b.bytes = slices.Grow(b.bytes[:b.length], length-b.length)
	b.bytes = b.bytes[:cap(b.bytes)]
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

// position is the number of bits so far.
func (b *bitBuffer) position() int { return b.length*8 + int(b.count) }

// repeat appends so many of the bits that were appended at a position before. There must be room for them.
func (b *bitBuffer) repeat(position, count int) {
	// The last of these bits may be among those that wait.
	b.flush()
	// A position that is no whole byte leaves 57 of the 64 bits that are read, and up to 7 wait to be flushed.
	for ; count > 0; count -= 56 {
		part := uint(min(count, 56))
		b.add(binary.LittleEndian.Uint64(b.bytes[position>>3:])>>(position&7)&(1<<part-1), part)
		b.flush()
		position += 56
	}
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

// coder writes sequences, in blocks that have a Huffman code of their own each.
type coder struct {
	bits    bitBuffer
	builder builder

	literalWeights  [literalSymbols]uint32
	distanceWeights [distanceSymbols]uint32
	// codes are those of the present block, others are taken in turn with them.
	codes, others *codes
	pair          [2]codes
	// lengths has the whole code of each length, of the symbol and of the extra bits: the bits, and above the lowest 24 their number.
	lengths [longest + 1]uint32
	runs    runs
}

// codes are the Huffman codes of a block: of literals and lengths, and of distances.
type codes struct {
	literals  [literalSymbols]uint32
	distances [distanceSymbols]uint32
}

// reset has the coder append to dst.
func (c *coder) reset(dst []byte) {
	c.bits = bitBuffer{bytes: dst[:cap(dst)], length: len(dst)}
	c.codes, c.others = nil, &c.pair[0]
}

// begin begins a block with a code that suits the sequences that make up the text from a position on, unless that of the present block suits
// them about as well.
func (c *coder) begin(text []byte, at int, sequences []sequence) {
	c.weigh(text, at, sequences)
	next := c.others
	c.builder.build(next.literals[:], c.literalWeights[:], mostBits)
	c.builder.build(next.distances[:], c.distanceWeights[:], mostBits)
	if c.codes != nil {
		if c.cost(c.codes)*100 <= c.cost(next)*(100+tolerance) {
			return
		}
		c.end()
		c.others = c.codes
	} else {
		c.others = &c.pair[1]
	}
	c.codes = next
	for length := shortest; length <= longest; length++ {
		row := &lengthCodes[length]
		code := next.literals[row.symbol]
		count := code >> 16
		c.lengths[length] = code&0xffff | uint32(row.extra)<<count | (count+uint32(row.bits))<<24
	}
	c.runs.reset()
	c.bits.room(2 * (literalSymbols + distanceSymbols))
	c.bits.add(2<<1, 3) // not the last block, and a code of its own
	c.head()
}

// cost is how many bits the symbols take that were weighed.
func (c *coder) cost(of *codes) (bits uint64) {
	for symbol, weight := range c.literalWeights {
		bits += uint64(weight) * uint64(of.literals[symbol]>>16)
	}
	for symbol, weight := range c.distanceWeights {
		bits += uint64(weight) * uint64(of.distances[symbol]>>16)
	}
	return bits
}

// end ends a block, if there is one.
func (c *coder) end() {
	if c.codes == nil {
		return
	}
	code := c.codes.literals[endOfBlock]
	c.bits.room(0)
	c.bits.add(uint64(code&0xffff), uint(code>>16))
	c.bits.flush()
}

// finish ends what is written, up to a whole byte, and returns it.
func (c *coder) finish() []byte {
	c.end()
	c.bits.room(0)
	// The last block is empty, since which one is the last is not known when it begins: its code is deflate's own, and has 7 bits for its end.
	c.bits.add(1|1<<1, 3+7)
	dst := c.bits.finish()
	c.bits = bitBuffer{}
	return dst
}

// write writes the sequences that make up the text from a position on.
func (c *coder) write(text []byte, at int, sequences []sequence) {
	for i := range sequences {
		s := &sequences[i]
		c.bits.room(int(s.literals)*mostBits/8 + 16)
		switch {
		case s.literals >= leastRun:
			c.writeRun(text, at, int(s.literals))
		case s.literals > 0:
			c.writeLiterals(text[at : at+int(s.literals)])
		}
		at += int(s.literals) + int(s.length)
		if s.length > 0 {
			c.writeReference(s.length, s.distance)
		}
	}
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
		if i/64%sampled == 0 || len(sequences) < 1000 {
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

// writeLiterals writes text as it is. There must be room for it.
func (c *coder) writeLiterals(text []byte) {
	b, codes := &c.bits, &c.codes.literals
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
	symbol := distanceCode(distance)
	code := c.codes.distances[symbol]
	count := uint(code >> 16)
	back := uint64(code&0xffff) | uint64(distance-distanceBases[symbol])<<count
	count += uint(distanceBits[symbol])
	c.bits.room(int(length)/longest*8 + 16)
	for length > 0 {
		part := min(length, longest)
		if rest := length - part; rest > 0 && rest < shortest {
			part -= shortest
		}
		length -= part
		code := c.lengths[part]
		c.bits.add(uint64(code&0xffffff), uint(code>>24))
		c.bits.add(back, count)
		c.bits.flush()
	}
}
