// Package collector takes samples of a node: it reads, and publishes what it read as immutable snapshots.
//
// Sampling is on demand. A request names the reading groups it needs and gets a snapshot no older than MaxAge; if there is
// none, one pass reads what all waiting requests need, and all share it. Nothing is read while nobody asks, except that a
// light tick reads CPU counters so that the first request after a quiet hour has a rate.
//
// Only this package and those below it open files under /proc, /sys and the host's folders.
package collector

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/nodevitals/nodevitals/collector/cgroup"
	"github.com/nodevitals/nodevitals/collector/machine"
	"github.com/nodevitals/nodevitals/collector/network"
	"github.com/nodevitals/nodevitals/collector/process"
	"github.com/nodevitals/nodevitals/collector/storage"
	"github.com/nodevitals/nodevitals/collector/storage/volume"
	"github.com/nodevitals/nodevitals/snapshot"
)

// Options say what to sample and how often.
type Options struct {
	// HostRoot is where the host's root is mounted; "/" on the host itself.
	HostRoot string
	// NodeName is the node's name; empty takes the host's name in lower case, as a kubelet does.
	NodeName string
	// RootDir is the kubelet's folder, as the host sees it. Its filesystem is the node's "fs".
	RootDir string
	// LogDir is the folder of pods' logs, as the host sees it; empty: /var/log/pods.
	LogDir string
	// MaxAge is the greatest age of a snapshot that a request is answered with. 0: every request waits for a pass of its
	// own or one that began after it came.
	MaxAge time.Duration
	// Tick is the period of the light tick; 0 is none, and rates then reach back to the last request.
	Tick time.Duration
	// SpecMaxAge is how old limits may be where no watch tells of changes.
	SpecMaxAge time.Duration
	// ProcessMaxAge and StorageMaxAge are how old figures of these groups may be before a request that asks for them
	// has them read anew.
	ProcessMaxAge, StorageMaxAge time.Duration
	// Disabled groups are never read, whoever asks.
	Disabled snapshot.Groups
	// Names says who cgroups are; nil leaves them with their IDs alone.
	Names Names
	// Runtime tells what containers and images take of filesystems; nil leaves that out.
	Runtime Runtime
	// OmitHostNetwork leaves the host's interfaces out of pods that use them, which a kubelet repeats for each.
	OmitHostNetwork bool
	// MaxDescriptors and MaxWatches cap what is kept of cgroups; 0 leaves it to the process's and the kernel's limits.
	MaxDescriptors, MaxWatches int
	// Walker reads cgroups in place of their files as far as it can; nil: files alone are read. The Collector closes it.
	Walker cgroup.Walker
	// Log takes what an operator can act on; nil is silence.
	Log *zap.Logger
}

// Collector samples one node. It is safe for concurrent use.
type Collector struct {
	options Options
	log     *zap.Logger

	hierarchy *cgroup.Hierarchy
	// reading is held by whoever reads: a pass or a tick. It guards everything below it.
	reading    sync.Mutex
	tree       *cgroup.Tree
	reader     *cgroup.Reader
	machine    *machine.Reader
	network    *network.Reader
	process    *process.Reader
	storage    *storage.Reader
	devices    *storage.DeviceNames
	volumes    *volume.Reader
	sequence   uint64
	clock      time.Time
	lastCPU    time.Time
	processes  processSample
	disks      storageSample
	interfaces int
	roster     roster
	networks   podNetworks
	// held is the store of the pass under way.
	held *store
	// spare is that of a snapshot which nobody uses any more; nil: there is none.
	spare atomic.Pointer[store]
	// sameNumbers: PIDs in cgroup.procs are those of the host's /proc. It never changes.
	sameNumbers bool

	// mutex guards what follows; it is never held while something is read.
	mutex   sync.Mutex
	recent  []*snapshot.Snapshot
	runtime runtimeSample
	current *flight
	next    *flight
	status  Status
	// failing is since when every pass failed, if the last did. ticked is when the light tick last ended, or began to be due; zero: it
	// is off.
	failing, ticked time.Time
	reported        map[string]bool
	// silent are the parts whom somebody did not answer when last asked.
	silent map[string]silence
}

// flight is a pass under way or waiting to start, and those who wait for it.
type flight struct {
	want    snapshot.Groups
	started time.Time
	// waiting is how many do.
	waiting int
	done    chan struct{}
	result  *snapshot.Snapshot
	err     error
}

