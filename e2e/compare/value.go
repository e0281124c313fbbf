package compare

import (
	"fmt"
	"maps"
	"math"
	"slices"
)

// Compared is what came of holding figures against the kubelet's.
type Compared struct {
	// Held is how many figures had samples of the kubelet's on both sides and lay between.
	Held int
	// Differences are those that did not.
	Differences []Difference
	// Unbounded are paths of which the kubelet had no sample older than ours, or none newer yet.
	Unbounded []string
}

// Values holds each figure of ours against the kubelet's, whose answers come in the order in which they were given. What only one
// side has is the matter of [Paths].
func Values(kubelet []Document, ours Document, rules Rules) Compared {
	var result Compared
	for _, path := range slices.Sorted(maps.Keys(ours)) {
		figure := ours[path]
		rule := rules.of(path)
		if rule.Kind == Ignored {
			continue
		}
		around := window(kubelet, path, figure, rule)
		if len(around.figures) == 0 {
			continue
		}
		if figure.Text != "" {
			// What began anew was seen with both texts.
			if texts := around.texts(); rule.Kind == Constant && !slices.Contains(texts, figure.Text) {
				result.Differences = append(result.Differences, Difference{
					Path: path, What: Other, Text: figure.Text, Texts: texts, Said: fmt.Sprintf("%q, want %q", figure.Text, texts),
				})
			} else {
				result.Held++
			}
			continue
		}
		if !around.bounded {
			result.Unbounded = append(result.Unbounded, path)
			continue
		}
		low, high := around.span(rule)
		if figure.Number < low || figure.Number > high {
			result.Differences = append(result.Differences, Difference{
				Path: path, What: Outside, Zero: around.zero(), Ours: figure.Number, Low: low, High: high, Asked: around.asked(),
				Said: fmt.Sprintf("%v, want between %v and %v: %s, kubelet %v", figure.Number, low, high, rule.Kind, around.numbers()),
			})
			continue
		}
		result.Held++
	}
	return result
}

// surroundings are the kubelet's figures from the newest before ours to the oldest after it.
type surroundings struct {
	figures []Figure
	bounded bool
}

func window(kubelet []Document, path string, ours Figure, rule Rule) surroundings {
	var all []Figure
	for _, document := range kubelet {
		if figure, ok := document[path]; ok {
			all = append(all, figure)
		}
	}
	if rule.Kind != Counter {
		// What goes up and down is seen at moments only, whichever: ours is held against all of them. Some have no time of their own, and
		// the figures of some volumes are measured once, so that nothing newer ever comes.
		if len(all) > 0 && all[0].Since != all[len(all)-1].Since && rule.Kind == Gauge {
			return surroundings{} // it began anew in between
		}
		return surroundings{figures: all, bounded: true}
	}
	// The clock of the kubelet's samples and of ours is the same machine's.
	first, last := -1, -1
	for i, figure := range all {
		if figure.Taken.Before(ours.Taken) {
			first = i
		}
		if last < 0 && ours.Taken.Before(figure.Taken) {
			last = i
		}
	}
	if first < 0 || last < 0 {
		return surroundings{figures: all}
	}
	if all[first].Since != all[last].Since {
		return surroundings{} // it began anew in between
	}
	// One that went back is not one counter, such as a kubelet's that changes its unit from one answer to the next: it bounds nothing.
	return surroundings{figures: all[first : last+1], bounded: all[first].Number <= all[last].Number}
}

// span is where ours may be.
func (s surroundings) span(rule Rule) (low, high float64) {
	low, high = math.Inf(1), math.Inf(-1)
	for _, figure := range s.figures {
		low, high = min(low, figure.Number), max(high, figure.Number)
	}
	return low - rule.Absolute - math.Abs(low)*rule.Relative, high + rule.Absolute + math.Abs(high)*rule.Relative
}

func (s surroundings) numbers() []float64 {
	var numbers []float64
	for _, figure := range s.figures {
		numbers = append(numbers, figure.Number)
	}
	return slices.Compact(numbers)
}

func (s surroundings) texts() []string {
	var texts []string
	for _, figure := range s.figures {
		texts = append(texts, figure.Text)
	}
	return slices.Compact(texts)
}

func (s surroundings) asked() bool {
	return !slices.ContainsFunc(s.figures, func(figure Figure) bool { return !figure.Asked })
}

func (s surroundings) zero() bool {
	return !slices.ContainsFunc(s.figures, func(figure Figure) bool { return figure.Number != 0 })
}

// Waiting returns the counters of ours that have no newer sample in the kubelet's last answer yet, though it still has them. A sample is
// taken whole, so that the gauges beside them are newer by then as well.
func Waiting(kubelet, ours Document, rules Rules) []string {
	return together(kubelet, ours, rules, func(theirs, ours Moment) bool { return !ours.Before(theirs) })
}

// Early returns the counters of ours that are not newer than the kubelet's.
func Early(kubelet, ours Document, rules Rules) []string {
	return together(kubelet, ours, rules, func(theirs, ours Moment) bool { return !theirs.Before(ours) })
}

func together(kubelet, ours Document, rules Rules, is func(theirs, ours Moment) bool) []string {
	var paths []string
	for _, path := range slices.Sorted(maps.Keys(ours)) {
		theirs, ok := kubelet[path]
		// A container that began anew since is another.
		if ok && rules.of(path).Kind == Counter && theirs.Since == ours[path].Since && is(theirs.Taken, ours[path].Taken) {
			paths = append(paths, path)
		}
	}
	return paths
}
