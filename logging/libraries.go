package logging

import (
	"bytes"
	"fmt"
	"io"
	stdlog "log"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/go-logr/zapr"
	"github.com/sirupsen/logrus"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"google.golang.org/grpc/grpclog"
	"k8s.io/klog/v2"
)

// present is the log that has what libraries log. They are told where to log once, because none of them can be told safely while it logs.
var (
	present atomic.Pointer[zap.Logger]
	capture sync.Once
)

// captureLibraries sends to log what is logged by klog (cAdvisor, client-go, apimachinery), logrus (opencontainers/cgroups), gRPC (the runtime's
// client) and Go's own package. cilium/ebpf logs nothing. What they tell at info level is of their inner life, and comes at debug.
func captureLibraries(log *zap.Logger) {
	present.Store(log)
	capture.Do(func() {
		captureKlog()
		logrus.SetOutput(io.Discard)
		logrus.StandardLogger().ReplaceHooks(make(logrus.LevelHooks))
		logrus.AddHook(logrusHook{library("logrus")})
		grpclog.SetLoggerV2(grpcLogger{library("grpc")})
		stdlog.SetFlags(0)
		stdlog.SetPrefix("")
		stdlog.SetOutput(stdWriter{library("log")})
	})
}

// library returns a log for a library, by name.
func library(name string) *zap.Logger { return zap.New(relay{}).Named(name) }

// relay is the core of a library's log. It gives to the present log what it gets, and info as debug; verbose lines, which may have
// headers and bodies of requests, it never takes.
type relay struct{ fields []zap.Field }

// Enabled implements [zapcore.LevelEnabler].
func (relay) Enabled(level zapcore.Level) bool {
	return level >= zapcore.InfoLevel && present.Load().Core().Enabled(relayed(level))
}

func relayed(level zapcore.Level) zapcore.Level {
	if level == zapcore.InfoLevel {
		return zapcore.DebugLevel
	}
	return level
}

// With implements [zapcore.Core].
func (r relay) With(fields []zap.Field) zapcore.Core {
	return relay{append(slices.Clip(r.fields), fields...)}
}

// Check implements [zapcore.Core].
func (r relay) Check(entry zapcore.Entry, checked *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	if r.Enabled(entry.Level) {
		return checked.AddCore(entry, r)
	}
	return checked
}

// Write implements [zapcore.Core].
func (r relay) Write(entry zapcore.Entry, fields []zap.Field) error {
	entry.Level = relayed(entry.Level)
	return present.Load().Core().Write(entry, append(slices.Clip(r.fields), fields...))
}

// Sync implements [zapcore.Core].
func (relay) Sync() error { return nil }

// captureKlog takes structured lines through logr, and the others with klog's own header, which alone tells a warning.
func captureKlog() {
	log := library("klog")
	klog.SetLoggerWithOptions(zapr.NewLogger(log), klog.ContextualLogger(true), klog.WriteKlogBuffer(func(text []byte) {
		level, place, message := klogLine(text)
		if checked := log.Check(level, message); checked != nil {
			checked.Write(kindIs(place))
		}
	}))
}

// klogLevels are the levels of the first letter of klog's lines. To end the program is up to klog.
var klogLevels = map[byte]zapcore.Level{
	'I': zapcore.InfoLevel, 'W': zapcore.WarnLevel, 'E': zapcore.ErrorLevel, 'F': zapcore.ErrorLevel,
}

// klogLine takes a line of klog apart: "W0102 03:04:05.678901    42 reflector.go:204] message".
func klogLine(text []byte) (level zapcore.Level, place, message string) {
	text = bytes.TrimSpace(text)
	head, rest, ok := bytes.Cut(text, []byte("] "))
	level, known := zapcore.InfoLevel, false
	if len(head) > 0 {
		level, known = klogLevels[head[0]]
	}
	words := strings.Fields(string(head))
	if !ok || !known || len(words) != 4 {
		return zapcore.WarnLevel, shape(string(text)), string(text)
	}
	return level, words[3], string(rest)
}

// logrusHook gives logrus's entries to zap.
type logrusHook struct{ log *zap.Logger }

// Levels implements [logrus.Hook].
func (logrusHook) Levels() []logrus.Level { return logrus.AllLevels }

