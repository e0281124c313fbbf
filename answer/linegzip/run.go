package linegzip

import (
	"bytes"
	"encoding/binary"
)

const (
	// leastRun and mostRun are how long a run of literals must and may be to be remembered, keptRuns how many are; a power of two.
	leastRun, mostRun = 16, 1<<16/mostBits - 1
	keptRuns          = 1 << runBits
	runBits           = 11
)

// run is where a run of literals last stood in the text, and where in what was written with the present code.
type run struct {
	position     int
	at           int32
	length, bits uint16
}

// forgotten is the position of what stood in text that is forgotten.
const forgotten = -1

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
	if int(r.length) == length && r.at > forgotten && bytes.Equal(literals, text[r.at:int(r.at)+length]) {
		r.at = int32(at)
		c.bits.repeat(r.position, int(r.bits))
		return
	}
	position := c.bits.position()
	c.writeLiterals(literals)
	if length <= mostRun {
		*r = run{position: position, at: int32(at), length: uint16(length), bits: uint16(c.bits.position() - position)}
	}
}
