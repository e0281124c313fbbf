package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// raceDetector tells whether these tests have it.
var raceDetector bool

// racing is the program under test with the race detector, which is built once a test asks for it.
var racing = sync.OnceValues(func() (string, error) {
	path := filepath.Join(filepath.Dir(binary), "nodevitals-race")
	build := exec.Command("go", "build", "-race", "-o", path, ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=1")
	if said, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build the program under test with the race detector: %w\n%s", err, said)
	}
	return path, nil
})

// withRaceDetector gives the agents that this test starts the race detector, if the test itself has it. Such a program has cgo, so that it cannot
// give up capabilities as the real one does: tests of these are to go without.
func withRaceDetector(t *testing.T) {
	t.Helper()
	if !raceDetector || os.Getenv("NODEVITALS_BINARY") != "" {
		return
	}
	path, err := racing()
	if err != nil {
		t.Fatal(err)
	}
	before := binary
	binary = path
	t.Cleanup(func() { binary = before })
}

// noRace fails the test if the program, which has ended, told of a race.
func (p *process) noRace(t *testing.T) {
	t.Helper()
	if text := p.stderr.String(); strings.Contains(text, "DATA RACE") {
		t.Errorf("%s: the race detector found one; stderr:\n%s", p.command, text)
	}
}
