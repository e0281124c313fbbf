package collector

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"time"

	"go.uber.org/zap"

	"github.com/nodevitals/nodevitals/collector/cgroup"
	"github.com/nodevitals/nodevitals/snapshot"
)

// Status is what a collector knows of its own work.
type Status struct {
	// Passes counts sampling passes, Ticks light ticks, Shared requests that were answered without a pass of their own.
	Passes, Ticks, Shared uint64
	// Cgroups is the number of cgroups in the last snapshot, Watches that of inotify watches.
	Cgroups, Watches int
	// CgroupsExpected is the kernel's count of cgroups at the last snapshot; 0 where it has none (v1).
	CgroupsExpected int
	// Pods and Containers tell of those that the sources of names call running how many have a cgroup here.
	Pods, Containers Sight
	// Readings tell of each group when it was last read and how long that took, by the index of Groups.Each.
	Readings [snapshot.GroupCount]snapshot.Reading
	// Reader has the counters of the cgroup reader: descriptors and faults.
	Reader cgroup.Stats
	// Errors counts failures of other parts.
	Errors map[ErrorKey]uint64
	// LastError is that of the last pass; nil if it worked.
	LastError error
}

// Sight compares what should be there with what is.
type Sight struct{ Expected, Seen int }

// ErrorKey names what failed.
type ErrorKey struct {
	// Part is a reading group or "pass".
	Part string
	// Reason is a word or two, without what differs from case to case.
	Reason string
}

// Status returns a copy of the present figures.
func (c *Collector) Status() Status {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	status := c.status
	status.Errors = maps.Clone(c.status.Errors)
	return status
}

// lateAfter is how long a pass or the light tick may be late before the collector says that it is not well, hungAfter before nobody
// expects it to end. A pass takes milliseconds; what waits for others has deadlines of seconds.
const (
	lateAfter = 30 * time.Second
	hungAfter = 2 * time.Minute
)

// Check returns an error if the last pass failed, or if the present one or the light tick is half a minute late. It reads nothing.
func (c *Collector) Check(context.Context) error {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	if err := c.late(lateAfter); err != nil {
		return err
	}
	return c.status.LastError
}

// CheckProgress returns an error if there was no progress for two minutes, so that only a restart is left to try: a pass or the light
// tick does not end, or every pass fails. It reads nothing.
func (c *Collector) CheckProgress(context.Context) error {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	if err := c.late(hungAfter); err != nil {
		return err
	}
	if failing := time.Since(c.failing); c.status.LastError != nil && failing > hungAfter {
		return fmt.Errorf("every sampling pass has failed for %s: %w", failing.Round(time.Second), c.status.LastError)
	}
	return nil
}

// late returns an error if something has been under way, or due, for longer than limit.
func (c *Collector) late(limit time.Duration) error {
	if c.current != nil {
		if took := time.Since(c.current.started); took > limit {
			return fmt.Errorf("a sampling pass has run for %s", took.Round(time.Second))
		}
	}
	if !c.ticked.IsZero() {
		if since := time.Since(c.ticked); since > c.options.Tick+limit {
			return fmt.Errorf("CPU counters are to be read every %s, and were not for %s", c.options.Tick, since.Round(time.Second))
		}
	}
	return nil
}

// NotPermitted is the reason in an ErrorKey for what the kernel keeps from this user.
const NotPermitted = "not permitted"

// The parts that wait for somebody else, and that Answers tells of.
const (
	// StoragePart asks the node's filesystems, VolumesPart those of pods' volumes, RuntimePart the container runtime.
	StoragePart = "storage"
	VolumesPart = "volumes"
	RuntimePart = "runtime"
)

// silence is what came of asking somebody who did not answer.
type silence struct {
	err error
	at  time.Time
}

// Answers returns an error if whom a part asks did not answer the last time: a hung filesystem, a runtime that is away. The rest is
// served meanwhile. It asks nobody, and while no request needs the part nobody else does: the error says how long ago that time was.
func (c *Collector) Answers(part string) error {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	silent, ok := c.silent[part]
	if !ok {
		return nil
	}
	return fmt.Errorf("when last asked, %s ago: %w", time.Since(silent.at).Round(time.Second), silent.err)
}

// waited notes what became of waiting for somebody. It logs a failure that is new: another one than the last time, or one after an answer. How
// many of them the log has is up to its own limit.
func (c *Collector) waited(part string, err error) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	before, failed := c.silent[part]
	delete(c.silent, part)
	switch {
	case err == nil:
	case errors.Is(err, fs.ErrPermission):
		// What this user may not ask is nobody's silence.
		c.reportForbidden(part, err)
	default:
		c.silent[part] = silence{err, time.Now()}
		c.countError(part, incomplete)
		if !failed || before.err.Error() != err.Error() {
			c.log.Warn(unreadable, zap.String("part", part), zap.Error(err))
		}
	}
}

const (
	// incomplete is the reason in an ErrorKey for all but what is not permitted.
	incomplete = "incomplete"
	// unreadable is what the log says of a part that failed.
	unreadable = "part of the node could not be read; its values are absent and the rest is served"
)

// report counts the failure of a part that waits for nobody, and logs it the first time.
func (c *Collector) report(part string, err error) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	if errors.Is(err, fs.ErrPermission) {
		c.reportForbidden(part, err)
		return
	}
	c.countError(part, incomplete)
	c.reportOnce(true, part+" "+incomplete, unreadable, zap.String("part", part), zap.Error(err))
}

// reportForbidden counts what this user may not read. It stays so, and is said once: its text counts cgroups and so differs from pass to pass.
// The mutex is held.
func (c *Collector) reportForbidden(part string, err error) {
	c.countError(part, NotPermitted)
	c.reportOnce(true, part+" "+NotPermitted, unreadable, zap.String("part", part), zap.Error(err))
}

func (c *Collector) countError(part, reason string) {
	c.status.Errors[ErrorKey{part, reason}]++
}

// reportedMost bounds what is remembered of messages; what comes after is counted and not logged.
const reportedMost = 256

// reportOnce logs what an operator should know and does not pass a single time in the life of the process.
func (c *Collector) reportOnce(when bool, key, message string, fields ...zap.Field) {
	if !when || c.reported[key] || len(c.reported) >= reportedMost {
		return
	}
	c.reported[key] = true
	c.log.Warn(message, fields...)
}
