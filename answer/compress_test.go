package answer

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/nodevitals/nodevitals/answer/linegzip"
)

// metricsOf is some text of metrics, of at least so many bytes.
func metricsOf(size int) []byte {
	var b strings.Builder
	for family := 0; b.Len() < size; family++ {
		for row := range 500 {
			fmt.Fprintf(&b, "metric_%d{id=\"%064x\",pod=\"load-%d\"} %d\n", family, row*7919, row, row*family)
		}
	}
	return []byte(b.String())
}

func TestGzipOfEachTypeAndSize(t *testing.T) {
	small, large := metricsOf(100<<10), metricsOf(leastMetrics)
	tests := map[string]struct {
		text        []byte
		contentType string
		lines       bool
	}{
		"large text":            {large, "text/plain; version=0.0.4; charset=utf-8", true},
		"large text, bare type": {large, "text/plain", true},
		"large OpenMetrics":     {large, "application/openmetrics-text; version=1.0.0; charset=utf-8", true},
		"large JSON":            {large, "application/json", false},
		"large, no type":        {large, "", false},
		"small text":            {small, "text/plain; version=0.0.4; charset=utf-8", false},
		"no text":               {nil, "text/plain", false},
	}
	var c compressors
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			// The second time with what is kept of the first.
			for range 2 {
				zipped, err := c.append([]byte("before"), of(test.text, test.contentType), gzipped)
				if err != nil {
					t.Fatal(err)
				}
				zipped, found := bytes.CutPrefix(zipped, []byte("before"))
				if !found {
					t.Fatal("what was in the buffer is gone")
				}
				reader, err := gzip.NewReader(bytes.NewReader(zipped))
				if err != nil {
					t.Fatal(err)
				}
				if back, err := io.ReadAll(reader); err != nil || !bytes.Equal(back, test.text) {
					t.Fatalf("%d bytes came back of %d, error %v", len(back), len(test.text), err)
				}
				var w linegzip.Writer
				if lines := bytes.Equal(zipped, w.Append(nil, test.text)); lines != test.lines {
					t.Errorf("made by linegzip: %t, want %t", lines, test.lines)
				}
			}
		})
	}
}
