package collector

import (
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/nodevitals/nodevitals/collector/cgrouptest"
	"github.com/nodevitals/nodevitals/collector/identity"
	"github.com/nodevitals/nodevitals/snapshot"
)

// Who the test's pod is. A whole machine is read, with the cgroups of other runs of these tests: so no run has another's.
var (
	podUID      = newUID()
	sandboxID   = fmt.Sprintf("%x", sha256.Sum256([]byte("sandbox "+podUID)))
	containerID = fmt.Sprintf("%x", sha256.Sum256([]byte("container "+podUID)))
)

func newUID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

// names stands in for a source of names.
type names struct {
	mutex      sync.Mutex
	generation uint64
	pods       []identity.Pod
}

func (n *names) tell(pods ...identity.Pod) {
	n.mutex.Lock()
	defer n.mutex.Unlock()
	n.pods = pods
	n.generation++
}

func (n *names) Generation() uint64 {
	n.mutex.Lock()
	defer n.mutex.Unlock()
	return n.generation + 1
}

func (n *names) Pods() []identity.Pod {
	n.mutex.Lock()
	defer n.mutex.Unlock()
	return n.pods
}

func (n *names) Resolve(id string) *snapshot.Identity {
	path := identity.ParsePath(id)
	who := &snapshot.Identity{ID: id, Kind: path.Kind, PodUID: path.PodUID, ContainerID: path.ContainerID}
	for _, pod := range n.Pods() {
		if pod.UID != path.PodUID {
			continue
		}
		who.Pod, who.Namespace = pod.Name, pod.Namespace
		if path.ContainerID == pod.SandboxID && path.ContainerID != "" {
			who.Kind, who.Name = snapshot.SandboxCgroup, path.ContainerID
		}
		for _, c := range pod.Containers {
			if c.ID == path.ContainerID {
				who.Container, who.Name, who.Created = c.Name, c.ID, c.Created
			}
		}
	}
	return who
}

func testPod() identity.Pod {
	return identity.Pod{
		Name: "web", Namespace: "default", UID: podUID, SandboxID: sandboxID, Started: time.Unix(1795487900, 0),
		Containers: []identity.Container{{Name: "app", ID: containerID, Running: true, Created: time.Unix(1795487910, 0)}},
	}
}

// makePod makes the cgroups of a pod as a kubelet and a runtime would, and returns those of pod, sandbox and container.
func makePod(t *testing.T) (pod, sandbox, container *cgrouptest.Group) {
	t.Helper()
	pod = cgrouptest.New(t).Child(t, "kubepods").Child(t, "burstable").Child(t, "pod"+podUID)
	return pod, pod.Child(t, sandboxID), pod.Child(t, containerID)
}

func TestPodsOfASnapshot(t *testing.T) {
	group, sandbox, container := makePod(t)
	container.Child(t, "nested").Child(t, "deeper")
	source := &names{}
	c := newTest(t, func(o *Options) { o.MaxAge, o.Names = 0, source })
	if s := mustSnapshot(t, c, snapshot.All); len(s.Pods) != 0 || s.Find(container.ID) == nil {
		t.Errorf("before the names are known: got %d pods and record %v, want none and one", len(s.Pods), s.Find(container.ID))
	}
	source.tell(testPod())
	s := mustSnapshot(t, c, snapshot.All)
	if len(s.Pods) != 1 || len(s.Pods[0].Containers) != 1 {
		t.Fatalf("pods: got %+v, want one with one container", s.Pods)
	}
	pod := &s.Pods[0]
	if pod.Name != "web" || pod.Namespace != "default" || pod.UID != podUID || pod.Cgroup != s.Find(group.ID) {
		t.Errorf("pod: got %+v", pod)
	}
	if one := pod.Containers[0]; one.Name != "app" || one.ID != containerID || one.Cgroup != s.Find(container.ID) || one.Started.Unix() != 1795487910 {
		t.Errorf("container: got %+v", one)
	}
	if who := s.Find(container.ID).Identity; who.Pod != "web" || who.Container != "app" {
		t.Errorf("record: got %+v", who)
	}
	twin := cgrouptest.New(t).Child(t, "kubepods").Child(t, "burstable").Child(t, "pod"+podUID).Child(t, containerID)
	s = mustSnapshot(t, c, snapshot.All)
	if s.Find(twin.ID) == nil || len(s.Pods) != 1 || len(s.Pods[0].Containers) != 1 {
		t.Errorf("with a second cgroup of that name: got %+v, want one pod with one container", s.Pods)
	}
	twin.Remove(t)
	container.Child(t, "new")
	for _, id := range []string{container.ID + "/nested", container.ID + "/nested/deeper", container.ID + "/new"} {
		if record := mustSnapshot(t, c, snapshot.All).Find(id); record == nil || record.Identity.Container != "" {
			t.Errorf("%s: got %+v, want a record without names", id, record)
		}
	}
	// The source says that the container is gone before its cgroup is, and then forgets the pod.
	finished := testPod()
	finished.Containers = nil
	source.tell(finished)
	if s := mustSnapshot(t, c, snapshot.All); len(s.Pods) != 0 || s.Find(sandbox.ID) == nil {
		t.Errorf("without a container: got %d pods, want none", len(s.Pods))
	}
	source.tell()
	if who := mustSnapshot(t, c, snapshot.All).Find(group.ID).Identity; who.Pod != "" {
		t.Errorf("after the pod was forgotten: got %+v, want no name", who)
	}
}

