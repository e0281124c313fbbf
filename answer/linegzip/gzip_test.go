package linegzip

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	klauspost "github.com/klauspost/compress/gzip"
)

// comesBack fails the test unless the standard library makes the text of what the writer makes of it, and returns that.
func comesBack(tb testing.TB, w *Writer, text []byte) []byte {
	tb.Helper()
	zipped := w.Append(nil, text)
	reader, err := gzip.NewReader(bytes.NewReader(zipped))
	if err != nil {
		tb.Fatal(err)
	}
	back, err := io.ReadAll(reader)
	if err != nil || !bytes.Equal(back, text) {
		tb.Fatalf("%d bytes came back of %d, from %d, error %v; the first that differs is %d", len(back), len(text), len(zipped), err, differs(back, text))
	}
	return zipped
}

// differs returns where two texts differ first.
func differs(one, other []byte) int {
	for i := range min(len(one), len(other)) {
		if one[i] != other[i] {
			return i
		}
	}
	return min(len(one), len(other))
}

func TestMetricsComeBack(t *testing.T) {
	var w Writer
	for name, s := range shapes {
		t.Run(name, func(t *testing.T) {
			text := s.text()
			zipped := comesBack(t, &w, text)
			t.Logf("%d bytes of %d", len(zipped), len(text))
		})
	}
}

// hardTexts are what no metrics are like, by name.
func hardTexts() map[string][]byte {
	random := rand.New(rand.NewPCG(3, 4))
	noise := make([]byte, 300<<10)
	for i := range noise {
		noise[i] = byte(random.Uint32())
	}
	line := `name{a="0123456789abcdef",b="fedcba9876543210"} 1` + "\n"
	// The second line's labels are the first one's and its value, which is another one in the next family.
	within := func(name, value string) string {
		return name + `{a="0123456789abcdef"} ` + value + "\n" + name + `{a="0123456789abcdef"} 123456",b="c"} 5` + "\n"
	}
	far := strings.Repeat("another 1\n", window/8)
	// The second line's labels end where the first one's go on: what is left of them is too short to be referred to.
	shorter := func(name, before string) string {
		return name + `{a="0123456789abcdef",b="` + before + `"} 5` + "\n" + name + `{a="0123456789abcdef"} ` + name + "\n"
	}
	// What agrees behind the difference is the space at the labels' end, and a value that is another one in the next family.
	bare := func(name, one, two string) string {
		return name + `{a="0123456789abcdef",b1} ` + one + "\n" + name + `{a="0123456789abcdef",b2} ` + two + "\n"
	}
	texts := map[string]string{
		"bare labels, far":      bare("one", "5555555", "5555555") + far + bare("two", "1", "2") + far + bare("three", "3", "4"),
		"shorter labels":        shorter("one", "c") + shorter("two", "d") + shorter("three", "c"),
		"shorter labels, far":   shorter("one", "c") + far + shorter("two", "d") + far + shorter("three", "c") + far + shorter("four", "c"),
		"a line in labels":      within("one", "123456") + far + within("two", "123456") + far + within("three", "999999") + far + within("four", "888888"),
		"nothing":               "",
		"one byte":              "a",
		"one line end":          "\n",
		"only line ends":        strings.Repeat("\n", 100_000),
		"only quotes":           strings.Repeat(`"`, 100_000),
		"lines of quotes":       strings.Repeat(strings.Repeat(`"`, 100)+"\n", 1000),
		"lines of spaces":       strings.Repeat(strings.Repeat(" ", 100)+"\n", 1000),
		"lines of braces":       strings.Repeat("{} \n{}} {\n}{ \n", 1000),
		"no line end":           strings.Repeat("abcdefgh", 30_000),
		"no line end at last":   line + line + line[:len(line)-1],
		"cut in the labels":     line + line + line[:30],
		"cut behind the brace":  line + line + line[:5],
		"many fields":           strings.Repeat(`name{`+strings.Repeat(`a="b",`, 50)+"} 1\n", 1000),
		"a long line":           line + strings.Repeat(line[:len(line)-1], 10_000) + "\n" + line,
		"labels of 64 KiB":      strings.Repeat(`name{a="`+strings.Repeat("0123456789abcdef", 4100)+"\"} 1\n", 5),
		"labels of nearly that": strings.Repeat(`name{a="`+strings.Repeat("0123456789abcdef", 4090)+"\"} 1\n", 5),
		"names alone":           strings.Repeat("a_name_without_labels 1\nanother 2\n", 1000),
		"the same line":         strings.Repeat(line, 10_000),
		"two families in turn":  strings.Repeat(line+"another_"+line, 1000),
		"JSON":                  strings.Repeat(`{"a": "b", "c": {"d": [1, 2, 3]}} `, 1000),
		"noise":                 string(noise),
		"lines of noise":        strings.Join(strings.Split(string(noise), "\n"), "\n"+line),
	}
	// The same labels again, with so much between them that a reference just reaches, and just does not.
	for apart := window - 200; apart < window+200; apart++ {
		between := strings.Repeat("x", apart-len(line)-1) + "\n"
		texts[fmt.Sprint("apart by ", apart)] = line + between + line + between + line + "y" + line
	}
	all := map[string][]byte{}
	for name, text := range texts {
		all[name] = []byte(text)
	}
	return all
}