// New finds the cgroups of the host. It returns an error if there are none to read: a collector without cgroups has no
// purpose, while everything else that is missing leaves the rest served.
func New(options Options) (*Collector, error) {
	if options.Log == nil {
		options.Log = zap.NewNop()
	}
	hierarchy, err := cgroup.Detect(options.HostRoot)
	if err != nil {
		return nil, err
	}
	tree, err := cgroup.NewTree(hierarchy, cgroup.TreeOptions{MaxWatches: options.MaxWatches})
	if err != nil {
		return nil, err
	}
	c := &Collector{options: options, log: options.Log, hierarchy: hierarchy, tree: tree, reported: make(map[string]bool), silent: make(map[string]silence)}
	if c.options.NodeName == "" {
		c.options.NodeName = hostName(options.HostRoot)
	}
	c.devices = storage.NewDeviceNames(options.HostRoot)
	c.reader = cgroup.NewReader(tree, cgroup.ReaderOptions{
		MaxDescriptors: options.MaxDescriptors, Devices: c.devices, Walker: options.Walker,
		VMStat: filepath.Join(options.HostRoot, "proc/vmstat"),
	})
	c.machine = machine.NewReader(options.HostRoot)
	c.network = network.NewReader(options.HostRoot, 1, &c.networks.text)
	c.process = process.NewReader(process.Options{HostRoot: options.HostRoot, V1: hierarchy.Version == cgroup.V1})
	c.sameNumbers = process.SameNumbers(options.HostRoot)
	c.storage = storage.NewReader(storage.Options{HostRoot: options.HostRoot, RootDir: options.RootDir})
	c.volumes = volume.NewReader(volume.Options{HostRoot: options.HostRoot, RootDir: options.RootDir, LogDir: options.LogDir})
	c.status.Errors = make(map[ErrorKey]uint64)
	c.runtime.deadline, c.runtime.patience = runtimeDeadline, runtimePatience
	return c, nil
}

// hostName is the name that a kubelet gives its node: the host's, trimmed and in lower case.
func hostName(hostRoot string) string {
	if text, err := os.ReadFile(filepath.Join(hostRoot, "proc/sys/kernel/hostname")); err == nil {
		return strings.ToLower(strings.TrimSpace(string(text)))
	}
	name, _ := os.Hostname()
	return strings.ToLower(strings.TrimSpace(name))
}

// Hierarchy tells which cgroups the host has.
func (c *Collector) Hierarchy() *cgroup.Hierarchy { return c.hierarchy }

// Snapshot returns a snapshot that holds at least the wanted groups, other than disabled ones, and is no older than MaxAge.
// It reads at most once for all that wait. It returns ctx's error if ctx ends first; the pass goes on for the others.
// The caller is a user of the snapshot, and calls its Done: what it held then serves the next.
func (c *Collector) Snapshot(ctx context.Context, want snapshot.Groups) (*snapshot.Snapshot, error) {
	want &^= c.options.Disabled
	asked := time.Now()
	c.mutex.Lock()
	if found := c.fresh(want, asked); found != nil {
		c.status.Shared++
		c.mutex.Unlock()
		return found, nil
	}
	waited := c.join(want, asked)
	c.mutex.Unlock()
	select {
	case <-waited.done:
		return waited.result, waited.err
	case <-ctx.Done():
		c.leave(waited)
		return nil, fmt.Errorf("wait for a sampling pass: %w", context.Cause(ctx))
	}
}

// leave is for one who waits no more.
func (c *Collector) leave(f *flight) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	f.waiting--
	if f.result != nil {
		// It came at the same moment.
		f.result.Done()
	}
}

// fresh returns a published snapshot that will do, of which the caller is a user, or nil.
func (c *Collector) fresh(want snapshot.Groups, now time.Time) *snapshot.Snapshot {
	// A pass may carry a time up to a millisecond ahead of the clock, so 0 must be no age at all.
	for i := len(c.recent) - 1; i >= 0 && c.options.MaxAge > 0; i-- {
		s := c.recent[i]
		if s.Groups.Has(want) && now.Sub(s.Taken) <= c.options.MaxAge && s.Use() {
			return s
		}
	}
	return nil
}

// join finds a flight to wait for, or starts one.
func (c *Collector) join(want snapshot.Groups, asked time.Time) (f *flight) {
	defer func() { f.waiting++ }()
	switch {
	case c.current == nil:
		c.current = &flight{want: want, done: make(chan struct{})}
		c.start(c.current)
		return c.current
	case c.current.want.Has(want) && asked.Sub(c.current.started) <= c.options.MaxAge:
		c.status.Shared++
		return c.current
	case c.next == nil:
		c.next = &flight{done: make(chan struct{})}
	default:
		c.status.Shared++
	}
	c.next.want |= want
	return c.next
}

