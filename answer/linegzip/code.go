package linegzip

import (
	"math/bits"
	"slices"
)

// mostBits is the greatest length of a code. Deflate allows 15; with 14, four codes fit into the bit buffer between two writes.
const mostBits = 14

// prefixCode is a canonical Huffman code: for each symbol its bits, reversed as deflate has them, and above the lowest 16 bits their number.
type prefixCode []uint32

// builder makes codes.
type builder struct {
	// order has the symbols by rising weight: weight<<16 | symbol.
	order []uint64
	nodes []node
}

// node is of a Huffman tree.
type node struct {
	weight uint64
	parent int
}

// build makes the code of symbols with such weights, none of which is 0, of at most so many bits. There are two symbols at least.
func (b *builder) build(code prefixCode, weights []uint32, most int) {
	b.order = b.order[:0]
	for symbol, weight := range weights {
		b.order = append(b.order, uint64(weight)<<16|uint64(symbol))
	}
	slices.Sort(b.order)
	var counts [33]int
	b.depths(&counts)
	limit(&counts, most)
	// The rarest symbols get the longest codes.
	at := 0
	for length := len(counts) - 1; length > 0; length-- {
		for range counts[length] {
			code[b.order[at]&0xffff] = uint32(length) << 16
			at++
		}
	}
	var next [33]uint32
	for length := 1; length < most; length++ {
		next[length+1] = (next[length] + uint32(counts[length])) << 1
	}
	for symbol := range weights {
		length := code[symbol] >> 16
		code[symbol] |= bits.Reverse32(next[length]) >> (32 - length)
		next[length]++
	}
}

// depths counts the leaves of the Huffman tree of b.order at each depth.
func (b *builder) depths(counts *[33]int) {
	leaves := len(b.order)
	b.nodes = b.nodes[:0]
	for _, one := range b.order {
		b.nodes = append(b.nodes, node{weight: one >> 16})
	}
	// Leaves come by rising weight, and so do the nodes that join them.
	leaf, inner := 0, leaves
	lightest := func() (at int) {
		if leaf < leaves && (inner >= len(b.nodes) || b.nodes[leaf].weight <= b.nodes[inner].weight) {
			leaf++
			return leaf - 1
		}
		inner++
		return inner - 1
	}
	for range leaves - 1 {
		one := lightest()
		two := lightest()
		b.nodes[one].parent, b.nodes[two].parent = len(b.nodes), len(b.nodes)
		b.nodes = append(b.nodes, node{weight: b.nodes[one].weight + b.nodes[two].weight})
	}
	// From the root down, a weight gives way to a depth.
	root := len(b.nodes) - 1
	b.nodes[root].weight = 0
	for at := root - 1; at >= 0; at-- {
		depth := b.nodes[b.nodes[at].parent].weight + 1
		b.nodes[at].weight = depth
		if at < leaves {
			counts[min(depth, 32)]++
		}
	}
}

// limit shortens codes that are longer than allowed, at the cost of shorter ones, until the code is complete again.
func limit(counts *[33]int, most int) {
	for length := most + 1; length < len(counts); length++ {
		counts[most] += counts[length]
		counts[length] = 0
	}
	total := 0
	for length := 1; length <= most; length++ {
		total += counts[length] << (most - length)
	}
	for ; total > 1<<most; total-- {
		length := most - 1
		for counts[length] == 0 {
			length--
		}
		counts[length]--
		counts[length+1] += 2
		counts[most]--
	}
}
