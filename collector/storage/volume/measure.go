package volume

import (
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/nodevitals/nodevitals/collector/storage/du"
	"github.com/nodevitals/nodevitals/snapshot"
)

// walkJob adds up the files of a volume and asks its filesystem for the rest.
type walkJob struct {
	kernel *kernel
	volume *volume
	place  place
	began  time.Time
	walk   walker
	found  figures
}

// figures are what a measurement found.
type figures struct {
	// time is when it began; zero: there is nothing there.
	time time.Time
	// usage is that of a walk.
	usage  *du.Usage
	statfs *unix.Statfs_t
	err    error
}

func (j *walkJob) step() (entries int, done bool) {
	if j.walk == nil {
		j.began, j.walk = time.Now(), j.kernel.walk(j.place.path)
	}
	for {
		taken, done := j.walk.Step(slice)
		entries += taken
		if done {
			j.end()
			return entries, true
		}
		// An open folder keeps its filesystem from being unmounted, and so the kubelet from taking the pod down. So there are no
		// breaks on mounts: these are in memory, where a walk is short.
		if !j.place.mounted {
			return entries, false
		}
	}
}

func (j *walkJob) end() {
	usage, err := j.walk.Result()
	if err != nil {
		if !errors.Is(err, os.ErrNotExist) {
			j.found.err = err
		}
		return
	}
	j.found.time, j.found.usage = j.began, &usage
	if left, first := j.walk.Left(); left > 0 {
		j.found.err = fmt.Errorf("walk %s: %d entries not counted right: %w", j.place.path, left, first)
	}
	statfs, err := ask(j.kernel, j.place.path)
	j.found.statfs = statfs
	j.found.err = errors.Join(j.found.err, err)
}

func (j *walkJob) store() { j.volume.keep(&j.found) }

func (j *walkJob) abandon() {
	if j.walk != nil {
		j.walk.Close()
	}
}

// sizeJob asks the filesystem of a volume.
type sizeJob struct {
	kernel   *kernel
	hostRoot string
	volume   *volume
	place    place
	found    figures
}

func (j *sizeJob) step() (entries int, done bool) {
	began, path := time.Now(), j.place.path
	if j.place.method == pointed {
		path, j.found.err = resolve(j.hostRoot, path)
		if path == "" {
			return 0, true
		}
	}
	if j.found.statfs, j.found.err = ask(j.kernel, path); j.found.statfs != nil {
		j.found.time = began
	}
	return 0, true
}

func (j *sizeJob) store() { j.volume.keep(&j.found) }

func (j *sizeJob) abandon() {}

// ask returns nil where there is nothing at path.
func ask(kernel *kernel, path string) (*unix.Statfs_t, error) {
	buffer := new(unix.Statfs_t)
	err := kernel.statfs(path, buffer)
	switch {
	case errors.Is(err, unix.ENOENT):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("statfs %s: %w", path, err)
	}
	return buffer, nil
}

// fill gives a volume its figures.
func (f *figures) fill(volume *snapshot.Volume) {
	volume.Time = f.time
	if f.usage != nil {
		volume.Used, volume.InodesUsed = snapshot.Some(f.usage.Bytes), snapshot.Some(f.usage.Inodes)
	}
	if f.statfs == nil {
		return
	}
	// f_bsize is the best size for transfers, which on network filesystems is not what blocks are counted in.
	size := uint64(f.statfs.Frsize)
	if size == 0 {
		size = uint64(f.statfs.Bsize)
	}
	volume.Capacity, volume.Available = snapshot.Some(f.statfs.Blocks*size), snapshot.Some(f.statfs.Bavail*size)
	if f.statfs.Files > 0 {
		volume.Inodes, volume.InodesFree = snapshot.Some(f.statfs.Files), snapshot.Some(f.statfs.Ffree)
	}
	if f.usage != nil {
		return
	}
	// Where more is free than there is, the difference means nothing.
	if f.statfs.Bfree <= f.statfs.Blocks {
		volume.Used = snapshot.Some((f.statfs.Blocks - f.statfs.Bfree) * size)
	}
	if f.statfs.Files > 0 && f.statfs.Ffree <= f.statfs.Files {
		volume.InodesUsed = snapshot.Some(f.statfs.Files - f.statfs.Ffree)
	}
}
