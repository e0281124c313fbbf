package main

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec" //nolint:depguard // the bare reads are a process of their own
	"strconv"
	"strings"
	"syscall"
	"time"
)

// reads is the program of the bare reads, which obeys line by line.
type reads struct {
	cmd     *exec.Cmd
	orders  io.WriteCloser
	answers *bufio.Scanner
}

// startReads starts it for the files of a process.
func startReads(path string, pid int) (*reads, error) {
	r := &reads{cmd: exec.Command(path, strconv.Itoa(pid))}
	r.cmd.Stderr = os.Stderr
	r.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	var err error
	if r.orders, err = r.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	said, err := r.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	r.answers = bufio.NewScanner(said)
	if err := r.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start the bare reads: %w", err)
	}
	return r, nil
}

// order says one line and returns the number that comes back.
func (r *reads) order(line string) (int, error) {
	if _, err := fmt.Fprintln(r.orders, line); err != nil {
		return 0, fmt.Errorf("order the bare reads to %s: %w", line, err)
	}
	if !r.answers.Scan() {
		return 0, fmt.Errorf("the bare reads ended at %q: %w", line, r.answers.Err())
	}
	return strconv.Atoi(strings.TrimSpace(r.answers.Text()))
}

// look makes it read the files that the process has by now, and returns their number.
func (r *reads) look() (int, error) { return r.order("look") }

// times is how often one turn reads all files.
const readTimes = 10

// turn returns the processor time and the time of one pass, in milliseconds.
func (r *reads) turn(order string) (cpu, wall float64, err error) {
	before, err := cpuOf(r.cmd.Process.Pid)
	if err != nil {
		return 0, 0, err
	}
	start := time.Now()
	if _, err := r.order(order + " " + strconv.Itoa(readTimes)); err != nil {
		return 0, 0, err
	}
	took := time.Since(start)
	after, err := cpuOf(r.cmd.Process.Pid)
	if err != nil {
		return 0, 0, err
	}
	return milliseconds(after-before) / readTimes, milliseconds(took) / readTimes, nil
}

// close ends it.
func (r *reads) close() {
	_ = r.orders.Close() // the end of its input ends it
	_ = r.cmd.Wait()     // how it ends is all the same by now
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
