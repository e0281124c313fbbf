package cgroup

import (
	"time"

	"github.com/nodevitals/nodevitals/snapshot"
)

// DeviceNamer gives the node of a block device, such as /dev/nvme0n1, or "" if the kernel has none of that number.
type DeviceNamer interface {
	DeviceName(major, minor uint32) string
}

// file is a row of a version's table: one file that a pass reads.
type file struct {
	name string
	// controller says which mount has the file; "" is for files that every cgroup v2 has.
	controller string
	group      snapshot.Groups
	parser     parser
	// rootOnly files are read of the root alone.
	rootOnly bool
	// manyReads files come in parts, and are read to their end.
	manyReads bool
	// still says when the file is not read again; nil: it always is. What that depends on stands before it in the table.
	still *still
	// set numbers alternatives from 1; first marks the file that decides about its set. 0: always read.
	set   int
	first bool
	// mount and bit are filled in when the reader is made.
	mount int
	bit   Files
}

// Reader fills records from the files of cgroups, of which it keeps descriptors, or from a Walker's walk.
type Reader struct {
	tree      *Tree
	hierarchy *Hierarchy
	files     []file
	limits    []limitFile
	usage     int
	namer     DeviceNamer
	boot      time.Time

	budget  budget
	devices deviceList
	buffer  []byte
	pathBuf []byte
	pass    uint32
	seconds uint32
	denied  bool
	kills   kills
	// walker may be nil; walked says that it has taken this pass's figures.
	walker Walker
	walked bool
	target Target
	// idle marks sets whose first file named no device in the root, and that therefore no cgroup has figures in.
	idle  []bool
	stats Stats
}

// ReaderOptions tune a Reader.
type ReaderOptions struct {
	// MaxDescriptors caps kept descriptors below what RLIMIT_NOFILE allows; 0 does not.
	MaxDescriptors int
	// Devices names block devices; nil leaves them nameless.
	Devices DeviceNamer
	// VMStat is the path of the host's /proc/vmstat, which tells that no cgroup's count of kills has risen; "": these are always read.
	VMStat string
	// Walker is asked before files are read; nil: there is none. The Reader closes it.
	Walker Walker
}

// rereadLimits is how old limits get at most, whatever inotify says: it does not tell of what a container writes that has a mount of its own
// of the hierarchy. To read them all takes as long as a pass.
const rereadLimits = 5 * time.Minute

// NewReader makes a reader for the cgroups of a tree.
func NewReader(tree *Tree, options ReaderOptions) *Reader {
	r := &Reader{
		tree: tree, hierarchy: tree.hierarchy, namer: options.Devices, boot: bootMinute(),
		budget: newBudget(options.MaxDescriptors), buffer: make([]byte, 16<<10), pathBuf: make([]byte, 0, 512),
		idle: make([]bool, len(blkioSets)+1), usage: -1, walker: options.Walker,
	}
	r.target.reader = r
	tables := map[Version]struct {
		files  []file
		limits []limitFile
	}{V2: {unifiedFiles(&r.devices), unifiedLimits}, V1: {legacyFiles(&r.devices), legacyLimits}}
	for _, version := range [...]Version{V1, V2} {
		for _, row := range tables[version].files {
			if row.mount = r.hierarchy.serves(version, row.controller); row.mount >= 0 {
				row.bit = fileBit(version, row.name)
				r.files = append(r.files, row)
			}
		}
		for _, row := range tables[version].limits {
			if row.mount = r.hierarchy.serves(version, row.controller); row.mount >= 0 {
				r.limits = append(r.limits, row)
			}
		}
	}
	for i := range r.files {
		if r.files[i].name == "cpu.stat" && r.files[i].controller == "" || r.files[i].name == "cpuacct.usage" {
			r.usage = i
		}
	}
	vmstat := ""
	if r.hierarchy.serves(V1, "memory") >= 0 {
		vmstat = options.VMStat
	}
	r.kills = openKills(vmstat)
	tree.forget = r.forget
	return r
}

// Begin starts a pass that wants so many groups. Its devices go to the given store, of which records keep parts; nil: to a new one.
func (r *Reader) Begin(now time.Time, want snapshot.Groups, devices []snapshot.Device) {
	r.pass++
	r.seconds = uint32(now.Unix())
	if r.denied {
		r.yield()
	}
	r.denied = false
	r.devices = deviceList{devices: devices[:0]}
	if want&snapshot.MemoryDetail != 0 {
		r.kills.update(r.buffer)
	}
	r.walk(want)
}

