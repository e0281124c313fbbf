package docs

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// root is the checkout, from here.
const root = ".."

// made are the folders of the checkout that hold what is made and no sources.
var made = []string{".git", "bin", "build", "deps"}

// page is a Markdown file.
type page struct {
	// path is from the checkout's root.
	path string
	// prose are the lines outside of fenced blocks, with empty lines in place of those within, so that an index is a line's number less 1.
	prose []string
	// blocks are the fenced blocks.
	blocks []block
}

// block is a fenced block: its language, the number of its first line, and its lines.
type block struct {
	language string
	at       int
	lines    []string
}

// walk calls visit with the path, from the root, of each file of the checkout.
func walk(t *testing.T, visit func(path string)) {
	t.Helper()
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		if entry.IsDir() && slices.Contains(made, name) {
			return filepath.SkipDir
		}
		if !entry.IsDir() {
			visit(name)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// pages are all Markdown files of the checkout.
func pages(t *testing.T) []page {
	t.Helper()
	var all []page
	walk(t, func(path string) {
		if strings.HasSuffix(path, ".md") {
			all = append(all, readPage(t, path))
		}
	})
	if len(all) < 10 {
		t.Fatalf("only %d pages were found", len(all))
	}
	return all
}

func readPage(t *testing.T, path string) page {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, path))
	if err != nil {
		t.Fatal(err)
	}
	p := page{path: path}
	var open *block
	for i, line := range strings.Split(string(text), "\n") {
		language, fence := strings.CutPrefix(strings.TrimSpace(line), "```")
		switch {
		case fence && open == nil:
			open = &block{language: language, at: i + 2}
		case fence:
			p.blocks = append(p.blocks, *open)
			open = nil
		case open != nil:
			open.lines = append(open.lines, line)
		default:
			p.prose = append(p.prose, line)
			continue
		}
		p.prose = append(p.prose, "")
	}
	if open != nil {
		t.Fatalf("%s:%d: the block has no end", path, open.at-1)
	}
	return p
}

// at is a place in a page, for messages.
func (p page) at(line int) string { return fmt.Sprintf("%s:%d", p.path, line) }

var (
	code        = regexp.MustCompile("`[^`]*`")
	link        = regexp.MustCompile(`\[[^\]]*\]\(([^)\s]+)\)`)
	punctuation = regexp.MustCompile(`[^\p{L}\p{N}\p{M}_ -]`)
)

// anchors are the names that GitHub gives to a page's headings.
func (p page) anchors() map[string]bool {
	anchors := make(map[string]bool)
	for _, line := range p.prose {
		text := strings.TrimLeft(line, "#")
		if text == line || !strings.HasPrefix(text, " ") {
			continue
		}
		name := strings.ReplaceAll(punctuation.ReplaceAllString(strings.ToLower(strings.TrimSpace(text)), ""), " ", "-")
		unique := name
		for n := 1; anchors[unique]; n++ {
			unique = fmt.Sprintf("%s-%d", name, n)
		}
		anchors[unique] = true
	}
	return anchors
}

// mention is something that a page has in a given line.
type mention struct {
	text string
	at   string
}

// links are the targets of a page's links, without those in code.
func (p page) links() []mention {
	var found []mention
	for i, line := range p.prose {
		for _, target := range link.FindAllStringSubmatch(code.ReplaceAllString(line, "code"), -1) {
			found = append(found, mention{target[1], p.at(i + 1)})
		}
	}
	return found
}

// codes are the pieces of code in a page: what stands in backquotes, the lines of its blocks, and lines that are indented as code.
func (p page) codes() []mention {
	var found []mention
	for i, line := range p.prose {
		if strings.HasPrefix(line, "    ") {
			found = append(found, mention{line, p.at(i + 1)})
			continue
		}
		for _, piece := range code.FindAllString(line, -1) {
			found = append(found, mention{strings.Trim(piece, "`"), p.at(i + 1)})
		}
	}
	for _, b := range p.blocks {
		for i, line := range b.lines {
			found = append(found, mention{line, p.at(b.at + i)})
		}
	}
	return found
}
