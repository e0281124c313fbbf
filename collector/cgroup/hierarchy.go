package cgroup

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
)

// Version is a cgroup version.
type Version uint8

// The cgroup versions.
const (
	V1 Version = 1
	V2 Version = 2
)

// Hierarchy says where the controllers of a host are.
type Hierarchy struct {
	// Version is V2 where the unified hierarchy stands alone, V1 where legacy controllers are mounted, hybrid or not.
	Version Version
	// Mounts are the distinct trees to read, the first being the one that decides about creation times.
	Mounts []Mount
}

// Mount is one mounted tree of cgroups.
type Mount struct {
	// Root is the folder of the root cgroup, with the host's root in front.
	Root string
	// Version is that of this tree: a hybrid host has both.
	Version Version
	// Controllers are those that this tree serves, of the ones that are read.
	Controllers []string
}

// v1Controllers are the legacy controllers whose files are read. On v2 the one tree serves all.
var v1Controllers = []string{"cpu", "cpuacct", "memory", "blkio", "pids"}

// v2Names maps a legacy controller to its name in cgroup.controllers of a hybrid host's unified tree.
var v2Names = map[string]string{"cpu": "cpu", "cpuacct": "cpu", "memory": "memory", "blkio": "io", "pids": "pids"}

// Detect looks at hostRoot/sys/fs/cgroup. It goes by the files that only a cgroup filesystem has and not by the
// filesystem's type, so that a recorded tree is as good as a mounted one.
func Detect(hostRoot string) (*Hierarchy, error) {
	base := filepath.Join(hostRoot, "sys/fs/cgroup")
	if exists(filepath.Join(base, "cgroup.controllers")) {
		return &Hierarchy{Version: V2, Mounts: []Mount{{Root: base, Version: V2, Controllers: []string{"cpu", "memory", "io", "pids"}}}}, nil
	}
	hierarchy := &Hierarchy{Version: V1}
	var missing []string
	for _, controller := range v1Controllers {
		if !hierarchy.addLegacy(base, controller) {
			missing = append(missing, controller)
		}
	}
	hierarchy.addUnified(base, missing)
	if len(hierarchy.Mounts) == 0 {
		if _, err := os.ReadDir(base); err != nil {
			return nil, fmt.Errorf("find cgroups: %w", err)
		}
		return nil, fmt.Errorf("find cgroups: %s holds neither cgroup.controllers (v2) nor a folder of %s (v1): is it mounted, and is --host-root right?",
			base, strings.Join(v1Controllers, ", "))
	}
	return hierarchy, nil
}

// addLegacy adds a controller's tree, or the controller to the tree that it shares (cpu and cpuacct are often one).
func (h *Hierarchy) addLegacy(base, controller string) bool {
	root := filepath.Join(base, controller)
	if !exists(filepath.Join(root, "cgroup.procs")) {
		return false
	}
	if resolved, err := filepath.EvalSymlinks(root); err == nil {
		root = resolved
	}
	for i := range h.Mounts {
		if sameFile(h.Mounts[i].Root, root) {
			h.Mounts[i].Controllers = append(h.Mounts[i].Controllers, controller)
			return true
		}
	}
	h.Mounts = append(h.Mounts, Mount{Root: root, Version: V1, Controllers: []string{controller}})
	return true
}

// addUnified adds a hybrid host's v2 tree for the controllers that no legacy tree serves.
func (h *Hierarchy) addUnified(base string, missing []string) {
	root := filepath.Join(base, "unified")
	text, err := os.ReadFile(filepath.Join(root, "cgroup.controllers"))
	if err != nil {
		return
	}
	available := strings.Fields(string(text))
	var served []string
	for _, controller := range missing {
		name := v2Names[controller]
		if slices.Contains(available, name) && !slices.Contains(served, name) {
			served = append(served, name)
		}
	}
	if len(served) > 0 {
		h.Mounts = append(h.Mounts, Mount{Root: root, Version: V2, Controllers: served})
	}
}

// Folder returns the folder of the cgroup id in the tree of this mount.
func (m *Mount) Folder(id string) string {
	if id == "/" {
		return m.Root
	}
	return m.Root + id
}

// serves reports the index of the mount that has this controller in this version, or -1.
func (h *Hierarchy) serves(version Version, controller string) int {
	for i := range h.Mounts {
		mount := &h.Mounts[i]
		if mount.Version != version {
			continue
		}
		// Pressure and core files belong to no controller: every v2 tree that stands alone has them. In a hybrid host the
		// unified tree need not have the same cgroups, and its pressure would be shown for some and not for others.
		if controller == "" && h.Version == V2 || slices.Contains(mount.Controllers, controller) {
			return i
		}
	}
	return -1
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

func sameFile(a, b string) bool {
	var left, right syscall.Stat_t
	return syscall.Stat(a, &left) == nil && syscall.Stat(b, &right) == nil && left.Dev == right.Dev && left.Ino == right.Ino
}
