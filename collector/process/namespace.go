package process

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
)

// outermost is the kernel's own name of the machine's first PID namespace, the same since Linux 3.8 (PROC_PID_INIT_INO).
const outermost = "pid:[4026531836]"

// errOtherNumbers is of an agent in a PID namespace of its own beside the host's /proc: the kernel writes the processes of cgroups by the
// numbers of the one, and /proc has those of the other.
var errOtherNumbers = fmt.Errorf("cgroups name their processes by the agent's PID namespace, which is not that of the host's /proc: %w", fs.ErrPermission)

// errUncounted is of an agent on cgroup v1 in a PID namespace of its own: what is not in that is left out of cgroup.procs without a trace.
// On v2 there is a 0 in its place.
var errUncounted = fmt.Errorf("cgroup v1 hides processes of other PID namespaces, and the agent is in one of its own: %w", fs.ErrPermission)

// errHiddenThreads is of a threaded cgroup with threads of which the agent cannot tell whose they are.
var errHiddenThreads = fmt.Errorf("threads of another PID namespace: %w", fs.ErrPermission)

// sight is what this process may know of the processes of cgroups.
type sight struct {
	// all: cgroup.procs has them all, on either version.
	all bool
	// numbered: the numbers in it are those of the host's /proc.
	numbered bool
}

// look finds out the sight of this process. A namespace that cannot be found out counts as the machine's first one, and numbers that cannot be
// compared as the same: where /proc tells nothing of the reader, it tells nothing of others either.
func look(hostRoot string) sight {
	own, err := os.Readlink("/proc/self/ns/pid")
	s := sight{all: err != nil || own == outermost, numbered: true}
	// The link is made anew for each reader, in the numbers of the namespace whose /proc it is.
	self, err := os.Readlink(filepath.Join(hostRoot, "proc/self"))
	switch {
	case err == nil:
		s.numbered = self == strconv.Itoa(os.Getpid())
	case errors.Is(err, fs.ErrNotExist) && !s.all:
		// A /proc of another namespace that does not know this process at all.
		s.numbered = false
	}
	return s
}

// SameNumbers tells whether the PIDs that the kernel writes for this process, as in cgroup.procs, are those of the host's /proc. They are
// not in a container without the host's PID namespace: there a number of cgroup.procs may be another process in the host's /proc.
func SameNumbers(hostRoot string) bool { return look(hostRoot).numbered }
