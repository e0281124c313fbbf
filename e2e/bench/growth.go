package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec" //nolint:depguard // the agent is measured as a process of its own
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"github.com/nodevitals/nodevitals/e2e/bench/report"
	"github.com/nodevitals/nodevitals/e2e/cluster"
)

// growthRounds is how often each number of cgroups is measured.
const growthRounds = 5

// growth measures the agent alone, with made cgroups of one sleeping process each, for several numbers of them in rising order.
func growth(ctx context.Context, files binaries, sizes []int, logf func(string, ...any)) (all []report.Growth, err error) {
	made, err := newCrowd()
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, made.remove()) }()
	agent, stop, err := startAlone(ctx, files.nodevitals)
	if err != nil {
		return nil, err
	}
	defer stop()
	reads, err := startReads(files.reads, agent.pid)
	if err != nil {
		return nil, err
	}
	defer reads.close()
	for _, size := range sizes {
		if err := made.grow(size); err != nil {
			return nil, err
		}
		one, err := measureSize(ctx, agent, reads, made)
		if err != nil {
			return nil, fmt.Errorf("measure %d cgroups: %w", size, err)
		}
		logf("%d cgroups: %.2f ms a /metrics/cadvisor, %.2f ms bare reads, %d MiB", one.Cgroups, one.Cadvisor.Median, one.Reads.Median, one.Resident>>20)
		all = append(all, one)
	}
	return all, nil
}

// startAlone starts the agent on this host, with no source of names.
func startAlone(ctx context.Context, path string) (*program, func(), error) {
	// Nobody else is told this port; that it is free a moment later is all but sure.
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, nil, err
	}
	address := listener.Addr().String()
	listener.Close()
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, nil, err
	}
	cmd := exec.Command(path, "--read-only-port="+port, "--healthz-port=0", "--secure-port=0", "--pod-source=none", "--reader=files", "--max-age=0", "--log-level=error")
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		return nil, nil, fmt.Errorf("start the agent: %w", err)
	}
	stop := func() {
		_ = cmd.Process.Signal(syscall.SIGTERM) // one that ended already is what we want
		_ = cmd.Wait()                          // how it ends is all the same by now
	}
	p := &program{
		name: report.Nodevitals, pid: cmd.Process.Pid, base: "http://" + address, paths: everyPath, own: "/metrics",
		client: newClient((&net.Dialer{}).DialContext, nil),
	}
	err = cluster.Await(ctx, time.Minute, "the agent's /readyz", func(ctx context.Context) error {
		_, err := p.ask(ctx, "/readyz", nil)
		return err
	})
	if err != nil {
		stop()
		return nil, nil, err
	}
	return p, stop, nil
}

// measureSize takes turns between the endpoints and the bare reads.
func measureSize(ctx context.Context, agent *program, reads *reads, made *crowdOfCgroups) (report.Growth, error) {
	one := report.Growth{Made: len(made.ids)}
	err := cluster.Await(ctx, 2*time.Minute, "the last cgroup to be shown", func(ctx context.Context) error {
		text, err := agent.text(ctx, report.CadvisorPath)
		if err == nil && !bytes.Contains(text, []byte(`id="`+made.ids[len(made.ids)-1]+`"`)) {
			err = errors.New("it is not")
		}
		return err
	})
	if err != nil {
		return one, err
	}
	if one.Files, err = reads.look(); err != nil {
		return one, err
	}
	m := newMeasurement([]*program{agent}, reads)
	for range growthRounds {
		for _, path := range []string{report.CadvisorPath, report.ResourcePath, report.SummaryPath} {
			if err := m.take(ctx, agent, path); err != nil {
				return one, err
			}
		}
		if err := m.read(); err != nil {
			return one, err
		}
	}
	// What it takes by itself, a light tick every ten seconds, is too little to be taken away.
	cost := func(path string) report.Spread { return m.byPath[agent][path].endpoint(path, 0).CPU }
	one.Reads, one.Cadvisor, one.Resource, one.Summary = report.SpreadOf(m.kept), cost(report.CadvisorPath), cost(report.ResourcePath), cost(report.SummaryPath)
	var state report.Program
	if err := agent.state(ctx, &state); err != nil {
		return one, err
	}
	one.Resident, one.Threads, one.Goroutines = state.Resident, state.Threads, state.Goroutines
	if err := counts(ctx, agent, &one); err != nil {
		return one, err
	}
	return one, notice(ctx, agent, made, &one)
}

// counts takes the agent's own word on how many cgroups there are, and how many files it has to open for lack of descriptors.
func counts(ctx context.Context, agent *program, into *report.Growth) error {
	fallback := make([]float64, 2)
	for i := range fallback {
		text, err := agent.text(ctx, "/metrics")
		if err != nil {
			return err
		}
		cgroups, _ := sampleOf(text, `nodevitals_cgroups{state="seen"}`)
		into.Cgroups = int(cgroups)
		fallback[i], _ = sampleOf(text, "nodevitals_fallback_reads_total")
		if _, err := agent.ask(ctx, report.CadvisorPath, nil); err != nil {
			return err
		}
	}
	into.Unkept = int(fallback[1] - fallback[0])
	return nil
}

