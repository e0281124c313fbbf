package cgroup

// Kept is the number of descriptors that are kept of the cgroups of a tree, counted one by one.
func Kept(t *Tree) (kept int) {
	for _, c := range t.known {
		for range c.keptSlots() {
			kept++
		}
	}
	return kept
}

// Reads reports whether a pass or a Spec reads a file of this name, on either version.
func Reads(name string) bool {
	var devices deviceList
	for _, table := range [...][]file{unifiedFiles(&devices), legacyFiles(&devices)} {
		for i := range table {
			if table[i].name == name {
				return true
			}
		}
	}
	for _, table := range [...][]limitFile{unifiedLimits, legacyLimits} {
		for i := range table {
			if table[i].name == name {
				return true
			}
		}
	}
	return false
}

// ReadKills reads the host's count of kills once.
func ReadKills(path string) (uint64, bool) {
	k := openKills(path)
	defer k.close()
	return k.read(make([]byte, 16<<10))
}
