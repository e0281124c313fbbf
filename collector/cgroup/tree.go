package cgroup

import (
	"bytes"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/nodevitals/nodevitals/snapshot"
)

// Tree keeps the set of a host's cgroups current. Three things tell of change, each cheap:
//
//   - inotify, for every folder that there is a watch for;
//   - a folder's link count, for those without one: kernfs counts subfolders in it;
//   - on v2 the root's cgroup.stat, whose nr_descendants must equal the number of known cgroups: one read, and no lost
//     event stays unnoticed.
//
// What all of them can miss is one cgroup made and another removed between two passes in a folder without a watch. The
// reader then meets the removed one's ENODEV and calls [Tree.Lost]. Every minute all link counts are checked anyway.
type Tree struct {
	hierarchy *Hierarchy
	root      *Cgroup
	known     map[string]*Cgroup
	ordered   []*Cgroup
	resort    bool

	watcher *watcher
	watches map[int32]watchedPlace
	limits  map[string]bool

	// descendants is nr_descendants when the tree was last found in order with it.
	descendants uint64
	counter     int
	repaired    time.Time
	lost        bool
	buffer      []byte
	path        []byte
	forget      func(*Cgroup)
}

type watchedPlace struct {
	cgroup *Cgroup
	mount  int
}

// repairEvery is how often every folder's link count is checked, whatever inotify says.
const repairEvery = time.Minute

// TreeOptions tune a Tree.
type TreeOptions struct {
	// MaxWatches caps inotify watches; 0 leaves it to the kernel's limit, below 0 there are none.
	MaxWatches int
}

// NewTree starts with the root alone: the first Update finds the rest. It returns an error if the root is unreadable.
// Without inotify it works by link counts.
func NewTree(hierarchy *Hierarchy, options TreeOptions) (*Tree, error) {
	t := &Tree{
		hierarchy: hierarchy,
		known:     make(map[string]*Cgroup),
		watches:   make(map[int32]watchedPlace),
		limits:    make(map[string]bool),
		counter:   -1,
		buffer:    make([]byte, 4096),
		forget:    func(*Cgroup) {},
	}
	for _, table := range [...][]limitFile{unifiedLimits, legacyLimits} {
		for i := range table {
			t.limits[table[i].name] = true
		}
	}
	// Anyone may set it back, whatever the limit is.
	t.limits[failuresFile] = true
	for i := range hierarchy.Mounts {
		if _, err := os.ReadDir(hierarchy.Mounts[i].Root); err != nil {
			return nil, fmt.Errorf("read the root cgroup: %w", err)
		}
	}
	if options.MaxWatches >= 0 {
		// Without inotify (fs.inotify.max_user_instances used up) link counts do its work, at some cost on v1.
		t.watcher, _ = newWatcher(options.MaxWatches)
	}
	if hierarchy.Version == V2 {
		if fd, err := unix.Open(hierarchy.Mounts[0].Root+"/cgroup.stat", unix.O_RDONLY|unix.O_CLOEXEC, 0); err == nil {
			t.counter = fd
		}
	}
	t.root = &Cgroup{Identity: &snapshot.Identity{ID: "/"}, places: make([]place, len(hierarchy.Mounts))}
	t.known["/"] = t.root
	t.resort = true
	for mount := range hierarchy.Mounts {
		t.enter(t.root, mount)
	}
	return t, nil
}

// Cgroups returns all known cgroups, sorted by ID, the root first. The slice is the tree's own until the next Update.
func (t *Tree) Cgroups() []*Cgroup {
	if t.resort {
		t.ordered = t.ordered[:0]
		for _, c := range t.known {
			t.ordered = append(t.ordered, c)
		}
		slices.SortFunc(t.ordered, func(a, b *Cgroup) int { return strings.Compare(a.Identity.ID, b.Identity.ID) })
		t.resort = false
	}
	return t.ordered
}

// Expected returns how many cgroups there were at the last Update by the kernel's own count, the root among them; 0 where there is no
// such count (v1).
func (t *Tree) Expected() int {
	if t.counter < 0 {
		return 0
	}
	return int(t.descendants) + 1
}

// Known returns the cgroup of this ID, or nil.
func (t *Tree) Known(id string) *Cgroup { return t.known[id] }

// Watches returns the number of inotify watches and whether the kernel refused more.
func (t *Tree) Watches() (count int, exhausted bool) {
	if t.watcher == nil {
		return 0, false
	}
	return t.watcher.count, t.watcher.exhausted
}

// Update brings the set up to date.
func (t *Tree) Update(now time.Time) {
	complete := t.watcher.drain(t.happened)
	if !complete {
		for _, c := range t.known {
			c.specStale = true
		}
	}
	if t.lost || !complete || now.Sub(t.repaired) >= repairEvery {
		t.compareLinks(true)
		t.repaired, t.lost = now, false
	} else if t.counter < 0 {
		t.compareLinks(false)
	}
	t.list(t.root)
	if descendants, ok := t.countDescendants(); ok && descendants != t.descendants {
		if descendants != uint64(len(t.known)-1) {
			t.compareLinks(true)
			t.list(t.root)
		}
		t.descendants = descendants
	}
}

// Lost tells that the cgroup was found removed: what stands at its path now, in any mount, is another one.
func (t *Tree) Lost(c *Cgroup) {
	t.lost = true
	for mount := range c.places {
		if c.places[mount].present {
			t.leave(c, mount)
		}
	}
}

