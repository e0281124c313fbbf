package logging

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// TestTroubleThatLasts: what is logged each second for an hour is told at once, then once in each window, and every line is accounted for.
func TestTroubleThatLasts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log, out := open(t, zap.InfoLevel)
		start := time.Now()
		const lasts = 3600
		for range lasts {
			log.Warn("the API server does not answer")
			time.Sleep(time.Second)
		}
		log.Close()
		passed, held := 0, 0
		var told []string
		for _, line := range out.lines(t) {
			if line["msg"] != heldBack {
				passed++
				continue
			}
			if line["kind"] != "the API server does not answer" || line["level"] != "warn" {
				t.Errorf("got %v, want it to name the kind", line)
			}
			held += int(line["held_back"].(float64))
			told = append(told, line["window"].(string))
		}
		if passed+held != lasts {
			t.Errorf("%d lines passed and %d are told to be held back, want %d together", passed, held, lasts)
		}
		if got, want := fmt.Sprint(told), "[1m0s 2m0s 4m0s 8m0s 10m0s 10m0s 10m0s 10m0s 10m0s]"; got != want {
			t.Errorf("windows: got %s, want %s", got, want)
		}
		if want := burst + len(told) - 1; passed != want {
			t.Errorf("%d lines passed in %s, want %d: a few at once, and one in each window", passed, time.Since(start), want)
		}
	})
}

// TestTroubleThatPasses: once a kind was quiet for a window it is as new. What was held back is told although no more comes.
func TestTroubleThatPasses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log, out := open(t, zap.InfoLevel)
		for range 2 {
			before := len(out.lines(t))
			for range burst + 7 {
				log.Error("trouble")
			}
			time.Sleep(firstWindow)
			synctest.Wait()
			lines := out.lines(t)[before:]
			if len(lines) != burst+1 || lines[burst]["held_back"] != float64(7) {
				t.Fatalf("got %v, want %d lines and one of 7 more", lines, burst)
			}
			time.Sleep(2 * firstWindow)
		}
		log.Close()
		if got := len(out.lines(t)); got != 2*(burst+1) {
			t.Errorf("got %d lines, want no more at the end, as nothing is held back", got)
		}
	})
}

// TestKinds: lines are limited together if they are of one level, logger, message, and of one endpoint, source, part or check.
func TestKinds(t *testing.T) {
	for _, one := range []struct {
		name  string
		kinds int
		write func(log *zap.Logger, i int)
	}{
		{"one message, other fields", 1, func(log *zap.Logger, i int) {
			log.Warn("m", zap.Int("client", i), zap.Error(fmt.Errorf("error %d", i)))
		}},
		{"two messages", 2, func(log *zap.Logger, i int) { log.Warn(fmt.Sprint("m", i%2)) }},
		{"two levels", 2, func(log *zap.Logger, i int) { log.Log(zapcore.WarnLevel+zapcore.Level(i%2), "m") }},
		{"two loggers", 2, func(log *zap.Logger, i int) { log.Named(fmt.Sprint(i % 2)).Warn("m") }},
		{"two endpoints", 2, func(log *zap.Logger, i int) { log.With(zap.String("endpoint", fmt.Sprint(i%2))).Warn("m") }},
		{"three parts", 3, func(log *zap.Logger, i int) { log.Warn("m", zap.String("part", fmt.Sprint(i%3))) }},
		{"two checks of two endpoints", 4, func(log *zap.Logger, i int) {
			log.With(zap.String("endpoint", fmt.Sprint(i%2))).Warn("m", zap.String("check", fmt.Sprint(i/2%2)))
		}},
	} {
		t.Run(one.name, func(t *testing.T) {
			log, out := open(t, zap.InfoLevel)
			const many = 120
			for i := range many {
				one.write(log.Logger, i)
			}
			if got := len(out.lines(t)); got != one.kinds*burst {
				t.Errorf("got %d lines, want %d of each of %d kinds", got, burst, one.kinds)
			}
			log.Close()
			held := 0
			for _, line := range out.lines(t)[one.kinds*burst:] {
				held += int(line["held_back"].(float64))
			}
			if held != many-one.kinds*burst {
				t.Errorf("told of %d, want %d", held, many-one.kinds*burst)
			}
		})
	}
}

// TestKindsAreBounded: a log of ever other messages takes neither more memory nor more lines.
func TestKindsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log, out := open(t, zap.InfoLevel)
		for i := range 10 * mostKinds {
			log.Warn(fmt.Sprint("message ", i))
		}
		if got, want := len(out.lines(t)), mostKinds+burst; got != want {
			t.Errorf("got %d lines, want %d: one of each kind, and a few of all others", got, want)
		}
		if got := len(log.limit.windows); got > mostKinds+1 {
			t.Errorf("%d kinds are remembered, want %d at most", got, mostKinds+1)
		}
		time.Sleep(time.Hour)
		before := len(out.lines(t))
		log.Warn("one more")
		if got := out.lines(t)[before:]; len(got) != 1 || got[0]["msg"] != "one more" {
			t.Errorf("an hour later: got %v, want the line, since the others are forgotten", got)
		}
		log.Close()
	})
}

// TestDebugIsNotLimited: who asks for all has all.
func TestDebugIsNotLimited(t *testing.T) {
	log, out := open(t, zap.DebugLevel)
	for range 100 {
		log.Debug("request")
	}
	if got := len(out.lines(t)); got != 100 {
		t.Errorf("got %d lines, want 100", got)
	}
	if got := log.Lines()[0]; got != (Lines{Level: "debug", Written: 100}) {
		t.Errorf("got %+v", got)
	}
}

func BenchmarkHeldBack(b *testing.B) {
	log := New(Options{Level: zap.InfoLevel, Out: &output{}}).With(zap.String("endpoint", "secure"))
	b.ReportAllocs()
	for b.Loop() {
		log.Warn("a connection was refused", zap.Int("open", 512))
	}
}
