package exporter

import (
	"fmt"
	"path"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/nodevitals/nodevitals/snapshot"
)

// ExtraSet is a set of families that a kubelet does not have.
type ExtraSet struct {
	// Word names the set on the command line.
	Word string
	// About says in a few words what it shows.
	About string

	families []family
}

// ExtraSets is the table of additional families, in the order in which help shows them.
var ExtraSets = []ExtraSet{
	{"ephemeral-storage", "what pods, containers and volumes take of the node's disk, with their limits", ephemeralFamilies},
	{"volumes", "volumes that no claim stands behind", volumeFamilies},
	{"memory", "anonymous, file, shared and slab memory, and what cannot be reclaimed", memoryPartFamilies},
	{"oom", "kills for want of memory that outlive the container", killFamilies},
	{"resources", "requests and limits as cgroups hold them", resourceLimitFamilies},
}

// allSets is the word for every set.
const allSets = "all"

// SeriesOptions say which series /metrics/cadvisor shows. The zero value is what a kubelet has.
type SeriesOptions struct {
	// Profile is "full" or "", "kubernetes" or "minimal".
	Profile string
	// Extra are words of ExtraSets, or "all". What they add is no part of a profile and so not left out by one.
	Extra []string
	// Allow and Deny are names of families, or patterns as of [path.Match]. If there are any in Allow, only families that match one
	// are shown; those that match one in Deny are not.
	Allow, Deny []string
	// Labels says "keep" or "drop" for id, name and image: "id=drop".
	Labels []string
	// Slices is "all" or "", "top" or "none".
	Slices string
	// MaxSeries is the greatest number of series in one answer; 0 is no limit.
	MaxSeries int
}

// The parts of SeriesOptions that an OptionError names.
const (
	OptionProfile   = "Profile"
	OptionExtra     = "Extra"
	OptionAllow     = "Allow"
	OptionDeny      = "Deny"
	OptionLabels    = "Labels"
	OptionSlices    = "Slices"
	OptionMaxSeries = "MaxSeries"
)

// OptionError is a mistake in one part of SeriesOptions.
type OptionError struct {
	// Option names the part.
	Option string
	// Value is the word that is wrong, Want what would be right.
	Value, Want string
}

// Error implements error.
func (e *OptionError) Error() string {
	return fmt.Sprintf("bad value %q for %s: want %s", e.Value, e.Option, e.Want)
}

// Series is the choice of what /metrics/cadvisor shows, made once. It counts what a limit left out, as a
// [prometheus.Collector]. It is safe for concurrent use.
type Series struct {
	families []family
	// groups are those of the families.
	groups snapshot.Groups
	// ofPods tells that some families are of pods or their containers.
	ofPods  bool
	slices  SliceRows
	dropped labelSet
	// most is the greatest number of series, 0 for no limit; cutOrder, which families go first.
	most     int
	cutOrder []int

	shown atomic.Int64
	left  atomic.Uint64
}

// fullSeries is what a kubelet has.
var fullSeries = newSeries(cadvisorFamilies)

func newSeries(families []family) *Series {
	s := &Series{families: families}
	for i := range families {
		s.groups |= families[i].groups
		s.ofPods = s.ofPods || families[i].pod != nil || families[i].container != nil
	}
	return s
}

// NewSeries makes the choice. The error is an *OptionError.
func NewSeries(o SeriesOptions) (*Series, error) {
	families, err := o.chosen()
	if err != nil {
		return nil, err
	}
	s := newSeries(families)
	if s.slices, err = parseSlices(o.Slices); err != nil {
		return nil, err
	}
	if s.dropped, err = parseLabels(o.Labels); err != nil {
		return nil, err
	}
	if o.MaxSeries < 0 {
		return nil, &OptionError{OptionMaxSeries, fmt.Sprint(o.MaxSeries), "a number of series, or 0 for no limit"}
	}
	s.most, s.cutOrder = o.MaxSeries, cutOrder(families)
	return s, nil
}

// chosen returns the families that profile, sets and lists leave, sorted by name.
func (o *SeriesOptions) chosen() ([]family, error) {
	profile, err := parseProfile(o.Profile)
	if err != nil {
		return nil, err
	}
	var chosen []family
	for _, f := range cadvisorFamilies {
		if profile.rows == nil {
			chosen = append(chosen, f)
			continue
		}
		if row := profile.of(f.name); row != nil {
			if row.groups != 0 {
				f.groups = row.groups
			}
			chosen = append(chosen, f)
		}
	}
	sets, err := parseSets(o.Extra)
	if err != nil {
		return nil, err
	}
	chosen = sorted(append(sets, chosen)...)
	known := chosen
	if len(o.Allow) > 0 {
		if chosen, err = filter(chosen, known, OptionAllow, o.Allow, true); err != nil {
			return nil, err
		}
	}
	return filter(chosen, known, OptionDeny, o.Deny, false)
}

func parseProfile(word string) (*profile, error) {
	var words []string
	for i := range profiles {
		if profiles[i].word == word || word == "" {
			return &profiles[i], nil
		}
		words = append(words, profiles[i].word)
	}
	return nil, &OptionError{OptionProfile, word, oneOf(words)}
}

