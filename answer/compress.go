package answer

import (
	"strings"
	"sync"

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

// compressors keeps the state of compressors, some hundred kB each, for the next body.
type compressors struct {
	gzip    [len(gzipLevels)]sync.Pool
	metrics sync.Pool
	zstd    sync.Pool
}

// append appends plain, which is of a type, in an encoding to buffer.
func (c *compressors) append(buffer, plain []byte, contentType string, e encoding) ([]byte, error) {
	switch {
	case e == zstandard:
		return c.appendZstd(buffer, plain)
	case len(plain) >= leastMetrics && isMetrics(contentType):
		return c.appendMetrics(buffer, plain), nil
	default:
		return c.appendGzip(buffer, plain)
	}
}

// isMetrics tells if a body of a type is text with a sample a line.
func isMetrics(contentType string) bool {
	name, _, _ := strings.Cut(contentType, ";")
	return name == "text/plain" || name == "application/openmetrics-text"
}

func (c *compressors) appendMetrics(buffer, plain []byte) []byte {
	writer, ok := c.metrics.Get().(*linegzip.Writer)
	if !ok {
		writer = &linegzip.Writer{}
	}
	buffer = writer.Append(buffer, plain)
	c.metrics.Put(writer)
	return buffer
}

func (c *compressors) appendGzip(buffer, plain []byte) ([]byte, error) {
	row := 0
	for len(plain) >= gzipLevels[row].below {
		row++
	}
	out := &appender{buffer}
	writer, ok := c.gzip[row].Get().(*gzip.Writer)
	if ok {
		writer.Reset(out)
	} else {
		var err error
		if writer, err = gzip.NewWriterLevel(out, gzipLevels[row].level); err != nil {
			return nil, err
		}
	}
	if _, err := writer.Write(plain); err != nil {
		return nil, err
	}
	if err := writer.Close(); err != nil {
		return nil, err
	}
	// A kept writer must not keep the body.
	writer.Reset(nil)
	c.gzip[row].Put(writer)
	return out.bytes, nil
}

func (c *compressors) appendZstd(buffer, plain []byte) ([]byte, error) {
	encoder, ok := c.zstd.Get().(*zstd.Encoder)
	if !ok {
		var err error
		encoder, err = zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1),
			zstd.WithWindowSize(zstdWindow), zstd.WithLowerEncoderMem(true))
		if err != nil {
			return nil, err
		}
	}
	buffer = encoder.EncodeAll(plain, buffer)
	c.zstd.Put(encoder)
	return buffer, nil
}

// appender is a writer that appends.
type appender struct{ bytes []byte }

func (a *appender) Write(b []byte) (int, error) {
	a.bytes = append(a.bytes, b...)
	return len(b), nil
}