// A request reads the figures of those cgroups that it names, and has all of them by name.
func TestCgroupsThatNobodyAsksFor(t *testing.T) {
	group, sandbox, container := makePod(t)
	slice := cgrouptest.New(t)
	source := &names{}
	source.tell(testPod())
	c := newTest(t, func(o *Options) { o.MaxAge, o.Names = 0, source })
	const asked = snapshot.CPUUse | snapshot.Memory | snapshot.Limits
	for _, test := range []struct {
		of                  snapshot.Groups
		slices, ofSandboxes bool
	}{{0, false, false}, {snapshot.Slices, true, false}, {snapshot.Sandboxes, false, true}, {snapshot.Everywhere, true, true}} {
		s := mustSnapshot(t, c, asked|test.of)
		for id, want := range map[string]bool{"/": true, group.ID: true, container.ID: true, slice.ID: test.slices, sandbox.ID: test.ofSandboxes} {
			record := s.Find(id)
			if record == nil || record.Identity.ID != id {
				t.Errorf("of %b: %s has no record", test.of, id)
				continue
			}
			if _, got := record.Get(snapshot.CPUUsage); got != want || (record.Spec != nil) != want {
				t.Errorf("of %b: figures of %s: got %t with limits %t, want %t", test.of, id, got, record.Spec != nil, want)
			}
		}
	}
	if usage, ok := mustSnapshot(t, c, asked).Find(sandbox.ID).Get(snapshot.MemoryUsage); ok {
		t.Errorf("a pass that does not read the sandbox shows %d bytes of another's", usage)
	}
}

// Interfaces are those of the pod's own namespace, by any process in it, and not kept when the pod is gone.
func TestPodNetwork(t *testing.T) {
	_, sandbox, container := makePod(t)
	source := &names{}
	source.tell(testPod())
	c := newTest(t, func(o *Options) { o.MaxAge, o.Names = 0, source })
	if s := mustSnapshot(t, c, snapshot.All); len(s.Pods) != 1 || s.Pods[0].HasNetwork {
		t.Errorf("without a process: got %+v, want a pod without network", s.Pods)
	}
	load := container.StartWith(t, &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET}, "sleep")
	var pod *snapshot.Pod
	cgrouptest.Await(t, "the pod's network", func() (bool, string) {
		s := mustSnapshot(t, c, snapshot.All)
		pod = &s.Pods[0]
		return pod.HasNetwork, fmt.Sprintf("%+v", pod)
	})
	// A new namespace has a loopback interface, which is not shown, and where tunnel modules are loaded some of theirs.
	for _, one := range pod.Interfaces {
		if strings.HasPrefix(one.Name, "eth") || one.RxBytes != 0 {
			t.Errorf("interface %+v is none of the pod's", one)
		}
	}
	if len(c.networks.byUID) != 1 {
		t.Errorf("readers: got %d, want one", len(c.networks.byUID))
	}
	if record := mustSnapshot(t, c, snapshot.All).Find(sandbox.ID); !record.HasNetwork {
		t.Error("the sandbox's record has no network")
	}
	_ = load.Process.Kill()
	_ = load.Wait()
	container.Remove(t)
	sandbox.Remove(t)
	source.tell()
	mustSnapshot(t, c, snapshot.All)
	if len(c.networks.byUID) != 0 {
		t.Errorf("readers: got %d after the pod went, want none", len(c.networks.byUID))
	}
}

func TestHostNetwork(t *testing.T) {
	for _, omit := range []bool{false, true} {
		t.Run(fmt.Sprint("omit ", omit), func(t *testing.T) {
			_, _, container := makePod(t)
			source := &names{}
			told := testPod()
			told.HostNetwork = true
			source.tell(told)
			container.Start(t, "sleep")
			c := newTest(t, func(o *Options) { o.MaxAge, o.Names, o.OmitHostNetwork = 0, source, omit })
			s := mustSnapshot(t, c, snapshot.All)
			if len(s.Pods) != 1 || s.Pods[0].HasNetwork == omit {
				t.Fatalf("pods: got %+v, want one with the host's network: %t", s.Pods, !omit)
			}
			if got, want := len(s.Pods[0].Interfaces), len(s.Find("/").Interfaces); !omit && got != want {
				t.Errorf("interfaces: got %d, want the host's %d", got, want)
			}
		})
	}
}

