package identity

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"go.uber.org/zap"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/nodevitals/nodevitals/snapshot"
)

// newRuntime makes a source that lists more often than it would in earnest, and gives up as late as no test waits for.
func newRuntime(x *Index, sockets ...string) *Runtime {
	r := NewRuntime(sockets, x, zap.NewNop())
	r.patience, r.measuring, r.thorough = patient, patient, patient
	r.details.patience, r.details.retry = patient, time.Hour
	r.gap, r.period, r.away = 5*time.Millisecond, 20*time.Millisecond, 20*time.Millisecond
	return r
}

func TestRuntimeLists(t *testing.T) {
	f := newFakeRuntime(t)
	f.images[imageID] = &cri.Image{Id: imageID, RepoTags: []string{"localhost/app:1"}}
	f.addSandbox(idC, "web", uid)
	f.addContainer(idA, idC, "app", 2)
	f.addSandbox(idD, "host", hash)
	f.hostNetwork = []string{idD}
	// A container whose sandbox went between the two lists.
	f.addContainer(idB, "none", "lost", 0)
	f.start()
	x := NewIndex()
	r := newRuntime(x, "unix://"+f.socket)
	if err := r.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	wantLabels(t, x, pathOf(""), "default", "web", "", "", "")
	got := wantLabels(t, x, pathOf(idA), "default", "web", "app", "localhost/app:1", idA)
	if want := began.Add(3 * time.Minute); !got.Created.Equal(want) {
		t.Errorf("created: got %s, want %s", got.Created, want)
	}
	got = wantLabels(t, x, pathOf(idC), "default", "web", "", "localhost/pause:1", idC)
	if got.Kind != snapshot.SandboxCgroup || !got.Created.Equal(began) {
		t.Errorf("sandbox: got %+v", got)
	}
	wantNameless(t, x, pathOf(idB))
	pods := x.Pods()
	if len(pods) != 2 || pods[0].Name != "host" || !pods[0].HostNetwork || pods[1].HostNetwork ||
		pods[1].SandboxID != idC || !pods[1].Started.Equal(began) || pods[1].Containers[0].Restarts != 2 {
		t.Errorf("got %+v", pods)
	}

	// Details are asked for once; a list without news is no change.
	generation := x.Generation()
	time.Sleep(r.gap)
	if err := r.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := x.Generation(); got != generation {
		t.Errorf("generation after the same list: got %d, want %d", got, generation)
	}
	if got := f.called("PodSandboxStatus"); got != 2 {
		t.Errorf("got %d calls of PodSandboxStatus, want one for each sandbox", got)
	}
	if got := f.called("ImageStatus"); got != 1 {
		t.Errorf("got %d calls of ImageStatus, want one for the image", got)
	}
}

// TestRuntimeFillsWhatTheAPIServerLacks: names are the API server's, and sandboxes and times the runtime's.
func TestRuntimeFillsWhatTheAPIServerLacks(t *testing.T) {
	f := newFakeRuntime(t)
	f.addSandbox(idC, "web", uid)
	f.addContainer(idA, idC, "app", 0)
	f.start()
	x := NewIndex()
	pod := podOf("web", "app", idA)
	x.put(fromAPI, fromPod(pod))
	if err := newRuntime(x, f.socket).Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	got := wantLabels(t, x, pathOf(idA), "default", "web", "app", "localhost/app:1", idA)
	if want := began.Add(time.Minute); !got.Created.Equal(want) {
		t.Errorf("created: got %s, want %s", got.Created, want)
	}
	wantLabels(t, x, pathOf(idC), "default", "web", "", "localhost/pause:1", idC)
	if pods := x.Pods(); len(pods) != 1 || pods[0].APIUID != uid || pods[0].Phase != "Running" || pods[0].SandboxID != idC {
		t.Errorf("got %+v", pods)
	}
}

