package docs

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// Every link leads to a file of the checkout, and to a heading that the file has.
func TestLinks(t *testing.T) {
	all := pages(t)
	links := 0
	for _, p := range all {
		for _, one := range p.links() {
			if strings.Contains(one.text, "://") || strings.HasPrefix(one.text, "mailto:") {
				continue
			}
			links++
			file, anchor, _ := strings.Cut(one.text, "#")
			target := p.path
			if file != "" {
				target = filepath.Join(filepath.Dir(p.path), file)
			}
			if _, err := os.Stat(filepath.Join(root, target)); err != nil {
				t.Errorf("%s: the link %s leads nowhere: %v", one.at, one.text, err)
				continue
			}
			if anchor == "" || !strings.HasSuffix(target, ".md") {
				continue
			}
			if to := readPage(t, target); !to.anchors()[anchor] {
				t.Errorf("%s: %s has no heading #%s", one.at, target, anchor)
			}
		}
	}
	if links < 50 {
		t.Errorf("only %d links were found", links)
	}
}

// From the README each page below docs can be reached, and the index has all of them.
func TestIndexHasEveryPage(t *testing.T) {
	linked := func(from string) []string {
		var to []string
		for _, one := range readPage(t, from).links() {
			file, _, _ := strings.Cut(one.text, "#")
			to = append(to, filepath.Join(filepath.Dir(from), file))
		}
		return to
	}
	if !slices.Contains(linked("README.md"), "docs/README.md") {
		t.Error("README.md has no link to docs/README.md")
	}
	index := slices.Concat(linked("docs/README.md"), linked("docs/integrations/README.md"))
	for _, p := range pages(t) {
		if strings.HasPrefix(p.path, "docs/") && p.path != "docs/README.md" && !slices.Contains(index, p.path) {
			t.Errorf("docs/README.md has no link to %s", p.path)
		}
	}
}