// Read fills a record with the wanted groups of a cgroup. It returns false if the cgroup was removed in the meantime.
func (r *Reader) Read(c *Cgroup, record *snapshot.Cgroup, want snapshot.Groups) bool {
	record.Identity = c.Identity
	r.prepare(c)
	taken, ok := r.fill(c, record)
	if !ok {
		return false
	}
	chosen := 0
	for i := range r.files {
		row := &r.files[i]
		if row.group&want == 0 || row.bit&taken != 0 || !c.places[row.mount].present || row.rootOnly && !c.root() {
			continue
		}
		if row.set == 0 {
			if row.still == nil {
				r.readFile(c, i, record)
			} else if !row.still.recall(r, c, record) {
				row.still.keep(r, c, record, r.readFile(c, i, record))
			}
			continue
		}
		if chosen != 0 && row.set != chosen || chosen == 0 && (!row.first || r.idle[row.set-1] && !c.root()) {
			continue
		}
		ok := r.readFile(c, i, record)
		if row.first {
			r.decide(c, row, ok, len(record.Devices) > 0, &chosen)
		}
	}
	if c.gone {
		return false
	}
	r.finish(c, record, want)
	return true
}

// Devices returns the store of this pass's devices, with all that were read so far. It may have grown out of the one that Begin was given.
func (r *Reader) Devices() []snapshot.Device { return r.devices.devices }

// decide takes note of what the first file of a set said.
func (r *Reader) decide(c *Cgroup, row *file, ok, devices bool, chosen *int) {
	if devices {
		*chosen = row.set
	}
	if !c.root() {
		return
	}
	r.idle[row.set-1] = ok && !devices
	if ok && row.set == len(blkioSets)-1 {
		// A kernel that sums up throttled io says nothing more in the files that do not.
		r.idle[row.set] = true
	}
}

// finish derives what follows from several files.
func (r *Reader) finish(c *Cgroup, record *snapshot.Cgroup, want snapshot.Groups) {
	if want&snapshot.Memory != 0 {
		usage, ok := record.Get(snapshot.MemoryUsage)
		if !ok && c.root() {
			// cgroup v2's root has no memory.current: what v1 counted there is anonymous and file memory.
			anon, okAnon := record.Get(snapshot.MemoryRSS)
			cached, okFile := record.Get(snapshot.MemoryCache)
			if ok = okAnon && okFile; ok {
				usage = anon + cached
				record.Set(snapshot.MemoryUsage, usage)
			}
		}
		if inactive, known := record.Get(snapshot.MemoryInactiveFile); ok && known {
			record.Set(snapshot.MemoryWorkingSet, usage-min(usage, inactive))
		}
	}
	if r.namer != nil {
		for i := range record.Devices {
			device := &record.Devices[i]
			device.Name = r.namer.DeviceName(device.Major, device.Minor)
		}
	}
}

// ReadUsage reads the CPU counter alone, in nanoseconds: what the light tick needs.
func (r *Reader) ReadUsage(c *Cgroup, scratch *snapshot.Cgroup) (uint64, bool) {
	if r.usage < 0 || !c.places[r.files[r.usage].mount].present {
		return 0, false
	}
	r.prepare(c)
	scratch.Clear(snapshot.CPUUsage)
	taken, ok := r.fill(c, scratch)
	if ok && taken&CPUStat == 0 {
		r.readFile(c, r.usage, scratch)
	}
	return scratch.Get(snapshot.CPUUsage)
}

// Spec returns the limits of a cgroup, read anew if somebody wrote to them, or if they are older than maxAge and there is no
// watch to tell.
func (r *Reader) Spec(c *Cgroup, now time.Time, maxAge time.Duration) *snapshot.Spec {
	r.prepare(c)
	age := now.Sub(c.specTime)
	if c.spec == nil || c.specStale || age >= rereadLimits || !c.watched() && age >= maxAge {
		c.specStale = false
		c.spec = r.readSpec(c)
		c.specTime = now
	}
	return c.spec
}

// prepare makes what a cgroup needs when it is first read.
func (r *Reader) prepare(c *Cgroup) {
	if c.slots == nil {
		c.slots = make([]slot, len(r.files))
		c.created = r.firstSeen(c)
		c.inode = inodeOf(r.path(c, 0, ""))
	}
}

// Floor reads every kept descriptor once, does nothing with the text, and returns the number of files: a pass cannot cost less.
func (r *Reader) Floor() (files int) {
	for _, c := range r.tree.Cgroups() {
		for i := range c.slots {
			if c.slots[i].kept > 0 {
				_, _ = pread(int(c.slots[i].kept)-1, r.buffer, 0) // a file that is gone was asked for all the same
				files++
			}
		}
	}
	return files
}

// Close closes every kept descriptor, and the walker.
func (r *Reader) Close() {
	if r.walker != nil {
		r.walker.Close()
		r.walker, r.walked = nil, false
	}
	r.kills.close()
	for _, c := range r.tree.Cgroups() {
		r.forget(c)
	}
}

// path builds a file's path in a place that the next call reuses.
func (r *Reader) path(c *Cgroup, mount int, name string) []byte {
	r.pathBuf = appendPath(r.pathBuf[:0], &r.hierarchy.Mounts[mount], c.Identity.ID, name)
	return r.pathBuf
}