// A process that the runtime has not yet put into the pod's namespace is in the host's, whose interfaces are never taken for the pod's.
func TestProcessOnItsWayToTheNamespace(t *testing.T) {
	_, sandbox, container := makePod(t)
	source := &names{}
	source.tell(testPod())
	sandbox.Start(t, "sleep")
	c := newTest(t, func(o *Options) { o.MaxAge, o.Names = 0, source })
	if s := mustSnapshot(t, c, snapshot.All); len(s.Pods) != 1 || s.Pods[0].HasNetwork {
		t.Fatalf("in the host's namespace: got %+v, want a pod without network", s.Pods)
	}
	container.StartWith(t, &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET}, "sleep")
	cgrouptest.Await(t, "the pod's network, by another process", func() (bool, string) {
		s := mustSnapshot(t, c, snapshot.All)
		return s.Pods[0].HasNetwork, fmt.Sprintf("%+v", s.Pods[0])
	})
	for _, one := range mustSnapshot(t, c, snapshot.All).Pods[0].Interfaces {
		if strings.HasPrefix(one.Name, "eth") || one.RxBytes != 0 {
			t.Errorf("interface %+v is none of the pod's", one)
		}
	}
}

// Two hundred pods that come and go while somebody asks all the time: each snapshot is whole, and nothing of them stays.
func TestTwoHundredPodsComeAndGo(t *testing.T) {
	const count = 200
	slice := cgrouptest.New(t).Child(t, "kubepods").Child(t, "burstable")
	source := &names{}
	c := newTest(t, func(o *Options) { o.MaxAge, o.ProcessMaxAge, o.Names = 0, 0, source })
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for {
			select {
			case <-stop:
				return
			default:
			}
			s, err := c.Snapshot(t.Context(), snapshot.All&^snapshot.Storage)
			if err != nil {
				t.Errorf("snapshot: %v", err)
				return
			}
			for i := 1; i < len(s.Cgroups); i++ {
				if s.Cgroups[i-1].Identity.ID >= s.Cgroups[i].Identity.ID {
					t.Errorf("order: got %s before %s", s.Cgroups[i-1].Identity.ID, s.Cgroups[i].Identity.ID)
					return
				}
			}
			for i := range s.Pods {
				if pod := &s.Pods[i]; len(pod.Containers) != 1 || pod.Containers[0].Cgroup == nil || pod.Containers[0].Name != "app" {
					t.Errorf("pod %s: got %+v", pod.Name, pod.Containers)
				}
			}
		}
	}()
	var known []identity.Pod
	groups := make(map[string][]*cgrouptest.Group, count)
	for i := range count {
		pod := testPod()
		pod.UID, pod.Name = fmt.Sprintf("%s-%012d", podUID[:23], i), fmt.Sprintf("web-%03d", i)
		pod.SandboxID, pod.Containers[0].ID = fmt.Sprintf("%s%03d", sandboxID[:61], i), fmt.Sprintf("%s%03d", containerID[:61], i)
		group := slice.Child(t, "pod"+pod.UID)
		groups[pod.UID] = []*cgrouptest.Group{group.Child(t, pod.Containers[0].ID), group.Child(t, pod.SandboxID), group}
		known = append(known, pod)
		source.tell(known...)
	}
	if got := len(mustSnapshot(t, c, snapshot.All&^snapshot.Storage).Pods); got != count {
		t.Errorf("pods: got %d, want %d", got, count)
	}
	for i, pod := range known {
		for _, group := range groups[pod.UID] {
			group.Remove(t)
		}
		source.tell(known[i+1:]...)
	}
	close(stop)
	<-stopped
	s := mustSnapshot(t, c, snapshot.All&^snapshot.Storage)
	if len(s.Pods) != 0 || len(c.networks.byUID) != 0 || len(c.roster.measured) != 0 {
		t.Errorf("at the end: got %d pods, %d networks, %d to measure, want none", len(s.Pods), len(c.networks.byUID), len(c.roster.measured))
	}
	if kept := len(c.processes.values); kept > len(s.Cgroups) {
		t.Errorf("processes are kept of %d cgroups, and there are %d", kept, len(s.Cgroups))
	}
	if status := c.Status(); len(status.Reader.Faults) > 0 {
		t.Errorf("faults: got %v", status.Reader.Faults)
	}
}
