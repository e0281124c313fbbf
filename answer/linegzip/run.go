package linegzip

import (
	"bytes"
	"encoding/binary"
)

const (
	// leastRun is how long a run of literals must be to be looked up, keptRuns how many are remembered; a power of two.
	leastRun, keptRuns = 16, 1 << runBits
	runBits            = 10
)

// run is where a run of literals stands in the text, and in what was written with the present code.
type run struct {
	at, length     int
	position, bits int
}

// runs remembers runs of literals by a hash. The IDs of pods and containers come again in every metric, beyond deflate's window, and copying
// the bits of one takes a third of the time of coding it.
type runs [keptRuns]run

func (r *runs) reset() { clear(r[:]) }

// writeRun writes a run of literals as it was written before, if it was. There must be room for it.
func (c *coder) writeRun(text []byte, at, length int) {
	literals := text[at : at+length]
	// The first bytes may be digits of the number before: those in the middle tell runs apart.
	h := binary.LittleEndian.Uint64(literals[length/2:]) * 0x9e3779b97f4a7c15
	r := &c.runs[h>>(64-runBits)]
	if r.length == length && bytes.Equal(literals, text[r.at:r.at+length]) {
		c.bits.repeat(r.position, r.bits)
		return
	}
	position := c.bits.position()
	c.writeLiterals(literals)
	*r = run{at: at, length: length, position: position, bits: c.bits.position() - position}
}
