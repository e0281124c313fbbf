// Package storage finds the node's filesystems and asks each for its size, and names block devices.
package storage

import (
	"cmp"
	"context"
	"errors"
	"path/filepath"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"github.com/nodevitals/nodevitals/collector/machine/hostfile"
	"github.com/nodevitals/nodevitals/snapshot"
)

// DefaultDeadline is how long a reading waits for filesystems to answer.
const DefaultDeadline = 500 * time.Millisecond

// Options say what to read.
type Options struct {
	// HostRoot is where the host's root is mounted; "/" on the host itself.
	HostRoot string
	// RootDir is the kubelet's folder as the host sees it; its filesystem is the node's. It need not exist.
	RootDir string
	// Deadline is how long a reading waits for filesystems to answer; 0 is DefaultDeadline.
	Deadline time.Duration
	// Statfs stands in for statfs(2); nil is the kernel's.
	Statfs func(path string, buffer *unix.Statfs_t) error
}

// Reader reads the node's filesystems. It keeps descriptors, the list of mounts and each filesystem's last answer. It is not
// safe for concurrent use.
type Reader struct {
	options   Options
	mountinfo *mountTable
	diskstats *hostfile.File
	disks     diskTable
	questions map[filesystemKey]*question
	root      rootFinder
	visible   *visible
}

// NewReader makes a reader.
func NewReader(options Options) *Reader {
	if options.Deadline <= 0 {
		options.Deadline = DefaultDeadline
	}
	if options.Statfs == nil {
		options.Statfs = statfs
	}
	return &Reader{
		options:   options,
		mountinfo: newMountTable(options.HostRoot),
		diskstats: hostfile.New(filepath.Join(options.HostRoot, "proc/diskstats")),
		questions: make(map[filesystemKey]*question),
		root:      newRootFinder(options.HostRoot, options.RootDir),
		visible:   newVisible(options.HostRoot),
	}
}

// Read returns the node's filesystems, sorted by device, and the index of the one that holds RootDir, or -1. The result is new
// each time and never changed afterwards.
//
// It waits for answers until ctx or the deadline ends. A filesystem that does not answer keeps its last figures with the time
// of that answer, is not asked again before it has answered, and is told by an error that wraps [ErrNoAnswer]. One that
// refuses has no figures, and its errno is in the error. Neither keeps the others from being returned.
func (r *Reader) Read(ctx context.Context) (filesystems []snapshot.Filesystem, root int, err error) {
	ctx, cancel := context.WithTimeout(ctx, r.options.Deadline)
	defer cancel()
	changed, mountsErr := r.mountinfo.update()
	if changed {
		mountsErr = errors.Join(mountsErr, r.prepare())
	}
	ask(ctx, r.due())
	disksErr := r.readDisks()
	partitions := r.mountinfo.partitions
	filesystems = make([]snapshot.Filesystem, len(partitions))
	disks := make([]snapshot.Disk, 0, len(r.disks.rows))
	var silent, refused faults
	for i := range partitions {
		partition := &partitions[i]
		filesystem := &filesystems[i]
		*filesystem = snapshot.Filesystem{
			Device: partition.device, MountPoint: partition.mountPoint, Type: partition.kind,
			Major: partition.major, Minor: partition.minor,
		}
		if question := partition.question; question != nil {
			question.fill(filesystem)
			question.report(partition.mountPoint, &silent, &refused)
		}
		if row := r.disks.find(partition); row >= 0 {
			disks = append(disks, r.disks.rows[row].disk)
			filesystem.Disk = &disks[len(disks)-1]
		}
	}
	root, rootErr := r.root.find(partitions)
	return filesystems, root, errors.Join(mountsErr, silent.err(), refused.err(), disksErr, rootErr)
}

// prepare has one question for each filesystem that is mounted and can be seen, old ones with what they know.
func (r *Reader) prepare() error {
	err := r.visible.update()
	questions := make(map[filesystemKey]*question, len(r.mountinfo.partitions))
	for i := range r.mountinfo.partitions {
		partition := &r.mountinfo.partitions[i]
		key := partition.key()
		if questions[key] != nil {
			continue
		}
		path := r.visible.path(partition)
		if path == "" {
			continue
		}
		if old := r.questions[key]; old != nil && old.path == path {
			questions[key] = old
		} else {
			questions[key] = newQuestion(path, r.options.Statfs)
		}
	}
	// Only now is it known of each: what asks for one may have been found by a later mount of the same filesystem.
	for i := range r.mountinfo.partitions {
		partition := &r.mountinfo.partitions[i]
		partition.question = questions[partition.key()]
	}
	r.questions = questions
	r.root.forget()
	return err
}

// due returns what is to be asked: everything that is not still thinking.
func (r *Reader) due() []asker {
	due := make([]asker, 0, len(r.questions)+1)
	for _, question := range r.questions {
		if question.begin() {
			due = append(due, question)
		}
	}
	if r.root.begin() {
		due = append(due, r.root.question)
	}
	return due
}

func (r *Reader) readDisks() error {
	text, err := r.diskstats.Read()
	if err != nil {
		r.disks.reset()
		return err
	}
	return r.disks.parse(r.diskstats.Path(), text)
}

// Close closes the kept descriptors. Workers that wait for a hung filesystem end when it answers.
func (r *Reader) Close() {
	r.mountinfo.close()
	r.diskstats.Close()
	r.visible.close()
}

func sortByDevice(partitions []partition) {
	slices.SortFunc(partitions, func(a, b partition) int { return cmp.Compare(a.device, b.device) })
}
