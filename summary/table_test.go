package summary

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/nodevitals/nodevitals/snapshot"
)

func TestTableGolden(t *testing.T) {
	for name, s := range map[string]*snapshot.Snapshot{
		"full.table": kubernetesNode(true), "unreadable.table": unreadable(), "pods.table": podNode(),
	} {
		var out bytes.Buffer
		if err := Table(&out, Render(s, Options{}, false), s); err != nil {
			t.Fatal(err)
		}
		golden(t, name, bytes.TrimSuffix(out.Bytes(), []byte("\n")))
	}
}

func TestTableHasARowForEveryCgroup(t *testing.T) {
	s := manyCgroups(50)
	s.Cgroups[3].Identity = &snapshot.Identity{ID: "/\x1b[2Jevil"}
	var out bytes.Buffer
	if err := Table(&out, Render(s, Options{}, false), s); err != nil {
		t.Fatal(err)
	}
	_, table, _ := strings.Cut(out.String(), "\n\n")
	lines := strings.Split(strings.TrimSuffix(table, "\n"), "\n")
	if len(lines) != len(s.Cgroups)+1 {
		t.Errorf("got %d lines, want %d", len(lines), len(s.Cgroups)+1)
	}
	for _, line := range lines {
		if len(line) != len(lines[0]) {
			t.Errorf("%q is not aligned with %q", line, lines[0])
		}
	}
	if strings.Contains(out.String(), "\x1b") {
		t.Error("a cgroup's name reaches the terminal")
	}
}

func TestTableNamesPods(t *testing.T) {
	s := podNode()
	odd := *s.Pods[1].Cgroup.Identity
	odd.Pod = "we\x1b[2Jb"
	s.Pods[1].Cgroup.Identity = &odd
	var out bytes.Buffer
	if err := Table(&out, Render(s, Options{}, false), s); err != nil {
		t.Fatal(err)
	}
	_, table, _ := strings.Cut(out.String(), "\n\n")
	lines := strings.Split(strings.TrimSuffix(table, "\n"), "\n")
	names := strings.Index(lines[0], "POD")
	want := map[string]int{
		"default/host": 1, "default/host/agent": 1, "default/host (sandbox)": 1, "default/web/sidecar": 1, "default/we?[2Jb": 1,
		"kube-system/static-node-1/s": 1,
	}
	for _, line := range lines[1:] {
		if runes := []rune(line); len(runes) != len(lines[0]) {
			t.Errorf("%q is not aligned with %q", line, lines[0])
		} else if name, _, _ := strings.Cut(string(runes[names:]), "  "); want[name] > 0 {
			want[name]--
		}
		if strings.Contains(line, hexID(6001)) {
			t.Errorf("%q has the whole ID", line)
		}
	}
	for name, missing := range want {
		if missing != 0 {
			t.Errorf("%q stands in %d rows too few", name, missing)
		}
	}
}

var errFull = errors.New("disk full")

type full struct{}

func (full) Write([]byte) (int, error) { return 0, errFull }

func TestTableTellsOfErrors(t *testing.T) {
	s := kubernetesNode(true)
	if err := Table(full{}, Render(s, Options{}, false), s); !errors.Is(err, errFull) {
		t.Errorf("got %v, want the writer's error", err)
	}
}

func TestFormatBytes(t *testing.T) {
	for bytes, want := range map[uint64]string{
		0: "0 B", 1023: "1023 B", 1024: "1.0 KiB", 1536: "1.5 KiB", 100 << 10: "100 KiB", 1<<20 - 1: "1.0 MiB",
		5 << 30: "5.0 GiB", 1 << 40: "1.0 TiB", ^uint64(0): "16.0 EiB",
	} {
		if got := formatBytes(bytes); got != want {
			t.Errorf("%d: got %q, want %q", bytes, got, want)
		}
	}
}