func TestHardTextsComeBack(t *testing.T) {
	var w Writer
	for name, text := range hardTexts() {
		t.Run(name, func(t *testing.T) { comesBack(t, &w, text) })
	}
}

// Labels come back at every distance around the window's limit, when the lines between them are metrics too.
func TestRowsAtTheWindowsLimitComeBack(t *testing.T) {
	var w Writer
	row := func(name string, number int) string {
		return fmt.Sprintf("%s{container=\"%d\",id=\"%064x\",pod=\"load\"} 0\n", name, number, number*7919)
	}
	for rows := 200; rows < 260; rows++ {
		var b strings.Builder
		for family := range 4 {
			name := "metric" + strings.Repeat("x", family*3)
			for number := range rows {
				b.WriteString(row(name, number))
			}
			// A row at the end of a family resembles its first one.
			b.WriteString(row(name, 0) + row(name, 1))
		}
		comesBack(t, &w, []byte(b.String()))
	}
}

func TestAppendKeepsWhatIsThere(t *testing.T) {
	var w Writer
	text := shapes["same rows"].text()
	want := w.Append(nil, text)
	for _, room := range []int{0, 1, 20, 5000, 1 << 20} {
		dst := append(make([]byte, 0, 6+room), "before"...)
		if got := w.Append(dst, text); string(got[:6]) != "before" || !bytes.Equal(got[6:], want) {
			t.Errorf("with room for %d bytes: the result differs", room)
		}
	}
}

// What a writer wrote before must not be seen in what it writes.
func TestAUsedWriterWritesTheSame(t *testing.T) {
	var used Writer
	texts := hardTexts()
	for name, s := range shapes {
		texts[name] = s.text()
	}
	for range 2 {
		for name, text := range texts {
			var fresh Writer
			if !bytes.Equal(used.Append(nil, text), fresh.Append(nil, text)) {
				t.Errorf("%s: a used writer makes something else of it than a new one", name)
			}
		}
	}
}

func TestAWriterKeepsNoBody(t *testing.T) {
	var w Writer
	w.Append(nil, shapes["same rows"].text())
	if w.coder.bits.bytes != nil {
		t.Error("the writer still refers to what it made of a text")
	}
}

// narrow remembers little more than deflate's window, so that a text of some ten kB slides through it.
var narrow = sizes{part: 3000, line: 500, kept: window + 1000, buffer: window + 5000}

// inPieces has a writer make of a text that is written in pieces of random sizes what the standard library must undo.
func inPieces(tb testing.TB, w *Writer, text []byte, random *rand.Rand) {
	tb.Helper()
	w.Begin([]byte("before"))
	for rest := text; len(rest) > 0; {
		piece := rest[:min(len(rest), 1+random.IntN(1<<random.IntN(20)))]
		if n, err := w.Write(piece); n != len(piece) || err != nil {
			tb.Fatalf("wrote %d bytes of %d, error %v", n, len(piece), err)
		}
		rest = rest[len(piece):]
	}
	zipped, found := bytes.CutPrefix(w.End(), []byte("before"))
	if !found {
		tb.Fatal("what was there before is gone")
	}
	reader, err := gzip.NewReader(bytes.NewReader(zipped))
	if err != nil {
		tb.Fatal(err)
	}
	if back, err := io.ReadAll(reader); err != nil || !bytes.Equal(back, text) {
		tb.Fatalf("%d bytes came back of %d, from %d, error %v; the first that differs is %d", len(back), len(text), len(zipped), err, differs(back, text))
	}
}

func TestPiecesComeBack(t *testing.T) {
	texts := hardTexts()
	for name, s := range shapes {
		texts[name] = s.text()
	}
	texts["a line beyond the buffer"] = bytes.Repeat([]byte("abcdefgh"), usual.buffer/4)
	// After so much else that its rows are forgotten, and what stands at their places is another text.
	again := shapes["one family"].text()
	texts["forgotten rows"] = slices.Concat(again, texts["a line beyond the buffer"], []byte("\n"), again, shapes["too many rows"].text(), again)
	for _, w := range []*Writer{{}, {sizes: narrow}} {
		random := rand.New(rand.NewPCG(6, 7))
		for name, text := range texts {
			t.Run(fmt.Sprint(w.sizes.buffer, " ", name), func(t *testing.T) { inPieces(t, w, text, random) })
		}
	}
}

