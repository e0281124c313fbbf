// Command bench measures what figures of a node cost: it brings up a real one-node Kubernetes with pods, and gives the kubelet, cAdvisor,
// nodevitals and the bare reads of the same files their turns, in several rounds.
//
// scripts/bench.sh builds what it needs and runs it; its own flags say the rest.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/nodevitals/nodevitals/e2e/bench/report"
	"github.com/nodevitals/nodevitals/e2e/cluster"
)

// binaries are paths of what is run.
type binaries struct {
	nodevitals, cadvisor, reads, app, programs string
}

// settings are what the flags say.
type settings struct {
	binaries
	pods, rounds, minutes int
	growth                string
	steps, logs, out      string
	recorded, page, plot  string
	record, wholeMachine  bool
}

// locate makes the paths absolute: each program runs in a folder of its own.
func (b *binaries) locate() (err error) {
	for _, path := range []*string{&b.nodevitals, &b.cadvisor, &b.reads, &b.app, &b.programs} {
		// One that was not given stays empty, so that its lack is told by that name.
		if *path == "" {
			continue
		}
		if *path, err = filepath.Abs(*path); err != nil {
			return err
		}
	}
	return nil
}

func main() {
	s := settings{}
	flag.StringVar(&s.nodevitals, "nodevitals", "", "`path` of the agent")
	flag.StringVar(&s.cadvisor, "cadvisor", "", "`path` of bench/cadvisor's program")
	flag.StringVar(&s.reads, "reads", "", "`path` of the program of the bare reads")
	flag.StringVar(&s.app, "app", "", "`path` of the program in the pods' containers")
	flag.StringVar(&s.programs, "programs", "", "`folder` of the cluster's programs")
	flag.IntVar(&s.pods, "pods", 110, "pods of two containers; 0 leaves the cluster out")
	flag.IntVar(&s.rounds, "rounds", 5, "rounds of turns")
	flag.IntVar(&s.minutes, "minutes", 2, "minutes of the realistic schedule")
	flag.StringVar(&s.growth, "growth", "10,50,110,250,500,1000,1600,4000", "rising `numbers` of made cgroups to measure the agent alone with; empty for none")
	flag.StringVar(&s.steps, "steps", "", "`file` of what bench's TestTable measured, a line of JSON for each number of cgroups")
	flag.StringVar(&s.logs, "logs", "build/bench/logs", "`folder` for the words of each program")
	flag.StringVar(&s.out, "out", "build/bench/result.json", "`file` for the results")
	flag.StringVar(&s.recorded, "recorded", "", "`file` of the results to compare with")
	flag.StringVar(&s.page, "page", "", "`page` to put the tables into, if -record")
	flag.StringVar(&s.plot, "plot", "", "`file` beside the page to draw to, if -record")
	flag.BoolVar(&s.record, "record", false, "keep the results as those to compare with")
	flag.BoolVar(&s.wholeMachine, "whole-machine", false, "the machine is emulated, and there for this alone")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	if err := run(ctx, s); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func logf(format string, arguments ...any) {
	fmt.Fprintf(os.Stderr, "bench: %s %s\n", time.Now().Format(time.TimeOnly), fmt.Sprintf(format, arguments...))
}

func run(ctx context.Context, s settings) error {
	sizes, err := numbers(s.growth)
	if err != nil {
		return fmt.Errorf("bad value %q for -growth: want rising numbers, separated by commas", s.growth)
	}
	if err := s.locate(); err != nil {
		return err
	}
	result := &report.Result{Taken: time.Now().UTC().Truncate(time.Second), Host: host(s.wholeMachine), Rounds: s.rounds}
	if s.pods > 0 {
		if err := beside(ctx, s, result); err != nil {
			return err
		}
	}
	if len(sizes) > 0 {
		if result.Growth, err = growth(ctx, s.binaries, sizes, logf); err != nil {
			return err
		}
	}
	if result.Steps, err = readSteps(s.steps); err != nil {
		return err
	}
	if err := result.Write(s.out); err != nil {
		return err
	}
	return show(s, result)
}

// readSteps reads what bench's TestTable left.
func readSteps(path string) (all []report.Steps, err error) {
	if path == "" {
		return nil, nil
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	for decoder := json.NewDecoder(bytes.NewReader(text)); decoder.More(); {
		var one report.Steps
		if err := decoder.Decode(&one); err != nil {
			return nil, fmt.Errorf("read the steps in %s: %w", path, err)
		}
		all = append(all, one)
	}
	return all, nil
}

// errWorse ends a run that found something worse than recorded.
var errWorse = errors.New("worse than recorded")

// show prints the results, and either records them or compares them with those recorded.
func show(s settings, result *report.Result) error {
	for _, table := range append(result.Tables(), result.BudgetTable()) {
		if err := table.Text(os.Stdout); err != nil {
			return err
		}
	}
	if s.record {
		return errors.Join(result.Write(s.recorded), result.WritePage(s.page, filepath.Base(s.plot)), result.WritePlot(s.plot))
	}
	if s.recorded == "" || result.Host.Emulated {
		return nil
	}
	before, err := report.Read(s.recorded)
	if errors.Is(err, fs.ErrNotExist) {
		logf("there is nothing to compare with: %s", s.recorded)
		return nil
	}
	if err != nil {
		return err
	}
	worse := result.Worse(before)
	if len(worse) == 0 {
		fmt.Printf("\nno figure is worse than on %s, within a factor of %v\n", before.Taken.Format(time.DateOnly), report.Tolerance)
		return nil
	}
	return fmt.Errorf("%w on %s:\n  %s", errWorse, before.Taken.Format(time.DateOnly), strings.Join(worse, "\n  "))
}

// numbers reads rising ones, separated by commas.
func numbers(text string) (all []int, err error) {
	if text == "" {
		return nil, nil
	}
	for word := range strings.SplitSeq(text, ",") {
		number, err := strconv.Atoi(strings.TrimSpace(word))
		if err != nil || number < 1 || len(all) > 0 && number <= all[len(all)-1] {
			return nil, errors.New("not rising")
		}
		all = append(all, number)
	}
	return all, nil
}

func host(emulated bool) report.Host {
	h := report.Host{CgroupVersion: cgroupVersion(), Processors: runtime.NumCPU(), Emulated: emulated}
	var name unix.Utsname
	if err := unix.Uname(&name); err == nil {
		h.Kernel = unix.ByteSliceToString(name.Release[:])
	}
	return h
}

// cgroupVersion is 2 where the unified hierarchy stands alone.
func cgroupVersion() int {
	if _, err := os.Stat(cgroupMount + "/cgroup.controllers"); err == nil {
		return 2
	}
	return 1
}

// beside measures the programs beside each other, on a node with pods.
func beside(ctx context.Context, s settings, result *report.Result) (err error) {
	if unable := cluster.Unable(); unable != "" {
		return fmt.Errorf("no cluster can be brought up here: %s", unable)
	}
	state, err := os.MkdirTemp("", "nodevitals-bench-")
	if err != nil {
		return err
	}
	logs, err := filepath.Abs(s.logs)
	if err != nil {
		return err
	}
	node, err := cluster.Up(ctx, cluster.Options{
		Programs: s.programs, App: s.app, State: state, Logs: logs, WholeMachine: s.wholeMachine, Logf: logf,
	})
	if err != nil {
		return fmt.Errorf("bring the cluster up: %w", err)
	}
	defer func() { err = errors.Join(err, node.Down(context.WithoutCancel(ctx))) }()
	start := time.Now()
	if err := makePods(ctx, node, s.pods); err != nil {
		return err
	}
	logf("%d pods run after %s", s.pods, time.Since(start).Round(time.Second))
	programs, err := startPrograms(ctx, node, s.binaries)
	if err != nil {
		return err
	}
	if err := awaitFigures(ctx, programs, s.pods); err != nil {
		return err
	}
	logf("every program shows every container")
	if err := measure(ctx, s, programs, result); err != nil {
		return err
	}
	result.Sources, err = weighSources(ctx, node, s.binaries, s.pods)
	return err
}

// measure fills in the result.
func measure(ctx context.Context, s settings, programs []*program, result *report.Result) error {
	agent := programs[0]
	reads, err := startReads(s.reads, agent.pid)
	if err != nil {
		return err
	}
	defer reads.close()
	if result.Files, err = reads.look(); err != nil {
		return err
	}
	var grown report.Growth
	if err := counts(ctx, agent, &grown); err != nil {
		return err
	}
	result.Pods, result.Containers, result.Cgroups = s.pods, s.pods*containersOfPod, grown.Cgroups
	logf("%d cgroups, %d files", result.Cgroups, result.Files)
	m := newMeasurement(programs, reads)
	for number := range s.rounds {
		if err := m.round(ctx, number); err != nil {
			return err
		}
		logf("round %d of %d is done", number+1, s.rounds)
	}
	result.Programs = m.results()
	spent, err := schedule(ctx, scheduled(programs), s.minutes)
	if err != nil {
		return err
	}
	for i, p := range programs {
		if len(spent[p]) > 0 {
			result.Programs[i].Schedule = report.SpreadOf(spent[p])
		}
		if err := p.state(ctx, &result.Programs[i]); err != nil {
			return err
		}
	}
	return nil
}

// scheduled are the programs, each once: by its secure port, if it has one.
func scheduled(programs []*program) []*program {
	return slices.DeleteFunc(slices.Clone(programs), func(p *program) bool {
		return p.name == report.KubeletPlain || p.name == report.NodevitalsPlain
	})
}
