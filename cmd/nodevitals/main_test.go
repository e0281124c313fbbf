package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// patience is how long a test waits for what a healthy agent does at once. The emulated machine and the race detector are slow.
const patience = 2 * time.Minute

// nobody is the user and group that Debian gives no rights.
const nobody = 65534

// binary is the program under test.
var binary string

func TestMain(m *testing.M) {
	os.Exit(func() int {
		// A machine without a Go toolchain of its own, such as the emulated one, is handed the program.
		if binary = os.Getenv("NODEVITALS_BINARY"); binary != "" {
			return m.Run()
		}
		folder, err := os.MkdirTemp("", "nodevitals")
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer os.RemoveAll(folder)
		if err := os.Chmod(folder, 0o755); err != nil { // an ordinary user is to run it too
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		binary = filepath.Join(folder, "nodevitals")
		build := exec.Command("go", "build", "-ldflags", "-X main.version=v1.2.3 -X main.revision=abcdef", "-o", binary, ".")
		build.Env = append(os.Environ(), "CGO_ENABLED=0")
		build.Stdout, build.Stderr = os.Stderr, os.Stderr
		if err := build.Run(); err != nil {
			fmt.Fprintln(os.Stderr, "build the program under test:", err)
			return 1
		}
		return m.Run()
	}())
}

// output is what a process wrote so far. It is safe for concurrent use.
type output struct {
	mutex sync.Mutex
	text  bytes.Buffer
}

func (o *output) Write(b []byte) (int, error) {
	o.mutex.Lock()
	defer o.mutex.Unlock()
	return o.text.Write(b)
}

func (o *output) String() string {
	o.mutex.Lock()
	defer o.mutex.Unlock()
	return o.text.String()
}

// process is one run of the program.
type process struct {
	command        *exec.Cmd
	stdout, stderr output
	// exited is closed when the program has ended.
	exited chan struct{}
}

// start runs the program as the present user, or as uid if that is not 0, until the test ends.
func start(t *testing.T, uid uint32, args ...string) *process {
	t.Helper()
	if uid == 0 {
		return startAs(t, nil, args...)
	}
	return startAs(t, &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: uid}}, args...)
}

// startAs runs the program with credentials and capabilities, until the test ends.
func startAs(t *testing.T, who *syscall.SysProcAttr, args ...string) *process {
	t.Helper()
	p := &process{command: exec.Command(binary, args...), exited: make(chan struct{})}
	p.command.Stdout, p.command.Stderr = &p.stdout, &p.stderr
	p.command.Dir = "/"
	p.command.SysProcAttr = who
	if err := p.command.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		_ = p.command.Wait() // the state tells
		close(p.exited)
	}()
	t.Cleanup(func() {
		_ = p.command.Process.Kill() // gone already, unless the test failed
		<-p.exited
		p.noRace(t)
	})
	return p
}

// wait returns the exit status.
func (p *process) wait(t *testing.T) int {
	t.Helper()
	select {
	case <-p.exited:
		return p.command.ProcessState.ExitCode()
	case <-time.After(patience):
		t.Fatalf("waited %s for %s to end; stdout:\n%s\nstderr:\n%s", patience, p.command, &p.stdout, &p.stderr)
		return -1
	}
}

// terminate sends SIGTERM and returns the exit status.
func (p *process) terminate(t *testing.T) int {
	t.Helper()
	if err := p.command.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	return p.wait(t)
}

// result is a finished run of the program.
type result struct {
	status         int
	stdout, stderr string
}

// command runs the program to its end.
func command(t *testing.T, args ...string) result {
	t.Helper()
	p := start(t, 0, args...)
	status := p.wait(t)
	return result{status, p.stdout.String(), p.stderr.String()}
}

// running is an agent that serves.
type running struct {
	*process
	readOnly, healthz string
}

// startAgent runs an agent on two free ports and returns once it answers.
func startAgent(t *testing.T, uid uint32, args ...string) *running {
	t.Helper()
	ports := freePorts(t, 2)
	a := &running{
		readOnly: "http://127.0.0.1:" + strconv.Itoa(ports[0]),
		healthz:  "http://127.0.0.1:" + strconv.Itoa(ports[1]),
	}
	a.process = start(t, uid, append([]string{
		"--read-only-port", strconv.Itoa(ports[0]), "--healthz-port", strconv.Itoa(ports[1]), "--log-format", "json",
	}, args...)...)
	if !a.ready(t) {
		t.Fatalf("the agent ended with status %d; stdout:\n%s\nstderr:\n%s", a.wait(t), &a.stdout, &a.stderr)
	}
	return a
}

// ready waits until the agent answers. It returns false if it ended instead.
func (a *running) ready(t *testing.T) bool {
	t.Helper()
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		select {
		case <-a.exited:
			return false
		default:
		}
		if answer, err := http.Get(a.healthz + "/healthz"); err == nil {
			_ = answer.Body.Close()
			return true
		}
	}
	t.Fatalf("waited %s for the agent to answer at %s; stderr:\n%s", patience, a.healthz, &a.stderr)
	return false
}

// freePorts returns ports of loopback at which nobody listens, and which nobody else is given before the test ends: a socket is bound to
// each. Of sockets that may share an address, as Go's do, one may listen beside those that do not.
func freePorts(t *testing.T, n int) []int {
	t.Helper()
	var ports []int
	for range n {
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = unix.Close(fd) })
		if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1); err != nil {
			t.Fatal(err)
		}
		if err := unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
			t.Fatal(err)
		}
		name, err := unix.Getsockname(fd)
		if err != nil {
			t.Fatal(err)
		}
		ports = append(ports, name.(*unix.SockaddrInet4).Port)
	}
	return ports
}

// get returns the answer to a request, whose body is read.
func get(t *testing.T, url string, header http.Header) (*http.Response, string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	request.Header = header
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil && !errors.Is(err, io.EOF) {
		t.Fatalf("%s: %v", url, err)
	}
	return answer, string(body)
}