func TestRuntimeNamesImages(t *testing.T) {
	for _, test := range []struct {
		name  string
		image *cri.Image
		spec  *cri.ImageSpec
		want  string
	}{
		{"tag", &cri.Image{RepoTags: []string{"docker.io/library/app:1"}, RepoDigests: []string{"d"}}, nil, "docker.io/library/app:1"},
		{"digest", &cri.Image{RepoDigests: []string{"docker.io/library/app@" + imageID}}, nil, "docker.io/library/app@" + imageID},
		{"removed", nil, &cri.ImageSpec{Image: imageID, UserSpecifiedImage: "app:1"}, "app:1"},
		{"an older runtime", nil, &cri.ImageSpec{Image: "app:1"}, "app:1"},
		{"nothing", nil, &cri.ImageSpec{Image: imageID}, imageID},
	} {
		t.Run(test.name, func(t *testing.T) {
			f := newFakeRuntime(t)
			f.addSandbox(idC, "web", uid)
			f.addContainer(idA, idC, "app", 0)
			f.containers[0].Image = test.spec
			f.images[imageID] = test.image
			f.start()
			x := NewIndex()
			if err := newRuntime(x, f.socket).Refresh(t.Context()); err != nil {
				t.Fatal(err)
			}
			wantLabels(t, x, pathOf(idA), "default", "web", "app", test.want, idA)
		})
	}
}

// TestRuntimeAbsentThenThereThenRestarted: names stay through it all, and are renewed by what comes back.
func TestRuntimeAbsentThenThereThenRestarted(t *testing.T) {
	for _, withEvents := range []bool{false, true} {
		t.Run(fmt.Sprintf("events=%t", withEvents), func(t *testing.T) {
			f := newFakeRuntime(t)
			if withEvents {
				f.events = make(chan *cri.ContainerEventResponse)
			}
			x := NewIndex()
			r := newRuntime(x, f.socket)
			if err := r.Refresh(t.Context()); !errors.Is(err, ErrNoRuntime) {
				t.Errorf("without a socket: got %v, want ErrNoRuntime", err)
			}
			runUntilTheEnd(t, r.Run)
			if got := stateOf(x, runtimeName); got.Connected || got.Stale || got.Err == "" {
				t.Errorf("without a socket: got %+v", got)
			}
			x.Generation()
			f.addSandbox(idC, "web", uid)
			f.addContainer(idA, idC, "app", 0)
			f.start()
			named(t, x, pathOf(idA), "web")
			connected(t, x, runtimeName, true)

			f.stop()
			connected(t, x, runtimeName, false)
			if got := stateOf(x, runtimeName); !got.Stale || got.LastSync.IsZero() {
				t.Errorf("stopped: got %+v, want stale", got)
			}
			wantLabels(t, x, pathOf(idA), "default", "web", "app", "app:1", idA)

			f.change(func() {
				f.containers, f.sandboxes = nil, nil
				f.addSandbox(idD, "other", hash)
				f.addContainer(idB, idD, "app", 0)
			})
			f.start()
			named(t, x, "/kubepods/pod"+hash+"/"+idB, "other")
			named(t, x, pathOf(idA), "")
			connected(t, x, runtimeName, true)
		})
	}
}

func TestRuntimeHangs(t *testing.T) {
	f := newFakeRuntime(t)
	f.addSandbox(idC, "web", uid)
	f.addContainer(idA, idC, "app", 0)
	f.start()
	x := NewIndex()
	r := newRuntime(x, f.socket)
	if err := r.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	// Only now, so that a healthy answer has all the time it may need.
	r.patience, r.measuring = 10*time.Millisecond, 10*time.Millisecond
	f.hang(true, "ListContainers", "ListContainerStats", "ImageFsInfo")
	time.Sleep(r.gap)
	if err := r.Refresh(t.Context()); err == nil {
		t.Error("Refresh of a hung runtime: got no error")
	}
	if _, err := r.WritableLayers(t.Context()); err == nil {
		t.Error("WritableLayers of a hung runtime: got no error")
	}
	if _, _, err := r.ImageFilesystem(t.Context()); err == nil {
		t.Error("ImageFilesystem of a hung runtime: got no error")
	}
	if got := stateOf(x, runtimeName); got.Connected || !got.Stale || got.Err == "" {
		t.Errorf("hung: got %+v, want stale", got)
	}
	wantLabels(t, x, pathOf(idA), "default", "web", "app", "app:1", idA)

	f.hang(false, "ListContainers")
	r.patience = patient
	time.Sleep(r.gap)
	if err := r.Refresh(t.Context()); err != nil {
		t.Errorf("Refresh once it answers again: %v", err)
	}
	if got := stateOf(x, runtimeName); !got.Connected || got.Stale {
		t.Errorf("answering again: got %+v", got)
	}
}

