package collector

import "github.com/nodevitals/nodevitals/snapshot"

// store is the memory of what a snapshot holds of cgroups and pods. When nobody uses the snapshot any more it serves the next pass: some 0.8 kB a
// cgroup would else be garbage of each.
type store struct {
	cgroups    []snapshot.Cgroup
	devices    []snapshot.Device
	interfaces []snapshot.Interface
	pods       []snapshot.Pod
	containers []snapshot.Container
}

// takeStore returns the store for a new pass, which is empty.
func (c *Collector) takeStore() *store {
	if spare := c.spare.Swap(nil); spare != nil {
		return spare
	}
	return &store{}
}

// keepStore takes back that of a snapshot that nobody uses any more. Any goroutine may call it.
func (c *Collector) keepStore(held *store) {
	// Nobody must find in a record what it was not given, nor must what a record points to outlive it.
	held.cgroups, held.devices, held.interfaces = emptied(held.cgroups), emptied(held.devices), emptied(held.interfaces)
	held.pods, held.containers = emptied(held.pods), emptied(held.containers)
	c.spare.Store(held)
}

func emptied[T any](used []T) []T {
	clear(used)
	return used[:0]
}

// roomFor returns an empty slice with room for so many, and some: the given one, unless it is too small, or far too large.
func roomFor[T any](kept []T, count int) []T {
	if most := 2*count + 64; count <= cap(kept) && cap(kept) <= most {
		return kept[:0]
	}
	return make([]T, 0, count+count/16+4)
}
