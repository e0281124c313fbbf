package main

import (
	"fmt"
	"io"
	"os"

	"github.com/go-logr/zapr"
	"github.com/sirupsen/logrus"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"golang.org/x/sys/unix"
	"k8s.io/klog/v2"
)

// newLogger returns the program's log, and turns what libraries log into it. The options are valid.
func (o *options) newLogger(stderr io.Writer) (*zap.Logger, error) {
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
	config := zap.NewProductionEncoderConfig()
	config.EncodeTime = zapcore.ISO8601TimeEncoder
	config.EncodeDuration = zapcore.StringDurationEncoder
	encoder := zapcore.NewJSONEncoder(config)
	if format == "console" {
		config.EncodeLevel = zapcore.CapitalLevelEncoder
		encoder = zapcore.NewConsoleEncoder(config)
	}
	log := zap.New(zapcore.NewCore(encoder, zapcore.Lock(zapcore.AddSync(stderr)), level))
	captureLibraries(log)
	return log, nil
}

func isTerminal(file *os.File) bool {
	_, err := unix.IoctlGetTermios(int(file.Fd()), unix.TCGETS)
	return err == nil
}

// captureLibraries sends the logs of klog (cAdvisor), logrus (opencontainers/cgroups) and Go's own package to log.
func captureLibraries(log *zap.Logger) {
	klog.SetLogger(zapr.NewLogger(log.Named("klog")))
	logrus.SetOutput(io.Discard)
	logrus.StandardLogger().ReplaceHooks(make(logrus.LevelHooks))
	logrus.AddHook(logrusHook{log.Named("logrus")})
	zap.RedirectStdLog(log.Named("log"))
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
		level = zapcore.DebugLevel
	}
	if checked := h.log.Check(level, entry.Message); checked != nil {
		fields := make([]zap.Field, 0, len(entry.Data))
		for key, value := range entry.Data {
			fields = append(fields, zap.Any(key, value))
		}
		checked.Write(fields...)
	}
	return nil
}
