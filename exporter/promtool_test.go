package exporter

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/expfmt"

	"github.com/nodevitals/nodevitals/snapshot"
)

// promtool returns what `promtool check metrics` has to say about an answer, sorted: nothing, if it is in order.
func promtool(t *testing.T, text []byte) []string {
	t.Helper()
	// scripts/setup.sh puts it there.
	program, err := filepath.Abs("../build/tools/prometheus/promtool")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(program); err != nil {
		if program, err = exec.LookPath("promtool"); err != nil {
			t.Skip("needs promtool of Debian's package prometheus: run scripts/setup.sh")
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	check := exec.CommandContext(ctx, program, "check", "metrics")
	check.Stdin = bytes.NewReader(text)
	said, err := check.CombinedOutput()
	// 3 tells of complaints about names, 1 of a text that cannot be read.
	if exit := (*exec.ExitError)(nil); err != nil && (!errors.As(err, &exit) || exit.ExitCode() != 3) {
		t.Fatalf("promtool check metrics: %v: %s", err, said)
	}
	lines := strings.FieldsFunc(string(said), func(r rune) bool { return r == '\n' })
	slices.Sort(lines)
	return slices.Compact(lines)
}

// The names of /metrics/cadvisor bring complaints with them, and we bring no others: cAdvisor's own collector shows the same node.
func TestPromtoolSaysOfCadvisorWhatItSaysOfTheKubelet(t *testing.T) {
	s := smallSnapshot()
	registry, _ := newReference(s, time.Now())
	families, err := registry.Gather()
	if err != nil {
		t.Logf("the reference's collector: %v", err)
	}
	var reference bytes.Buffer
	for _, family := range families {
		if _, err := expfmt.MetricFamilyToText(&reference, family); err != nil {
			t.Fatal(err)
		}
	}
	inherited := promtool(t, reference.Bytes())
	for _, file := range []string{"cadvisor.txt", "cadvisor-timestamps.txt"} {
		text, err := os.ReadFile(filepath.Join("testdata", file))
		if err != nil {
			t.Fatal(err)
		}
		for _, complaint := range promtool(t, text) {
			if !slices.Contains(inherited, complaint) {
				t.Errorf("%s: %s: promtool does not say that of cAdvisor's answer", file, complaint)
			}
		}
	}
}

func TestPromtoolIsSilent(t *testing.T) {
	resource, err := os.ReadFile(filepath.Join("testdata", "resource.txt"))
	if err != nil {
		t.Fatal(err)
	}
	registry := NewSelfRegistry(Build{Version: "v1", Revision: "abc"}, busyStatus)
	registry.MustRegister(NewKubeletCollector(&source{s: smallSnapshot()}, KubeletOptions{CgroupVersion: 2, Groups: snapshot.All}))
	self := get(NewSelfHandler(registry, nil, nil), "/metrics", "")
	if self.Code != http.StatusOK {
		t.Fatalf("status %d: %s", self.Code, self.Body)
	}
	for path, text := range map[string][]byte{"/metrics/resource": resource, "/metrics": self.Body.Bytes()} {
		if said := promtool(t, text); len(said) > 0 {
			t.Errorf("%s: %s", path, strings.Join(said, "\n"))
		}
	}
}
