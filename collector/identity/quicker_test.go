package identity

import (
	"strings"
	"testing"
)

// A container that the API server told of first makes the runtime look, which alone knows when it was made.
func TestQuickerAPIServerWakesTheRuntime(t *testing.T) {
	woken := func(x *Index) bool {
		select {
		case <-x.unknown:
			return true
		default:
			return false
		}
	}
	x := NewIndex()
	x.put(fromAPI, fromPod(podOf("web", "app", strings.Repeat("c", 64))))
	x.Resolve(pathOf(strings.Repeat("c", 64)))
	if woken(x) {
		t.Error("a container with its name woke a runtime that is not expected")
	}
	x = NewIndex()
	x.expect(runtimeName)
	x.put(fromAPI, fromPod(podOf("web", "app", strings.Repeat("c", 64))))
	x.Resolve(pathOf(strings.Repeat("c", 64)))
	if !woken(x) {
		t.Error("a container without its time of creation did not wake the runtime")
	}
	x.Resolve(pathOf(strings.Repeat("c", 64)))
	if woken(x) {
		t.Error("the same answer woke it again")
	}
}
