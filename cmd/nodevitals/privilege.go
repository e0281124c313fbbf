package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"go.uber.org/zap"
	"golang.org/x/sys/unix"

	"github.com/nodevitals/nodevitals/collector/identity"
	"github.com/nodevitals/nodevitals/snapshot"
)

// right is a capability that an agent may need beyond its start.
type right struct {
	name   string
	number uint
	// purpose says what an agent with these options needs it for; empty: for nothing. wanted has the rights that were found needed
	// before, in the table's order.
	purpose func(o *options, wanted capabilities) string
}

// rights are all that an agent may need once its ports are bound, its files are read and its program is in the kernel. What it needs
// before that alone (CAP_NET_BIND_SERVICE, CAP_PERFMON, CAP_SYSLOG) is not among them. docs/operations.md says which figures want which, and
// TestWhatEachGroupNeeds holds it to that, but for CAP_SYS_ADMIN, which is measured nowhere: by the kernel's documentation it stands for CAP_BPF.
var rights = []right{
	{"CAP_DAC_READ_SEARCH", unix.CAP_DAC_READ_SEARCH, (*options).readsOfOthers},
	{"CAP_DAC_OVERRIDE", unix.CAP_DAC_OVERRIDE, (*options).writesToOthers},
	{"CAP_SYS_PTRACE", unix.CAP_SYS_PTRACE, (*options).looksIntoProcesses},
	{"CAP_BPF", unix.CAP_BPF, func(o *options, _ capabilities) string { return o.walksInKernel() }},
	// It stands for CAP_BPF where that was not given.
	{"CAP_SYS_ADMIN", unix.CAP_SYS_ADMIN, func(o *options, wanted capabilities) string {
		if wanted.has(unix.CAP_BPF) {
			return ""
		}
		return o.walksInKernel()
	}},
}

func (o *options) readsOfOthers(capabilities) string {
	var purposes []string
	if o.disabled&snapshot.Storage == 0 {
		purposes = append(purposes, "volumes and logs")
	}
	if o.disabled&snapshot.Process == 0 {
		purposes = append(purposes, "descriptors and sockets")
	}
	paths := append([]string{o.secure.certFile, o.secure.keyFile, o.secure.clientCAFile}, o.accountFiles()...)
	for _, path := range paths {
		if path != "" && !present().allows(path, mayRead) {
			purposes = append(purposes, path)
		}
	}
	return strings.Join(purposes, ", ")
}

// accountFiles are those that tell the way to the API server, of which some are read again when they change.
func (o *options) accountFiles() []string {
	files := []string{o.kubeconfig}
	// Without one there is nothing to read.
	if config, err := identity.LoadConfig(o.kubeconfig); err == nil {
		files = append(files, config.BearerTokenFile, config.CAFile, config.CertFile, config.KeyFile)
	}
	return files
}

func (o *options) writesToOthers(capabilities) string {
	var paths []string
	if o.secure.certDir != "" {
		paths = append(paths, o.secure.certDir)
	}
	if o.readOnlySocket != "" {
		paths = append(paths, filepath.Dir(o.readOnlySocket))
	}
	// To connect to a socket is to write to it.
	if o.podSource == string(identity.Auto) || o.podSource == string(identity.CRI) {
		sockets := identity.DefaultSockets(o.hostRoot)
		if o.runtimeEndpoint != "" {
			sockets = []string{strings.TrimPrefix(o.runtimeEndpoint, "unix://")}
		}
		paths = append(paths, sockets...)
	}
	paths = slices.DeleteFunc(paths, func(path string) bool { return present().allows(path, mayWrite) })
	return strings.Join(paths, ", ")
}

func (o *options) looksIntoProcesses(capabilities) string {
	if o.disabled&snapshot.Process == 0 {
		return "sockets"
	}
	return ""
}

func (o *options) walksInKernel() string {
	if o.walks {
		return "the reader in the kernel"
	}
	return ""
}

// giveUpRights gives up for good, for every thread, all capabilities but those that the options still need, and the way to new ones. To be
// called once everything is open and before anything waits for a filesystem: a thread that hangs there would be waited for.
func (o *options) giveUpRights(log *zap.Logger) {
	log = log.Named("privilege")
	held, err := heldCapabilities()
	if err != nil {
		log.Warn("the kernel does not tell which capabilities this process has, and it keeps them all", zap.Error(err))
		return
	}
	var keep capabilities
	kept := []string{}
	for _, one := range rights {
		if !held.has(one.number) {
			continue
		}
		if purpose := one.purpose(o, keep); purpose != "" {
			keep.add(one.number)
			kept = append(kept, one.name+": "+purpose)
		}
	}
	if err := keepOnly(keep); err != nil {
		log.Warn("capabilities that are not needed could not be given up", zap.Error(err))
		return
	}
	log.Info("rights that are not needed are given up for good", zap.Strings("kept", kept), zap.Bool("no_new_privs", true))
}

// What allows may be asked for: bits of a file's mode, as those of others.
const (
	maySearch = 1
	mayWrite  = 2
	mayRead   = 4
)

// user is one without capabilities.
type user struct {
	uid    uint32
	groups []uint32
}

// present is this process's user, if it had no capabilities.
func present() user {
	u := user{uid: uint32(os.Geteuid()), groups: []uint32{uint32(os.Getegid())}}
	if more, err := os.Getgroups(); err == nil {
		for _, group := range more {
			u.groups = append(u.groups, uint32(group))
		}
	}
	return u
}

// allows tells whether the modes of a path let a user search all folders on the way and do what is wanted at its end. Nothing is in the way to
// what is not there.
func (u user) allows(path string, want uint32) bool {
	path, err := filepath.EvalSymlinks(path)
	if err != nil {
		return true
	}
	for ; ; path, want = filepath.Dir(path), maySearch {
		info, err := os.Stat(path)
		if err != nil {
			return true
		}
		if status, ok := info.Sys().(*syscall.Stat_t); ok && !u.allowed(status.Uid, status.Gid, uint32(info.Mode().Perm()), want) {
			return false
		}
		if path == filepath.Dir(path) {
			return true
		}
	}
}

// allowed is the kernel's rule: the owner's bits are the owner's alone, then the group's, then those of others.
func (u user) allowed(owner, group, mode, want uint32) bool {
	switch {
	case u.uid == owner:
		mode >>= 6
	case slices.Contains(u.groups, group):
		mode >>= 3
	}
	return mode&want == want
}
