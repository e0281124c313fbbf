package process

import (
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/nodevitals/nodevitals/snapshot"
)

func TestParseOpenFiles(t *testing.T) {
	recorded, err := os.ReadFile("testdata/linux-6.18.44/proc/1/limits")
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name, text string
		want       uint64
		ok         bool
	}{
		{"recorded", string(recorded), 32768, true},
		{"unlimited", "Max open files            unlimited            unlimited            files     \n", snapshot.Unlimited, true},
		{"minus one", "Max open files            -1            -1            files     \n", snapshot.Unlimited, true},
		{"no unit", "Max open files 1024 4096", 1024, true},
		{"no hard limit", "Max open files 1024\n", 0, false},
		{"no number", "Max open files x 4096 files\n", 0, false},
		{"other lines are not looked at", "Max bananas many\nMax open files 7 8 files\n", 7, true},
		{"none", "Max cpu time unlimited unlimited seconds\n", 0, false},
		{"empty", "", 0, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got, ok := parseOpenFiles([]byte(test.text)); got != test.want || ok != test.ok {
				t.Errorf("got %d, %v; want %d, %v", got, ok, test.want, test.ok)
			}
		})
	}
}

func TestParsePids(t *testing.T) {
	for _, test := range []struct {
		name, text string
		want       []int
	}{
		{"plain", "22\n1223\n", []int{22, 1223}},
		{"no newline", "22\n1223", []int{22, 1223}},
		{"foreign", "0\n0\n5\n", []int{0, 0, 5}},
		{"malformed", "x\n\n-3\n99999999999\n5\n", []int{5}},
		{"empty", "", nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := parsePids(nil, []byte(test.text)); !slices.Equal(got, test.want) {
				t.Errorf("got %v, want %v", got, test.want)
			}
		})
	}
}

func TestEachEntryOfMalformedText(t *testing.T) {
	for _, length := range []byte{0, 1, 19, 24, 255} {
		entry := make([]byte, 24)
		entry[16] = length
		entry[19] = 'x'
		count := 0
		eachEntry(entry, func([]byte) { count++ })
		if want := map[bool]int{true: 1}[length == 24]; count != want {
			t.Errorf("length %d: got %d entries, want %d", length, count, want)
		}
	}
}

func FuzzParseOpenFiles(f *testing.F) {
	f.Add("Max open files            32768                32768                files     \n")
	f.Fuzz(func(t *testing.T, text string) {
		if _, ok := parseOpenFiles([]byte(text)); ok && !strings.Contains(text, "Max open files") {
			t.Errorf("%q: a limit from nowhere", text)
		}
	})
}

func FuzzParsePids(f *testing.F) {
	f.Add("1\n22\n")
	f.Fuzz(func(t *testing.T, text string) {
		for _, pid := range parsePids(nil, []byte(text)) {
			if pid < 0 {
				t.Errorf("%q: got %d", text, pid)
			}
		}
	})
}

func FuzzEachEntry(f *testing.F) {
	f.Add([]byte("0123456789abcdef\x18\x00\x08name\x00"))
	f.Fuzz(func(_ *testing.T, entries []byte) {
		eachEntry(entries, func(name []byte) {
			if len(name) < 2 || name[len(name)-1] != 0 {
				panic("a name without its end")
			}
		})
	})
}
