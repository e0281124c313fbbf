package volume

import (
	"errors"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"github.com/nodevitals/nodevitals/collector/storage/du"
	"github.com/nodevitals/nodevitals/snapshot"
)

// job is one measurement. It is made when a worker takes it up.
type job interface {
	// step does it, or a part of it. It may block for as long as a filesystem likes. entries is how many it looked at.
	step() (entries int, done bool)
	// store keeps what was found; the reader is locked.
	store()
	// abandon gives up what was not finished.
	abandon()
}

// kernel is what jobs ask of the kernel, so that tests may let it hang.
type kernel struct {
	statfs func(path string, buffer *unix.Statfs_t) error
	files  func(path string) (du.Usage, error)
	stat   func(path string) (du.Usage, error)
	walk   func(path string) walker
}

// walker is a [du.Walk].
type walker interface {
	Step(limit int) (entries int, done bool)
	Result() (du.Usage, error)
	Left() (entries int, first error)
	Close()
}

func system(statfs func(string, *unix.Statfs_t) error) kernel {
	return kernel{
		statfs: statfs,
		files:  du.Files,
		stat:   file,
		walk:   func(path string) walker { return du.New(path) },
	}
}

// file measures a single file.
func file(path string) (du.Usage, error) {
	walk := du.New(path)
	defer walk.Close()
	walk.Step(1)
	return walk.Result()
}

// surveyJob finds out where things are.
type surveyJob struct {
	reader *Reader
	found  survey
	err    error
}

func (j *surveyJob) step() (int, bool) {
	j.found, j.err = j.reader.surveyor.look()
	return 0, true
}

func (j *surveyJob) store() {
	j.reader.survey, j.reader.surveyed = j.found, true
	for _, p := range j.reader.pods {
		p.placed = false
	}
	j.reader.surveyTask.err = j.err
	if j.reader.closed {
		j.reader.surveyor.mountinfo.Close()
		return
	}
	j.reader.plan()
}

func (j *surveyJob) abandon() {}

// logsJob measures a pod's log folder and those of its containers.
type logsJob struct {
	kernel     *kernel
	pod        *pod
	path       string
	names      []string
	logs       snapshot.Usage
	containers map[string]snapshot.Usage
	err        error
}

func (j *logsJob) step() (int, bool) {
	j.logs = j.measure(j.path)
	j.containers = make(map[string]snapshot.Usage, len(j.names))
	for _, name := range j.names {
		if !isElement(name) {
			continue
		}
		if usage := j.measure(filepath.Join(j.path, name)); !usage.Time.IsZero() {
			j.containers[name] = usage
		}
	}
	return 0, true
}

func (j *logsJob) measure(path string) snapshot.Usage {
	usage := snapshot.Usage{Time: time.Now()}
	files, err := j.kernel.files(path)
	if err != nil {
		if !errors.Is(err, os.ErrNotExist) && j.err == nil {
			j.err = err
		}
		return snapshot.Usage{}
	}
	if files.Inodes > 0 {
		usage.Bytes, usage.Inodes = snapshot.Some(files.Bytes), snapshot.Some(files.Inodes)
	}
	return usage
}

func (j *logsJob) store() {
	j.pod.result.Logs, j.pod.result.ContainerLogs = j.logs, j.containers
	j.pod.logs.err = j.err
}

func (j *logsJob) abandon() {}

// hostsJob measures a pod's etc-hosts file.
type hostsJob struct {
	kernel *kernel
	pod    *pod
	path   string
	usage  snapshot.Usage
	err    error
}

func (j *hostsJob) step() (int, bool) {
	began := time.Now()
	usage, err := j.kernel.stat(j.path)
	switch {
	case err == nil:
		j.usage = snapshot.Usage{Time: began, Bytes: snapshot.Some(usage.Bytes), Inodes: snapshot.Some(usage.Inodes)}
	case !errors.Is(err, os.ErrNotExist):
		j.err = err
	}
	return 0, true
}

func (j *hostsJob) store() {
	j.pod.result.EtcHosts, j.pod.hosts.err = j.usage, j.err
}

func (j *hostsJob) abandon() {}