// TestRuntimeHangsInDetails: names come without what hangs.
func TestRuntimeHangsInDetails(t *testing.T) {
	f := newFakeRuntime(t)
	f.addSandbox(idC, "web", uid)
	f.addContainer(idA, idC, "app", 0)
	f.hang(true, "PodSandboxStatus", "ImageStatus")
	f.start()
	x := NewIndex()
	r := newRuntime(x, f.socket)
	// The lists have all the time that they need, and what hangs has none to answer in.
	r.details.patience = 100 * time.Millisecond
	if err := r.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	wantLabels(t, x, pathOf(idA), "default", "web", "app", "app:1", idA)
	wantLabels(t, x, pathOf(idC), "default", "web", "", "", idC)
	if len(r.details.later) != 2 {
		t.Errorf("got %v, want both details asked for later", r.details.later)
	}
	time.Sleep(r.gap)
	if err := r.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	// A call that is given up before it is on its way does not reach the runtime.
	if got := f.called("PodSandboxStatus"); got > 1 {
		t.Errorf("got %d calls of PodSandboxStatus, want no second one so soon", got)
	}
}

// TestRuntimeThatIsAwayIsAskedAgainSooner: before a list that nothing asks for is due.
func TestRuntimeThatIsAwayIsAskedAgainSooner(t *testing.T) {
	f := newFakeRuntime(t)
	f.addSandbox(idC, "web", uid)
	f.addContainer(idA, idC, "app", 0)
	x := NewIndex()
	r := newRuntime(x, f.socket)
	r.period = time.Hour
	runUntilTheEnd(t, r.Run)
	eventually(t, "a list that failed", func() bool { return stateOf(x, runtimeName).Err != "" })
	f.start()
	eventually(t, "the pod", func() bool { return len(x.Pods()) == 1 })
}

// TestRuntimeIsAskedAgainForDetails: one that is slow to tell of a sandbox is asked again soon, and given more time, by no list but those.
func TestRuntimeIsAskedAgainForDetails(t *testing.T) {
	f := newFakeRuntime(t)
	f.addSandbox(idC, "web", uid)
	f.hang(true, "PodSandboxStatus")
	f.start()
	x := NewIndex()
	r := newRuntime(x, f.socket)
	r.period = time.Hour
	r.details.patience, r.details.retry = time.Millisecond, time.Millisecond
	x.Generation()
	runUntilTheEnd(t, r.Run)
	eventually(t, "two calls for the sandbox", func() bool { return f.called("PodSandboxStatus") > 1 })
	wantLabels(t, x, pathOf(idC), "default", "web", "", "", idC)
	f.hang(false, "PodSandboxStatus")
	eventually(t, "the sandbox's image", func() bool { return x.Resolve(pathOf(idC)).Image == "localhost/pause:1" })
}

// TestRuntimeIsAskedForTheUnknown: a cgroup without a name makes a list come at once.
func TestRuntimeIsAskedForTheUnknown(t *testing.T) {
	f := newFakeRuntime(t)
	f.addSandbox(idC, "web", uid)
	f.start()
	x := NewIndex()
	r := newRuntime(x, f.socket)
	// No list but those that are asked for.
	r.period = time.Hour
	runUntilTheEnd(t, r.Run)
	eventually(t, "the first list", func() bool { return x.Resolve(pathOf("")).Pod == "web" })
	f.change(func() { f.addContainer(idA, idC, "app", 0) })
	named(t, x, pathOf(idA), "web")

	// The runtime lists it a moment after its cgroup appears.
	x.Resolve(pathOf(idB))
	lists := f.called("ListContainers")
	eventually(t, "a list without it", func() bool { return f.called("ListContainers") > lists })
	f.change(func() { f.addContainer(idB, idC, "late", 0) })
	named(t, x, pathOf(idB), "web")
}

