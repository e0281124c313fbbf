package server

import (
	stdlog "log"
	"strings"

	"go.uber.org/zap"
)

// errorLog is what net/http logs to: broken handshakes, mostly. Anyone who reaches a port can fill it, so the log must limit each message.
func errorLog(log *zap.Logger, refusals *refusals) *stdlog.Logger {
	return stdlog.New(errorWriter{log, refusals}, "", 0)
}

type errorWriter struct {
	log      *zap.Logger
	refusals *refusals
}

// Write takes one line.
func (w errorWriter) Write(line []byte) (int, error) {
	text := strings.TrimSpace(string(line))
	// The message is the kind, by which lines are limited; the client's words are in the fields.
	if rest, ok := strings.CutPrefix(text, "http: TLS handshake error from "); ok {
		client, reason, _ := strings.Cut(rest, ": ")
		w.refusals.count(refusedHandshake)
		w.log.Info("TLS handshake failed", zap.String("client", client), zap.String("reason", reason))
		return len(line), nil
	}
	w.log.Warn("the HTTP server met trouble", zap.String("trouble", text))
	return len(line), nil
}
