package linegzip

import (
	"bytes"
	"compress/flate"
	"io"
	"math/bits"
	"math/rand/v2"
	"slices"
	"testing"
)

// inflated is what the standard library makes of a coder's sequences.
func inflated(t *testing.T, parts ...part) []byte {
	t.Helper()
	var c coder
	c.reset(nil)
	var text []byte
	for _, p := range parts {
		text = append(text, p.text...)
	}
	at := 0
	for _, p := range parts {
		c.begin(text, at, p.sequences)
		c.write(text, at, p.sequences)
		at += len(p.text)
	}
	back, err := io.ReadAll(flate.NewReader(bytes.NewReader(c.finish())))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(back, text) {
		t.Fatalf("%d bytes came back of %d; the first that differs is %d", len(back), len(text), differs(back, text))
	}
	return back
}

// part is text, and what it consists of.
type part struct {
	text      []byte
	sequences []sequence
}

func (p *part) literals(text ...byte) {
	p.text = append(p.text, text...)
	p.sequences = append(p.sequences, sequence{literals: uint32(len(text))})
}

func (p *part) reference(length, distance int) {
	for range length {
		p.text = append(p.text, p.text[len(p.text)-distance])
	}
	last := &p.sequences[len(p.sequences)-1]
	if last.length > 0 {
		p.sequences = append(p.sequences, sequence{})
		last = &p.sequences[len(p.sequences)-1]
	}
	last.length, last.distance = uint32(length), uint32(distance)
}

// everySymbol uses each byte, each length up to far above the longest code, and the first, the last and a middle distance of each code.
func everySymbol() (p part) {
	for one := range 256 {
		p.literals(byte(one))
	}
	random := rand.New(rand.NewPCG(1, 2))
	noise := make([]byte, window)
	for i := range noise {
		noise[i] = byte(random.Uint32())
	}
	p.literals(noise...)
	for length := shortest; length < 3*longest; length++ {
		p.reference(length, length)
	}
	for symbol := range distanceSymbols {
		first := int(distanceBases[symbol])
		last := first + 1<<distanceBits[symbol] - 1
		for _, distance := range []int{first, (first + last) / 2, last} {
			p.reference(shortest, distance)
			p.literals(noise[:random.IntN(100)]...)
			p.reference(longest, distance)
		}
	}
	return p
}

func TestEverySymbol(t *testing.T) {
	p := everySymbol()
	inflated(t, p)
	var literals [literalSymbols]bool
	var distances [distanceSymbols]bool
	literals[endOfBlock] = true
	for _, one := range p.text {
		literals[one] = true
	}
	for _, s := range p.sequences {
		if s.length > 0 {
			literals[lengthCodes[min(s.length, longest)].symbol] = true
			distances[distanceCode(s.distance)] = true
		}
	}
	if at := slices.Index(literals[:], false); at >= 0 {
		t.Errorf("symbol %d is not tested", at)
	}
	if at := slices.Index(distances[:], false); at >= 0 {
		t.Errorf("distance symbol %d is not tested", at)
	}
}

// Blocks have codes of their own, and a run of literals that comes again in another block has other bits there.
func TestBlocksWithCodesOfTheirOwn(t *testing.T) {
	run := []byte("0123456789abcdef0123456789abcdef")
	var digits, letters part
	for range 1000 {
		digits.literals(run...)
		digits.literals([]byte("0123456789")...)
		letters.literals([]byte("abcdefghij")...)
		letters.literals(run...)
	}
	inflated(t, digits, letters, letters, digits, everySymbol(), digits, part{}, letters)
}

// A run of literals that comes again at once is copied from bits of which some were not in whole bytes yet, while the buffer grows.
func TestRunsInAGrowingBuffer(t *testing.T) {
	var p part
	text := bytes.Repeat([]byte("0123456789abcdef,;:."), 20)
	for length := leastRun; length < len(text); length++ {
		for range 3 {
			p.literals(text[:length]...)
		}
		// Of the most frequent symbol all bits are copied at once.
		for range 30 {
			p.literals(bytes.Repeat([]byte("a"), leastRun+length%8)...)
		}
	}
	for room := range 100 {
		var c coder
		c.reset(make([]byte, 0, room))
		c.begin(p.text, 0, p.sequences)
		c.write(p.text, 0, p.sequences)
		if back, err := io.ReadAll(flate.NewReader(bytes.NewReader(c.finish()))); err != nil || !bytes.Equal(back, p.text) {
			t.Fatalf("with room for %d bytes at first: %d bytes came back of %d, error %v", room, len(back), len(p.text), err)
		}
	}
}

func TestDistanceCodes(t *testing.T) {
	for distance := uint32(1); distance <= window; distance++ {
		symbol := distanceCode(distance)
		if base := distanceBases[symbol]; distance < base || distance >= base+1<<distanceBits[symbol] {
			t.Fatalf("distance %d has symbol %d, which begins at %d and has %d bits", distance, symbol, base, distanceBits[symbol])
		}
	}
}

// A code is complete (every sequence of bits means something), no longer than allowed, and rarer symbols have no shorter ones.
func TestHuffmanCodes(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	weights := map[string]func(i int) uint32{
		"equal":       func(int) uint32 { return 1 },
		"one is most": func(i int) uint32 { return 1 + uint32(i/285)*4_000_000_000 },
		"powers of 2": func(i int) uint32 { return 1 << (i % 32) },
		"random":      func(int) uint32 { return 1 + random.Uint32()>>random.UintN(32) },
		"squares":     func(i int) uint32 { return uint32(i*i + 1) },
		// The deepest tree there is.
		"Fibonacci": func(i int) uint32 {
			one, two := uint32(1), uint32(1)
			for range i % 46 {
				one, two = two, one+two
			}
			return one
		},
	}
	var b builder
	for name, weight := range weights {
		for _, symbols := range []int{2, 3, len(lengthOrder), distanceSymbols, literalSymbols} {
			for _, most := range []int{7, mostBits} {
				if symbols > 1<<most {
					continue
				}
				all := make([]uint32, symbols)
				for i := range all {
					all[i] = weight(i)
				}
				code := make(prefixCode, symbols)
				b.build(code, all, most)
				checkCode(t, name, code, all, most)
			}
		}
	}
}

func checkCode(t *testing.T, name string, code prefixCode, weights []uint32, most int) {
	t.Helper()
	meant := make([]int, 1<<most)
	for symbol, one := range code {
		length := int(one >> 16)
		if length < 1 || length > most {
			t.Fatalf("%s: the code of symbol %d of %d has %d bits, want 1 to %d", name, symbol, len(code), length, most)
		}
		first := int(bits.Reverse32(one&0xffff)>>(32-length)) << (most - length)
		for at := range 1 << (most - length) {
			meant[first+at]++
		}
		for other, weight := range weights {
			if weight < weights[symbol] && int(code[other]>>16) < length {
				t.Fatalf("%s: symbol %d of weight %d has %d bits, symbol %d of weight %d has %d", name, symbol, weights[symbol], length, other, weight, code[other]>>16)
			}
		}
	}
	for at, count := range meant {
		if count != 1 {
			t.Fatalf("%s: the bits %0*b begin the codes of %d symbols of %d, want 1", name, most, at, count, len(code))
		}
	}
}
