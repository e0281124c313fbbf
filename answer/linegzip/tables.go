package linegzip

import "math/bits"

// lengthCode is how deflate writes the length of a reference: a symbol and extra bits.
type lengthCode struct {
	symbol uint16
	extra  uint8
	bits   uint8
}

var (
	// lengthCodes are those of each length, from 3 to 258.
	lengthCodes = lengthTable()
	// distanceBases and distanceBits are the shortest distance of each symbol, and how many extra bits say how much more it is.
	distanceBases, distanceBits = distanceTable()
)

// lengthTable is section 3.2.5 of RFC 1951: symbols 257 to 264 have no extra bits, then every four symbols have one more, and the last
// stands for 258 alone.
func lengthTable() (table [longest + 1]lengthCode) {
	length := shortest
	for symbol := 257; symbol < 285; symbol++ {
		extra := max(0, (symbol-261)/4)
		for more := 0; more < 1<<extra && length < longest; more++ {
			table[length] = lengthCode{uint16(symbol), uint8(more), uint8(extra)}
			length++
		}
	}
	table[longest] = lengthCode{symbol: 285}
	return table
}

// distanceTable is from the same section: symbols 0 to 3 have no extra bits, then every two have one more.
func distanceTable() (bases [distanceSymbols]uint32, extras [distanceSymbols]uint8) {
	base := uint32(1)
	for symbol := range bases {
		extra := max(0, symbol/2-1)
		bases[symbol], extras[symbol] = base, uint8(extra)
		base += 1 << extra
	}
	return bases, extras
}

// distanceCode returns the symbol of a distance from 1 to 32768.
func distanceCode(distance uint32) int {
	if distance <= 4 {
		return int(distance) - 1
	}
	top := bits.Len32(distance-1) - 1
	return 2*top + int((distance-1)>>(top-1)&1)
}

// lengthOrder is the order in which the lengths of the code of code lengths stand.
var lengthOrder = [...]int{16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15}

// repeat is the symbol for three to six more of the last length.
const repeat = 16

// head writes the codes themselves, section 3.2.7 of RFC 1951.
func (c *coder) head() {
	var lengths [literalSymbols + distanceSymbols]byte
	for i, code := range c.codes.literals {
		lengths[i] = byte(code >> 16)
	}
	for i, code := range c.codes.distances {
		lengths[literalSymbols+i] = byte(code >> 16)
	}
	var weights [len(lengthOrder)]uint32
	for i := range weights {
		weights[i] = 1
	}
	eachRun(lengths[:], func(symbol, _ int) { weights[symbol]++ })
	var code [len(lengthOrder)]uint32
	c.builder.build(code[:], weights[:], 7)
	c.bits.add(literalSymbols-257, 5)
	c.bits.add(distanceSymbols-1, 5)
	c.bits.add(uint64(len(lengthOrder)-4), 4)
	c.bits.flush()
	for _, symbol := range lengthOrder {
		c.bits.add(uint64(code[symbol]>>16), 3)
		c.bits.flush()
	}
	eachRun(lengths[:], func(symbol, more int) {
		c.bits.add(uint64(code[symbol]&0xffff), uint(code[symbol]>>16))
		if symbol == repeat {
			c.bits.add(uint64(more-3), 2)
		}
		c.bits.flush()
	})
}

// eachRun calls f for each symbol that lengths are written with: a length, or a repetition of the last one.
func eachRun(lengths []byte, f func(symbol, more int)) {
	for i := 0; i < len(lengths); {
		same := 1
		for i+same < len(lengths) && lengths[i+same] == lengths[i] {
			same++
		}
		f(int(lengths[i]), 0)
		for left := same - 1; left > 0; {
			more := min(left, 6)
			if more < 3 {
				f(int(lengths[i]), 0)
				left--
				continue
			}
			f(repeat, more)
			left -= more
		}
		i += same
	}
}