// start runs a flight in a goroutine of its own, so that a request whose time is up leaves without ending it.
func (c *Collector) start(f *flight) {
	f.started = time.Now()
	c.expire(f.started)
	go func() {
		result, err := c.take(f.want)
		c.mutex.Lock()
		defer c.mutex.Unlock()
		f.result, f.err = result, err
		if err == nil {
			for range f.waiting {
				result.Use()
			}
			c.publish(result)
		} else {
			c.countError("pass", "failed")
			if c.status.LastError == nil {
				c.failing = time.Now()
			}
		}
		c.status.LastError = err
		close(f.done)
		c.current, c.next = c.next, nil
		if c.current != nil {
			c.start(c.current)
		}
	}()
}

// publish keeps the newest snapshot of each set of groups: a scrape that needs little must not make the next that needs
// much wait for less than it has to. It ends the use that the snapshot was lent with, unless that is who keeps it.
func (c *Collector) publish(s *snapshot.Snapshot) {
	c.retain(func(old *snapshot.Snapshot) bool {
		return !s.Groups.Has(old.Groups) && s.Taken.Sub(old.Taken) <= c.options.MaxAge
	})
	if c.options.MaxAge <= 0 {
		s.Done()
		return
	}
	c.recent = append(c.recent, s)
}

// expire lets go of the snapshots that are too old to answer a request, so that what they hold can serve the next.
func (c *Collector) expire(now time.Time) {
	c.retain(func(old *snapshot.Snapshot) bool { return now.Sub(old.Taken) <= c.options.MaxAge })
}

// retain keeps those of the recent snapshots that keep is true of.
func (c *Collector) retain(keep func(*snapshot.Snapshot) bool) {
	kept := c.recent[:0]
	for _, old := range c.recent {
		if keep(old) {
			kept = append(kept, old)
		} else {
			old.Done()
		}
	}
	clear(c.recent[len(kept):])
	c.recent = kept
}

// errPanicked stands for a panic in a pass, which ends that pass and nothing else.
var errPanicked = errors.New("sampling pass panicked")

// take runs one pass.
func (c *Collector) take(want snapshot.Groups) (result *snapshot.Snapshot, err error) {
	c.reading.Lock()
	defer c.reading.Unlock()
	defer func() {
		if cause := recover(); cause != nil {
			c.log.Error("a sampling pass panicked; the request fails and the next one starts afresh", zap.Any("cause", cause), zap.Stack("stack"))
			result, err = nil, fmt.Errorf("%w: %v", errPanicked, cause)
		}
	}()
	return c.pass(want), nil
}

// now returns the time of a new pass: in whole milliseconds, the resolution of exported timestamps, and later than any before.
func (c *Collector) now() time.Time {
	now := time.Now()
	if rest := now.Sub(c.clock); !c.clock.IsZero() && rest < time.Millisecond {
		now = c.clock.Add(time.Millisecond)
	}
	c.clock = now
	return now
}

// Run does the light tick until ctx ends, and then returns nil.
func (c *Collector) Run(ctx context.Context) error {
	if c.options.Tick <= 0 || c.options.Disabled&snapshot.CPU != 0 {
		<-ctx.Done()
		return nil
	}
	ticker := time.NewTicker(c.options.Tick)
	defer ticker.Stop()
	c.noteTick(time.Now())
	defer c.noteTick(time.Time{})
	for {
		c.tick()
		c.noteTick(time.Now())
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

func (c *Collector) noteTick(at time.Time) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	c.ticked = at
}

// tick reads the CPU counter of every cgroup whose rate is shown, unless a pass has just done so. It also empties inotify's queue.
func (c *Collector) tick() {
	c.reading.Lock()
	defer c.reading.Unlock()
	now := c.now()
	if now.Sub(c.lastCPU) < c.options.Tick/2 {
		return
	}
	c.lastCPU = now
	c.tree.Update(now)
	c.forgetGoneNetworks()
	c.reader.Begin(now, snapshot.CPU, nil)
	var scratch snapshot.Cgroup
	for _, known := range c.tree.Cgroups() {
		if known.Identity.Kind == snapshot.SandboxCgroup {
			continue
		}
		if usage, ok := c.reader.ReadUsage(known, &scratch); ok {
			known.History.Add(now, usage)
		}
	}
	c.mutex.Lock()
	c.status.Ticks++
	c.mutex.Unlock()
}

// Floor reads once each cgroup file that is kept open, and nothing more: what benchmarks hold a pass against. It returns their number.
func (c *Collector) Floor() (files int) {
	c.reading.Lock()
	defer c.reading.Unlock()
	return c.reader.Floor()
}

// Close gives back descriptors, watches and workers. Nothing may be asked of the collector afterwards.
func (c *Collector) Close() {
	c.reading.Lock()
	defer c.reading.Unlock()
	c.forgetNetworks(0)
	c.reader.Close()
	c.tree.Close()
	c.machine.Close()
	c.network.Close()
	c.process.Close()
	c.storage.Close()
	c.volumes.Close()
}
