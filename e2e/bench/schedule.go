package main

import (
	"context"
	"fmt"
	"time"

	"github.com/nodevitals/nodevitals/e2e/bench/report"
)

// every is the realistic schedule: metrics-server's period, Prometheus' usual one, and that of a kubelet's own users of the summary.
var every = map[string]time.Duration{
	report.ResourcePath: 15 * time.Second, report.CadvisorPath: 30 * time.Second, report.SummaryPath: time.Minute,
}

// request is one of a schedule.
type request struct {
	at   time.Duration
	who  *program
	path string
}

// minute is what all programs are asked in a minute, in order. No two requests fall together: each would make the other look slow.
func minute(programs []*program) []request {
	const apart = 600 * time.Millisecond
	var all []request
	for second := time.Duration(0); second < time.Minute; second += 15 * time.Second {
		at := second
		for _, path := range []string{report.ResourcePath, report.CadvisorPath, report.SummaryPath} {
			if second%every[path] != 0 {
				continue
			}
			for _, p := range programs {
				if p.paths[path] == "" {
					continue
				}
				all = append(all, request{at: at, who: p, path: path})
				at += apart
			}
		}
	}
	return all
}

// schedule runs the realistic schedule for some minutes, in real time, and returns the processor time that each program took in each
// minute, in milliseconds.
func schedule(ctx context.Context, programs []*program, minutes int) (map[*program][]float64, error) {
	spent := map[*program][]float64{}
	for range minutes {
		before := map[*program]time.Duration{}
		for _, p := range programs {
			now, err := cpuOf(p.pid)
			if err != nil {
				return nil, err
			}
			before[p] = now
		}
		start := time.Now()
		for _, r := range minute(programs) {
			if err := sleep(ctx, time.Until(start.Add(r.at))); err != nil {
				return nil, err
			}
			if _, err := r.who.ask(ctx, r.who.paths[r.path], nil); err != nil {
				return nil, fmt.Errorf("ask %s for %s: %w", r.who.name, r.path, err)
			}
		}
		if err := sleep(ctx, time.Until(start.Add(time.Minute))); err != nil {
			return nil, err
		}
		took := time.Since(start)
		for _, p := range programs {
			now, err := cpuOf(p.pid)
			if err != nil {
				return nil, err
			}
			spent[p] = append(spent[p], milliseconds(now-before[p])*float64(time.Minute)/float64(took))
		}
	}
	return spent, nil
}
