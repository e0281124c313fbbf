package summary

import (
	"bytes"
	"errors"
	"io"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/nodevitals/nodevitals/snapshot"
)

// What is rendered and printed pod by pod is what is printed of the whole, whatever the stream's memory served before.
func TestStreamPrintsWhatEncodeDoes(t *testing.T) {
	shown := map[string]*snapshot.Snapshot{
		"nothing": {}, "a node": kubernetesNode(true), "pods": podNode(), "many pods": manyPods(30),
	}
	for seed := range uint64(50) {
		shown["random "+string(rune('0'+seed))] = randomPods(seed)
	}
	var kept streams
	for range 2 {
		for name, s := range shown {
			for _, only := range []bool{false, true} {
				want, err := Encode(Render(s, Options{}, only))
				if err != nil {
					t.Fatal(err)
				}
				got, err := kept.append([]byte("before"), s, Options{}, only)
				if diff := cmp.Diff("before"+string(want), string(got)); err != nil || diff != "" {
					t.Fatalf("%s, only %t: %v (-whole +streamed):\n%s", name, only, err, diff)
				}
				var written bytes.Buffer
				if err := kept.write(&written, s, Options{}, only); err != nil || written.String() != string(want) {
					t.Fatalf("%s, only %t: written: %d bytes, %v; want %d", name, only, written.Len(), err, len(want))
				}
			}
		}
	}
}

// Answers of two requests at once have streams of their own.
func TestStreamsAtOnce(t *testing.T) {
	var kept streams
	s, other := podNode(), kubernetesNode(true)
	want, err := Encode(Render(s, Options{}, false))
	if err != nil {
		t.Fatal(err)
	}
	var outer bytes.Buffer
	within := writerFunc(func(piece []byte) (int, error) {
		if err := kept.write(io.Discard, other, Options{}, false); err != nil {
			t.Error(err)
		}
		return outer.Write(piece)
	})
	if err := kept.write(within, s, Options{}, false); err != nil || outer.String() != string(want) {
		t.Errorf("got %d bytes, %v; want %d", outer.Len(), err, len(want))
	}
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(piece []byte) (int, error) { return f(piece) }

// However many pods there are, the next summary is made in the memory of the last.
func TestStreamDoesNotAllocateForPods(t *testing.T) {
	var kept streams
	perSummary := func(pods int) float64 {
		s := manyPods(pods)
		make := func() {
			if err := kept.write(io.Discard, s, Options{}, false); err != nil {
				t.Error(err)
			}
		}
		make()
		return testing.AllocsPerRun(20, make)
	}
	if few, many := perSummary(2), perSummary(200); many > few || many > 40 {
		t.Errorf("got %.0f allocations for 2 pods and %.0f for 200, want no more, and those for the node alone", few, many)
	}
}

// pieces counts what it is given in one call at most, and errs after so many calls.
type pieces struct {
	bytes.Buffer
	longest, calls, most int
}

func (p *pieces) Write(piece []byte) (int, error) {
	if p.calls++; p.calls > p.most {
		return 0, errFull
	}
	p.longest = max(p.longest, len(piece))
	return p.Buffer.Write(piece)
}

// A long summary is written in pieces, and no more of it once the writer errs.
func TestWriteInPieces(t *testing.T) {
	var kept streams
	s := manyPods(300)
	want, err := Encode(Render(s, Options{}, false))
	if err != nil {
		t.Fatal(err)
	}
	whole := pieces{most: len(want)}
	if err := kept.write(&whole, s, Options{}, false); err != nil || whole.String() != string(want) {
		t.Errorf("got %d bytes, %v; want %d", whole.Len(), err, len(want))
	}
	if whole.longest > 2*pieceSize || whole.calls < len(want)/(2*pieceSize) {
		t.Errorf("got %d bytes in %d pieces of at most %d", whole.Len(), whole.calls, whole.longest)
	}
	full := pieces{most: 2}
	if err := kept.write(&full, s, Options{}, false); !errors.Is(err, errFull) || full.calls != 3 {
		t.Errorf("a writer that is full: got %v after %d calls, want its error after 3", err, full.calls)
	}
}

func BenchmarkStream(b *testing.B) {
	var kept streams
	s := manyPods(110)
	b.ReportAllocs()
	for b.Loop() {
		if err := kept.write(io.Discard, s, Options{}, false); err != nil {
			b.Fatal(err)
		}
	}
}
