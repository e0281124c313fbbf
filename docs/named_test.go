package docs

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var (
	pathLike = regexp.MustCompile(`(?:^|[\s"'(=:,])((?:\./)?[A-Za-z0-9_.*-]+(?:/[A-Za-z0-9_.*-]+)+)`)
	testLike = regexp.MustCompile(`\bTest[A-Z]\w*`)
	makeLike = regexp.MustCompile(`(?:^|[\s$])make ([a-z0-9]+)`)
)

// bases are the folders from which pages name others, besides the root and their own.
var bases = []string{"manifests", "exporter", "docs"}

// Every file that a page names is there. What counts is what begins with a folder of the checkout; patterns must match something.
func TestNamedFiles(t *testing.T) {
	folders := map[string]bool{"components": true, "overlays": true}
	entries, err := os.ReadDir(root)
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		if entry.IsDir() && !slices.Contains(made, entry.Name()) {
			folders[entry.Name()] = true
		}
	}
	named := 0
	for _, p := range pages(t) {
		for _, one := range p.codes() {
			for _, found := range pathLike.FindAllStringSubmatch(one.text, -1) {
				path := strings.TrimRight(strings.TrimPrefix(found[1], "./"), ".")
				if first, _, _ := strings.Cut(path, "/"); !folders[first] {
					continue
				}
				named++
				if !exists(t, p, path) {
					t.Errorf("%s: there is no %s", one.at, path)
				}
			}
		}
	}
	if named < 40 {
		t.Errorf("only %d files were found to be named", named)
	}
}

func exists(t *testing.T, p page, path string) bool {
	t.Helper()
	path = strings.ReplaceAll(path, "...", "*")
	for _, base := range append([]string{"", filepath.Dir(p.path)}, bases...) {
		matches, err := filepath.Glob(filepath.Join(root, base, path))
		if err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		if len(matches) > 0 {
			return true
		}
	}
	return false
}

// Every test that a page names is there.
func TestNamedTests(t *testing.T) {
	tests := readSources(t).tests
	for _, p := range pages(t) {
		for _, one := range p.codes() {
			for _, name := range testLike.FindAllString(one.text, -1) {
				// A name may be the beginning of several, as of those that RUN= picks.
				found := tests[name]
				for test := range tests {
					found = found || strings.HasPrefix(test, name)
				}
				if !found {
					t.Errorf("%s: there is no test %s", one.at, name)
				}
			}
		}
	}
}

// Every target of make that a page names is there.
func TestNamedTargets(t *testing.T) {
	makefile, err := os.ReadFile(filepath.Join(root, "Makefile"))
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range pages(t) {
		for _, one := range p.codes() {
			for _, target := range makeLike.FindAllStringSubmatch(one.text, -1) {
				if !strings.Contains(string(makefile), "\n"+target[1]+":") {
					t.Errorf("%s: make has no target %s", one.at, target[1])
				}
			}
		}
	}
}
