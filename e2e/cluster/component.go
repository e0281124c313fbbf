package cluster

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec" //nolint:depguard // a cluster is programs
	"path/filepath"
	"syscall"
	"time"
)

// Component is a program of the cluster, and how to tell that it works.
type Component struct {
	// Name is also its log's: NAME.log.
	Name string
	Path string
	Args []string
	// Env adds to this process's environment.
	Env []string
	// As has the credentials and the ambient capabilities that it runs with; nil: those of this process. Its present folder is then the root,
	// since the cluster's own is not open to everyone.
	As *syscall.SysProcAttr
	// Cgroup is where it runs, from the root of each hierarchy; empty: where this process does.
	Cgroup string
	// Ready returns nil once the component works, and else what it saw.
	Ready func(context.Context) error
	// Until says what Ready waits for, in words.
	Until string
	// Limit is how long it may take.
	Limit time.Duration
}

// Process is a component that runs.
type Process struct {
	Component
	// Log has what it wrote to both standard streams.
	Log string

	cmd     *exec.Cmd
	started time.Time
	// network is the node's on which it runs.
	network *network
	// ended is closed once the process has; then err is set.
	ended chan struct{}
	err   error
}

// Start runs a component in the cluster's network namespace and waits until it is ready. [Cluster.Down] ends it.
func (c *Cluster) Start(ctx context.Context, component Component) (*Process, error) {
	return c.start(ctx, c.network, component)
}

func (c *Cluster) start(ctx context.Context, where *network, component Component) (*Process, error) {
	p := &Process{
		Component: component, Log: filepath.Join(c.options.Logs, component.Name+".log"),
		started: time.Now(), network: where, ended: make(chan struct{}),
	}
	log, err := os.OpenFile(p.Log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", p.Name, err)
	}
	defer log.Close()
	fmt.Fprintf(log, "%s %q\n", component.Path, component.Args)

	p.cmd = exec.Command(component.Path, component.Args...)
	p.cmd.Env = append(os.Environ(), component.Env...)
	p.cmd.Dir = c.options.State
	p.cmd.Stdout, p.cmd.Stderr = log, log
	// A group of its own takes it out of the terminal's signals; and should this process be killed, the kernel ends it.
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if component.As != nil {
		p.cmd.Dir = "/"
		p.cmd.SysProcAttr.Credential, p.cmd.SysProcAttr.AmbientCaps = component.As.Credential, component.As.AmbientCaps
	}
	// A child starts in the namespace of the thread that makes it.
	if err := where.do(p.cmd.Start); err != nil {
		return nil, fmt.Errorf("start %s: %w", p.Name, err)
	}
	c.add(p)
	go func() {
		p.err = p.cmd.Wait()
		close(p.ended)
	}()
	if component.Cgroup != "" {
		if err := c.cgroups.move(component.Cgroup, p.cmd.Process.Pid); err != nil {
			return nil, fmt.Errorf("start %s: %w", p.Name, err)
		}
	}
	if err := p.await(ctx); err != nil {
		return nil, err
	}
	c.options.Logf("%s is ready after %s", p.Name, time.Since(p.started).Round(100*time.Millisecond))
	return p, nil
}

func (p *Process) await(ctx context.Context) error {
	err := Await(ctx, p.Limit, p.Until, func(ctx context.Context) error {
		select {
		case <-p.ended:
			return Stop(fmt.Errorf("it ended: %w", p.ending()))
		default:
			return p.Ready(ctx)
		}
	})
	if err != nil {
		return fmt.Errorf("start %s: %w\nthe end of %s:\n%s", p.Name, err, p.Log, lastLines(p.Log, 20))
	}
	return nil
}

// ending is the error of a process that ended though nobody ended it.
func (p *Process) ending() error {
	if p.err == nil {
		return errors.New("exit status 0")
	}
	return p.err
}

// PID is the process's ID.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Ended returns an error if the process does not run any more.
func (p *Process) Ended() error {
	select {
	case <-p.ended:
		return fmt.Errorf("%s ended: %w; see %s", p.Name, p.ending(), p.Log)
	default:
		return nil
	}
}

// Stop ends the process: it is asked to, and forced if it has not by limit.
func (p *Process) Stop(limit time.Duration) error {
	_ = p.cmd.Process.Signal(syscall.SIGTERM) // one that ended already is what we want
	select {
	case <-p.ended:
		return nil
	case <-time.After(limit):
	}
	// The group: what it started may still hold its files.
	if err := syscall.Kill(-p.PID(), syscall.SIGKILL); err != nil {
		return fmt.Errorf("end %s, which did not within %s: %w", p.Name, limit, err)
	}
	<-p.ended
	return nil
}

// lastLines returns the end of a file, or why it cannot.
func lastLines(path string, count int) string {
	text, err := os.ReadFile(path)
	if err != nil {
		return err.Error()
	}
	lines := bytes.Split(bytes.TrimRight(text, "\n"), []byte("\n"))
	return string(bytes.Join(lines[max(0, len(lines)-count):], []byte("\n")))
}
