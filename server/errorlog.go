package server

import (
	"io"
	stdlog "log"
	"strings"
	"syscall"

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
		level := zap.InfoLevel
		if leftEarly(reason) {
			level = zap.DebugLevel
		}
		w.log.Log(level, "TLS handshake failed", zap.String("client", client), zap.String("reason", reason))
		return len(line), nil
	}
	w.log.Warn("the HTTP server met trouble", zap.String("trouble", text))
	return len(line), nil
}

// leftEarly tells of a client that hung up without a word of TLS about why, as load balancers do that ask whether a port is open. There is
// nothing to act on, and every few seconds one would hold back the line of a client that lacks the authority.
func leftEarly(reason string) bool {
	return reason == io.EOF.Error() || strings.HasSuffix(reason, syscall.ECONNRESET.Error())
}
