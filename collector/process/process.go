// Package process counts the processes of cgroups, with their descriptors and sockets.
//
// Counting descriptors is cheap: one statx a process on Linux 6.2 and later. Finding the sockets among them takes a readlink
// for each, of some 3 µs. So they are looked for where the number of a process's descriptors has changed; where it has not, some are looked at
// anew in each round, in turns, since a file may have made way for a socket.
package process

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/nodevitals/nodevitals/snapshot"
)

// The numbers of links that are read in a round unless a Budget says otherwise.
const (
	DefaultLinks = 20000
	DefaultAgain = 2000
)

// Budget bounds the work of one round.
type Budget struct {
	// Links is how many links of /proc/PID/fd are read of processes whose number of descriptors has changed; 0 is DefaultLinks. One cgroup is
	// read whole even if it has more.
	Links int
	// Again is how many are read of processes whose number has not; 0 is DefaultAgain. One process is read whole even if it has more.
	Again int
}

// Options say where and how much to read.
type Options struct {
	// HostRoot is where the host's root is mounted; "/" on the host itself.
	HostRoot string
	// Budget bounds the work of one round.
	Budget Budget
	// V1 tells that the targets are cgroups of v1, whose cgroup.procs leaves out processes of other PID namespaces.
	V1 bool
}

// Target is a cgroup to count.
type Target struct {
	// Procs is the path of the cgroup's cgroup.procs, as the agent sees it.
	Procs string
	// Kept is a descriptor of that file, which stays open for the reader, plus one; 0: there is none, and the file is opened each time.
	Kept int
	// LimitsPID is the process whose limit of open files is the cgroup's; 0 is none. See [FirstPID].
	LimitsPID int
	// Values gets the numbers. It holds those of the last round, which stay where the budget was spent before.
	Values *snapshot.Values
}

// FirstPID as a Target's LimitsPID stands for the first process of the cgroup, which is a container's own unless that has moved.
const FirstPID = -1

// Reader counts processes. It remembers where the last round stopped, and is not safe for concurrent use.
type Reader struct {
	hostRoot string
	budget   Budget
	v1       bool
	own      int
	proc     folder
	sight    sight
	// sized tells that the kernel gives the number of descriptors as the size of /proc/PID/fd (Linux 6.2).
	sized bool
	// next is the path of the target whose sockets the next round counts first, nextAt its place in this one.
	next   string
	nextAt int
	// sockets are those of each process, as they were last counted; round numbers the rounds.
	sockets map[int]counted
	round   uint64

	// lastRound is the time of the last round; useKept, that the lists of kept descriptors are those of now in this one.
	lastRound time.Time
	useKept   bool

	path, text, entries []byte
	// pids are the processes of the present target, counts their descriptors.
	pids   []int
	counts []uint64
	link   [8]byte
	limit  unix.Rlimit
}

// counted says how many sockets a process had among so many descriptors.
type counted struct {
	descriptors, sockets uint64
	// round is the last one that met the process.
	round uint64
}

// NewReader makes a reader.
func NewReader(options Options) *Reader {
	budget := options.Budget
	if budget.Links <= 0 {
		budget.Links = DefaultLinks
	}
	if budget.Again <= 0 {
		budget.Again = DefaultAgain
	}
	return &Reader{
		hostRoot: options.HostRoot, budget: budget, v1: options.V1, own: os.Getpid(), proc: noFolder, sight: look(options.HostRoot),
		sockets: make(map[int]counted), text: make([]byte, 4096), entries: make([]byte, 32<<10),
	}
}

// round is what one call of Read counts.
type round struct {
	// left is how much of the budget there still is; spent tells that a target had to do without.
	left  Budget
	spent bool
	// denied counts targets with hidden processes; failure is the first other error.
	denied  int
	failure error
}

