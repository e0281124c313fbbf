package hostfile

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

func TestReadSeesNewText(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	long := strings.Repeat("0123456789abcdef", 1000)
	f := New(path)
	defer f.Close()
	if _, err := f.Read(); !errors.Is(err, os.ErrNotExist) {
		t.Fatalf("missing file: got %v, want ErrNotExist", err)
	}
	for _, want := range []string{"first\n", long, "", "short\n"} {
		if err := os.WriteFile(path, []byte(want), 0o600); err != nil {
			t.Fatal(err)
		}
		got, err := f.Read()
		if err != nil || string(got) != want {
			t.Fatalf("got %d bytes, %v; want the %d written", len(got), err, len(want))
		}
	}
}

// The end of a file of short lines is told by the length of what was read: of what the kernel prints by lines the largest is compared.
func TestShortLinesAreReadToTheEnd(t *testing.T) {
	var shared Buffer
	for _, path := range []string{"/proc/kallsyms", "/proc/net/dev", "/proc/self/status"} {
		t.Run(filepath.Base(path), func(t *testing.T) {
			f := NewOfShortLines(path, &shared)
			defer f.Close()
			for range 2 {
				want, err := os.ReadFile(path)
				if err != nil {
					t.Skipf("cannot be compared: %v", err)
				}
				// Figures change meanwhile; lines do not.
				if got, err := f.Read(); err != nil || bytes.Count(got, []byte("\n")) != bytes.Count(want, []byte("\n")) {
					t.Errorf("read %d bytes, %v; want %d", len(got), err, len(want))
				}
			}
		})
	}
}

// A process that ends takes its files with it, while another may get its number: the path then counts, not the descriptor.
func TestReadOpensAnewAfterAnError(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "file")
	if err := os.WriteFile(path, []byte("new"), 0o600); err != nil {
		t.Fatal(err)
	}
	f := New(path)
	defer f.Close()
	fd, err := open(dir) // a folder: pread gives EISDIR, as a dead descriptor gives ENODEV
	if err != nil {
		t.Fatal(err)
	}
	f.fd = fd
	got, err := f.Read()
	if err != nil || string(got) != "new" {
		t.Fatalf("got %q, %v; want the file's text", got, err)
	}
}

func TestFailedReadsLeaveNoDescriptors(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "file")
	if err := os.WriteFile(path, []byte("new"), 0o600); err != nil {
		t.Fatal(err)
	}
	before := descriptors(t)
	for range 100 {
		f := New(path)
		fd, err := open(dir)
		if err != nil {
			t.Fatal(err)
		}
		f.fd = fd
		_, _ = f.Read()
		f.Close()
		folder := New(dir)
		if _, err := folder.Read(); err == nil {
			t.Fatal("got no error for a folder")
		}
	}
	if after := descriptors(t); after > before+50 {
		t.Errorf("got %d descriptors after 200 failures, had %d", after, before)
	}
}

func descriptors(t *testing.T) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Skip(err)
	}
	return len(entries)
}

// readsAsOf requires that a reading is what the file holds. Whoever loads a module meanwhile changes these files: then once more.
func readsAsOf(t *testing.T, f *File, path string) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); ; {
		before, beforeErr := os.ReadFile(path)
		got, err := f.Read()
		after, afterErr := os.ReadFile(path)
		if err := errors.Join(beforeErr, err, afterErr); err != nil {
			t.Fatal(err)
		}
		if bytes.Equal(before, after) {
			if !bytes.Equal(got, before) {
				t.Errorf("%s: got %d bytes, want the %d that it has before and after", path, len(got), len(before))
			}
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s has changed with every reading for a minute: %d bytes, then %d", path, len(before), len(after))
		}
	}
}

// The kernel hands such files out page by page.
func TestReadWholeOfManyPages(t *testing.T) {
	for _, path := range []string{"/proc/crypto", "/proc/kallsyms"} {
		want, err := os.ReadFile(path)
		if err != nil || len(want) < 3*4096 {
			continue
		}
		f := New(path)
		defer f.Close()
		for range 3 {
			readsAsOf(t, f, path)
		}
		return
	}
	t.Skip("no long file here")
}

func TestSteadyReadAllocatesNothing(t *testing.T) {
	f := New("/proc/self/stat")
	defer f.Close()
	if _, err := f.Read(); err != nil {
		t.Skip(err)
	}
	if n := testing.AllocsPerRun(100, func() { _, _ = f.Read() }); n != 0 {
		t.Errorf("got %v allocations a reading, want 0", n)
	}
}

func TestUint(t *testing.T) {
	for _, test := range []struct {
		word string
		want uint64
		ok   bool
	}{
		{"0", 0, true},
		{"18446744073709551615", ^uint64(0), true},
		{"18446744073709551616", 0, false},
		{"99999999999999999999999", 0, false},
		{"", 0, false},
		{"-1", 0, false},
		{"+1", 0, false},
		{"1x", 0, false},
		{" 1", 0, false},
	} {
		if got, ok := Uint([]byte(test.word)); got != test.want && ok || ok != test.ok {
			t.Errorf("%q: got %d, %v; want %d, %v", test.word, got, ok, test.want, test.ok)
		}
	}
}

func FuzzUint(f *testing.F) {
	f.Add("123")
	f.Add("18446744073709551616")
	f.Fuzz(func(t *testing.T, word string) {
		got, ok := Uint([]byte(word))
		want, err := strconv.ParseUint(word, 10, 64)
		if ok != (err == nil) || ok && got != want {
			t.Errorf("%q: got %d, %v; strconv says %d, %v", word, got, ok, want, err)
		}
	})
}

func FuzzWords(f *testing.F) {
	f.Add("a b\tc\n\n d")
	f.Fuzz(func(t *testing.T, text string) {
		var words []string
		for rest := []byte(text); len(rest) > 0; {
			var line, word []byte
			line, rest = Line(rest)
			for len(line) > 0 {
				if word, line = Word(line); len(word) > 0 {
					words = append(words, string(word))
				}
			}
		}
		want := strings.FieldsFunc(text, func(r rune) bool { return r == ' ' || r == '\t' || r == '\n' })
		if strings.Join(words, "|") != strings.Join(want, "|") {
			t.Errorf("%q: got %q, want %q", text, words, want)
		}
	})
}
