// Command testreport makes the reports of a test run out of go test's JSON events.
//
//	go test -json ./... | testreport watch FILE   prints what a person needs while tests run, keeps the events in FILE
//	testreport sum CHECKS FILE...                 prints the last lines of a run, exits 1 if anything failed
//
// CHECKS holds what is not a Go test, a line each: pass, fail or skip, a name, a reason, with tabs between.
package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strings"
)

// event is one line of go test -json: see go doc test2json.
type event struct {
	Action  string
	Package string
	Test    string
	Output  string
	Elapsed float64
}

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "testreport:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	switch {
	case len(args) == 2 && args[0] == "watch":
		return watch(os.Stdin, os.Stdout, args[1])
	case len(args) >= 2 && args[0] == "sum":
		failed, err := sum(os.Stdout, args[1], args[2:])
		if err == nil && failed > 0 {
			os.Exit(1) // the lines above have said which
		}
		return err
	default:
		return errors.New("usage: testreport watch FILE | testreport sum CHECKS FILE")
	}
}

// watch copies events to a file, and prints each package's result, and the output of each test that fails.
func watch(events io.Reader, out io.Writer, path string) error {
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	output := make(map[string][]string)
	err = scan(events, func(line []byte, e event) error {
		if _, err := file.Write(append(line, '\n')); err != nil {
			return err
		}
		key := e.Package + " " + e.Test
		switch {
		case e.Action == "":
			fmt.Fprintln(out, string(line)) // not an event: a tool's own words
		case e.Action == "build-output":
			fmt.Fprint(out, e.Output) // the compiler's words belong to a package's build, not to a test
		case e.Action == "output":
			output[key] = append(output[key], e.Output)
		case e.Action == "fail":
			fmt.Fprintf(out, "FAIL %s\n%s", key, strings.Join(output[key], ""))
			delete(output, key)
		case e.Action == "pass" && e.Test == "":
			fmt.Fprintf(out, "ok   %s %.1fs\n", e.Package, e.Elapsed)
		}
		if e.Action == "pass" || e.Action == "skip" {
			delete(output, key)
		}
		return nil
	})
	return errors.Join(err, file.Close())
}

// scan calls f for every line. A line that is no event has an empty Action.
func scan(r io.Reader, f func(line []byte, e event) error) error {
	scanner := bufio.NewScanner(r)
	scanner.Buffer(nil, 16<<20)
	for scanner.Scan() {
		var e event
		_ = json.Unmarshal(scanner.Bytes(), &e) // what is no event stays one without action
		if err := f(slices.Clone(scanner.Bytes()), e); err != nil {
			return err
		}
	}
	return scanner.Err()
}

// outcome is what became of one test. It gets worse in this order, except that pass beats skip: see merge.
type outcome struct {
	action string // pass, fail, skip
	reason string
}

// results are outcomes by name: package and test, or a check's name.
type results map[string]outcome

// merge adds the outcomes of another run. A test may run several times: on this machine, and on the emulated one with the other
// cgroup version. It failed if it failed anywhere; it was skipped only if nothing here could run it.
func (r results) merge(more results) {
	rank := map[string]int{"skip": 0, "pass": 1, "fail": 2}
	for name, now := range more {
		before, known := r[name]
		if !known || rank[now.action] > rank[before.action] {
			r[name] = now
		}
	}
}

// dropRunElsewhere takes out the skips of tests whose subtests ran in another run: those count, and the test was run.
func (r results) dropRunElsewhere() {
	for name := range r {
		for slash := strings.LastIndexByte(name, '/'); slash >= 0; slash = strings.LastIndexByte(name[:slash], '/') {
			if r[name[:slash]].action == "skip" && r[name].action != "skip" {
				delete(r, name[:slash])
			}
		}
	}
}

