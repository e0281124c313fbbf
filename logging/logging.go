// Package logging is the one way to standard error: it writes lines as JSON or for a terminal, limits how many there are of a kind, takes
// secrets out of them, and takes in what libraries log.
package logging

import (
	"io"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// Options say how lines are written.
type Options struct {
	// Level is the least that is written.
	Level zapcore.Level
	// Console writes for people; else each line is a JSON object.
	Console bool
	// Out takes one line in each Write, and need not be safe for concurrent use.
	Out io.Writer
}

// Log is the program's log. Everything that it writes goes through one limit, whatever is derived from it. It is safe for concurrent use.
type Log struct {
	*zap.Logger
	limit *limit
}

// New makes a log, and turns what libraries log into it: of several logs, the newest has them. [Log.Close] ends it.
func New(options Options) *Log {
	config := zap.NewProductionEncoderConfig()
	config.EncodeTime = zapcore.ISO8601TimeEncoder
	config.EncodeDuration = zapcore.StringDurationEncoder
	encoder := redactor{zapcore.NewJSONEncoder(config), redactJSON}
	if options.Console {
		config.EncodeLevel = zapcore.CapitalLevelEncoder
		encoder = redactor{zapcore.NewConsoleEncoder(config), redact}
	}
	// What is held back is not encoded, so the limit comes first.
	out := zapcore.NewCore(encoder, zapcore.Lock(zapcore.AddSync(options.Out)), options.Level)
	limit := newLimit(out)
	log := &Log{Logger: zap.New(&limited{Core: out, limit: limit}), limit: limit}
	captureLibraries(log.Logger)
	return log
}

// Lines tells how many lines of each level there were. Those above error count as error.
func (l *Log) Lines() []Lines { return l.limit.lines() }

// Close tells what is held back at this moment. Lines are taken after it, too.
func (l *Log) Close() { l.limit.tellAll() }
