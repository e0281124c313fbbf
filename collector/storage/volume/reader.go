package volume

import (
	"context"
	"errors"
	"maps"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/nodevitals/nodevitals/collector/machine/hostfile"
	"github.com/nodevitals/nodevitals/collector/storage"
)

// ErrClosed is returned after [Reader.Close].
var ErrClosed = errors.New("reader of volumes is closed")

// Defaults of [Options].
const (
	DefaultRootDir      = "/var/lib/kubelet"
	DefaultLogDir       = "/var/log/pods"
	DefaultWorkers      = 2
	DefaultInodes       = 10_000
	DefaultVolumeMaxAge = time.Minute
	DefaultLogMaxAge    = 10 * time.Second
)

// Options say what to measure, how often, and at what cost. Zero values are the defaults.
type Options struct {
	// HostRoot is where the host's root is mounted; "/" on the host itself.
	HostRoot string
	// RootDir is the kubelet's folder, LogDir that of pods' logs, as the host sees them. They need not exist.
	RootDir, LogDir string
	// Workers is how many walks go on at the same time.
	Workers int
	// Inodes is how many files and folders they look at in a second, all together.
	Inodes int
	// VolumeMaxAge is how old a volume's figures get before they are measured anew, LogMaxAge those of logs and etc-hosts.
	VolumeMaxAge, LogMaxAge time.Duration
	// Deadline is how long a reading waits for what it asked for.
	Deadline time.Duration
	// HostPath measures hostPath volumes by statfs. A kubelet does not.
	HostPath bool
	// Statfs stands in for statfs(2); nil is the kernel's.
	Statfs func(path string, buffer *unix.Statfs_t) error
}

func (o *Options) complete() {
	set(&o.HostRoot, "/")
	set(&o.RootDir, DefaultRootDir)
	set(&o.LogDir, DefaultLogDir)
	set(&o.Workers, DefaultWorkers)
	set(&o.Inodes, DefaultInodes)
	set(&o.VolumeMaxAge, DefaultVolumeMaxAge)
	set(&o.LogMaxAge, DefaultLogMaxAge)
	set(&o.Deadline, storage.DefaultDeadline)
	if o.Statfs == nil {
		o.Statfs = statfs
	}
}

func set[T comparable](option *T, value T) {
	var zero T
	if *option == zero {
		*option = value
	}
}

