package answer

import (
	"io"
	"strings"
	"sync/atomic"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"github.com/nodevitals/nodevitals/answer/linegzip"
)

// gzipLevels are klauspost's levels by the size of what is compressed. Measured on a kubelet's text of 20 cgroups and on the same repeated
// with other IDs and figures to 443, against the standard library's default level: level 5 makes the small one 14 to 15 % larger in a third
// of the time (level 1: 35 %). In the large one IDs weigh more: level 2 makes it 10 % larger in a fifth of the time (level 1: 13 %, level
// 5: 5 % in twice the time of level 2).
var gzipLevels = [...]struct{ below, level int }{
	{1 << 20, 5},
	{1 << 62, 2},
}

// leastMetrics is the size from which text of metrics is compressed by linegzip, in half of the time of klauspost's level 2. Of 5.7 MB it makes
// 2 % less than that level, and of 2.7 MB as much. On smaller nodes deflate's window reaches from a metric to the next but one, which linegzip
// does not look for: of 1.3 MB it makes a fifth more.
const leastMetrics = 2 << 20

// zstdWindow is the window of zstd in bytes. A larger one saves a quarter of the bytes and takes half as much time again.
const zstdWindow = 128 << 10

// compressors keeps one compressor of each kind, some hundred kB to some MB, for the next body. A sync.Pool would forget it with each collection of
// garbage, which comes every few answers where there is little garbage but these.
type compressors struct {
	gzip    [len(gzipLevels)]atomic.Pointer[gzip.Writer]
	metrics atomic.Pointer[linegzip.Writer]
	zstd    atomic.Pointer[zstd.Encoder]
}

// forget lets go of what is kept.
func (c *compressors) forget() {
	for row := range c.gzip {
		c.gzip[row].Store(nil)
	}
	c.metrics.Store(nil)
	c.zstd.Store(nil)
}

// source is a body that is to be compressed: its type, how large it is or is likely to be, and how to have it written.
type source struct {
	contentType string
	size        int
	write       func(io.Writer) error
}

// of is the source of a body that stands in memory.
func of(plain []byte, contentType string) source {
	return source{contentType, len(plain), func(to io.Writer) error {
		_, err := to.Write(plain)
		return err
	}}
}

// append appends a body in an encoding to buffer.
func (c *compressors) append(buffer []byte, from source, e encoding) ([]byte, error) {
	switch {
	case e == zstandard:
		return c.appendZstd(buffer, from)
	case from.size >= leastMetrics && isMetrics(from.contentType):
		return c.appendMetrics(buffer, from)
	default:
		return c.appendGzip(buffer, from)
	}
}

// isMetrics tells if a body of a type is text with a sample a line.
func isMetrics(contentType string) bool {
	name, _, _ := strings.Cut(contentType, ";")
	return name == "text/plain" || name == "application/openmetrics-text"
}

func (c *compressors) appendMetrics(buffer []byte, from source) ([]byte, error) {
	writer := c.metrics.Swap(nil)
	if writer == nil {
		writer = &linegzip.Writer{}
	}
	defer c.metrics.Store(writer)
	writer.Begin(buffer)
	err := from.write(writer)
	buffer = writer.End()
	if err != nil {
		return nil, err
	}
	return buffer, nil
}

func (c *compressors) appendGzip(buffer []byte, from source) ([]byte, error) {
	row := 0
	for from.size >= gzipLevels[row].below {
		row++
	}
	writer := c.gzip[row].Swap(nil)
	if writer == nil {
		var err error
		if writer, err = gzip.NewWriterLevel(nil, gzipLevels[row].level); err != nil {
			return nil, err
		}
	}
	defer c.gzip[row].Store(writer)
	return appendBy(writer, buffer, from)
}

func (c *compressors) appendZstd(buffer []byte, from source) ([]byte, error) {
	encoder := c.zstd.Swap(nil)
	if encoder == nil {
		var err error
		encoder, err = zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1),
			zstd.WithWindowSize(zstdWindow), zstd.WithLowerEncoderMem(true))
		if err != nil {
			return nil, err
		}
	}
	defer c.zstd.Store(encoder)
	return appendBy(encoder, buffer, from)
}

// compressor is one of klauspost's.
type compressor interface {
	io.WriteCloser
	Reset(to io.Writer)
}

// appendBy has a compressor append a body.
func appendBy(by compressor, buffer []byte, from source) ([]byte, error) {
	out := &appender{buffer}
	by.Reset(out)
	// A kept compressor must not keep the body.
	defer by.Reset(nil)
	if err := from.write(by); err != nil {
		return nil, err
	}
	if err := by.Close(); err != nil {
		return nil, err
	}
	return out.bytes, nil
}

// appender is a writer that appends.
type appender struct{ bytes []byte }

func (a *appender) Write(b []byte) (int, error) {
	a.bytes = append(a.bytes, b...)
	return len(b), nil
}
