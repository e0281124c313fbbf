package identity

import (
	"reflect"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nodevitals/nodevitals/snapshot"
)

// Index keeps what sources told and answers who a cgroup is. It is safe for concurrent use. It keeps nothing of pods that no
// source knows any more.
type Index struct {
	generation atomic.Uint64
	// asked is when somebody last wanted to know something, in nanoseconds since 1970.
	asked atomic.Int64
	// unknown has a message when a cgroup without a name was met since it was last emptied.
	unknown chan struct{}

	mutex sync.Mutex
	// reports are those of each source, by the UID of the pod.
	reports [sourceCount]map[string]*report
	pods    map[string]*entry
	// names are the pods of each name: more than one while an old one of a StatefulSet ends.
	names  map[podName][]*entry
	claims claims
	states []SourceState
	// list is what Pods returned at listed.
	list     []Pod
	listed   uint64
	interner interner
}

// source is a source's place in an Index.
type source int

// The sources, in order of preference.
const (
	fromAPI source = iota
	fromRuntime
	sourceCount
)

type podName struct{ namespace, name string }

// NewIndex returns an Index that knows nothing yet.
func NewIndex() *Index {
	x := &Index{
		unknown: make(chan struct{}, 1),
		pods:    make(map[string]*entry),
		names:   make(map[podName][]*entry),
		claims:  make(claims),
	}
	for i := range x.reports {
		x.reports[i] = make(map[string]*report)
	}
	// So that the zero value of a caller's own record of the generation means "never asked".
	x.generation.Store(1)
	return x
}

// Generation rises, from 1, whenever an answer of Resolve or Pods may differ from the last one.
func (x *Index) Generation() uint64 {
	x.asked.Store(time.Now().UnixNano())
	return x.generation.Load()
}

// Resolve says who a cgroup is. The answer is never changed; as long as it stays true it is the same pointer, within the
// limits of a cache.
//
//   - A pod's cgroup has Pod and Namespace.
//   - A container's has Container, Image and Name too. Name is the runtime's ID; of CRI-O's containers it is the name that the
//     kubelet made, k8s_<container>_<pod>_<namespace>_<uid>_<attempt>.
//   - A sandbox's has no Container ("POD" with CRI-O), and an Image where the runtime tells it.
//   - Any other, and any that no source knows, has the ID and what its path tells. So has an older container of the same name
//     in the same pod, and an older pod of the same name with its containers: each set of names is given once.
func (x *Index) Resolve(cgroupID string) *snapshot.Identity {
	path := ParsePath(cgroupID)
	x.mutex.Lock()
	defer x.mutex.Unlock()
	found := snapshot.Identity{ID: cgroupID}
	complete := true
	if path.Kind != snapshot.PlainCgroup {
		found.Kind, found.PodUID, found.ContainerID = path.Kind, path.PodUID, path.ContainerID
		complete = x.identify(path, &found)
	}
	identity, fresh := x.interner.intern(found)
	if fresh && !complete {
		select {
		case x.unknown <- struct{}{}:
		default:
		}
	}
	return identity
}

// identify finds the names of a pod's cgroup or of one in it. It returns false if there must be more than the sources have told.
func (x *Index) identify(path Path, found *snapshot.Identity) bool {
	e := x.pods[path.PodUID]
	if e == nil {
		return false
	}
	if path.Kind == snapshot.PodCgroup {
		if !e.hidden {
			found.Pod, found.Namespace = e.pod.Name, e.pod.Namespace
		}
		return true
	}
	if c := e.container(path.ContainerID); c != nil {
		found.Created = c.begun()
		if !e.hidden && e.shows(c) {
			found.Pod, found.Namespace, found.Container, found.Image = e.pod.Name, e.pod.Namespace, c.Name, c.Image
			found.Name = c.ID
			if path.crio || e.crio {
				found.Name = e.crioName(c.Name, uint32(max(c.Restarts, 0)))
			}
		}
		// Where the API server was quicker, the runtime has the time of creation, and the sandbox's names, still to tell.
		return !c.Created.IsZero() || !x.expects(runtimeName)
	}
	if s := e.sandbox(path.ContainerID); s != nil {
		found.Kind, found.Created = snapshot.SandboxCgroup, s.created
		if !e.hidden && s.id == e.pod.SandboxID {
			found.Pod, found.Namespace, found.Image, found.Name = e.pod.Name, e.pod.Namespace, s.image, s.id
			if path.crio || e.crio {
				found.Container, found.Name = crioSandbox, e.crioName(crioSandbox, s.attempt)
			}
		}
		return true
	}
	if e.assume(path.ContainerID) {
		found.Kind = snapshot.SandboxCgroup
		if !e.hidden {
			found.Pod, found.Namespace, found.Name = e.pod.Name, e.pod.Namespace, path.ContainerID
			if path.crio || e.crio {
				found.Container = crioSandbox
			}
		}
	}
	// The runtime, where there is one, knows for sure, and the image too.
	return false
}

