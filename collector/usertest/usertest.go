// Package usertest runs a test again as another user, to see what such a one may read.
package usertest

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// Nobody is the user and group 65534, who may read what everybody may.
var Nobody = &syscall.Credential{Uid: 65534, Gid: 65534}

// RunAs runs the calling test again, alone in a process of its own with these credentials, from a copy of the test's binary that such
// a user may execute. What becomes of it there becomes of it here: it fails, or is skipped for the same reason. It needs root.
func RunAs(t *testing.T, who *syscall.Credential) {
	t.Helper()
	own, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	// Below t.TempDir it could not be reached by that user.
	dir, err := os.MkdirTemp("", "nodevitals-test")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	binary := filepath.Join(dir, "test")
	if err := os.WriteFile(binary, own, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	command := exec.Command(binary, "-test.run=^"+t.Name()+"$", "-test.v")
	command.Dir = "/"
	command.SysProcAttr = &syscall.SysProcAttr{Credential: who}
	output, err := command.CombinedOutput()
	if err != nil {
		t.Fatalf("as user %d: %v\n%s", who.Uid, err, output)
	}
	skipped, err := outcome(t.Name(), string(output))
	if err != nil {
		t.Fatalf("as user %d: %v:\n%s", who.Uid, err, output)
	}
	if skipped != "" {
		t.Skipf("as user %d: %s", who.Uid, skipped)
	}
}

// outcome says why a test was skipped, from the words of a binary that ended without a failure; "" if the test passed. It returns an
// error if no such test was run.
func outcome(name, output string) (skipped string, err error) {
	last := ""
	for line := range strings.Lines(output) {
		line = strings.TrimSpace(line)
		switch {
		case strings.HasPrefix(line, "--- PASS: "+name+" "):
			return "", nil
		case strings.HasPrefix(line, "--- SKIP: "+name+" "):
			if _, reason, found := strings.Cut(last, ": "); found {
				last = reason
			}
			return last, nil
		}
		last = line
	}
	return "", fmt.Errorf("no test %s was run", name)
}
