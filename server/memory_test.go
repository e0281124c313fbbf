package server

import (
	"net/http"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"

	"go.uber.org/zap"
)

// held is the memory of this process that is in use, in bytes.
func held() int {
	runtime.GC()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return int(stats.HeapAlloc + stats.StackInuse)
}

// A stranger needs no right to make the server hold something: headers as large as may be on as many streams as may be, bodies that nobody
// reads, frames that mean nothing, and no room for the answers, so that all of it stays. With as many connections as a port keeps, it must be
// far less than the manifests' limit of 256 MiB.
func TestStrangersHoldLittleMemory(t *testing.T) {
	var refused atomic.Int64
	address, client, _ := startTLS(t, zap.NewNop(), http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		refused.Add(1)
		http.Error(w, "Unauthorized", http.StatusUnauthorized)
	}))
	const connections, most = 200, 320 << 10
	before, asked := held(), int64(0)
	for range connections {
		f := dialFrames(t, address, client, 0)
		f.send(frameUnknown, 0, 0, make([]byte, f.settings[settingFrame]))
		for i := range f.settings[settingStreams] {
			stream := uint32(2*i + 1)
			// A field counts for 32 bytes more than it has, and there are five.
			f.get(stream, f.settings[settingHeaderList]-5*32-64, false)
			asked++
			for left := min(f.window, f.settings[settingWindow]); left > 0; {
				size := min(left, firstFrame)
				f.send(frameData, 0, stream, []byte(strings.Repeat("x", size)))
				left, f.window = left-size, f.window-size
			}
		}
	}
	await(t, "all requests to be refused", func() bool { return refused.Load() == asked })
	if each := (held() - before) / connections; each > most {
		t.Errorf("a connection holds %d KiB, of both ends, want %d at most: %d connections would hold %d MiB",
			each>>10, most>>10, DefaultLimits().Connections, each*DefaultLimits().Connections>>20)
	} else {
		t.Logf("a connection holds %d KiB, of both ends", each>>10)
	}
}