func statfs(path string, buffer *unix.Statfs_t) error {
	for {
		if err := unix.Statfs(path, buffer); !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}

// How long workers may be without an answer before others take over.
const (
	// quickPatience is for what a healthy filesystem answers in microseconds.
	quickPatience = 50 * time.Millisecond
	// walkPatience is for some hundred files of a cold and busy disk.
	walkPatience = 10 * time.Second
	// defaultSlow is what took longer than this the last time: no reading waits for it.
	defaultSlow = 100 * time.Millisecond
)

// Reader measures what pods take of filesystems. It keeps the newest figures of each pod that it was last asked for, and works
// only when it is asked and something is due. Read is not safe for concurrent use.
type Reader struct {
	options  Options
	slow     time.Duration
	kernel   kernel
	surveyor *surveyor
	closing  chan struct{}
	// done tells a reading that nothing it waits for is left.
	done chan struct{}

	// mutex guards what follows, and what is reachable from it. It is never held while a filesystem is asked.
	mutex      sync.Mutex
	closed     bool
	now        time.Time
	reading    bool
	awaited    int
	quick      *lane
	sizes      *lane
	walks      *lane
	pods       map[string]*pod
	surveyTask *task
	survey     survey
	surveyed   bool
}

// NewReader makes a reader. It starts nothing.
func NewReader(options Options) *Reader {
	options.complete()
	r := &Reader{
		options: options,
		slow:    defaultSlow,
		kernel:  system(options.Statfs),
		surveyor: &surveyor{
			hostRoot: options.HostRoot, rootDir: options.RootDir, logDir: options.LogDir,
			mountinfo: hostfile.NewMounts("/proc/self/mountinfo"),
		},
		closing: make(chan struct{}),
		done:    make(chan struct{}, 1),
		pods:    make(map[string]*pod),
	}
	r.quick = r.lane(1, quickPatience)
	r.sizes = r.lane(1, quickPatience)
	r.walks = r.lane(options.Workers, walkPatience)
	r.walks.budget, r.walks.idle = newBudget(options.Inodes), true
	r.surveyTask = &task{lane: r.quick, device: rootDevice, what: options.RootDir, make: func() job { return &surveyJob{reader: r} }}
	return r
}

func (r *Reader) lane(limit int, patience time.Duration) *lane {
	return &lane{mutex: &r.mutex, closing: r.closing, limit: limit, patience: patience, settled: r.settled}
}

// Read returns the newest figures of the pods, by UID; pods that were given the last time and are not now are forgotten. now decides
// what is due. Figures carry the time at which they were measured.
//
// It has what is due measured, and waits for it until ctx or the deadline ends, but not for what was slow the last time or is under
// way since an earlier reading: that keeps its last figures until it is done. A filesystem that does not answer blocks only the
// worker that asks it, and is not asked again before it has answered; the error then wraps [storage.ErrNoAnswer]. Errors keep nothing
// else from being returned. What is not there is no error.
func (r *Reader) Read(ctx context.Context, pods []Pod, now time.Time) (map[string]Result, error) {
	ctx, cancel := context.WithTimeout(ctx, r.options.Deadline)
	defer cancel()
	r.mutex.Lock()
	defer r.mutex.Unlock()
	if r.closed {
		return nil, ErrClosed
	}
	r.now, r.reading = now, true
	changed := r.adopt(pods)
	r.relieve()
	if !r.surveyTask.busy && (changed || r.due(r.surveyTask, r.options.LogMaxAge)) {
		// It plans when it is done.
		r.ask(r.surveyTask)
	} else if r.surveyed {
		r.plan()
	}
	r.wait(ctx)
	results := make(map[string]Result, len(r.pods))
	for uid, pod := range r.pods {
		results[uid] = pod.newest()
	}
	return results, r.faults()
}

// due reports whether a task's figures are too old.
func (r *Reader) due(t *task, age time.Duration) bool {
	return t.asked.IsZero() || r.now.Sub(t.asked) >= age || r.now.Before(t.asked)
}

// ask puts a task in its queue, unless it is there.
func (r *Reader) ask(t *task) {
	if t.busy || r.closed {
		return
	}
	t.asked = r.now
	if r.reading && (!t.answered || t.took < r.slow) {
		t.awaited = true
		r.awaited++
	}
	t.lane.add(t)
}

// drop gives a task up.
func (r *Reader) drop(t *task) {
	t.dropped = true
	r.settled(t)
}

// settled notes that nobody waits for a task any more.
func (r *Reader) settled(t *task) {
	if !t.awaited {
		return
	}
	t.awaited = false
	r.awaited--
	if r.awaited == 0 {
		select {
		case r.done <- struct{}{}:
		default:
		}
	}
}

// wait waits for what this reading asked for.
func (r *Reader) wait(ctx context.Context) {
	ticker := time.NewTicker(quickPatience / 2)
	defer ticker.Stop()
	for r.awaited > 0 && ctx.Err() == nil {
		r.mutex.Unlock()
		select {
		case <-r.done:
		case <-ctx.Done():
		case <-ticker.C:
		}
		r.mutex.Lock()
		r.relieve()
	}
	r.reading, r.awaited = false, 0
	for t := range r.tasks() {
		t.awaited = false
	}
}

func (r *Reader) relieve() {
	now := time.Now()
	for _, l := range []*lane{r.quick, r.sizes, r.walks} {
		l.relieve(now)
	}
}

// Close ends all work and forgets everything. Workers that wait for a hung filesystem end when it answers.
func (r *Reader) Close() {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	if r.closed {
		return
	}
	r.closed = true
	close(r.closing)
	for _, l := range []*lane{r.quick, r.sizes, r.walks} {
		l.closed = true
		l.sweep()
	}
	if !r.surveyTask.busy { // else it closes when it is done
		r.surveyor.mountinfo.Close()
	}
	maps.DeleteFunc(r.pods, func(string, *pod) bool { return true })
}
