package storage

import (
	"bytes"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/moby/sys/mountinfo"
	"golang.org/x/sys/unix"

	"github.com/nodevitals/nodevitals/collector/machine/hostfile"
)

// partition is a mounted filesystem that counts as the node's, under the name that cAdvisor gives it.
type partition struct {
	device, mountPoint, kind string
	major, minor             uint32
	// number is the device number in mountinfo, by which other mounts of the same filesystem are found. On btrfs, major and minor are others.
	number uint64
	// question is what asks it, nil where it cannot be seen.
	question *question
}

// filesystemKey tells filesystems apart that need to be asked each on its own.
type filesystemKey struct {
	device, mountPoint string
	// export is the device number, of NFS alone: mounts of one export are one filesystem. If its server is silent, one worker waits for all of them.
	export uint64
}

func (p *partition) key() filesystemKey {
	if strings.HasPrefix(p.kind, "nfs") {
		return filesystemKey{export: number(p.major, p.minor)}
	}
	return filesystemKey{device: p.device, mountPoint: p.mountPoint}
}

// mountTable keeps the list of partitions current.
type mountTable struct {
	hostRoot string
	// file is process 1's list, and fallback our own. Of them, from is the one that partitions come from, if any.
	file, fallback, from *hostfile.Mounts
	partitions           []partition
}

func newMountTable(hostRoot string) *mountTable {
	proc := filepath.Join(hostRoot, "proc")
	return &mountTable{
		hostRoot: hostRoot,
		file:     hostfile.NewMounts(filepath.Join(proc, "1/mountinfo")),
		// Where an ordinary user cannot see process 1 (mount option hidepid).
		fallback: hostfile.NewMounts(filepath.Join(proc, "self/mountinfo")),
	}
}

// update reads the mounts anew if there may be others, and reports whether there are. With an error the list stays.
func (t *mountTable) update() (changed bool, err error) {
	file := t.file
	text, changed, err := file.Read()
	if err != nil {
		file.Close()
		file = t.fallback
		if t.from != file {
			file.Forget()
		}
		var otherErr error
		if text, changed, otherErr = file.Read(); otherErr != nil {
			t.from = nil
			return false, err
		}
	}
	if !changed {
		return false, nil
	}
	mounts, err := mountinfo.GetMountsFromReader(bytes.NewReader(text), func(mount *mountinfo.Info) (skip, stop bool) {
		return !counts(mount.FSType) && mount.Mountpoint != "/", false
	})
	if err != nil {
		file.Forget()
		return false, fmt.Errorf("parse %s: %w", file.Path(), err)
	}
	t.from = file
	t.partitions = choose(mounts, func(mount *mountinfo.Info) (uint32, uint32, bool) { return btrfsNumber(t.hostRoot, mount) })
	return true, nil
}

func (t *mountTable) close() {
	t.file.Close()
	t.fallback.Close()
	t.from = nil
}

// choose returns the partitions among the mounts, sorted by device. The rules are cAdvisor's: of several mounts of one source the
// first counts, a tmpfs is known by its mount point and an overlay by its device number, and "/" counts whatever its type.
func choose(mounts []*mountinfo.Info, btrfsNumber func(*mountinfo.Info) (major, minor uint32, ok bool)) []partition {
	found := make(map[string]partition)
	for _, mount := range mounts {
		if !counts(mount.FSType) {
			continue
		}
		if _, seen := found[mount.Source]; seen && mount.FSType != "tmpfs" {
			continue
		}
		one := newPartition(mount)
		switch mount.FSType {
		case "tmpfs":
			one.device = one.mountPoint
		case "overlay":
			one.device = fmt.Sprintf("%s_%d-%d", mount.Source, mount.Major, mount.Minor)
		case "btrfs":
			if major, minor, ok := btrfsNumber(mount); ok {
				one.major, one.minor = major, minor
			}
		}
		found[one.device] = one
	}
	for _, mount := range mounts {
		if mount.Mountpoint == "/" {
			found[mount.Source] = newPartition(mount)
			break
		}
	}
	partitions := make([]partition, 0, len(found))
	for _, one := range found {
		partitions = append(partitions, one)
	}
	sortByDevice(partitions)
	return partitions
}

// newPartition copies what it keeps: the strings are parts of the whole line, which for an overlay is a kilobyte of names of layers.
func newPartition(mount *mountinfo.Info) partition {
	return partition{
		device: strings.Clone(mount.Source), mountPoint: strings.Clone(mount.Mountpoint), kind: strings.Clone(mount.FSType),
		major: uint32(mount.Major), minor: uint32(mount.Minor), number: unix.Mkdev(uint32(mount.Major), uint32(mount.Minor)),
	}
}

// counts reports whether filesystems of a type hold data of the node's own: cAdvisor's list, by its plugins.
func counts(kind string) bool {
	switch kind {
	case "overlay", "tmpfs", "btrfs", "zfs",
		"xfs", "squashfs", "f2fs", "jfs", "reiserfs", "hfs", "hfsplus",
		"ntfs", "vfat", "fat", "msdos", "exfat", "udf", "iso9660":
		return true
	}
	return strings.HasPrefix(kind, "ext") || strings.HasPrefix(kind, "nfs")
}

// btrfsNumber returns the device number that files of a btrfs have. Each subvolume has one of its own, which mountinfo does not
// show.
func btrfsNumber(hostRoot string, mount *mountinfo.Info) (major, minor uint32, ok bool) {
	if mount.Major != 0 || !strings.HasPrefix(mount.Source, "/dev/") {
		return 0, 0, false
	}
	var stat unix.Stat_t
	if err := unix.Stat(filepath.Join(hostRoot, mount.Source), &stat); err != nil || stat.Mode&unix.S_IFMT != unix.S_IFBLK {
		return 0, 0, false
	}
	if err := unix.Stat(filepath.Join(hostRoot, mount.Mountpoint), &stat); err != nil {
		return 0, 0, false
	}
	return unix.Major(stat.Dev), unix.Minor(stat.Dev), true
}
