package cluster

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// cgroups are the hierarchies of this host and what the cluster made in them.
type cgroups struct {
	// mounts is one folder on v2, and one for each hierarchy on v1.
	mounts  []string
	unified bool
	made    []string
}

const cgroupMount = "/sys/fs/cgroup"

// podsCgroup is what a kubelet with the cgroupfs driver makes for all pods.
const podsCgroup = "/kubepods"

func newCgroups() (*cgroups, error) {
	if _, err := os.Stat(cgroupMount + "/cgroup.controllers"); err == nil {
		return &cgroups{mounts: []string{cgroupMount}, unified: true}, nil
	}
	files, err := filepath.Glob(cgroupMount + "/*/cgroup.procs")
	if err != nil {
		return nil, err
	}
	g := &cgroups{}
	for _, file := range files {
		mount := filepath.Dir(file)
		// Some controllers are links to the hierarchy that they share.
		if info, err := os.Lstat(mount); err == nil && info.IsDir() {
			g.mounts = append(g.mounts, mount)
		}
	}
	if len(g.mounts) == 0 {
		return nil, fmt.Errorf("no cgroups at %s", cgroupMount)
	}
	return g, nil
}

// has tells whether a hierarchy has the cgroup.
func (g *cgroups) has(cgroup string) bool {
	return slices.ContainsFunc(g.mounts, func(mount string) bool {
		_, err := os.Stat(mount + cgroup)
		return err == nil
	})
}

// move puts a process into the cgroup in every hierarchy, and makes it where it is missing. The kubelet insists that its cgroup is
// the same in those of cpu and memory.
func (g *cgroups) move(cgroup string, pid int) error {
	for _, mount := range g.mounts {
		if err := g.create(mount, cgroup); err != nil {
			return fmt.Errorf("make cgroup %s: %w", cgroup, err)
		}
		if err := os.WriteFile(mount+cgroup+"/cgroup.procs", []byte(strconv.Itoa(pid)), 0o644); err != nil {
			return fmt.Errorf("move process %d to cgroup %s: %w", pid, cgroup, err)
		}
	}
	return nil
}

func (g *cgroups) create(mount, cgroup string) error {
	folder := mount
	for name := range strings.SplitSeq(strings.Trim(cgroup, "/"), "/") {
		if g.unified {
			handDown(folder)
		}
		parent := folder
		folder = filepath.Join(folder, name)
		err := os.Mkdir(folder, 0o755)
		if errors.Is(err, fs.ErrExist) {
			continue
		}
		if err != nil {
			return err
		}
		g.made = append(g.made, folder)
		// Where the parent does not pass these on by itself, a new cpuset has none and takes no process.
		for _, file := range []string{"cpuset.cpus", "cpuset.mems"} {
			if text, err := os.ReadFile(filepath.Join(parent, file)); err == nil && !g.unified {
				if err := os.WriteFile(filepath.Join(folder, file), text, 0o644); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// handDown lets the cgroups below a folder have its controllers. One that cannot be is none that the kubelet needs, or it will say so.
func handDown(folder string) {
	controllers, err := os.ReadFile(filepath.Join(folder, "cgroup.controllers"))
	if err != nil {
		return
	}
	for controller := range bytes.FieldsSeq(controllers) {
		_ = os.WriteFile(filepath.Join(folder, "cgroup.subtree_control"), append([]byte("+"), controller...), 0o644)
	}
}

// processes are those of the cgroup and all below it.
func (g *cgroups) processes(cgroup string) []int {
	var pids []int
	for _, mount := range g.mounts {
		_ = filepath.WalkDir(mount+cgroup, func(path string, _ fs.DirEntry, err error) error {
			if err != nil || filepath.Base(path) != "cgroup.procs" {
				return nil //nolint:nilerr // a cgroup that goes away has no processes
			}
			text, err := os.ReadFile(path)
			if err != nil {
				return nil //nolint:nilerr // as above
			}
			for field := range bytes.FieldsSeq(text) {
				if pid, err := strconv.Atoi(string(field)); err == nil {
					pids = append(pids, pid)
				}
			}
			return nil
		})
	}
	slices.Sort(pids)
	return slices.Compact(pids)
}

// clear ends every process in the cgroup, and removes it.
func (g *cgroups) clear(cgroup string) error {
	deadline := time.Now().Add(20 * time.Second)
	for {
		pids := g.processes(cgroup)
		for _, pid := range pids {
			_ = syscall.Kill(pid, syscall.SIGKILL) // one that is gone is what we want
		}
		err := g.remove(cgroup)
		if err == nil && len(pids) == 0 {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("clear cgroup %s: still has processes %v: %w", cgroup, pids, err)
		}
		time.Sleep(shortestPause)
	}
}

// remove removes a cgroup and those below it, the deepest first.
func (g *cgroups) remove(cgroup string) error {
	var failed error
	for _, mount := range g.mounts {
		var folders []string
		_ = filepath.WalkDir(mount+cgroup, func(path string, entry fs.DirEntry, err error) error {
			if err == nil && entry.IsDir() {
				folders = append(folders, path)
			}
			return nil
		})
		for _, folder := range slices.Backward(folders) {
			if err := os.Remove(folder); err != nil && !errors.Is(err, fs.ErrNotExist) {
				failed = err
			}
		}
	}
	return failed
}

// removeMade removes what create made, unless someone else uses it by now.
func (g *cgroups) removeMade() {
	for _, folder := range slices.Backward(g.made) {
		_ = os.Remove(folder)
	}
}

// unusable says why a kubelet cannot work with these cgroups, or nothing.
func (g *cgroups) unusable() string {
	for _, controller := range []string{"cpu", "cpuset", "memory", "pids"} {
		if !g.controls(controller) {
			return "this host's cgroups lack the controller " + controller
		}
	}
	for _, mount := range g.mounts {
		if err := syscall.Access(mount, 2); err != nil {
			return "no cgroups can be made in " + mount + ": " + err.Error()
		}
	}
	return ""
}

func (g *cgroups) controls(controller string) bool {
	if !g.unified {
		_, err := os.Stat(filepath.Join(cgroupMount, controller, "cgroup.procs"))
		return err == nil
	}
	text, err := os.ReadFile(cgroupMount + "/cgroup.controllers")
	return err == nil && slices.Contains(strings.Fields(string(text)), controller)
}
