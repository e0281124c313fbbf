package answer

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"testing"
)

// inPieces is numbered, but with text of at least so many bytes, and written in pieces for whoever compresses.
func inPieces(of uint64, size int) (a Answer, text []byte) {
	for len(text) < size {
		text = append(text, textOf(of)...)
	}
	a = numbered("/x", of)
	a.Append = func(buffer []byte) ([]byte, error) { return append(buffer, text...), nil }
	a.Write = func(to io.Writer) error {
		for rest := text; len(rest) > 0; {
			piece := rest[:min(len(rest), 60_000)]
			if _, err := to.Write(piece); err != nil {
				return err
			}
			rest = rest[len(piece):]
		}
		return nil
	}
	return a, text
}

// What is compressed while it is rendered is what is sent as it is, also once it is known to be large and another compressor takes it.
func TestPiecesMakeTheSameBody(t *testing.T) {
	for _, size := range []int{1, leastMetrics} {
		s := newStore(Options{})
		for of := range uint64(3) {
			a, text := inPieces(of+1, size)
			for _, encoding := range []string{"", "gzip", "zstd"} {
				w := serve(t, s, http.MethodGet, encoding, a)
				if got := decode(t, w); w.Code != http.StatusOK || !bytes.Equal(got, text) {
					t.Fatalf("%d bytes in %q: got %d and %d bytes", len(text), encoding, w.Code, len(got))
				}
			}
		}
		// Nothing was shared between encodings, and everything was rendered for each.
		if got := s.Stats(); got.Rendered != 9 || got.Compressed != 6 || got.Bytes != 0 {
			t.Errorf("got %+v, want 9 rendered, 6 compressed and nothing held", got)
		}
		if lines := s.compressors.metrics.Load() != nil; lines != (size >= leastMetrics) {
			t.Errorf("texts of %d bytes: compressed as large ones: %t", size, lines)
		}
	}
}

func TestFailuresOfPiecesAreAnsweredAndTriedAnew(t *testing.T) {
	for _, size := range []int{1, leastMetrics} {
		s := newStore(Options{})
		for of := range uint64(2) { // its size is known afterwards
			a, _ := inPieces(of+1, size)
			serve(t, s, http.MethodGet, "gzip", a)
		}
		for name, fail := range map[string]func(io.Writer) error{
			"500: no pods\n":               func(io.Writer) error { return errors.New("no pods") },
			"500: no pods left\n":          func(to io.Writer) error { _, _ = to.Write(textOf(7)); return errors.New("no pods left") },
			"500: internal server error\n": func(io.Writer) error { panic("lost") },
		} {
			for _, encoding := range []string{"gzip", "zstd"} {
				a, text := inPieces(9, size)
				whole := a.Write
				a.Write = fail
				if w := serve(t, s, http.MethodGet, encoding, a); w.Code != http.StatusInternalServerError || w.Body.String() != name {
					t.Errorf("in %s: got %d %q, want 500 %q", encoding, w.Code, w.Body, name)
				}
				a.Write = whole
				a.Key.Of++
				if got := decode(t, serve(t, s, http.MethodGet, encoding, a)); !bytes.Equal(got, text) {
					t.Errorf("in %s after %q: %d bytes, want the %d of the body", encoding, name, len(got), len(text))
				}
			}
		}
		if got := s.Stats(); got.Bytes != 0 || got.Readers != 0 {
			t.Errorf("%+v is held", got)
		}
	}
}
