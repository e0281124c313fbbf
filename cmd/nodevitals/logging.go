package main

import (
	"fmt"
	"io"
	"os"

	"go.uber.org/zap/zapcore"
	"golang.org/x/sys/unix"

	"github.com/nodevitals/nodevitals/logging"
)

// newLogger returns the program's log, which takes in what libraries log. The options are valid.
func (o *options) newLogger(stderr io.Writer) (*logging.Log, error) {
	level, err := zapcore.ParseLevel(o.logLevel)
	if err != nil {
		return nil, fmt.Errorf("log level: %w", err)
	}
	format := o.logFormat
	if format == "" {
		format = "json"
		if file, ok := stderr.(*os.File); ok && isTerminal(file) {
			format = "console"
		}
	}
	return logging.New(logging.Options{Level: level, Console: format == "console", Out: stderr}), nil
}

func isTerminal(file *os.File) bool {
	_, err := unix.IoctlGetTermios(int(file.Fd()), unix.TCGETS)
	return err == nil
}
