package cluster

import (
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
)

// before is what a cluster changes outside of its state folder, as it was.
type before struct {
	// sysctls are kernel settings, by path.
	sysctls map[string][]byte
	// entries are what some folders had; those that were not there are absent.
	entries map[string][]string
	absent  []string
}

// changedSysctls are those that a kubelet sets.
var changedSysctls = []string{
	"vm/overcommit_memory", "vm/panic_on_oom", "kernel/panic", "kernel/panic_on_oops", "kernel/keys/root_maxkeys", "kernel/keys/root_maxbytes",
}

// usedFolders are those that a kubelet and containerd use whatever their configuration says, or that would not be the usual ones otherwise.
var usedFolders = []string{"/var/log/pods", "/var/log/containers", "/var/lib/kubelet", "/var/lib/cni", "/run/containerd"}

// look remembers the host as it is.
func look() before {
	b := before{sysctls: map[string][]byte{}, entries: map[string][]string{}}
	for _, name := range changedSysctls {
		path := filepath.Join("/proc/sys", name)
		if text, err := os.ReadFile(path); err == nil {
			b.sysctls[path] = text
		}
	}
	for _, folder := range usedFolders {
		if _, err := os.Stat(folder); errors.Is(err, fs.ErrNotExist) {
			b.absent = append(b.absent, folder)
			continue
		}
		b.entries[folder] = entriesOf(folder)
	}
	return b
}

// restore puts settings back, and removes what the folders did not have.
func (b before) restore() error {
	var failed []error
	for _, path := range slices.Sorted(maps.Keys(b.sysctls)) {
		if now, err := os.ReadFile(path); err == nil && string(now) == string(b.sysctls[path]) {
			continue
		}
		failed = append(failed, os.WriteFile(path, b.sysctls[path], 0o644))
	}
	for folder, had := range b.entries {
		for _, name := range entriesOf(folder) {
			if !slices.Contains(had, name) {
				failed = append(failed, os.RemoveAll(filepath.Join(folder, name)))
			}
		}
	}
	for _, folder := range b.absent {
		failed = append(failed, os.RemoveAll(folder))
	}
	return errors.Join(failed...)
}

// entriesOf are a folder's. One that is not there has none.
func entriesOf(folder string) []string {
	entries, err := os.ReadDir(folder)
	if err != nil {
		return nil
	}
	var names []string
	for _, entry := range entries {
		names = append(names, entry.Name())
	}
	return names
}