// Read counts every target into its Values: ProcessCount, ProcessFDs, ProcessSockets and, with a LimitsPID, ProcessNoFileSoft.
// What cannot be known is absent: all of it if cgroup.procs cannot be read, or leaves out processes (v1, seen from a PID namespace other
// than the machine's first); all but the count of processes if its numbers are not those of the host's /proc; descriptors or sockets if
// only one process of the cgroup hides them. When the budget of links is spent, the sockets of the other targets, or of their processes with as many
// descriptors as before, stay those of the round before, and the next round starts with them. A cgroup or process that is gone is no error.
//
// It returns one error that counts the targets with hidden processes, wrapping [fs.ErrPermission], and one for the first
// other failure.
func (r *Reader) Read(targets []Target, now time.Time) error {
	if err := r.begin(targets, now); err != nil {
		return err
	}
	r.round++
	current := round{left: r.budget}
	start := r.start(targets)
	for step := range targets {
		at := (start + step) % len(targets)
		if r.count(&targets[at], &current) && !current.spent {
			current.spent = true
			r.next, r.nextAt = targets[at].Procs, at
		}
	}
	if !current.spent {
		r.next, r.nextAt = "", 0
	}
	r.forget()
	if !r.sight.numbered {
		return errOtherNumbers
	}
	return current.err()
}

// Count counts the processes of every target into its Values: ProcessCount, and nothing else. Its errors and what is absent are as [Reader.Read]'s.
func (r *Reader) Count(targets []Target, now time.Time) error {
	if err := r.begin(targets, now); err != nil {
		return err
	}
	var current round
	for i := range targets {
		r.countProcesses(&targets[i], &current)
	}
	return current.err()
}

// listLasts is how long on v1 a kept descriptor may give the list that it gave before. The kernel lets go of a list a second after it was last read,
// a new descriptor makes it anew, and one that was read before takes what is there (cgroup_pidlist_start in kernel/cgroup/cgroup-v1.c): read every
// half a second, it would give the first list for ever. The other second is for a kernel that is late.
const listLasts = 2 * time.Second

// begin opens /proc. Where nothing can be known it returns an error, and nothing is.
func (r *Reader) begin(targets []Target, now time.Time) error {
	r.useKept = !r.v1 || now.Sub(r.lastRound) >= listLasts
	r.lastRound = now
	err := r.openProc()
	if err == nil && r.v1 && !r.sight.all {
		err = errUncounted
	}
	if err != nil {
		for i := range targets {
			clearAll(targets[i].Values)
		}
	}
	return err
}

// countProcesses finds the processes of a target. It returns false if it has none that can be read.
func (r *Reader) countProcesses(target *Target, current *round) bool {
	if err := r.readPids(target); err != nil {
		clearAll(target.Values)
		if !gone(err) {
			current.fail(target, err)
		}
		return false
	}
	target.Values.Set(snapshot.ProcessCount, uint64(len(r.pids)))
	return true
}

// hide notes that a process of a target hides its descriptors, or that they could not be read for another reason.
func (c *round) hide(target *Target, err error) {
	if errors.Is(err, fs.ErrPermission) || gone(err) {
		c.denied++
		return
	}
	c.fail(target, err)
}

// fail notes another failure, of which the first is told.
func (c *round) fail(target *Target, err error) {
	if c.failure == nil {
		c.failure = fmt.Errorf("read the processes of %s: %w", target.Procs, err)
	}
}

func (c *round) err() error {
	if c.denied == 0 {
		return c.failure
	}
	hidden := fmt.Errorf("read descriptors of %d cgroups: %w", c.denied, fs.ErrPermission)
	return errors.Join(hidden, c.failure)
}

// start finds the target that this round begins with: the one at which the last round's budget was spent, or if that cgroup
// has gone, whatever took its place.
func (r *Reader) start(targets []Target) int {
	if r.next == "" || len(targets) == 0 {
		return 0
	}
	for at := range targets {
		if targets[at].Procs == r.next {
			return at
		}
	}
	return r.nextAt % len(targets)
}

