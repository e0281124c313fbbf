package du

import (
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/google/cadvisor/lib/fs"
	"golang.org/x/sys/unix"
)

// CPU is what counts: walks are made to take their time.
func BenchmarkWalk(b *testing.B) {
	dir := b.TempDir()
	const files = 20_000
	for i := range files {
		path := filepath.Join(dir, strconv.Itoa(i%200))
		_ = os.MkdirAll(path, 0o755)
		if err := os.WriteFile(filepath.Join(path, strconv.Itoa(i)), nil, 0o600); err != nil {
			b.Fatal(err)
		}
	}
	run := func(name string, walk func() error) {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			before := cpu(b)
			for b.Loop() {
				if err := walk(); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(cpu(b)-before)/float64(b.N)/files, "cpu-ns/file")
		})
	}
	run("ours", func() error {
		w := New(dir)
		for done := false; !done; {
			_, done = w.Step(500)
		}
		_, err := w.Result()
		return err
	})
	run("cadvisor", func() error {
		_, err := fs.GetDirUsage(dir)
		return err
	})
}

// cpu returns the nanoseconds that this process has run.
func cpu(b *testing.B) int64 {
	var usage unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &usage); err != nil {
		b.Fatal(err)
	}
	return usage.Utime.Nano() + usage.Stime.Nano()
}
