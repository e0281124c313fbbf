package process

import (
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
)

// runAs runs one test of this binary with other credentials, from a copy that such a user may execute.
func runAs(t *testing.T, who *syscall.Credential, name string) {
	t.Helper()
	own, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
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
	command := exec.Command(binary, "-test.run=^"+name+"$", "-test.v")
	command.Dir = "/"
	command.SysProcAttr = &syscall.SysProcAttr{Credential: who}
	if output, err := command.CombinedOutput(); err != nil {
		t.Errorf("as user %d: %v\n%s", who.Uid, err, output)
	}
}
