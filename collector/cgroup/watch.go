package cgroup

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"golang.org/x/sys/unix"
)

// watcher is an inotify instance that is emptied at the start of a pass: no goroutine waits on it. One watch a folder tells
// of cgroups made and removed in it and, because writing to a limit is a modification like any other, of limits set.
type watcher struct {
	fd     int
	buffer []byte
	// most caps the number of watches below the kernel's limit (fs.inotify.max_user_watches); 0 is no cap.
	most, count int
	// exhausted says that the kernel refused a watch for want of room.
	exhausted bool
}

// event is one thing that happened in a watched folder. name lives until the next event.
type event struct {
	watch int32
	mask  uint32
	name  []byte
}

func newWatcher(most int) (*watcher, error) {
	fd, err := unix.InotifyInit1(unix.IN_NONBLOCK | unix.IN_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("start inotify: %w", err)
	}
	return &watcher{fd: fd, buffer: make([]byte, 16<<10), most: most}, nil
}

// add watches a folder. It returns 0 where there can be no watch, else the watch plus one.
func (w *watcher) add(folder string) int32 {
	if w == nil || w.exhausted || w.most > 0 && w.count >= w.most {
		return 0
	}
	watch, err := unix.InotifyAddWatch(w.fd, folder, unix.IN_CREATE|unix.IN_DELETE|unix.IN_MODIFY|unix.IN_ONLYDIR)
	if err != nil {
		w.exhausted = err == unix.ENOSPC
		return 0
	}
	w.count++
	return int32(watch) + 1
}

// drain gives every waiting event to f. It returns false if the kernel dropped events, so that anything may have happened.
func (w *watcher) drain(f func(event)) (complete bool) {
	complete = true
	if w == nil {
		return complete
	}
	for {
		n, err := unix.Read(w.fd, w.buffer)
		if err == unix.EINTR {
			continue
		}
		if err != nil || n <= 0 {
			return complete
		}
		for rest := w.buffer[:n]; len(rest) >= unix.SizeofInotifyEvent; {
			length := int(binary.NativeEndian.Uint32(rest[12:]))
			happened := event{
				watch: int32(binary.NativeEndian.Uint32(rest)),
				mask:  binary.NativeEndian.Uint32(rest[4:]),
				name:  bytes.TrimRight(rest[unix.SizeofInotifyEvent:unix.SizeofInotifyEvent+length], "\x00"),
			}
			rest = rest[unix.SizeofInotifyEvent+length:]
			switch {
			case happened.mask&unix.IN_Q_OVERFLOW != 0:
				complete = false
			default:
				if happened.mask&unix.IN_IGNORED != 0 {
					// The folder went away, and its watch with it: there is room for another.
					w.count--
					w.exhausted = false
				}
				f(happened)
			}
		}
	}
}

func (w *watcher) close() {
	if w != nil {
		unix.Close(w.fd)
	}
}
