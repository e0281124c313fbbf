package report

import (
	"bytes"
	"fmt"
	"os"
	"strings"
)

// Between these marks a page has the tables.
const (
	beginMark = "<!-- measured: make bench writes from here -->\n"
	endMark   = "<!-- measured: to here -->\n"
)

// WritePage puts the tables of a result into a page, in the place of those that it has, below the picture at that address.
func (r *Result) WritePage(path, plot string) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	page, err := r.page(string(text), plot)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return os.WriteFile(path, []byte(page), 0o644)
}

func (r *Result) page(text, plot string) (string, error) {
	before, rest, begun := strings.Cut(text, beginMark)
	_, after, ended := strings.Cut(rest, endMark)
	if !begun || !ended {
		return "", fmt.Errorf("no place for the tables: want the lines %q and %q", strings.TrimSpace(beginMark), strings.TrimSpace(endMark))
	}
	var tables bytes.Buffer
	fmt.Fprintf(&tables, "\n![processor time of each answer, idle, of a schedule, memory, and growth](%s)\n\nMeasured on %s.\n\n",
		plot, r.Taken.Format("2006-01-02"))
	r.BudgetTable().Markdown(&tables)
	for _, t := range r.Tables() {
		t.Markdown(&tables)
	}
	return before + beginMark + tables.String() + endMark + after, nil
}