func parseSets(words []string) (sets [][]family, err error) {
	known := []string{allSets}
	for i := range ExtraSets {
		known = append(known, ExtraSets[i].Word)
	}
	for _, word := range words {
		if !slices.Contains(known, word) {
			return nil, &OptionError{OptionExtra, word, oneOf(known)}
		}
	}
	for i := range ExtraSets {
		if slices.Contains(words, ExtraSets[i].Word) || slices.Contains(words, allSets) {
			sets = append(sets, ExtraSets[i].families)
		}
	}
	return sets, nil
}

// setOf returns the word of the set that a family is in; "" if it is none of an additional set.
func setOf(name string) string {
	for i := range ExtraSets {
		if slices.ContainsFunc(ExtraSets[i].families, func(f family) bool { return f.name == name }) {
			return ExtraSets[i].Word
		}
	}
	return ""
}

func parseSlices(word string) (SliceRows, error) {
	if at := slices.Index(sliceWords[:], word); at >= 0 {
		return SliceRows(at), nil
	}
	if word != "" {
		return 0, &OptionError{OptionSlices, word, oneOf(sliceWords[:])}
	}
	return AllSlices, nil
}

// policies are the labels that a policy may name, in the order in which help shows them.
var policies = []struct {
	label string
	drop  labelSet
}{{"id", droppedID}, {"name", droppedName}, {"image", droppedImage}}

func parseLabels(words []string) (dropped labelSet, err error) {
	const want = "id, name or image, with =keep or =drop: id=drop"
	said := make(map[string]string)
	for _, word := range words {
		label, action, _ := strings.Cut(word, "=")
		at := slices.IndexFunc(policies, func(p struct {
			label string
			drop  labelSet
		},
		) bool {
			return p.label == label
		})
		if at < 0 || action != "keep" && action != "drop" {
			return 0, &OptionError{OptionLabels, word, want}
		}
		if before, twice := said[label]; twice && before != action {
			return 0, &OptionError{OptionLabels, word, label + " to be kept or dropped, not both"}
		}
		said[label] = action
		if action == "drop" {
			dropped |= policies[at].drop
		}
	}
	return dropped, nil
}

// filter returns the families that match one of the patterns, if keep is set, or none. A pattern must match one of the known
// families.
func filter(families, known []family, option string, patterns []string, keep bool) ([]family, error) {
	for _, pattern := range patterns {
		if err := check(pattern, known, option); err != nil {
			return nil, err
		}
	}
	left := slices.DeleteFunc(slices.Clone(families), func(f family) bool {
		return keep != slices.ContainsFunc(patterns, func(pattern string) bool { return matches(pattern, f.name) })
	})
	if len(left) == 0 {
		return nil, &OptionError{option, strings.Join(patterns, ","), "at least one family to be left"}
	}
	return left, nil
}

// matches tells whether a checked pattern matches.
func matches(pattern, name string) bool {
	ok, _ := path.Match(pattern, name)
	return ok
}

// check tells what is wrong with a pattern that matches no known family.
func check(pattern string, known []family, option string) error {
	if _, err := path.Match(pattern, ""); err != nil {
		return &OptionError{option, pattern, "a name, or a pattern with * for any characters"}
	}
	if slices.ContainsFunc(known, func(f family) bool { return matches(pattern, f.name) }) {
		return nil
	}
	if set := setOf(pattern); set != "" {
		return &OptionError{option, pattern, "a family that is shown; this one is of the additional set " + set}
	}
	if slices.ContainsFunc(cadvisorFamilies, func(f family) bool { return matches(pattern, f.name) }) {
		return &OptionError{option, pattern, "a family that is shown; the profile leaves it out"}
	}
	if strings.ContainsAny(pattern, `*?[\`) {
		return &OptionError{option, pattern, "a pattern that matches a family of /metrics/cadvisor"}
	}
	return &OptionError{option, pattern, "a family of /metrics/cadvisor, such as " + oneOf(nearest(pattern, known))}
}

// nearest returns the three names that differ least from a word.
func nearest(word string, families []family) []string {
	names := make([]string, len(families))
	distances := make(map[string]int, len(families))
	for i := range families {
		names[i] = families[i].name
		distances[names[i]] = distance(word, names[i])
	}
	slices.SortStableFunc(names, func(a, b string) int { return distances[a] - distances[b] })
	return names[:min(3, len(names))]
}

// distance counts the characters to insert, delete or replace that make one word of the other.
func distance(a, b string) int {
	above := make([]int, len(b)+1)
	for j := range above {
		above[j] = j
	}
	for i := range len(a) {
		diagonal := above[0]
		above[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = above[j+1]
			above[j+1] = min(cost, above[j]+1, above[j+1]+1)
		}
	}
	return above[len(b)]
}

func oneOf(words []string) string {
	if len(words) < 2 {
		return strings.Join(words, "")
	}
	last := len(words) - 1
	return strings.Join(words[:last], ", ") + " or " + words[last]
}
