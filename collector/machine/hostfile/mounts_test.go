package hostfile

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

// A text is returned once, until there is another; after an error, or when it was forgotten, it is another.
func TestMountsAreReadWhenTheyChange(t *testing.T) {
	path := filepath.Join(t.TempDir(), "mountinfo")
	m := NewMounts(path)
	defer m.Close()
	want := func(text string) {
		t.Helper()
		got, changed, err := m.Read()
		if err != nil || string(got) != text || changed != (text != "") {
			t.Errorf("got %q, changed %t, %v; want %q", got, changed, err, text)
		}
		if m.file.buffer.bytes != nil {
			t.Error("the text is kept")
		}
	}
	put := func(text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if _, changed, err := m.Read(); changed || !errors.Is(err, os.ErrNotExist) {
		t.Errorf("missing file: got changed %t, %v", changed, err)
	}
	put("first\n")
	want("first\n")
	want("")
	put("second\n")
	want("second\n")
	want("")
	m.Forget()
	want("second\n")
	m.Close()
	want("second\n")
}

// The kernel's own list takes a poll while nothing is mounted, and no text.
func TestMountsOfTheKernelArePolled(t *testing.T) {
	m := NewMounts("/proc/self/mountinfo")
	defer m.Close()
	if text, changed, err := m.Read(); err != nil || !changed || len(text) == 0 {
		t.Fatalf("got %d bytes, changed %t, %v", len(text), changed, err)
	}
	// Others may mount meanwhile.
	for range 100 {
		if _, changed, err := m.Read(); err == nil && !changed && !m.signalled() {
			return
		}
	}
	t.Error("in 100 readings the kernel told of a change each time")
}
