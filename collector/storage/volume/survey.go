package volume

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/moby/sys/mountinfo"
	"golang.org/x/sys/unix"

	"github.com/nodevitals/nodevitals/collector/machine/hostfile"
)

// survey is where things are: the two folders, links in their paths followed, and what is mounted in pods' folders. The list of
// mounts answers without asking any filesystem, which a folder's listing might not.
type survey struct {
	// rootDir and logDir are "" where there is no such folder.
	rootDir, logDir string
	// mounts are those in pods' volume folders, by pod UID.
	mounts map[string][]mount
}

// mount is a filesystem mounted as a pod's volume.
type mount struct {
	// plugin is the name of the plugin's folder, such as kubernetes.io~csi; name that of the volume in it.
	plugin, name string
	// path is the mount point, as this process sees it.
	path string
	// device is the filesystem's number, the same for all mounts of it.
	device string
}

// surveyor makes surveys.
type surveyor struct {
	hostRoot, rootDir, logDir string
	// mountinfo is that of this process: what is mounted where it cannot see it must not count as the volume.
	mountinfo *hostfile.Mounts
	// rootThen is the folder that the list of mounts was last made for.
	rootThen string
	mounts   map[string][]mount
}

// look makes a survey. With an error it still tells what it can.
func (s *surveyor) look() (survey, error) {
	var found survey
	rootDir, rootErr := resolve(s.hostRoot, s.rootDir)
	logDir, logErr := resolve(s.hostRoot, s.logDir)
	found.rootDir, found.logDir = rootDir, logDir
	if s.mounts == nil || rootDir != s.rootThen {
		s.mountinfo.Forget()
	}
	text, changed, err := s.mountinfo.Read()
	if changed {
		s.mounts, err = findMounts(text, rootDir)
		s.rootThen = rootDir
	}
	if err != nil {
		s.mounts = nil
	}
	found.mounts = s.mounts
	return found, errors.Join(rootErr, logErr, err)
}

// findMounts returns the mounts of volumes below rootDir. Of several at one place the last is the one that is seen.
func findMounts(text []byte, rootDir string) (map[string][]mount, error) {
	found := make(map[string][]mount)
	if rootDir == "" {
		return found, nil
	}
	infos, err := mountinfo.GetMountsFromReader(bytes.NewReader(text), mountinfo.PrefixFilter(filepath.Join(rootDir, "pods")))
	if err != nil {
		return nil, fmt.Errorf("parse mountinfo: %w", err)
	}
	for _, info := range infos {
		// The mount point is a part of a whole line, which is not to be kept.
		path := strings.Clone(info.Mountpoint)
		uid, one, ok := parsePlace(strings.TrimPrefix(path, filepath.Join(rootDir, "pods")+"/"))
		if !ok {
			continue
		}
		one.path, one.device = path, fmt.Sprintf("%d:%d", info.Major, info.Minor)
		mounts := found[uid]
		for i := range mounts {
			if mounts[i].path == one.path {
				mounts[i], ok = one, false
			}
		}
		if ok {
			mounts = append(mounts, one)
		}
		found[uid] = mounts
	}
	return found, nil
}

// parsePlace takes apart UID/volumes/PLUGIN/NAME, or UID/volumes/kubernetes.io~csi/NAME/mount. What is mounted deeper is a
// pod's own affair.
func parsePlace(path string) (uid string, one mount, ok bool) {
	parts := strings.Split(path, "/")
	if len(parts) == 5 && parts[2] == csiFolder && parts[4] == "mount" {
		parts = parts[:4]
	} else if len(parts) != 4 || parts[2] == csiFolder {
		return "", mount{}, false
	}
	if parts[1] != "volumes" {
		return "", mount{}, false
	}
	return parts[0], mount{plugin: parts[2], name: parts[3]}, true
}

// resolve returns where a path of the host is for this process, every link in it followed as the host would, or "" if there is no
// such file. With a host root of its own, an absolute link would otherwise lead out of it.
func resolve(hostRoot, path string) (string, error) {
	joined := filepath.Join(hostRoot, path)
	root, err := unix.Open(hostRoot, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return "", fmt.Errorf("open %s: %w", hostRoot, err)
	}
	defer unix.Close(root)
	fd, err := unix.Openat2(root, path, &unix.OpenHow{Flags: unix.O_PATH | unix.O_CLOEXEC, Resolve: unix.RESOLVE_IN_ROOT})
	switch {
	case errors.Is(err, unix.ENOENT), errors.Is(err, unix.ENOTDIR):
		return "", nil
	case errors.Is(err, unix.ENOSYS), errors.Is(err, unix.EPERM):
		// Linux before 5.6, or a seccomp filter that does not know the call.
		resolved, err := filepath.EvalSymlinks(joined)
		if errors.Is(err, os.ErrNotExist) {
			return "", nil
		}
		return resolved, err
	case err != nil:
		return "", fmt.Errorf("open %s: %w", joined, err)
	}
	defer unix.Close(fd)
	resolved, err := os.Readlink(fmt.Sprintf("/proc/self/fd/%d", fd))
	if err != nil {
		return joined, nil
	}
	return resolved, nil
}