// TestRuntimeEvents: an event makes a list come, if each client gets all events.
func TestRuntimeEvents(t *testing.T) {
	f := newFakeRuntime(t)
	f.events = make(chan *cri.ContainerEventResponse)
	f.addSandbox(idC, "web", uid)
	f.start()
	x := NewIndex()
	r := newRuntime(x, f.socket)
	r.period = time.Hour
	runUntilTheEnd(t, r.Run)
	eventually(t, "the first list", func() bool { return len(x.Pods()) == 1 })
	x.Generation()
	f.change(func() { f.addContainer(idA, idC, "app", 0) })
	f.events <- &cri.ContainerEventResponse{ContainerId: idA}
	eventually(t, "the new container", func() bool { return len(x.Pods()[0].Containers) == 1 })

	// A broken stream is begun anew by the list that follows it or later; the list itself tells the news.
	f.change(func() { f.addContainer(idB, idC, "more", 0) })
	close(f.events)
	eventually(t, "the second container", func() bool { return len(x.Pods()[0].Containers) == 2 })
}

// TestRuntimeLeavesEventsToTheKubelet: containerd before 2.0 would give them to us in its place.
func TestRuntimeLeavesEventsToTheKubelet(t *testing.T) {
	f := newFakeRuntime(t)
	f.version = "1.7.27"
	f.events = make(chan *cri.ContainerEventResponse)
	f.start()
	x := NewIndex()
	r := newRuntime(x, f.socket)
	runUntilTheEnd(t, r.Run)
	eventually(t, "some lists", func() bool {
		x.Generation()
		return f.called("ListContainers") > 3
	})
	if got := f.called("GetContainerEvents"); got != 0 {
		t.Errorf("got %d calls of GetContainerEvents, want none", got)
	}
}

// TestRuntimeIsLeftAloneWhileNobodyAsks: no list comes of an event or of time.
func TestRuntimeIsLeftAloneWhileNobodyAsks(t *testing.T) {
	f := newFakeRuntime(t)
	f.events = make(chan *cri.ContainerEventResponse)
	f.start()
	x := NewIndex()
	r := newRuntime(x, f.socket)
	r.period = time.Millisecond
	runUntilTheEnd(t, r.Run)
	// The stream of events opens beside the first list, and may take all of them before it.
	eventually(t, "the first list", func() bool { return f.called("ListContainers") == 1 })
	for range 20 {
		f.events <- &cri.ContainerEventResponse{ContainerId: idA}
	}
	if got := f.called("ListContainers"); got != 1 {
		t.Errorf("got %d lists, want the first alone", got)
	}
	x.Generation()
	eventually(t, "a list once somebody asks", func() bool { return f.called("ListContainers") > 1 })
}

func TestRuntimesThatShareEvents(t *testing.T) {
	for _, test := range []struct {
		name, version string
		want          bool
	}{
		{"containerd", "v2.3.7", true},
		{"containerd", "2.0.0", true},
		{"containerd", "1.7.27", false},
		{"containerd", "v1.6.9-k3s1", false},
		{"containerd", "unknown", false},
		{"cri-o", "1.35.0", true},
	} {
		if got := sharesEvents(test.name, test.version); got != test.want {
			t.Errorf("%s %s: got %t, want %t", test.name, test.version, got, test.want)
		}
	}
}

// TestRuntimeSocketsAreTriedInTurn: a socket left over, one that is no runtime's, and then the runtime's.
func TestRuntimeSocketsAreTriedInTurn(t *testing.T) {
	other := newFakeRuntime(t)
	other.serves = false
	other.start()
	f := newFakeRuntime(t)
	f.name = "cri-o"
	f.addSandbox(idC, "web", uid)
	f.addContainer(idA, idC, "app", 1)
	f.start()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	x := NewIndex()
	r := newRuntime(x, "/nowhere", file, other.socket, f.socket)
	if err := r.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	wantLabels(t, x, pathOf(idA), "default", "web", "app", "app:1", "k8s_app_web_default_"+uid+"_1")
}

func TestRefreshIsLimited(t *testing.T) {
	f := newFakeRuntime(t)
	f.start()
	x := NewIndex()
	r := newRuntime(x, f.socket)
	r.gap = time.Hour
	for range 10 {
		if err := r.Refresh(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if got := f.called("ListContainers"); got != 1 {
		t.Errorf("got %d lists, want one an hour", got)
	}
	if len(r.wake) != 1 {
		t.Error("the rest was not left to Run")
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	r.turn <- struct{}{}
	if err := r.Refresh(ended); !errors.Is(err, context.Canceled) {
		t.Errorf("while another lists, with an ended context: got %v", err)
	}
	<-r.turn
}
