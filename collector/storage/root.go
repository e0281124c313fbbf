package storage

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"

	"golang.org/x/sys/unix"
)

// rootFinder finds the filesystem that holds the kubelet's folder. Looking at that folder may hang as statfs may, so it is put to
// the same workers. The result holds until mounts change or the folder appears.
type rootFinder struct {
	rootDir  string
	question *rootQuestion
}

func newRootFinder(hostRoot, rootDir string) rootFinder {
	rootDir = filepath.Join("/", rootDir)
	return rootFinder{rootDir: rootDir, question: &rootQuestion{hostRoot: hostRoot, path: rootDir}}
}

// rootQuestion is what device the folder, or its nearest existing ancestor, is on.
type rootQuestion struct {
	hostRoot, path string

	mutex        sync.Mutex
	busy, known  bool
	exact        bool
	major, minor uint32
	err          error
}

// begin marks the question as asked, if there is need and it is not asked already.
func (f *rootFinder) begin() bool {
	q := f.question
	q.mutex.Lock()
	defer q.mutex.Unlock()
	if q.busy || q.known && q.exact {
		return false
	}
	q.busy = true
	return true
}

// forget has the question put again, since another filesystem may be mounted there.
func (f *rootFinder) forget() {
	q := f.question
	q.mutex.Lock()
	defer q.mutex.Unlock()
	q.exact = false
}

func (q *rootQuestion) withdraw() {
	q.mutex.Lock()
	defer q.mutex.Unlock()
	q.busy = false
}

func (q *rootQuestion) ask() {
	var stat unix.Stat_t
	path, err := q.path, error(nil)
	for {
		err = unix.Stat(filepath.Join(q.hostRoot, path), &stat)
		if path == "/" || !errors.Is(err, unix.ENOENT) && !errors.Is(err, unix.ENOTDIR) {
			break
		}
		path = filepath.Dir(path)
	}
	q.mutex.Lock()
	defer q.mutex.Unlock()
	q.busy, q.known, q.exact = false, err == nil, err == nil && path == q.path
	q.major, q.minor = unix.Major(stat.Dev), unix.Minor(stat.Dev)
	q.err = err
	if err != nil {
		q.err = fmt.Errorf("stat %s: %w", filepath.Join(q.hostRoot, path), err)
	}
}

// find returns the index of the partition, or -1: the one with the folder's device number, or else with the longest mount point
// above the folder.
func (f *rootFinder) find(partitions []partition) (int, error) {
	q := f.question
	q.mutex.Lock()
	known, major, minor, err := q.known, q.major, q.minor, q.err
	q.mutex.Unlock()
	nearest := -1
	for i := range partitions {
		one := &partitions[i]
		above := isAbove(one.mountPoint, f.rootDir)
		if known && one.major == major && one.minor == minor {
			return i, err
		}
		if above && (nearest < 0 || len(one.mountPoint) > len(partitions[nearest].mountPoint)) {
			nearest = i
		}
	}
	return nearest, err
}

// isAbove reports whether a mount point is the path or an ancestor of it.
func isAbove(mountPoint, path string) bool {
	return mountPoint == "/" || path == mountPoint || strings.HasPrefix(path, mountPoint+"/")
}
