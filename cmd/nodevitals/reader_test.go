package main

import (
	"strings"
	"testing"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/nodevitals/nodevitals/collector"
	"github.com/nodevitals/nodevitals/collector/cgroup"
)

// choose runs chooseReader and returns the one line that it must log.
func choose(t *testing.T, reader string) (line string, walker cgroup.Walker, err error) {
	t.Helper()
	core, logs := observer.New(zap.DebugLevel)
	o := defaultOptions()
	o.reader = reader
	options := collector.Options{Log: zap.New(core)}
	err = o.chooseReader(&options)
	if options.Walker != nil {
		t.Cleanup(options.Walker.Close)
	}
	if want := 1; err == nil && logs.Len() != want {
		t.Fatalf("--reader=%s: %d lines in the log, want %d: %v", reader, logs.Len(), want, logs.All())
	}
	for _, entry := range logs.All() {
		for _, field := range entry.Context {
			line += field.Key + "=" + field.String + " "
		}
	}
	return line, options.Walker, err
}

func TestReaderIsChosen(t *testing.T) {
	hierarchy, err := cgroup.Detect("/")
	if err != nil {
		t.Fatal(err)
	}
	if _, walker, err := choose(t, readFiles); err != nil || walker != nil {
		t.Errorf("--reader=files: got walker %v, error %v", walker, err)
	}
	line, walker, err := choose(t, readAuto)
	if err != nil {
		t.Fatalf("--reader=auto: %v", err)
	}
	word := readFiles
	if walker != nil {
		word = readBPF
	}
	if !strings.Contains(line, "reader="+word) {
		t.Errorf("--reader=auto: the log says %q of a reader that is %s", line, word)
	}
	forced, err := func() (cgroup.Walker, error) { _, w, err := choose(t, readBPF); return w, err }()
	if (err == nil) != (walker != nil) || (forced == nil) != (walker == nil) {
		t.Errorf("--reader=bpf: got walker %t, error %v; auto had one: %t", forced != nil, err, walker != nil)
	}
	if err != nil && (!strings.Contains(err.Error(), "--reader") || strings.Contains(err.Error(), "\n")) {
		t.Errorf("--reader=bpf: want one line that names the flag, got %q", err)
	}
	if hierarchy.Version == cgroup.V1 && walker != nil {
		t.Error("the reader in the kernel is in use on cgroup v1")
	}
}
