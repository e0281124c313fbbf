package cgroup

import (
	"os"
	"testing"

	"github.com/nodevitals/nodevitals/snapshot"
)

// BenchmarkParse is the cost of each file's text without reading it, over a recorded cgroup under load.
func BenchmarkParse(b *testing.B) {
	var devices deviceList
	for _, row := range unifiedFiles(&devices) {
		text, err := os.ReadFile("testdata/v2-6.1.0/sys/fs/cgroup/load.slice/busy.service/" + row.name)
		if err != nil {
			b.Fatal(err)
		}
		b.Run(row.name, func(b *testing.B) {
			var record snapshot.Cgroup
			for b.Loop() {
				devices.devices = devices.devices[:0]
				row.parser.parse(text, &record)
			}
		})
	}
}
