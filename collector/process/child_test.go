package process

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/nodevitals/nodevitals/snapshot"
)

// procsFile writes a cgroup.procs and returns its path.
func procsFile(t *testing.T, pids ...int) string {
	t.Helper()
	dir := t.TempDir()
	var text strings.Builder
	for _, pid := range pids {
		fmt.Fprintf(&text, "%d\n", pid)
	}
	path := filepath.Join(dir, "cgroup.procs")
	if err := os.WriteFile(path, []byte(text.String()), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func get(values *snapshot.Values, field snapshot.Field) string {
	number, ok := values.Get(field)
	if !ok {
		return "absent"
	}
	return strconv.FormatUint(number, 10)
}

// child runs a process that stays until the test ends, and has three descriptors, sockets, and what the test itself inherited.
func child(t *testing.T, sockets int) int {
	t.Helper()
	command := exec.Command("cat")
	for range sockets {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Skip(err)
		}
		file, err := listener.(*net.TCPListener).File()
		if err != nil {
			t.Fatal(err)
		}
		_ = listener.Close()
		t.Cleanup(func() { _ = file.Close() })
		command.ExtraFiles = append(command.ExtraFiles, file)
	}
	in, inErr := command.StdinPipe()
	out, outErr := command.StdoutPipe()
	if err := errors.Join(inErr, outErr, command.Start()); err != nil {
		t.Skip(err)
	}
	t.Cleanup(func() {
		_ = in.Close()
		_ = command.Wait()
	})
	// Once it answers, it has closed the files that loading it took.
	if _, err := in.Write([]byte{'x'}); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(out, make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	return command.Process.Pid
}

// inherited is how many descriptors a child has beyond its three and its sockets.
func inherited(t *testing.T) int {
	t.Helper()
	entries, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", child(t, 0)))
	if err != nil {
		t.Skip(err)
	}
	return len(entries) - 3
}

// gonePid returns the number of a process that has ended.
func gonePid(t *testing.T) int {
	t.Helper()
	command := exec.Command("true")
	if err := command.Run(); err != nil {
		t.Skip(err)
	}
	return command.Process.Pid
}

func unifiedRoot(t *testing.T) string {
	t.Helper()
	for _, root := range []string{"/sys/fs/cgroup", "/sys/fs/cgroup/unified"} {
		if _, err := os.Stat(filepath.Join(root, "cgroup.controllers")); err == nil {
			return root
		}
	}
	t.Skip("no cgroup v2 here")
	return ""
}
