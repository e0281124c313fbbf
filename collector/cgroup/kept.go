package cgroup

import (
	"golang.org/x/sys/unix"

	"github.com/nodevitals/nodevitals/snapshot"
)

const (
	// retryAbsent is how long an absent file stays unasked, in seconds: on v2 controllers come and go with subtree_control,
	// which raises no event in the folders below. On v1 files come with modules of the kernel, such as that of the scheduler bfq.
	retryAbsent, retryAbsentV1 = 10, 300
	// idlePasses is how long a kept descriptor may be unused before it yields its place to a file that is in need.
	idlePasses = 16
)

// readFile reads and parses one file. It returns whether there was one to read.
func (r *Reader) readFile(c *Cgroup, i int, record *snapshot.Cgroup) bool {
	row, s := &r.files[i], &c.slots[i]
	fd := int(s.kept) - 1
	if fd < 0 {
		if s.retry > r.seconds {
			return false
		}
		var errno unix.Errno
		if fd, errno = openFile(r.path(c, row.mount, row.name)); errno != 0 {
			r.failed(c, i, errno)
			return false
		}
		if r.budget.take() {
			s.kept = int32(fd) + 1
		} else {
			r.denied = true
			r.stats.Unkept++
		}
	}
	read := readWhole
	if row.manyReads {
		read = readRecords
	}
	n, errno := read(fd, &r.buffer)
	if s.kept == 0 {
		unix.Close(fd)
	}
	s.used = r.pass
	if errno != 0 {
		r.failed(c, i, errno)
		return false
	}
	if malformed := row.parser.parse(r.buffer[:n], record); malformed > 0 {
		r.fault(row.name, "malformed", uint64(malformed))
	}
	return true
}

// failed takes note of a file that could not be opened or read.
func (r *Reader) failed(c *Cgroup, i int, errno unix.Errno) {
	row, s := &r.files[i], &c.slots[i]
	r.drop(s)
	switch errno {
	case unix.ENODEV:
		// Either the cgroup is gone, whatever stands at its path now, or only this file is: its controller was taken away
		// through the parent's subtree_control, or PSI was switched off through cgroup.pressure.
		if !r.alive(c, row.mount) {
			r.tree.Lost(c)
			return
		}
	case unix.ENOENT, unix.ENOTDIR:
		if !r.stands(c, row.mount) {
			r.tree.Lost(c)
			return
		}
	case unix.EOPNOTSUPP:
		// Pressure files exist and cannot be read where PSI is off.
	case unix.EMFILE, unix.ENFILE:
		// Somebody else uses descriptors too: make room and keep fewer. The file is tried again on the next pass.
		r.shed(reserve / 4)
		r.budget.most = r.budget.kept
		r.fault(row.name, unix.ErrnoName(errno), 1)
		return
	default:
		r.fault(row.name, unix.ErrnoName(errno), 1)
	}
	s.retry = r.seconds + retryAbsent
	if errno == unix.ENOENT && r.hierarchy.Mounts[row.mount].Version == V1 {
		s.retry = r.seconds + retryAbsentV1
	}
}

// alive reports whether the cgroup still stands in this mount: another kept descriptor of it can be read.
func (r *Reader) alive(c *Cgroup, mount int) bool {
	var one [1]byte
	for i := range c.slots {
		if c.slots[i].kept == 0 || r.files[i].mount != mount {
			continue
		}
		if _, errno := pread(int(c.slots[i].kept)-1, one[:], 0); errno != unix.ENODEV {
			return true
		}
	}
	// With a walker hardly anything is kept.
	return r.walker != nil && r.stands(c, mount)
}

// stands reports whether it is this cgroup whose folder stands in the mount, and not another one of its name.
func (r *Reader) stands(c *Cgroup, mount int) bool {
	if mount == 0 && c.inode != 0 {
		return inodeOf(r.path(c, mount, "")) == c.inode
	}
	return linkCount(r.path(c, mount, "")) != 0
}

// ProcsPath returns the path of the cgroup's cgroup.procs: on v1 that of the cpu controller, as cAdvisor has it. "" where
// the cgroup does not stand there.
func (r *Reader) ProcsPath(c *Cgroup) string {
	version, controller := V2, ""
	if r.hierarchy.Version == V1 {
		version, controller = V1, "cpu"
	}
	mount := r.hierarchy.serves(version, controller)
	if mount < 0 || !c.places[mount].present {
		return ""
	}
	if c.procs.path == "" {
		c.procs.path = r.hierarchy.Mounts[mount].Folder(c.Identity.ID) + "/cgroup.procs"
	}
	return c.procs.path
}

// KeptProcs returns a descriptor of the file that ProcsPath names, which stays open as long as the cgroup is there and descriptors last, or -1 if
// there is none: to open the file then tells why.
func (r *Reader) KeptProcs(c *Cgroup) int {
	s := &c.procs.slot
	if s.kept == 0 {
		path := r.ProcsPath(c)
		if path == "" {
			return -1
		}
		if !r.budget.take() {
			r.denied = true
			r.stats.Unkept++
			return -1
		}
		r.pathBuf = append(append(r.pathBuf[:0], path...), 0)
		fd, errno := openFile(r.pathBuf)
		if errno != 0 {
			r.budget.giveBack()
			return -1
		}
		s.kept = int32(fd) + 1
	}
	s.used = r.pass
	return int(s.kept) - 1
}

// yield closes descriptors that no pass needed for a while, so that files in need can be kept.
func (r *Reader) yield() {
	for _, c := range r.tree.Cgroups() {
		for s := range c.keptSlots() {
			if r.pass-s.used > idlePasses {
				r.drop(s)
			}
		}
	}
}

// shed closes some kept descriptors, those of the last cgroups first: the root's and the slices' matter to every dialect.
func (r *Reader) shed(count int) {
	known := r.tree.Cgroups()
	for at := len(known) - 1; at >= 0 && count > 0; at-- {
		for s := range known[at].keptSlots() {
			if count > 0 {
				r.drop(s)
				count--
			}
		}
	}
}

func (r *Reader) drop(s *slot) {
	if s.kept > 0 {
		unix.Close(int(s.kept) - 1)
		s.kept = 0
		r.budget.giveBack()
	}
}

// forget closes what is kept of a cgroup that is gone.
func (r *Reader) forget(c *Cgroup) {
	for s := range c.keptSlots() {
		r.drop(s)
	}
}
