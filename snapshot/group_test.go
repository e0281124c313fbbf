package snapshot

import "testing"

// A group with two parts has one name, one reading and one word, whichever parts a set has of it.
func TestPartsOfGroups(t *testing.T) {
	for word, want := range map[string]Groups{"cpu": CPUUse | CPUDetail, "memory": MemoryUse | MemoryDetail, "io": IO, "core": Core} {
		if got, err := ParseGroups([]string{word}); got != want || err != nil {
			t.Errorf("ParseGroups(%q): got %b, %v, want %b", word, got, err, want)
		}
	}
	for _, set := range []Groups{CPUUse | Memory, CPU | MemoryUse, CPUDetail | MemoryDetail, CPU | Memory} {
		if got, want := set.String(), "cpu,memory"; got != want {
			t.Errorf("%b: got %q, want %q", set, got, want)
		}
	}
	if !CPU.Has(CPUUse) || CPUUse.Has(CPU) {
		t.Error("the whole must have the part, and the part must not have the whole")
	}
	// Every bit of All belongs to one group of the names, or says of which cgroups they are.
	var seen Groups
	for i, one := range whole {
		if seen&one != 0 {
			t.Errorf("group %s shares a bit with another", groupNames[i])
		}
		seen |= one
	}
	if seen|Everywhere != All || seen&Everywhere != 0 {
		t.Errorf("named groups: got %b, want all but %b: %b", seen, Everywhere, All)
	}
}
