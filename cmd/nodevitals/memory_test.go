package main

import (
	"os"
	"runtime/debug"
	"testing"
)

func TestSaveMemoryLeavesGOGCToItsOwner(t *testing.T) {
	before := debug.SetGCPercent(80)
	t.Cleanup(func() { debug.SetGCPercent(before) })

	t.Setenv("GOGC", "80")
	saveMemory()
	if got := debug.SetGCPercent(80); got != 80 {
		t.Errorf("with GOGC=80: got %d, want it left alone", got)
	}
	if err := os.Unsetenv("GOGC"); err != nil { // t.Setenv puts back what was there
		t.Fatal(err)
	}
	saveMemory()
	if got := debug.SetGCPercent(80); got != collectAt {
		t.Errorf("without GOGC: got %d, want %d", got, collectAt)
	}
}
