package server

import (
	stdlog "log"
	"strings"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// loggedErrors is how many lines a minute net/http's own log may have, of each kind. Anyone who reaches a port can fill it.
const loggedErrors = 3

// errorLog is what net/http logs to: broken handshakes, mostly.
func errorLog(log *zap.Logger) *stdlog.Logger {
	log = log.WithOptions(zap.WrapCore(func(core zapcore.Core) zapcore.Core {
		return zapcore.NewSamplerWithOptions(core, time.Minute, loggedErrors, 0)
	}))
	return stdlog.New(errorWriter{log}, "", 0)
}

type errorWriter struct{ log *zap.Logger }

// Write takes one line.
func (w errorWriter) Write(line []byte) (int, error) {
	text := strings.TrimSpace(string(line))
	// The message is the kind, and the kind is what the sampler counts by; the client's words are in the fields.
	if rest, ok := strings.CutPrefix(text, "http: TLS handshake error from "); ok {
		client, reason, _ := strings.Cut(rest, ": ")
		w.log.Info("TLS handshake failed; more of these are not logged for a while", zap.String("client", client), zap.String("reason", reason))
		return len(line), nil
	}
	w.log.Warn("the HTTP server met trouble; more of this is not logged for a while", zap.String("trouble", text))
	return len(line), nil
}
