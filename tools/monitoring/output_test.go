package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const root = "../.."

// What is committed is what the tables make, and the folders that are made hold nothing else.
func TestOutputsAreCommitted(t *testing.T) {
	files, err := outputs()
	if err != nil {
		t.Fatal(err)
	}
	expected := map[string]bool{}
	for _, file := range files {
		expected[file.path] = true
		got, err := os.ReadFile(filepath.Join(root, file.path))
		if err != nil {
			t.Errorf("%v: run make monitoring", err)
			continue
		}
		if !bytes.Equal(got, file.text) {
			t.Errorf("%s is not what the tables make: change them, not it, and run make monitoring", file.path)
		}
	}
	for _, folder := range []string{kustomizeDashboards, chartDashboards} {
		entries, err := os.ReadDir(filepath.Join(root, folder))
		if err != nil {
			t.Fatal(err)
		}
		for _, entry := range entries {
			if path := folder + entry.Name(); !expected[path] {
				t.Errorf("%s is made by no table: remove it", path)
			}
		}
	}
}

func TestOutputsAreTheSameEachTime(t *testing.T) {
	first, err := outputs()
	if err != nil {
		t.Fatal(err)
	}
	for range 20 {
		again, err := outputs()
		if err != nil {
			t.Fatal(err)
		}
		for i := range first {
			if first[i].path != again[i].path || !bytes.Equal(first[i].text, again[i].text) {
				t.Fatalf("%s differs from one time to the next", first[i].path)
			}
		}
	}
}

// run writes the same files, wherever it is told to.
func TestRunWrites(t *testing.T) {
	folder := t.TempDir()
	if err := run([]string{folder}); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(folder, chartRules)); err != nil {
		t.Error(err)
	}
	if err := run(nil); err == nil {
		t.Error("without a folder it does not fail")
	}
}

// Grafana tells panels and dashboards apart by their numbers and UIDs, and draws panels where they say.
func TestPagesAreInOrder(t *testing.T) {
	uids := map[string]bool{}
	for _, d := range dashboards {
		g := d.grafana()
		if uids[g.UID] {
			t.Errorf("two dashboards have the UID %s", g.UID)
		}
		uids[g.UID] = true
		if text, err := json.Marshal(g); err != nil || len(text) > 1<<20-64<<10 {
			t.Errorf("%s: %d bytes, error %v: a ConfigMap holds 1 MiB", d.name, len(text), err)
		}
		ids, taken, titles := map[int]bool{}, map[[2]int]string{}, map[string]bool{}
		section := ""
		for _, p := range g.Panels {
			if ids[p.ID] {
				t.Errorf("%s: two panels have the number %d", d.name, p.ID)
			}
			ids[p.ID] = true
			if p.Type == "row" {
				section, titles = p.Title, map[string]bool{}
			} else if len(p.Targets) == 0 || !strings.HasSuffix(p.Description, ".") {
				t.Errorf("%s: panel %q has no query, or no sentence that says what it shows", d.name, p.Title)
			}
			// Tests name a panel by its heading and its own.
			if titles[p.Title] {
				t.Errorf("%s: two panels of %q are called %q", d.name, section, p.Title)
			}
			titles[p.Title] = p.Type != "row"
			if p.GridPos.W < 1 || p.GridPos.X+p.GridPos.W > pageWidth {
				t.Errorf("%s: panel %q is wider than the page: %+v", d.name, p.Title, p.GridPos)
			}
			for x := range p.GridPos.W {
				for y := range p.GridPos.H {
					cell := [2]int{p.GridPos.X + x, p.GridPos.Y + y}
					if taken[cell] != "" {
						t.Fatalf("%s: panels %q and %q are in one place", d.name, taken[cell], p.Title)
					}
					taken[cell] = p.Title
				}
			}
		}
	}
}
