package storage

import (
	"bytes"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/moby/sys/mountinfo"
	"golang.org/x/sys/unix"

	"github.com/nodevitals/nodevitals/collector/machine/hostfile"
)

// visible says where this process finds the host's filesystems. A container has some of the host's folders below HostRoot: what else has
// the path of a mount of the host there is a folder of the container's own, on another filesystem.
type visible struct {
	hostRoot string
	// own is the list of this process's mounts.
	own *hostfile.Mounts
	// paths are those of the mounts below hostRoot, by device number. Nil: hostRoot is the host's root or a plain folder, and every path
	// in it is what it looks like.
	paths map[uint64][]string
}

func newVisible(hostRoot string) *visible {
	return &visible{hostRoot: filepath.Clean(hostRoot), own: hostfile.NewMounts("/proc/self/mountinfo")}
}

// update reads the mounts anew. With an error nothing is known to be seen.
func (v *visible) update() error {
	if v.hostRoot == "/" {
		return nil
	}
	text, changed, err := v.own.Read()
	if err != nil {
		v.paths = map[uint64][]string{}
		return err
	}
	if !changed {
		return nil
	}
	v.paths = nil
	mounts, err := mountinfo.GetMountsFromReader(bytes.NewReader(text), nil)
	if err != nil {
		v.own.Forget()
		v.paths = map[uint64][]string{}
		return fmt.Errorf("parse %s: %w", v.own.Path(), err)
	}
	for _, mount := range mounts {
		if !isAbove(v.hostRoot, mount.Mountpoint) {
			continue
		}
		if v.paths == nil {
			v.paths = make(map[uint64][]string)
		}
		device := unix.Mkdev(uint32(mount.Major), uint32(mount.Minor))
		v.paths[device] = append(v.paths[device], strings.Clone(mount.Mountpoint))
	}
	return nil
}

// path returns where a partition can be asked: its own mount point if that is to be seen, or else another place of its filesystem. It
// returns "" if there is none.
func (v *visible) path(one *partition) string {
	own := filepath.Join(v.hostRoot, one.mountPoint)
	if v.paths == nil {
		return own
	}
	switch paths := v.paths[one.number]; {
	case len(paths) == 0:
		return ""
	case slices.Contains(paths, own):
		return own
	default:
		return paths[0]
	}
}

func (v *visible) close() { v.own.Close() }