// happened takes one event of inotify.
func (t *Tree) happened(e event) {
	at, ok := t.watches[e.watch]
	if !ok {
		return
	}
	switch {
	case e.mask&unix.IN_IGNORED != 0:
		delete(t.watches, e.watch)
	case e.mask&unix.IN_ISDIR == 0:
		if t.limits[string(e.name)] {
			at.cgroup.specStale = true
		}
	case e.mask&unix.IN_CREATE != 0:
		at.cgroup.places[at.mount].stale = true
	case e.mask&unix.IN_DELETE != 0:
		// A cgroup of the same name may stand there again already; it is another one, so the old must go first.
		if child := t.known[join(at.cgroup.Identity.ID, string(e.name))]; child != nil {
			t.leave(child, at.mount)
		}
		at.cgroup.places[at.mount].stale = true
	}
}

// compareLinks marks the folders whose link count is not what it was when they were listed: all of them, or those without
// a watch.
func (t *Tree) compareLinks(all bool) {
	if !all && t.watcher != nil && !t.watcher.exhausted && t.watcher.most == 0 {
		return
	}
	for _, c := range t.known {
		for mount := range c.places {
			at := &c.places[mount]
			if at.present && !at.stale && (all || at.watch == 0) && t.linksOf(c, mount) != at.links {
				at.stale = true
			}
		}
	}
}

// list reads anew what is stale below and including c.
func (t *Tree) list(c *Cgroup) {
	for mount := range c.places {
		if at := &c.places[mount]; at.present && at.stale {
			t.listFolder(c, mount)
		}
	}
	// Backwards, because a child whose folder is gone takes itself out of the list.
	for _, child := range slices.Backward(c.children) {
		t.list(child)
	}
}

// listFolder makes the children of c in one mount agree with the folder's subfolders.
func (t *Tree) listFolder(c *Cgroup, mount int) {
	at := &c.places[mount]
	at.stale = false
	// The count is read first: what is made during the listing then differs from it and is found the next time.
	at.links = t.linksOf(c, mount)
	entries, err := os.ReadDir(t.hierarchy.Mounts[mount].Folder(c.Identity.ID))
	if err != nil && !c.root() {
		t.leave(c, mount)
		return
	}
	here := make(map[string]bool, len(entries))
	for _, entry := range entries {
		if !entry.IsDir() {
			continue
		}
		id := join(c.Identity.ID, entry.Name())
		here[id] = true
		child := t.known[id]
		if child == nil {
			child = &Cgroup{Identity: &snapshot.Identity{ID: id}, parent: c, places: make([]place, len(c.places))}
			t.known[id] = child
			c.children = append(c.children, child)
			t.resort = true
		}
		if !child.places[mount].present {
			t.enter(child, mount)
		}
	}
	for _, child := range slices.Clone(c.children) {
		if child.places[mount].present && !here[child.Identity.ID] {
			t.leave(child, mount)
		}
	}
}

// enter notes that c stands in a mount, and watches it before it is listed, so that nothing is missed in between.
func (t *Tree) enter(c *Cgroup, mount int) {
	at := &c.places[mount]
	*at = place{present: true, stale: true}
	at.watch = t.watcher.add(t.hierarchy.Mounts[mount].Folder(c.Identity.ID))
	if at.watch > 0 {
		t.watches[at.watch-1] = watchedPlace{c, mount}
	}
}

// leave notes that c and all below it no longer stand in a mount, and drops those that stand in none.
func (t *Tree) leave(c *Cgroup, mount int) {
	for _, child := range slices.Clone(c.children) {
		t.leave(child, mount)
	}
	if c.root() {
		c.places[mount].stale = true
		return
	}
	c.places[mount] = place{}
	c.parent.places[mount].stale = true
	for i := range c.places {
		if c.places[i].present {
			return
		}
	}
	if c.gone {
		return
	}
	c.gone = true
	t.forget(c)
	delete(t.known, c.Identity.ID)
	c.parent.children = slices.DeleteFunc(c.parent.children, func(child *Cgroup) bool { return child == c })
	t.resort = true
}

// linksOf returns the link count of a folder, or 0 where there is none.
func (t *Tree) linksOf(c *Cgroup, mount int) uint32 {
	t.path = appendPath(t.path[:0], &t.hierarchy.Mounts[mount], c.Identity.ID, "")
	return linkCount(t.path)
}

// countDescendants reads nr_descendants of the root.
func (t *Tree) countDescendants() (uint64, bool) {
	if t.counter < 0 {
		return 0, false
	}
	n, errno := readWhole(t.counter, &t.buffer)
	if errno != 0 {
		return 0, false
	}
	_, after, found := bytes.Cut(t.buffer[:n], []byte("nr_descendants "))
	if !found {
		return 0, false
	}
	number, _, _ := bytes.Cut(after, newline)
	return parseUint(number)
}

// Close ends the watches. The descriptors kept of cgroups are the reader's.
func (t *Tree) Close() {
	t.watcher.close()
	if t.counter >= 0 {
		unix.Close(t.counter)
	}
}

func join(parent, name string) string {
	if parent == "/" {
		return "/" + name
	}
	return parent + "/" + name
}

// appendPath appends a file's path with a NUL behind it, as the kernel wants it.
func appendPath(path []byte, mount *Mount, id, name string) []byte {
	path = append(path, mount.Root...)
	if id != "/" {
		path = append(path, id...)
	}
	if name != "" {
		path = append(path, '/')
		path = append(path, name...)
	}
	return append(path, 0)
}
