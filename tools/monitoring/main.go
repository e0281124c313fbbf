// Command monitoring writes what shows and watches nodevitals in Grafana and Prometheus: dashboards, recording rules and alerts, each from
// its row in a table here. `make monitoring` runs it.
//
//	monitoring FOLDER    writes every output below FOLDER, which is the repository's root
package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "monitoring:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) != 1 {
		return errors.New("usage: monitoring FOLDER")
	}
	files, err := outputs()
	if err != nil {
		return err
	}
	for _, file := range files {
		path := filepath.Join(args[0], file.path)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(path, file.text, 0o644); err != nil {
			return err
		}
	}
	return nil
}
