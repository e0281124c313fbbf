package cgroup

import (
	"bytes"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/nodevitals/nodevitals/snapshot"
)

// limitFile is a row of a table of files that make a Spec. Limits change by hand of somebody and not by themselves, so they
// are read when inotify tells of a write, and by age where it cannot.
type limitFile struct {
	name       string
	controller string
	set        func(spec *snapshot.Spec, text []byte)
	// mount is filled in when the reader is made.
	mount int
}

// parseLimit reads a number or "max"; anything else, such as -1, is absent.
func parseLimit(text []byte) snapshot.Optional {
	if string(text) == "max" {
		return snapshot.Some(snapshot.Unlimited)
	}
	number, ok := parseUint(text)
	return snapshot.Optional{Value: number, Present: ok}
}

// readSpec reads all limits of a cgroup anew.
func (r *Reader) readSpec(c *Cgroup) *snapshot.Spec {
	spec := &snapshot.Spec{Created: c.created}
	for i := range r.hierarchy.Mounts {
		mount := &r.hierarchy.Mounts[i]
		if !c.places[i].present {
			continue
		}
		for _, controller := range mount.Controllers {
			switch controller {
			case "cpu", "cpuacct":
				spec.HasCPU = true
			case "memory":
				// On v2 it is memory.max that tells: the root has the controller and no limit.
				spec.HasMemory = mount.Version == V1
			case "io", "blkio":
				spec.HasIO = true
			case "pids":
				spec.HasPids = true
			}
		}
	}
	for i := range r.limits {
		row := &r.limits[i]
		if !c.places[row.mount].present {
			continue
		}
		fd, errno := openFile(r.path(c, row.mount, row.name))
		if errno != 0 {
			continue
		}
		if n, errno := readWhole(fd, &r.buffer); errno == 0 && n > 0 {
			row.set(spec, bytes.TrimRight(r.buffer[:n], "\n "))
		}
		unix.Close(fd)
	}
	return spec
}

// firstSeen is the time that cAdvisor takes for a cgroup's creation: the earlier of the change times of its folder, which
// moves when cgroups are made below it, and of a file in it that does not; and never before the machine's start.
func (r *Reader) firstSeen(c *Cgroup) time.Time {
	now := time.Now()
	earliest := now
	for i := range r.hierarchy.Mounts {
		mount := &r.hierarchy.Mounts[i]
		folder := mount.Folder(c.Identity.ID)
		steady := folder + "/cgroup.events"
		if mount.Version == V1 {
			steady = folder + "/cgroup.clone_children"
		}
		for _, path := range [...]string{folder, steady} {
			if info, err := os.Stat(path); err == nil && info.ModTime().Before(earliest) {
				earliest = info.ModTime()
			}
		}
	}
	if earliest.Equal(now) {
		return time.Time{}
	}
	if earliest.Before(r.boot) {
		return r.boot
	}
	return earliest
}

// bootMinute is when the machine started, to the minute, as cAdvisor reckons it from the uptime.
func bootMinute() time.Time {
	var info unix.Sysinfo_t
	if unix.Sysinfo(&info) != nil {
		return time.Time{}
	}
	return time.Now().Add(-time.Duration(info.Uptime) * time.Second).Truncate(time.Minute)
}