// Fire implements [logrus.Hook].
func (h logrusHook) Fire(entry *logrus.Entry) error {
	level := zapcore.ErrorLevel // also for panic and fatal: to end the program is up to logrus
	switch entry.Level {
	case logrus.WarnLevel:
		level = zapcore.WarnLevel
	case logrus.InfoLevel:
		level = zapcore.InfoLevel
	case logrus.DebugLevel, logrus.TraceLevel:
		return nil
	}
	if checked := h.log.Check(level, entry.Message); checked != nil {
		fields := append(make([]zap.Field, 0, len(entry.Data)+1), kindIs(shape(entry.Message)))
		for key, value := range entry.Data {
			fields = append(fields, zap.Any(key, value))
		}
		checked.Write(fields...)
	}
	return nil
}

// stdWriter takes lines of Go's own package. It has no levels, and is used for complaints.
type stdWriter struct{ log *zap.Logger }

// Write takes one line.
func (w stdWriter) Write(line []byte) (int, error) {
	text := strings.TrimSpace(string(line))
	w.log.Warn(text, kindIs(shape(text)))
	return len(line), nil
}

// shape is what lines have in common that one place in a program makes: their first words, without those that differ.
func shape(text string) string {
	const most = 8
	words := strings.Fields(text)
	words = words[:min(len(words), most)]
	for i, word := range words {
		if strings.ContainsFunc(word, isVaried) {
			words[i] = "…"
		}
		if strings.HasSuffix(word, ":") {
			words = words[:i+1]
			break
		}
	}
	return strings.Join(words, " ")
}

// isVaried tells of a character that words of plain language do not have.
func isVaried(r rune) bool { return strings.ContainsRune(`0123456789/\"'{}()=<>@%`+"`", r) }

// grpcLogger gives gRPC's lines to zap. What gRPC warns of are mostly connections that could not be made: the call that wanted one fails, and
// is told of by whoever called. So its warnings are no more than its infos.
type grpcLogger struct{ log *zap.Logger }

func (g grpcLogger) write(level zapcore.Level, text func() string) {
	// Most lines are not wanted, and must not cost.
	if !g.log.Core().Enabled(level) {
		return
	}
	line := strings.TrimSpace(text())
	if checked := g.log.Check(level, line); checked != nil {
		checked.Write(kindIs(shape(line)))
	}
}

func (g grpcLogger) print(level zapcore.Level, args []any) {
	g.write(level, func() string { return fmt.Sprint(args...) })
}

func (g grpcLogger) println(level zapcore.Level, args []any) {
	g.write(level, func() string { return fmt.Sprintln(args...) })
}

func (g grpcLogger) printf(level zapcore.Level, format string, args []any) {
	g.write(level, func() string { return fmt.Sprintf(format, args...) })
}

// Info and what follows implement [grpclog.LoggerV2].
func (g grpcLogger) Info(args ...any)   { g.print(zapcore.InfoLevel, args) }
func (g grpcLogger) Infoln(args ...any) { g.println(zapcore.InfoLevel, args) }
func (g grpcLogger) Infof(format string, args ...any) {
	g.printf(zapcore.InfoLevel, format, args)
}
func (g grpcLogger) Warning(args ...any)   { g.print(zapcore.InfoLevel, args) }
func (g grpcLogger) Warningln(args ...any) { g.println(zapcore.InfoLevel, args) }
func (g grpcLogger) Warningf(format string, args ...any) {
	g.printf(zapcore.InfoLevel, format, args)
}
func (g grpcLogger) Error(args ...any)   { g.print(zapcore.ErrorLevel, args) }
func (g grpcLogger) Errorln(args ...any) { g.println(zapcore.ErrorLevel, args) }
func (g grpcLogger) Errorf(format string, args ...any) {
	g.printf(zapcore.ErrorLevel, format, args)
}

// Fatal and its like leave it to gRPC to end the program.
func (g grpcLogger) Fatal(args ...any)   { g.print(zapcore.ErrorLevel, args) }
func (g grpcLogger) Fatalln(args ...any) { g.println(zapcore.ErrorLevel, args) }
func (g grpcLogger) Fatalf(format string, args ...any) {
	g.printf(zapcore.ErrorLevel, format, args)
}

// V tells whether gRPC's verbose lines are wanted: never.
func (grpcLogger) V(int) bool { return false }