// notice makes one more cgroup and asks until it is shown.
func notice(ctx context.Context, agent *program, made *crowdOfCgroups, into *report.Growth) error {
	start := time.Now()
	if err := made.grow(len(made.ids) + 1); err != nil {
		return err
	}
	wanted := []byte(`id="` + made.ids[len(made.ids)-1] + `"`)
	for into.NoticedAnswers = 1; ; into.NoticedAnswers++ {
		text, err := agent.text(ctx, report.CadvisorPath)
		if err != nil {
			return err
		}
		if bytes.Contains(text, wanted) {
			into.Noticed = milliseconds(time.Since(start))
			return nil
		}
		if time.Since(start) > patience {
			return fmt.Errorf("cgroup %s is not shown after %s and %d answers", wanted, patience, into.NoticedAnswers)
		}
	}
}

// crowdOfCgroups are made cgroups, each with a process that sleeps.
type crowdOfCgroups struct {
	mounts    []string
	parent    string
	ids       []string
	processes []*exec.Cmd
}

const cgroupMount = "/sys/fs/cgroup"

func newCrowd() (*crowdOfCgroups, error) {
	c := &crowdOfCgroups{parent: "/nodevitals-bench-" + strconv.Itoa(os.Getpid()) + "/kubepods"}
	if cgroupVersion() == 2 {
		c.mounts = []string{cgroupMount}
	} else {
		files, err := filepath.Glob(cgroupMount + "/*/cgroup.procs")
		if err != nil {
			return nil, err
		}
		for _, file := range files {
			// Some controllers are links to the hierarchy that they share.
			if info, err := os.Lstat(filepath.Dir(file)); err == nil && info.IsDir() {
				c.mounts = append(c.mounts, filepath.Dir(file))
			}
		}
	}
	if len(c.mounts) == 0 {
		return nil, fmt.Errorf("no cgroups at %s", cgroupMount)
	}
	for _, id := range []string{filepath.Dir(c.parent), c.parent} {
		if err := c.create(id); err != nil {
			return nil, errors.Join(err, c.remove())
		}
	}
	return c, nil
}

// create makes a cgroup in every hierarchy.
func (c *crowdOfCgroups) create(id string) error {
	for _, mount := range c.mounts {
		above := filepath.Dir(mount + id)
		controllers, _ := os.ReadFile(filepath.Join(above, "cgroup.controllers")) // on v1 there are none to hand down
		for controller := range bytes.FieldsSeq(controllers) {
			// One that cannot be handed down is none that the agent reads.
			_ = os.WriteFile(filepath.Join(above, "cgroup.subtree_control"), append([]byte("+"), controller...), 0o644)
		}
		if err := os.Mkdir(mount+id, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
			return fmt.Errorf("make a cgroup: %w", err)
		}
		// Where the parent does not pass these on by itself, a new cpuset has none and takes no process.
		for _, file := range []string{"cpuset.cpus", "cpuset.mems"} {
			if text, err := os.ReadFile(filepath.Join(above, file)); err == nil && len(controllers) == 0 {
				if err := os.WriteFile(filepath.Join(mount+id, file), text, 0o644); err != nil {
					return fmt.Errorf("make a cgroup: %w", err)
				}
			}
		}
	}
	return nil
}

// grow makes cgroups until there are so many.
func (c *crowdOfCgroups) grow(size int) error {
	for len(c.ids) < size {
		// By its path it is a pod's, whose figures every answer shows.
		id := c.parent + "/pod" + strconv.Itoa(len(c.ids))
		if err := c.create(id); err != nil {
			return err
		}
		c.ids = append(c.ids, id)
		sleeper := exec.Command("sleep", "infinity")
		sleeper.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
		if err := sleeper.Start(); err != nil {
			return fmt.Errorf("start a process that sleeps: %w", err)
		}
		c.processes = append(c.processes, sleeper)
		for _, mount := range c.mounts {
			if err := os.WriteFile(mount+id+"/cgroup.procs", []byte(strconv.Itoa(sleeper.Process.Pid)), 0o644); err != nil {
				return fmt.Errorf("move a process to its cgroup: %w", err)
			}
		}
	}
	return nil
}

// remove ends the processes and takes the cgroups away.
func (c *crowdOfCgroups) remove() error {
	for _, p := range c.processes {
		_ = p.Process.Kill() // one that is gone is what we want
	}
	for _, p := range c.processes {
		_ = p.Wait() // it was killed
	}
	var failed []error
	for _, id := range append(c.ids, c.parent, filepath.Dir(c.parent)) {
		for _, mount := range c.mounts {
			err := cluster.Await(context.Background(), time.Minute, "cgroup "+mount+id+" to be empty", func(context.Context) error {
				if err := os.Remove(mount + id); !errors.Is(err, fs.ErrNotExist) {
					return err
				}
				return nil
			})
			failed = append(failed, err)
		}
	}
	return errors.Join(failed...)
}
