package logging

import (
	"slices"
	"strings"
	"sync"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// What there may be of one kind of line. Trouble that lasts is told at once, then once in each window, and windows grow.
const (
	// burst is how many lines pass at first; in the windows after one in which lines were held back, one passes.
	burst = 3
	// firstWindow is how long that holds, and longestWindow how long it comes to be.
	firstWindow   = time.Minute
	longestWindow = 10 * time.Minute
	// mostKinds bounds what is remembered. Kinds beyond it are one, for each level.
	mostKinds = 256
)

// heldBack is the message of the line that stands for those held back.
const heldBack = "more lines of this kind were held back"

// detailFields are the fields that make two lines with one message different in kind. Their values are ours and few: what a client can
// choose would let it fill the log.
var detailFields = []string{"endpoint", "source", "part", "check"}

// kind is what lines have in common that are limited together.
type kind struct {
	level           zapcore.Level
	logger, message string
	// details are values of detailFields, in the order in which they came.
	details string
}

// window is a stretch of time in the life of a kind.
type window struct {
	length time.Duration
	ends   time.Time
	// left is how many lines may still pass, held how many did not. details are the fields that make the kind.
	left, held int
	details    []zap.Field
	timer      *time.Timer
}

// limit holds back lines. It is safe for concurrent use.
type limit struct {
	// out takes the lines that tell of others.
	out zapcore.Core

	mutex   sync.Mutex
	windows map[kind]*window
	counts  [zapcore.ErrorLevel + 2]struct{ written, held uint64 }
}

func newLimit(out zapcore.Core) *limit { return &limit{out: out, windows: make(map[kind]*window)} }

// take tells whether a line may pass.
func (l *limit) take(k kind, details []zap.Field) bool {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	now := time.Now()
	w := l.windows[k]
	if w == nil && len(l.windows) >= mostKinds {
		l.forget(now)
		if len(l.windows) >= mostKinds {
			k, details = kind{level: k.level, message: "one of more than 256 kinds"}, nil
			w = l.windows[k]
		}
	}
	if w == nil || w.over(now) {
		w = &window{length: firstWindow, ends: now.Add(firstWindow), left: burst, details: slices.Clone(details)}
		l.windows[k] = w
	}
	count := &l.counts[index(k.level)]
	if w.left > 0 {
		w.left--
		count.written++
		return true
	}
	if w.held == 0 {
		w.timer = time.AfterFunc(w.ends.Sub(now), func() { l.tell(k, w) })
	}
	w.held++
	count.held++
	return false
}

// over tells whether a window ended in which nothing was held back: the kind begins anew.
func (w *window) over(now time.Time) bool { return w.held == 0 && !now.Before(w.ends) }

// forget drops the kinds that are over. The mutex is held.
func (l *limit) forget(now time.Time) {
	for k, w := range l.windows {
		if w.over(now) {
			delete(l.windows, k)
		}
	}
}

// tell writes the line that stands for those held back, and begins the next window.
func (l *limit) tell(k kind, w *window) {
	l.mutex.Lock()
	held, length, now := w.held, w.length, time.Now()
	w.held, w.left, w.length = 0, 1, min(2*length, longestWindow)
	w.ends = now.Add(w.length)
	l.mutex.Unlock()
	if held == 0 { // it was told at the end of the program
		return
	}
	fields := append([]zap.Field{zap.String("kind", k.message)}, w.details...)
	fields = append(fields, zap.Int("held_back", held), zap.Duration("window", length))
	// Nothing is left to tell that the log cannot be written to.
	_ = l.out.Write(zapcore.Entry{Level: k.level, Time: now, LoggerName: k.logger, Message: heldBack}, fields)
}

func (l *limit) tellAll() {
	l.mutex.Lock()
	holding := make(map[kind]*window)
	for k, w := range l.windows {
		if w.held > 0 {
			w.timer.Stop()
			holding[k] = w
		}
	}
	l.mutex.Unlock()
	for k, w := range holding {
		l.tell(k, w)
	}
}

// pass counts a line that no limit is on.
func (l *limit) pass(level zapcore.Level) {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	l.counts[index(level)].written++
}

// Lines counts those of one level.
type Lines struct {
	// Level is debug, info, warn or error.
	Level string
	// Written and HeldBack count since the start; a line that tells of others is in neither.
	Written, HeldBack uint64
}

func (l *limit) lines() []Lines {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	var all []Lines
	for level := zapcore.DebugLevel; level <= zapcore.ErrorLevel; level++ {
		count := l.counts[index(level)]
		all = append(all, Lines{Level: level.String(), Written: count.written, HeldBack: count.held})
	}
	return all
}

func index(level zapcore.Level) int {
	return int(min(max(level, zapcore.DebugLevel), zapcore.ErrorLevel) - zapcore.DebugLevel)
}

// limited is the core that asks the limit. Lines at debug level pass, because whoever asks for them wants all, and so do those that end
// the program.
type limited struct {
	zapcore.Core
	limit *limit
	// details are those of detailFields that were given to With.
	details []zap.Field
}

// With implements [zapcore.Core].
func (c *limited) With(fields []zap.Field) zapcore.Core {
	return &limited{Core: c.Core.With(fields), limit: c.limit, details: append(slices.Clip(c.details), detailsOf(fields)...)}
}

// Check implements [zapcore.Core]. What a line's kind is, its fields tell, so that Write decides.
func (c *limited) Check(entry zapcore.Entry, checked *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	if c.Enabled(entry.Level) {
		return checked.AddCore(entry, c)
	}
	return checked
}

// Write implements [zapcore.Core].
func (c *limited) Write(entry zapcore.Entry, fields []zap.Field) error {
	if entry.Level <= zapcore.DebugLevel || entry.Level > zapcore.ErrorLevel {
		c.limit.pass(entry.Level)
		return c.Core.Write(entry, fields)
	}
	k := kind{level: entry.Level, logger: entry.LoggerName, message: entry.Message}
	details := c.details
	for _, field := range fields {
		if field.Type == zapcore.SkipType && field.Key == kindKey {
			k.message = field.String
		}
	}
	if more := detailsOf(fields); len(more) > 0 {
		details = append(slices.Clip(details), more...)
	}
	k.details = textOf(details)
	if !c.limit.take(k, details) {
		return nil
	}
	return c.Core.Write(entry, fields)
}

func detailsOf(fields []zap.Field) (details []zap.Field) {
	for _, field := range fields {
		if field.Type == zapcore.StringType && slices.Contains(detailFields, field.Key) {
			details = append(details, field)
		}
	}
	return details
}

func textOf(details []zap.Field) string {
	switch len(details) {
	case 0:
		return ""
	case 1:
		return details[0].String
	}
	var b strings.Builder
	for _, field := range details {
		b.WriteString(field.String + "\x00")
	}
	return b.String()
}

// kindKey is the key of a field that is not written.
const kindKey = "kind"

// kindIs names the kind of a line whose message differs from line to line.
func kindIs(name string) zap.Field {
	return zap.Field{Type: zapcore.SkipType, Key: kindKey, String: name}
}
