package main

import (
	"fmt"
	"slices"

	"go.uber.org/zap"

	"github.com/nodevitals/nodevitals/collector"
	"github.com/nodevitals/nodevitals/collector/cgroup"
	"github.com/nodevitals/nodevitals/collector/cgroup/bpf"
	"github.com/nodevitals/nodevitals/snapshot"
)

// The words of --reader.
const (
	readAuto  = "auto"
	readFiles = "files"
	readBPF   = "bpf"
)

func (o *options) readerFlag(group flagGroup) {
	o.reader = readAuto
	group.flags.StringVar(&o.reader, "reader", o.reader, "`who` reads cgroups: files, bpf (a program in the kernel, for cgroup v2) or auto (bpf where the kernel and the capabilities allow it)")
}

func (o *options) validateReader() error {
	// Commands that take a sample or two have no flag for it, and read files.
	if !slices.Contains([]string{"", readAuto, readFiles, readBPF}, o.reader) {
		return bad("--reader", o.reader, "auto, files or bpf")
	}
	return nil
}

// chooseReader opens the reader in the kernel if it is wanted, and says in the log who reads and why. An error means that nothing else
// was wanted and that it cannot be had.
func (o *options) chooseReader(options *collector.Options) error {
	log := options.Log.Named("reader")
	if o.reader == readFiles || o.reader == "" {
		log.Debug("cgroups are read from their files", zap.String("reader", readFiles))
		return nil
	}
	if o.disabled.Has(snapshot.Core) {
		log.Info("no group of cgroup figures is read, so no program is needed in the kernel", zap.String("reader", readFiles))
		return nil
	}
	hierarchy, err := cgroup.Detect(o.hostRoot)
	if err != nil {
		return nil // the collector will say so
	}
	walker, err := bpf.Open(hierarchy)
	switch {
	case err == nil:
		options.Walker, o.walks = walker, true
		fields := []zap.Field{zap.String("reader", readBPF)}
		if why := walker.Without(); why != nil {
			fields = append(fields, zap.NamedError("besides", why))
		}
		log.Info("cgroups are read by a program in the kernel", fields...)
		return nil
	case o.reader == readBPF:
		return fmt.Errorf("the reader in the kernel: %w; change --reader", err)
	default:
		log.Info("cgroups are read from their files", zap.String("reader", readFiles), zap.NamedError("because", err))
		return nil
	}
}

// readerInUse is the word for who reads now: a program that failed is given up.
func readerInUse(stats cgroup.Stats) string {
	if stats.Walking {
		return readBPF
	}
	return readFiles
}

// verifiedWalker returns the reader in the kernel, or why there is none.
func verifiedWalker() (cgroup.Walker, error) {
	hierarchy, err := cgroup.Detect("/")
	if err != nil {
		return nil, err
	}
	walker, err := bpf.Open(hierarchy)
	if err != nil {
		return nil, err // not a nil *Reader, which would be a Walker
	}
	return walker, nil
}
