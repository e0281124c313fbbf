package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func write(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestSum(t *testing.T) {
	tests := []struct {
		name, checks string
		files        []string
		want         string
		failed       int
	}{
		{
			name: "a skipped test is named and not counted as passed",
			files: []string{`{"Action":"run","Package":"p","Test":"TestA"}
{"Action":"pass","Package":"p","Test":"TestA"}
{"Action":"run","Package":"p","Test":"TestB"}
{"Action":"output","Package":"p","Test":"TestB","Output":"=== RUN   TestB\n"}
{"Action":"output","Package":"p","Test":"TestB","Output":"    b_test.go:5: needs cgroup v2: this host has v1\n"}
{"Action":"output","Package":"p","Test":"TestB","Output":"--- SKIP: TestB (0.00s)\n"}
{"Action":"skip","Package":"p","Test":"TestB"}
{"Action":"pass","Package":"p"}
`},
			want: "not run here: p.TestB: needs cgroup v2: this host has v1\n1 passed, 0 failed, 1 skipped\n",
		},
		{
			name: "a subtest's name may hold slashes",
			files: []string{`{"Action":"run","Package":"p","Test":"TestA"}
{"Action":"run","Package":"p","Test":"TestA//metrics/cadvisor"}
{"Action":"pass","Package":"p","Test":"TestA//metrics/cadvisor"}
{"Action":"pass","Package":"p","Test":"TestA"}
`},
			want: "1 passed, 0 failed, 0 skipped\n",
		},
		{
			name: "skipped here and passed on the other machine by its subtests",
			files: []string{
				`{"Action":"skip","Package":"p","Test":"TestB"}` + "\n",
				`{"Action":"run","Package":"p","Test":"TestB"}
{"Action":"run","Package":"p","Test":"TestB/x"}
{"Action":"pass","Package":"p","Test":"TestB/x"}
{"Action":"pass","Package":"p","Test":"TestB"}
`,
			},
			want: "1 passed, 0 failed, 0 skipped\n",
		},
		{
			name: "skipped here and passed on the other machine",
			files: []string{
				`{"Action":"skip","Package":"p","Test":"TestB"}` + "\n",
				`{"Action":"pass","Package":"p","Test":"TestB"}` + "\n",
			},
			want: "1 passed, 0 failed, 0 skipped\n",
		},
		{
			name: "passed here and failed on the other machine",
			files: []string{
				`{"Action":"pass","Package":"p","Test":"TestB"}` + "\n",
				`{"Action":"fail","Package":"p","Test":"TestB"}` + "\n",
			},
			want: "failed: p.TestB\n0 passed, 1 failed, 0 skipped\n", failed: 1,
		},
		{
			name: "a parent counts by its subtests",
			files: []string{`{"Action":"run","Package":"p","Test":"TestA"}
{"Action":"run","Package":"p","Test":"TestA/x"}
{"Action":"pass","Package":"p","Test":"TestA/x"}
{"Action":"run","Package":"p","Test":"TestA/y"}
{"Action":"fail","Package":"p","Test":"TestA/y"}
{"Action":"fail","Package":"p","Test":"TestA"}
{"Action":"fail","Package":"p"}
`},
			want: "failed: p.TestA/y\n1 passed, 1 failed, 0 skipped\n", failed: 1,
		},
		{
			name: "a parent that fails by itself",
			files: []string{`{"Action":"run","Package":"p","Test":"TestA"}
{"Action":"run","Package":"p","Test":"TestA/x"}
{"Action":"pass","Package":"p","Test":"TestA/x"}
{"Action":"fail","Package":"p","Test":"TestA"}
`},
			want: "failed: p.TestA\n1 passed, 1 failed, 0 skipped\n", failed: 1,
		},
		{
			name:  "a package that does not build",
			files: []string{`{"Action":"fail","Package":"p"}` + "\n"},
			want:  "failed: p\n0 passed, 1 failed, 0 skipped\n", failed: 1,
		},
		{
			name:  "a process that dies in a test",
			files: []string{`{"Action":"run","Package":"p","Test":"TestA"}` + "\n" + `{"Action":"fail","Package":"p"}` + "\n"},
			want:  "failed: p.TestA\n0 passed, 1 failed, 0 skipped\n", failed: 1,
		},
		{
			name:   "checks",
			checks: "pass\tshellcheck\t\nskip\tgovulncheck\tno database\nfail\tgolangci-lint\t\n",
			want:   "failed: golangci-lint\nnot run here: govulncheck: no database\n1 passed, 1 failed, 1 skipped\n", failed: 1,
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var paths []string
			for _, file := range test.files {
				paths = append(paths, write(t, "events", file))
			}
			var out strings.Builder
			failed, err := sum(&out, write(t, "checks", test.checks), paths)
			if err != nil {
				t.Fatal(err)
			}
			if out.String() != test.want || failed != test.failed {
				t.Errorf("got %d failed and\n%s\nwant %d and\n%s", failed, out.String(), test.failed, test.want)
			}
		})
	}
}

func TestWatchShowsFailuresOnly(t *testing.T) {
	events := `{"Action":"run","Package":"p","Test":"TestA"}
{"Action":"output","Package":"p","Test":"TestA","Output":"noise\n"}
{"Action":"pass","Package":"p","Test":"TestA"}
{"Action":"output","Package":"p","Test":"TestB","Output":"got 1, want 2\n"}
{"Action":"fail","Package":"p","Test":"TestB"}
{"Action":"build-output","ImportPath":"q","Output":"q.go:1: undefined: x\n"}
not an event
`
	path := filepath.Join(t.TempDir(), "events")
	var out strings.Builder
	if err := watch(strings.NewReader(events), &out, path); err != nil {
		t.Fatal(err)
	}
	if want := "FAIL p TestB\ngot 1, want 2\nq.go:1: undefined: x\nnot an event\n"; out.String() != want {
		t.Errorf("got %q, want %q", out.String(), want)
	}
	kept, err := os.ReadFile(path)
	if err != nil || string(kept) != events {
		t.Errorf("kept events: got %q (%v), want all", kept, err)
	}
}
