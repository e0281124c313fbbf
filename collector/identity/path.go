package identity

import (
	"strings"

	"github.com/nodevitals/nodevitals/snapshot"
)

// Path is what a cgroup's path tells of it.
type Path struct {
	// Kind is Plain, Pod or Container: that a container is a sandbox no path tells.
	Kind snapshot.CgroupKind
	// PodUID is the pod's UID as the kubelet has it (a static pod's is the hash of its file), ContainerID the runtime's
	// ID of the container. Both are empty where the cgroup is not theirs.
	PodUID, ContainerID string
	// crio tells that CRI-O made the cgroup, whose containers have names of another form.
	crio bool
}

// ParsePath reads the path of a cgroup, from the root of the hierarchy ("/kubepods/burstable/pod…"). It knows the names that a
// kubelet makes with both cgroup drivers, below any --cgroup-root and in whatever container the kubelet itself runs, and the
// names that containerd, CRI-O and cri-dockerd give to containers. What is none of these is a plain cgroup; so is all below
// a container, which may make cgroups of its own as it likes.
func ParsePath(id string) Path {
	for rest := id; rest != ""; {
		element, after := cutElement(rest)
		switch {
		case element == podsRoot:
			if path, ok := parseFolders(after); ok {
				return path
			}
		case strings.HasSuffix(element, podsRoot+slice):
			// A --cgroup-root stands before it: kubelet-kubepods.slice in kubelet.slice.
			root := strings.TrimSuffix(element, slice)
			if root != podsRoot && !strings.HasSuffix(root, "-"+podsRoot) {
				break
			}
			if path, ok := parseSlices(root, after); ok {
				return path
			}
		case strings.Contains(element, slice+":"):
			// A kubelet with the systemd driver and a runtime without: runc takes the three parts for a folder's name.
			if path, ok := parseTriple(element, after); ok {
				return path
			}
		}
		rest = after
	}
	return Path{}
}

// Names by which the kubelet calls its cgroups (pkg/kubelet/cm).
const (
	podsRoot   = "kubepods"
	burstable  = "burstable"
	bestEffort = "besteffort"
	podPrefix  = "pod"
	slice      = ".slice"
	scope      = ".scope"
	// idLength is the length of a container's ID in every runtime: 32 bytes in hex.
	idLength = 64
)

// parseFolders reads what stands below kubepods with the cgroupfs driver: [/burstable]/pod<uid>[/<id>].
// It returns false where there is no pod.
func parseFolders(rest string) (Path, bool) {
	element, after := cutElement(rest)
	if element == burstable || element == bestEffort {
		element, after = cutElement(after)
	}
	uid, ok := strings.CutPrefix(element, podPrefix)
	if !ok || uid == "" {
		return Path{}, false
	}
	return parseContainer(uid, after), true
}

// parseSlices reads what stands below kubepods.slice with the systemd driver, where each name repeats that of its parent:
// [/kubepods-burstable.slice]/kubepods-burstable-pod<uid>.slice[/cri-containerd-<id>.scope].
func parseSlices(parent, rest string) (Path, bool) {
	element, after := cutElement(rest)
	if element == parent+"-"+burstable+slice || element == parent+"-"+bestEffort+slice {
		parent = strings.TrimSuffix(element, slice)
		element, after = cutElement(after)
	}
	name, ok := strings.CutSuffix(element, slice)
	if !ok {
		return Path{}, false
	}
	uid, ok := strings.CutPrefix(name, parent+"-"+podPrefix)
	if !ok || uid == "" {
		return Path{}, false
	}
	return parseContainer(unescape(uid), after), true
}

// parseTriple reads kubepods-burstable-pod<uid>.slice:cri-containerd:<id>.
func parseTriple(element, rest string) (Path, bool) {
	parts := strings.Split(element, ":")
	if len(parts) != 3 || !isContainerID(parts[2]) {
		return Path{}, false
	}
	name, isSlice := strings.CutSuffix(parts[0], slice)
	before, uid, ok := strings.Cut(name, "-"+podPrefix)
	if !isSlice || !ok || uid == "" {
		return Path{}, false
	}
	before = strings.TrimSuffix(strings.TrimSuffix(before, "-"+burstable), "-"+bestEffort)
	if before != podsRoot && !strings.HasSuffix(before, "-"+podsRoot) {
		return Path{}, false
	}
	if rest != "" {
		return Path{}, true
	}
	return Path{Kind: snapshot.ContainerCgroup, PodUID: unescape(uid), ContainerID: parts[2], crio: parts[1] == "crio"}, true
}

// parseContainer reads what stands below a pod's cgroup.
func parseContainer(uid, rest string) Path {
	if rest == "" {
		return Path{Kind: snapshot.PodCgroup, PodUID: uid}
	}
	element, after := cutElement(rest)
	if after != "" {
		return Path{}
	}
	name := strings.TrimSuffix(element, scope)
	// The ID stands last, behind the name of what made the cgroup: nothing, cri-containerd, crio, docker.
	runtime, id := "", name
	if at := strings.LastIndexByte(name, '-'); at >= 0 {
		runtime, id = name[:at], name[at+1:]
	}
	// CRI-O's monitor has a cgroup of its own beside the container's.
	if !isContainerID(id) || strings.HasSuffix(runtime, "conmon") {
		return Path{}
	}
	return Path{Kind: snapshot.ContainerCgroup, PodUID: uid, ContainerID: id, crio: runtime == "crio"}
}

// unescape undoes what the kubelet does to a UID in a slice's name, where "-" stands for a level.
func unescape(uid string) string { return strings.ReplaceAll(uid, "_", "-") }

// cutElement takes the first element off a path "/a/b".
func cutElement(path string) (element, rest string) {
	path = strings.TrimPrefix(path, "/")
	if at := strings.IndexByte(path, '/'); at >= 0 {
		return path[:at], path[at:]
	}
	return path, ""
}

func isContainerID(s string) bool {
	if len(s) != idLength {
		return false
	}
	for i := range len(s) {
		if c := s[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}
