package main

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/nodevitals/nodevitals/e2e/bench/report"
)

const (
	// crowd is how many clients ask at once, where several do.
	crowd = 8
	// A turn takes so long, and has no fewer and no more requests than that.
	turnTime     = 2 * time.Second
	leastAnswers = 3
	mostAnswers  = 20
	// crowdAnswers is how many answers each client of a crowd waits for.
	crowdAnswers = 2
	// idleTime is how long programs are left alone in a round, so that what they do every ten seconds is in it as often as it should be.
	idleTime = 20 * time.Second
)

// turn is what one program took for some answers of one endpoint.
type turn struct {
	cpu, wall time.Duration
	answers   int
}

// turns are those of one endpoint of one program.
type turns struct {
	all          []turn
	alone, crowd []float64
	last         answer
	raw          int64
}

// measurement collects what the rounds give.
type measurement struct {
	programs []*program
	reads    *reads
	// byPath has the turns of each program's endpoints, idle its milliseconds of processor time a second.
	byPath       map[*program]map[string]*turns
	idle         map[*program][]float64
	kept, opened []float64
	keptWall     []float64
	openedWall   []float64
}

func newMeasurement(programs []*program, reads *reads) *measurement {
	m := &measurement{programs: programs, reads: reads, byPath: map[*program]map[string]*turns{}, idle: map[*program][]float64{}}
	for _, p := range programs {
		m.byPath[p] = map[string]*turns{}
		for path := range p.paths {
			m.byPath[p][path] = &turns{}
		}
	}
	return m
}

// round gives every endpoint of every program its turn, one program after the other for the same endpoint, and then leaves all alone.
func (m *measurement) round(ctx context.Context, number int) error {
	for _, path := range []string{report.CadvisorPath, report.ResourcePath, report.SummaryPath} {
		for i := range m.programs {
			// Another one begins in each round.
			p := m.programs[(i+number)%len(m.programs)]
			if p.paths[path] == "" {
				continue
			}
			if err := m.take(ctx, p, path); err != nil {
				return fmt.Errorf("measure %s of %s: %w", path, p.name, err)
			}
		}
		if err := m.read(); err != nil {
			return err
		}
	}
	return m.rest(ctx)
}

// take is one turn: alone, and then with a crowd.
func (m *measurement) take(ctx context.Context, p *program, path string) error {
	into := m.byPath[p][path]
	text, err := p.text(ctx, p.paths[path]) // it also warms the connection
	if err != nil {
		return err
	}
	into.raw = int64(len(text))
	before, err := cpuOf(p.pid)
	if err != nil {
		return err
	}
	start, answers := time.Now(), 0
	for answers < leastAnswers || answers < mostAnswers && time.Since(start) < turnTime {
		if into.last, err = p.ask(ctx, p.paths[path], nil); err != nil {
			return err
		}
		into.alone = append(into.alone, milliseconds(into.last.took))
		answers++
	}
	wall := time.Since(start)
	after, err := cpuOf(p.pid)
	if err != nil {
		return err
	}
	into.all = append(into.all, turn{cpu: after - before, wall: wall, answers: answers})
	return m.flock(ctx, p, path)
}

// flock has several clients ask at once.
func (m *measurement) flock(ctx context.Context, p *program, path string) error {
	into := m.byPath[p][path]
	var mutex sync.Mutex
	var failed error
	var all sync.WaitGroup
	for range crowd {
		all.Go(func() {
			for range crowdAnswers {
				got, err := p.ask(ctx, p.paths[path], nil)
				mutex.Lock()
				if err != nil {
					failed = err
				} else {
					into.crowd = append(into.crowd, milliseconds(got.took))
				}
				mutex.Unlock()
			}
		})
	}
	all.Wait()
	return failed
}

// read has the bare reads take their turn.
func (m *measurement) read() error {
	for _, one := range []struct {
		order     string
		cpu, wall *[]float64
	}{{"kept", &m.kept, &m.keptWall}, {"opened", &m.opened, &m.openedWall}} {
		cpu, wall, err := m.reads.turn(one.order)
		if err != nil {
			return err
		}
		*one.cpu, *one.wall = append(*one.cpu, cpu), append(*one.wall, wall)
	}
	return nil
}

// rest leaves the programs alone, and takes note of what they do meanwhile.
func (m *measurement) rest(ctx context.Context) error {
	before := map[*program]time.Duration{}
	start := time.Now()
	for _, p := range m.programs {
		spent, err := cpuOf(p.pid)
		if err != nil {
			return err
		}
		before[p] = spent
	}
	if err := sleep(ctx, idleTime); err != nil {
		return err
	}
	for _, p := range m.programs {
		spent, err := cpuOf(p.pid)
		if err != nil {
			return err
		}
		m.idle[p] = append(m.idle[p], milliseconds(spent-before[p])/time.Since(start).Seconds())
	}
	return nil
}

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// results are the figures of all rounds.
func (m *measurement) results() []report.Program {
	var all []report.Program
	for _, p := range m.programs {
		one := report.Program{Name: p.name, Idle: report.SpreadOf(m.idle[p])}
		for _, path := range []string{report.CadvisorPath, report.ResourcePath, report.SummaryPath} {
			if taken := m.byPath[p][path]; taken != nil {
				one.Endpoints = append(one.Endpoints, taken.endpoint(path, one.Idle.Median))
			}
		}
		all = append(all, one)
	}
	return append(all, report.Program{Name: report.Reads, Endpoints: []report.Endpoint{
		{Path: report.KeptReads, CPU: report.SpreadOf(m.kept), Alone: report.WallOf(m.keptWall)},
		{Path: report.OpenedReads, CPU: report.SpreadOf(m.opened), Alone: report.WallOf(m.openedWall)},
	}})
}

// endpoint sums its turns up, with what the program takes by itself, in milliseconds a second, taken away.
func (t *turns) endpoint(path string, idle float64) report.Endpoint {
	var cpu []float64
	for _, one := range t.all {
		cpu = append(cpu, (milliseconds(one.cpu)-idle*one.wall.Seconds())/float64(one.answers))
	}
	return report.Endpoint{
		Path: path, CPU: report.SpreadOf(cpu), Alone: report.WallOf(t.alone), Crowd: report.WallOf(t.crowd),
		Raw: t.raw, Sent: t.last.sent, Encoding: t.last.encoding,
	}
}