// sum prints the last lines: what failed, what was not run and why, and the counts. It returns the number of failures.
func sum(out io.Writer, checks string, paths []string) (int, error) {
	all, err := readChecks(checks)
	if err != nil {
		return 0, err
	}
	for _, path := range paths {
		file, err := os.Open(path)
		if err != nil {
			return 0, err
		}
		one, err := readEvents(file)
		_ = file.Close() // only read
		if err != nil {
			return 0, fmt.Errorf("%s: %w", path, err)
		}
		all.merge(one)
	}
	all.dropRunElsewhere()
	counts := make(map[string]int)
	names := slices.Sorted(maps.Keys(all))
	for _, action := range []string{"fail", "skip"} {
		for _, name := range names {
			if o := all[name]; o.action == action {
				label := map[string]string{"fail": "failed", "skip": "not run here"}[action]
				fmt.Fprintln(out, strings.TrimSuffix(fmt.Sprintf("%s: %s: %s", label, name, o.reason), ": "))
			}
		}
	}
	for _, o := range all {
		counts[o.action]++
	}
	fmt.Fprintf(out, "%d passed, %d failed, %d skipped\n", counts["pass"], counts["fail"], counts["skip"])
	return counts["fail"], nil
}

func readChecks(path string) (results, error) {
	text, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	checks := make(results)
	for line := range strings.Lines(string(text)) {
		fields := strings.SplitN(strings.TrimSuffix(line, "\n"), "\t", 3)
		if len(fields) != 3 {
			return nil, fmt.Errorf("%s: want action, name and reason: %q", path, line)
		}
		checks.merge(results{fields[1]: {action: fields[0], reason: fields[2]}})
	}
	return checks, nil
}

// readEvents finds the outcome of each test. A test with subtests counts by these alone, unless it failed by itself; a package
// counts only if it failed without a test that did: it did not build, or ended early.
func readEvents(r io.Reader) (results, error) {
	type state struct {
		action, pkg, test string
		output            []string
		parent, failure   bool // has subtests; has a subtest or test that failed
		began             bool // is a test itself: the part of a subtest's name before its last slash need not be one
	}
	states := make(map[string]*state)
	get := func(pkg, test string) *state {
		key := pkg + " " + test
		if states[key] == nil {
			states[key] = &state{pkg: pkg, test: test}
		}
		return states[key]
	}
	err := scan(r, func(_ []byte, e event) error {
		if e.Package == "" {
			return nil
		}
		s := get(e.Package, e.Test)
		switch e.Action {
		case "output":
			s.output = append(s.output, e.Output)
		case "pass", "fail", "skip":
			s.action = e.Action
		case "run":
			s.began = true
			for name := e.Test; strings.Contains(name, "/"); {
				name = name[:strings.LastIndexByte(name, '/')]
				get(e.Package, name).parent = true
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	for _, s := range states {
		if s.test != "" && s.began && s.action != "pass" && s.action != "skip" {
			get(s.pkg, "").failure = true
			for name := s.test; strings.Contains(name, "/"); {
				name = name[:strings.LastIndexByte(name, '/')]
				get(s.pkg, name).failure = true
			}
		}
	}
	found := make(results)
	for _, s := range states {
		action, name := s.action, s.pkg+"."+s.test
		switch {
		case s.test != "" && !s.began && action == "":
			continue
		case s.test == "" && (action != "fail" || s.failure):
			continue
		case s.test == "":
			name = s.pkg
		case s.parent && (action != "fail" || s.failure):
			continue
		case action == "":
			action = "fail" // it began and never ended: the process died in it
		}
		found[name] = outcome{action: action, reason: reason(action, s.output)}
	}
	return found, nil
}

// reason takes the words that a skipped test left, "file.go:12: reason", from its output. A failed one has shown its output already.
func reason(action string, output []string) string {
	if action != "skip" {
		return ""
	}
	var words []string
	for _, line := range output {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "=== ") || strings.HasPrefix(line, "--- ") {
			continue
		}
		if place, rest, ok := strings.Cut(line, ": "); ok && strings.Contains(place, ".go:") {
			line = rest
		}
		words = append(words, line)
	}
	if len(words) == 0 {
		return "it gives no reason"
	}
	return strings.Join(words, " ")
}
