package machine

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/nodevitals/nodevitals/collector/machine/hostfile"
	"github.com/nodevitals/nodevitals/snapshot"
)

const (
	// slowly is how often what an administrator sets is read: limits of PIDs, huge pages.
	slowly = 5 * time.Second
	// rarely is how often hardware is looked at again: a memory module may be plugged in.
	rarely = 5 * time.Minute
)

// Reader reads the facts about a node that every pass needs. It keeps descriptors and buffers between passes, and is not safe
// for concurrent use.
type Reader struct {
	hostRoot          string
	meminfo, loadavg  *hostfile.File
	pidMax, threadMax *hostfile.File
	hugePages         *hugePages

	bootTime               time.Time
	maxPID, hugePagesTotal snapshot.Optional
	slowAt                 time.Time
	slowFault              error
	hardware               atomic.Pointer[hardware]
	hardwareAt             time.Time
	hardwareBusy           atomic.Bool
	lastMemory             meminfo
}

// hardware is the result of one look at the hardware. The error is told once.
type hardware struct {
	machine  *snapshot.Machine
	versions snapshot.Versions
	fault    error
	told     atomic.Bool
}

// NewReader makes a reader for the host whose root folder is hostRoot.
func NewReader(hostRoot string) *Reader {
	file := func(path string) *hostfile.File { return hostfile.New(filepath.Join(hostRoot, path)) }
	return &Reader{
		hostRoot: hostRoot,
		meminfo:  file("proc/meminfo"), loadavg: file("proc/loadavg"),
		pidMax: file("proc/sys/kernel/pid_max"), threadMax: file("proc/sys/kernel/threads-max"),
		hugePages: newHugePages(filepath.Join(hostRoot, "sys/kernel/mm/hugepages")),
	}
}

// ReadInto fills in all of node but its name and filesystems. Parts that fail are absent there, and in the returned error.
// Hardware is read by the first call, and every five minutes by a goroutine, whose result a later call gives.
func (r *Reader) ReadInto(node *snapshot.Node, now time.Time) error {
	memoryErr := r.readMemory(node)
	tasksErr := r.readTasks(node, now)
	if r.slowAt.IsZero() || now.Sub(r.slowAt) >= slowly || now.Before(r.slowAt) {
		r.slowAt = now
		r.slowFault = r.readSlow()
	}
	node.BootTime, node.MaxPID, node.HugePagesTotal = r.bootTime, r.maxPID, r.hugePagesTotal
	hardwareErr := r.takeHardware(node, now)
	if memoryErr == nil && tasksErr == nil && r.slowFault == nil && hardwareErr == nil {
		return nil
	}
	return errors.Join(memoryErr, tasksErr, r.slowFault, hardwareErr)
}

func (r *Reader) readMemory(node *snapshot.Node) error {
	text, err := r.meminfo.Read()
	if err != nil {
		return err
	}
	if err := r.lastMemory.parse(text); err != nil {
		return fmt.Errorf("parse %s: %w", r.meminfo.Path(), err)
	}
	node.MemoryTotal, node.SwapTotal, node.SwapFree = r.lastMemory.total, r.lastMemory.swapTotal, r.lastMemory.swapFree
	return nil
}

func (r *Reader) readTasks(node *snapshot.Node, now time.Time) error {
	node.TasksTime = now
	text, err := r.loadavg.Read()
	if err != nil {
		return err
	}
	tasks, ok := parseTasks(text)
	if !ok {
		return fmt.Errorf("parse %s: %w", r.loadavg.Path(), errMalformed)
	}
	node.Tasks = snapshot.Some(tasks)
	return nil
}

// readSlow reads what does not change from pass to pass.
func (r *Reader) readSlow() error {
	r.maxPID = snapshot.Optional{}
	limits := errors.Join(r.lower(r.pidMax), r.lower(r.threadMax))
	var hugeErr, bootErr error
	r.hugePagesTotal, hugeErr = r.hugePages.read()
	if r.bootTime.IsZero() {
		r.bootTime, bootErr = readBootTime(filepath.Join(r.hostRoot, "proc/stat"))
	}
	return errors.Join(limits, hugeErr, bootErr)
}

// lower makes maxPID the number in the file, if that is less or the first.
func (r *Reader) lower(file *hostfile.File) error {
	text, err := file.Read()
	if err != nil {
		return err
	}
	limit, ok := parseSingle(text)
	if !ok {
		return fmt.Errorf("parse %s: %w", file.Path(), errMalformed)
	}
	if !r.maxPID.Present || limit < r.maxPID.Value {
		r.maxPID = snapshot.Some(limit)
	}
	return nil
}

// readBootTime opens the file once: on a machine of many processors its text is tens of kilobytes.
func readBootTime(path string) (time.Time, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return time.Time{}, err
	}
	seconds, ok := parseBootTime(text)
	if !ok {
		return time.Time{}, fmt.Errorf("parse %s: %w", path, errMalformed)
	}
	return time.Unix(seconds, 0), nil
}

// takeHardware gives what is known of the hardware, and sees to it that it is looked at again in time. That takes hundreds of
// files on a large machine, so no pass but the first waits for it.
func (r *Reader) takeHardware(node *snapshot.Node, now time.Time) error {
	due := r.hardwareAt.IsZero() || now.Sub(r.hardwareAt) >= rarely || now.Before(r.hardwareAt)
	known := r.hardware.Load()
	switch {
	case known == nil:
		known = readHardware(r.hostRoot)
		r.hardware.Store(known)
		r.hardwareAt = now
	case due && r.hardwareBusy.CompareAndSwap(false, true):
		r.hardwareAt = now
		go func() {
			defer r.hardwareBusy.Store(false)
			r.hardware.Store(readHardware(r.hostRoot))
		}()
	}
	node.Machine, node.Versions = known.machine, known.versions
	if known.told.Swap(true) {
		return nil
	}
	return known.fault
}

func readHardware(hostRoot string) *hardware {
	machine, machineErr := Read(hostRoot)
	versions, versionsErr := readVersions(hostRoot)
	return &hardware{machine: machine, versions: versions, fault: errors.Join(machineErr, versionsErr)}
}

// Close closes the kept descriptors.
func (r *Reader) Close() {
	for _, file := range []*hostfile.File{r.meminfo, r.loadavg, r.pidMax, r.threadMax} {
		file.Close()
	}
	r.hugePages.close()
}