// askedWithin tells whether somebody wanted to know something in the last d.
func (x *Index) askedWithin(d time.Duration) bool {
	return time.Now().UnixNano()-x.asked.Load() < int64(d)
}

// Pods returns the known pods of this node, sorted by Namespace and Name, one for each name: of two the one that lives, or else the
// newer. The same holds for containers in a pod. The slice and what it holds are shared and never changed.
func (x *Index) Pods() []Pod {
	x.mutex.Lock()
	defer x.mutex.Unlock()
	generation := x.generation.Load()
	if x.listed == generation {
		return x.list
	}
	list := make([]Pod, 0, len(x.pods))
	used := make(claims, len(x.claims))
	for _, e := range x.pods {
		if !e.hidden {
			pod := e.pod
			pod.Volumes = x.bound(&pod, used)
			list = append(list, pod)
		}
	}
	slices.SortFunc(list, func(a, b Pod) int {
		if order := strings.Compare(a.Namespace, b.Namespace); order != 0 {
			return order
		}
		return strings.Compare(a.Name, b.Name)
	})
	x.list, x.listed = list, generation
	// What no pod uses any more is forgotten.
	x.claims = used
	return list
}

// put takes what a source says of one pod now.
func (x *Index) put(from source, r *report) {
	x.mutex.Lock()
	defer x.mutex.Unlock()
	x.reports[from][r.pod.UID] = r
	x.merge(r.pod.UID)
}

// removeFromAPI takes that the API server no longer has a pod. A static pod's mirror is made anew for the same UID when somebody
// deletes it, so apiUID says which of the two is gone.
func (x *Index) removeFromAPI(uid, apiUID string) {
	x.mutex.Lock()
	defer x.mutex.Unlock()
	if r := x.reports[fromAPI][uid]; r == nil || r.pod.APIUID != apiUID {
		return
	}
	delete(x.reports[fromAPI], uid)
	x.merge(uid)
}

// replace takes all that a source knows.
func (x *Index) replace(from source, reports []*report) {
	x.mutex.Lock()
	defer x.mutex.Unlock()
	before := x.reports[from]
	now := make(map[string]*report, len(reports))
	for _, r := range reports {
		now[r.pod.UID] = r
	}
	x.reports[from] = now
	for uid := range before {
		if now[uid] == nil {
			x.merge(uid)
		}
	}
	for uid := range now {
		x.merge(uid)
	}
}

// merge brings one pod up to date with the reports of it.
func (x *Index) merge(uid string) {
	before := x.pods[uid]
	now := newEntry(x.reports[fromAPI][uid], x.reports[fromRuntime][uid])
	switch {
	case before == nil && now == nil:
		return
	case before != nil && now != nil && reflect.DeepEqual(before.facts, now.facts):
		return
	case now == nil:
		delete(x.pods, uid)
	default:
		if before != nil {
			now.inherit(before)
		}
		x.pods[uid] = now
	}
	if before != nil {
		x.rename(before, nil)
	}
	if now != nil {
		x.rename(nil, now)
	}
	x.generation.Add(1)
}

// rename takes an entry out of those of its name, or adds one, and decides anew which of them has the name.
func (x *Index) rename(out, in *entry) {
	e := in
	if e == nil {
		e = out
	}
	name := podName{e.pod.Namespace, e.pod.Name}
	same := slices.DeleteFunc(x.names[name], func(other *entry) bool { return other == out })
	if in != nil {
		same = append(same, in)
	}
	if len(same) == 0 {
		delete(x.names, name)
		return
	}
	x.names[name] = same
	first := slices.MaxFunc(same, (*entry).compare)
	for _, other := range same {
		other.hidden = other != first
	}
}
