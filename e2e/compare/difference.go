package compare

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// What is wrong with a path.
type What string

// The ways in which two answers differ.
const (
	// Missing is what the kubelet has and we lack, Extra the reverse.
	Missing What = "missing"
	Extra   What = "extra"
	// Outside is a figure that cannot be true at its moment.
	Outside What = "outside"
	// Other is a text or a description that is not the kubelet's.
	Other What = "other"
)

// Difference is one, and why it may be, if it may.
type Difference struct {
	Path string
	What What
	// Said tells both sides.
	Said string
	// Text is our text, and Texts are the kubelet's that it is none of.
	Text  string
	Texts []string
	// Zero says that the kubelet's figure was 0 all along.
	Zero bool
	// Theirs is the kubelet's first figure of what is missing.
	Theirs float64
	// Ours is our figure that is outside of where the kubelet's say that it is, from Low to High. Asked says that these were all sampled for
	// the answers that they came with.
	Ours, Low, High float64
	Asked           bool
	// Excuse is the name of the deviation that accounts for it, or empty.
	Excuse string
}

// String is one line for a test's failure.
func (d Difference) String() string {
	text := fmt.Sprintf("%-7s %s", d.What, d.Path)
	if d.Said != "" {
		text += ": " + d.Said
	}
	if d.Excuse != "" {
		text += " (" + d.Excuse + ")"
	}
	return text
}

// Paths tells what only one side has. Of the kubelet's answers, which come in the order in which they were given, the first and the last must
// have what we are to have, of one start: the rest came or went. What we have may be in any.
func Paths(kubelet []Document, ours Document) []Difference {
	var differences []Difference
	first, last := kubelet[0], kubelet[len(kubelet)-1]
	for _, path := range slices.Sorted(maps.Keys(first)) {
		was := first[path]
		is, stays := last[path]
		if _, ok := ours[path]; ok || !stays || was.Since != is.Since {
			continue
		}
		differences = append(differences, Difference{
			Path: path, What: Missing, Zero: was.Text == "" && was.Number == 0 && is.Number == 0, Theirs: was.Number,
		})
	}
	for _, path := range slices.Sorted(maps.Keys(ours)) {
		if !slices.ContainsFunc(kubelet, func(d Document) bool { _, ok := d[path]; return ok }) {
			differences = append(differences, Difference{Path: path, What: Extra})
		}
	}
	return differences
}

// Unexcused returns those that no deviation accounts for.
func Unexcused(differences []Difference) []Difference {
	return slices.DeleteFunc(slices.Clone(differences), func(d Difference) bool { return d.Excuse != "" })
}

// Met tells of each deviation that accounted for a difference how often it did, and for which figures.
func Met(differences []Difference) []string {
	figures, counts := map[string]map[string]bool{}, map[string]int{}
	for _, d := range differences {
		if d.Excuse == "" {
			continue
		}
		if figures[d.Excuse] == nil {
			figures[d.Excuse] = map[string]bool{}
		}
		figures[d.Excuse][figureOf(d.Path)] = true
		counts[d.Excuse]++
	}
	var lines []string
	for _, name := range slices.Sorted(maps.Keys(figures)) {
		lines = append(lines, fmt.Sprintf("%s %d times: %s", name, counts[name], strings.Join(slices.Sorted(maps.Keys(figures[name])), ", ")))
	}
	return lines
}

// figureOf is a path without whose figure it is: a metric's family, or what stands after the last element of a list.
func figureOf(path string) string {
	if family, _, ok := strings.Cut(path, "{"); ok {
		return family
	}
	return path[strings.LastIndexByte(path, ']')+1:]
}