// A text is not larger for being written in pieces of whole lines, up to a part of it that is searched later.
func TestPiecesAreNoLarger(t *testing.T) {
	var w Writer
	text := shape{pods: 110, families: 45, sparse: true}.text()
	whole := len(w.Append(nil, text))
	w.Begin(nil)
	for lines := bytes.SplitAfter(text, []byte("\n")); len(lines) > 0; {
		count := min(len(lines), 200)
		_, _ = w.Write(bytes.Join(lines[:count], nil))
		lines = lines[count:]
	}
	if pieces := len(w.End()); pieces*100 > whole*101 || len(text) < 3*usual.buffer {
		t.Errorf("%d bytes in pieces and %d at once, of %d; want no more than 1 %% more", pieces, whole, len(text))
	}
}

func TestNothingIsAllocated(t *testing.T) {
	var w Writer
	text := shapes["large"].text()
	buffer := w.Append(nil, text)
	// A write at the end may need more room than it takes.
	buffer = append(buffer, make([]byte, 1000)...)
	if count := testing.AllocsPerRun(10, func() { w.Append(buffer[:0], text) }); count != 0 {
		t.Errorf("%v allocations a time, want none", count)
	}
}

// Metrics are not larger than the standard library makes them by more than 15 %, where a family is larger than deflate's window or stands alone.
func TestSize(t *testing.T) {
	var w Writer
	for _, name := range []string{"large", "too many rows", "one family"} {
		text := shapes[name].text()
		var standard bytes.Buffer
		writer := gzip.NewWriter(&standard)
		if _, err := writer.Write(text); err != nil {
			t.Fatal(err)
		}
		if err := writer.Close(); err != nil {
			t.Fatal(err)
		}
		ours := len(w.Append(nil, text))
		t.Logf("%s: %d bytes, standard library %d, ours %d: %+.1f %%", name, len(text), standard.Len(), ours, 100*(float64(ours)/float64(standard.Len())-1))
		if ours*100 > standard.Len()*115 {
			t.Errorf("%s: %d bytes, want no more than 15 %% above the standard library's %d", name, ours, standard.Len())
		}
	}
}

// FuzzRoundTrip also repeats lines with changes, since that is what the package looks for.
func FuzzRoundTrip(f *testing.F) {
	f.Add([]byte(nil), uint64(0))
	f.Add(shape{pods: 1, families: 2}.text()[:600], uint64(1))
	f.Add([]byte("# TYPE a_b counter\na_b{c=\"d\",e=\"0123456789abcdef\"} 1 1795955853166\n# TYPE f gauge\nf{c=\"d\",e=\"0123456789abcdef\"} 2\n# EOF\n"), uint64(2))
	f.Add([]byte("a{b=\"c\"} 1\n\n\"\"\"\n{ } \n"), uint64(3))
	var w Writer
	small := Writer{sizes: narrow}
	f.Fuzz(func(t *testing.T, text []byte, seed uint64) {
		comesBack(t, &w, text)
		more := repeated(text, seed)
		comesBack(t, &w, more)
		inPieces(t, &small, more, rand.New(rand.NewPCG(seed, 8)))
	})
}

// repeated takes lines of a text at random, some more than the window at most, some with another name, another end, or another byte.
func repeated(text []byte, seed uint64) []byte {
	random := rand.New(rand.NewPCG(seed, 5))
	lines := bytes.SplitAfter(text, []byte("\n"))
	at := 0
	var all []byte
	for range random.IntN(500) {
		if len(all) > window+10_000 {
			break
		}
		if random.IntN(8) == 0 {
			at = random.IntN(len(lines))
		}
		line := lines[at%len(lines)]
		at++
		switch random.IntN(8) {
		case 0:
			all = append(all, "prefix_"...)
		case 1:
			all = append(all, line[:random.IntN(len(line)+1)]...)
			continue
		}
		start := len(all)
		all = append(all, line...)
		if len(line) > 0 && random.IntN(8) == 0 {
			all[start+random.IntN(len(line))] ^= byte(random.Uint32())
		}
	}
	return all
}

// BenchmarkAppend is of a text as a node of 440 cgroups has it, in part: most metrics have the same rows.
func BenchmarkAppend(b *testing.B) {
	text := shape{pods: 110, families: 40}.text()
	b.Run("linegzip", func(b *testing.B) {
		var w Writer
		var buffer []byte
		b.SetBytes(int64(len(text)))
		for b.Loop() {
			buffer = w.Append(buffer[:0], text)
		}
		b.ReportMetric(float64(len(buffer)), "bytes/answer")
	})
	b.Run("klauspost", func(b *testing.B) {
		var buffer bytes.Buffer
		writer, err := klauspost.NewWriterLevel(&buffer, 2)
		if err != nil {
			b.Fatal(err)
		}
		b.SetBytes(int64(len(text)))
		for b.Loop() {
			buffer.Reset()
			writer.Reset(&buffer)
			if _, err := writer.Write(text); err != nil {
				b.Fatal(err)
			}
			if err := writer.Close(); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(buffer.Len()), "bytes/answer")
	})
}