// count counts one target. It returns true if sockets were left for another round.
func (r *Reader) count(target *Target, current *round) (postponed bool) {
	values := target.Values
	if !r.countProcesses(target, current) {
		return false
	}
	if !r.sight.numbered {
		values.Clear(snapshot.ProcessFDs)
		values.Clear(snapshot.ProcessSockets)
		r.setLimit(target)
		return false
	}
	descriptors, err := r.countDescriptors()
	if err != nil {
		values.Clear(snapshot.ProcessFDs)
		values.Clear(snapshot.ProcessSockets)
		current.hide(target, err)
	} else {
		values.Set(snapshot.ProcessFDs, descriptors)
		postponed = r.countSockets(target, current)
	}
	r.setLimit(target)
	return postponed
}

// setLimit gives a target its limit of open files, if there is a process to take it from. The first of the cgroup is one only by the numbers
// of the host's /proc.
func (r *Reader) setLimit(target *Target) {
	target.Values.Clear(snapshot.ProcessNoFileSoft)
	pid := target.LimitsPID
	if pid == FirstPID {
		pid = 0
		if len(r.pids) > 0 && r.sight.numbered {
			pid = r.pids[0]
		}
	}
	if pid > 0 {
		if limit, ok := r.readOpenFiles(pid); ok {
			target.Values.Set(snapshot.ProcessNoFileSoft, limit)
		}
	}
}

// countDescriptors sums up the descriptors of the present pids, and keeps each process's.
func (r *Reader) countDescriptors() (uint64, error) {
	var total uint64
	r.counts = r.counts[:0]
	for _, pid := range r.pids {
		count, err := r.descriptors(pid)
		if err != nil {
			return 0, err
		}
		r.counts = append(r.counts, count)
		total += count
	}
	return total, nil
}

// descriptors returns how many descriptors a process has: 0 if it is gone. Its error is of a process that hides them.
func (r *Reader) descriptors(pid int) (uint64, error) {
	if pid == 0 {
		// The kernel writes 0 for a process outside of the agent's PID namespace.
		return 0, unix.EACCES
	}
	r.setPath(pid, "/fd")
	size, err := r.proc.size(r.path)
	switch {
	case err != nil:
		return 0, r.hidden(pid, err)
	case size > 0:
		r.sized = true
	case !r.sized:
		// A process without descriptors or a kernel that does not tell.
		count, _, err := r.list(pid, false)
		return count, err
	}
	return size, nil
}

// list counts the entries of /proc/PID/fd, and if asked for, the sockets among them. A process that is gone has none.
func (r *Reader) list(pid int, sockets bool) (count, found uint64, err error) {
	r.setPath(pid, "/fd")
	descriptors, err := r.proc.open(r.path)
	if err != nil {
		return 0, 0, r.hidden(pid, err)
	}
	defer descriptors.close()
	// Root may list the folder, and without CAP_SYS_PTRACE not read a link in it.
	var denied error
	err = descriptors.each(r.entries, func(name []byte) {
		count++
		if !sockets || denied != nil {
			return
		}
		var is bool
		if pid == r.own {
			is = isSocket(name)
		} else {
			// Links that vanish meanwhile are descriptors that were closed.
			is, denied = descriptors.linkStartsWith(name, r.link[:], "socket:")
		}
		if is {
			found++
		}
	})
	// The links of a process that ends meanwhile are refused, too.
	if denied != nil && !errors.Is(unix.Kill(pid, 0), unix.ESRCH) {
		return count, found, denied
	}
	if err != nil && !gone(err) {
		return count, found, err
	}
	return count, found, nil
}

// hidden decides what an error on /proc/PID means: nil for a process that is gone. Mounted with hidepid, /proc denies that
// processes of others exist, so the kernel is asked another way.
func (r *Reader) hidden(pid int, err error) error {
	if gone(err) && errors.Is(unix.Kill(pid, 0), unix.ESRCH) {
		return nil
	}
	return err
}

// gone reports whether an error means that the cgroup or process is no more.
func gone(err error) bool {
	return errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ESRCH) || errors.Is(err, unix.ENODEV)
}

func clearAll(values *snapshot.Values) {
	for _, field := range [...]snapshot.Field{
		snapshot.ProcessCount, snapshot.ProcessFDs, snapshot.ProcessSockets, snapshot.ProcessNoFileSoft,
	} {
		values.Clear(field)
	}
}
