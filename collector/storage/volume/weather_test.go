package volume

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"testing"
	"time"

	"github.com/google/cadvisor/lib/fs"
	"golang.org/x/sys/unix"

	"github.com/nodevitals/nodevitals/collector/storage"
	"github.com/nodevitals/nodevitals/snapshot"
)

// until reads again and again, each time with the clock a step further, until a condition holds.
func until(t *testing.T, r *Reader, pods []Pod, now *time.Time, step time.Duration, holds func(map[string]Result, error) bool) map[string]Result {
	t.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		*now = now.Add(step)
		results, err := r.Read(t.Context(), pods, *now)
		if holds(results, err) {
			return results
		}
		if time.Now().After(deadline) {
			t.Fatalf("it did not come within %s; last: %+v, %v", patience, results, err)
		}
	}
}

func find(result Result, name string) (snapshot.Volume, bool) {
	for _, one := range result.Volumes {
		if one.Name == name {
			return one, true
		}
	}
	return snapshot.Volume{}, false
}

func TestHungFilesystemBlocksOnlyItself(t *testing.T) {
	h := newTestHost(t)
	hung := podsDir + "/uid-1/volumes/kubernetes.io~nfs/dead"
	same := podsDir + "/uid-1/volumes/kubernetes.io~nfs/same-server"
	well := podsDir + "/uid-1/volumes/kubernetes.io~nfs/well"
	h.mount(hung, "0:60")
	h.mount(same, "0:60")
	h.mount(well, "0:61")
	h.write(DefaultLogDir+"/ns_web_uid-1/app/0.log", 1)
	pods := []Pod{web(Spec{Name: "dead", Plugin: NFS}, Spec{Name: "same-server", Plugin: NFS}, Spec{Name: "well", Plugin: NFS})}
	r := h.reader(Options{})
	now := clock
	first, err := r.Read(t.Context(), pods, now)
	before, ok := find(first["uid-1"], "dead")
	if err != nil || !ok {
		t.Fatalf("got %+v, %v; want the volume before its server dies", first, err)
	}

	releaseHung, releaseSame := h.hang(hung), h.hang(same)
	impatient(r).options.Deadline = 20 * time.Millisecond
	wellBefore, _ := find(first["uid-1"], "well")
	hungAsked, sameAsked := h.count(hung), h.count(same)
	results := until(t, r, pods, &now, time.Minute, func(results map[string]Result, err error) bool {
		well, _ := find(results["uid-1"], "well")
		return errors.Is(err, storage.ErrNoAnswer) && well.Time.After(wellBefore.Time) &&
			results["uid-1"].ContainerLogs["app"].Time.After(first["uid-1"].ContainerLogs["app"].Time)
	})
	for range 20 {
		now = now.Add(time.Minute)
		results, err = r.Read(t.Context(), pods, now)
	}
	if got, _ := find(results["uid-1"], "dead"); got != before {
		t.Errorf("got %+v, want the last figures %+v", got, before)
	}
	if !errors.Is(err, storage.ErrNoAnswer) {
		t.Errorf("got %v, want ErrNoAnswer", err)
	}
	if asked := h.count(hung) - hungAsked + h.count(same) - sameAsked; asked != 1 {
		t.Errorf("the hung filesystem was asked %d times, want once", asked)
	}

	releaseHung()
	releaseSame()
	until(t, r, pods, &now, time.Minute, func(results map[string]Result, err error) bool {
		got, _ := find(results["uid-1"], "dead")
		return err == nil && got.Time.After(before.Time)
	})
}

// More filesystems hang than there are workers for it: healthy ones that come later are still asked.
func TestManyHungFilesystems(t *testing.T) {
	h := newTestHost(t)
	pod := web()
	for i := range 20 {
		name := "dead" + strconv.Itoa(i)
		path := podsDir + "/uid-1/volumes/kubernetes.io~nfs/" + name
		h.mount(path, "0:"+strconv.Itoa(60+i))
		h.hang(path)
		pod.Volumes = append(pod.Volumes, Spec{Name: name, Plugin: NFS})
	}
	h.mount(podsDir+"/uid-1/volumes/kubernetes.io~nfs/well", "0:99")
	pod.Volumes = append(pod.Volumes, Spec{Name: "well", Plugin: NFS})
	r := impatient(h.reader(Options{Deadline: 10 * time.Millisecond}))
	now := clock
	until(t, r, []Pod{pod}, &now, time.Second, func(results map[string]Result, err error) bool {
		_, ok := find(results["uid-1"], "well")
		return ok && errors.Is(err, storage.ErrNoAnswer)
	})
	// The pods go, and with them all that is known; their workers are still out. A survey that is under way may be slow.
	results, err := r.Read(t.Context(), nil, now)
	r.mutex.Lock()
	if len(results) != 0 || len(r.pods) != 0 || len(r.sizes.queue) != 0 {
		t.Errorf("got %+v, %d pods, %d in the queue; want nothing left", results, len(r.pods), len(r.sizes.queue))
	}
	r.mutex.Unlock()
	if err != nil {
		until(t, r, nil, &now, time.Second, func(_ map[string]Result, err error) bool { return err == nil })
	}
}

func TestHungLogFolderAndHungWalk(t *testing.T) {
	h := newTestHost(t)
	logs, disk := DefaultLogDir+"/ns_web_uid-1", podsDir+"/uid-1/volumes/kubernetes.io~empty-dir/disk"
	h.write(logs+"/app/0.log", 1)
	h.write(disk+"/file", 1)
	h.write(podsDir+"/uid-1/etc-hosts", 1)
	pods := []Pod{web(Spec{Name: "disk", Plugin: EmptyDir})}
	r := impatient(h.reader(Options{Deadline: 10 * time.Millisecond}))
	r.walks.patience = time.Millisecond
	releaseLogs, releaseWalk := h.hang(logs), h.hang(disk)
	now := clock
	until(t, r, pods, &now, time.Second, func(results map[string]Result, err error) bool {
		got := results["uid-1"]
		if !got.Logs.Time.IsZero() || len(got.Volumes) > 0 {
			t.Fatalf("got %+v of what hangs", got)
		}
		return !got.EtcHosts.Time.IsZero() && errors.Is(err, storage.ErrNoAnswer)
	})
	releaseLogs()
	releaseWalk()
	until(t, r, pods, &now, time.Second, func(results map[string]Result, err error) bool {
		return err == nil && !results["uid-1"].Logs.Time.IsZero() && len(results["uid-1"].Volumes) == 1
	})
}

// Nothing can be found while the kubelet's folder hangs, but a reading ends.
func TestHungSurvey(t *testing.T) {
	h := newTestHost(t)
	r := impatient(h.reader(Options{Deadline: 10 * time.Millisecond}))
	gate := make(chan struct{})
	makeJob := r.surveyTask.make
	r.surveyTask.make = func() job { return &gatedJob{makeJob(), gate} }
	h.write(podsDir+"/uid-1/etc-hosts", 1)
	now := clock
	until(t, r, []Pod{web()}, &now, time.Second, func(_ map[string]Result, err error) bool { return errors.Is(err, storage.ErrNoAnswer) })
	close(gate)
	until(t, r, []Pod{web()}, &now, time.Second, func(results map[string]Result, err error) bool {
		return err == nil && !results["uid-1"].EtcHosts.Time.IsZero()
	})
}

type gatedJob struct {
	job
	gate chan struct{}
}

func (j *gatedJob) step() (int, bool) {
	<-j.gate
	return j.job.step()
}

func TestLargeTreeHoldsUpNobody(t *testing.T) {
	files := 200_000
	if testing.Short() {
		files = 20_000
	}
	h := newTestHost(t)
	large := podsDir + "/uid-1/volumes/kubernetes.io~empty-dir/large"
	fill(t, filepath.Join(h.root, large), files)
	h.write(podsDir+"/uid-2/volumes/kubernetes.io~empty-dir/small/file", 1)
	h.write(DefaultLogDir+"/ns_web_uid-1/app/0.log", 1)
	small := Pod{UID: "uid-2", LogUID: "uid-2", Namespace: "ns", Name: "small", Volumes: []Spec{{Name: "small", Plugin: EmptyDir}}}
	pods := []Pod{web(Spec{Name: "large", Plugin: EmptyDir}), small}
	// So slow that the walk cannot end before the small one has been measured several times.
	r := h.reader(Options{Workers: 1, Inodes: files / 8, Deadline: 10 * time.Millisecond})
	now, times, last := clock, 0, time.Time{}
	until(t, r, pods, &now, time.Minute, func(results map[string]Result, err error) bool {
		if _, ok := find(results["uid-1"], "large"); err != nil || ok {
			t.Fatalf("got %v, large is there: %v; want the small one meanwhile", err, ok)
		}
		if got, _ := find(results["uid-2"], "small"); got.Time.After(last) {
			times, last = times+1, got.Time
		}
		return times == 3 && !results["uid-1"].ContainerLogs["app"].Time.IsZero()
	})
	r.mutex.Lock()
	r.walks.budget.rate, r.walks.budget.spare = 1e9, 1e9
	r.mutex.Unlock()
	results := until(t, r, pods, &now, 0, func(results map[string]Result, _ error) bool {
		_, ok := find(results["uid-1"], "large")
		return ok
	})
	want, err := fs.GetDirUsage(filepath.Join(h.root, large))
	must(t, err)
	if got, _ := find(results["uid-1"], "large"); got.Used.Value != want.Bytes || got.InodesUsed.Value != want.Inodes {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

// fill makes empty files, a hundred to each of some nested folders.
func fill(t *testing.T, dir string, files int) {
	t.Helper()
	must(t, os.MkdirAll(dir, 0o755))
	top, err := unix.Open(dir, unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	must(t, err)
	defer unix.Close(top)
	for i := range files {
		if i%1000 == 0 {
			must(t, unix.Mkdirat(top, strconv.Itoa(i/1000), 0o755))
		}
		must(t, unix.Mknodat(top, fmt.Sprintf("%d/%d", i/1000, i), unix.S_IFREG|0o600, 0))
	}
}

func TestDroppedWalkIsGivenUp(t *testing.T) {
	h := newTestHost(t)
	fill(t, filepath.Join(h.root, podsDir, "uid-1/volumes/kubernetes.io~empty-dir/large"), 3_000)
	pods := []Pod{web(Spec{Name: "large", Plugin: EmptyDir})}
	r := h.reader(Options{Workers: 1, Inodes: 100, Deadline: 10 * time.Millisecond})
	now := clock
	var walk walker
	until(t, r, pods, &now, 0, func(map[string]Result, error) bool {
		r.mutex.Lock()
		defer r.mutex.Unlock()
		if len(r.walks.queue) == 1 && r.walks.queue[0].job != nil {
			walk = r.walks.queue[0].job.(*walkJob).walk
		}
		return walk != nil
	})
	if _, err := r.Read(t.Context(), nil, now); err != nil {
		t.Fatal(err)
	}
	// A worker may have taken it up again just before: it then ends its step, and gives it up.
	awaitIdle(t, r)
	r.mutex.Lock()
	defer r.mutex.Unlock()
	if len(r.walks.queue) != 0 {
		t.Errorf("got %d walks in the queue, want none", len(r.walks.queue))
	}
	if _, done := walk.Step(1); !done {
		t.Error("the walk is still open")
	}
}

// awaitIdle waits until no worker is at work: each rests, waits for nothing, or is gone.
func awaitIdle(t *testing.T, r *Reader) {
	t.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		r.mutex.Lock()
		busy := 0
		for _, l := range []*lane{r.quick, r.sizes, r.walks} {
			for _, w := range l.workers {
				if w.task != nil {
					busy++
				}
			}
		}
		r.mutex.Unlock()
		if busy == 0 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d workers are still at work after %s", busy, patience)
		}
	}
}

// Folders stay open in the middle of a walk: there must not be one for each of a node's large volumes.
func TestFewWalksAreBegunAtATime(t *testing.T) {
	h := newTestHost(t)
	pod := web()
	for i := range 2 * maxBegun {
		name := "large" + strconv.Itoa(i)
		fill(t, filepath.Join(h.root, podsDir, "uid-1/volumes/kubernetes.io~empty-dir", name), slice+100)
		pod.Volumes = append(pod.Volumes, Spec{Name: name, Plugin: EmptyDir})
	}
	r := h.reader(Options{Workers: 2, Inodes: 50_000, Deadline: time.Millisecond})
	most, now := 0, clock
	until(t, r, []Pod{pod}, &now, 0, func(results map[string]Result, _ error) bool {
		r.mutex.Lock()
		defer r.mutex.Unlock()
		begun := 0
		for _, v := range r.pods["uid-1"].volumes {
			if v.task.job != nil {
				begun++
			}
		}
		most = max(most, begun)
		return len(results["uid-1"].Volumes) == len(pod.Volumes)
	})
	if limit := maxBegun + 2; most > limit {
		t.Errorf("got %d walks begun at once, want at most %d", most, limit)
	}
}

func TestUnreadableLogFolderAsOrdinaryUser(t *testing.T) {
	h := newTestHost(t)
	logs := filepath.Join(h.root, DefaultLogDir, "ns_web_uid-1")
	h.write(DefaultLogDir+"/ns_web_uid-1/app/0.log", 1)
	h.write(DefaultLogDir+"/ns_web_uid-1/shut/0.log", 1)
	must(t, os.Chmod(filepath.Join(logs, "shut"), 0))
	must(t, os.Chmod(h.root, 0o755))
	must(t, os.Chmod(filepath.Dir(h.root), 0o755))
	r := h.reader(Options{})
	files := r.kernel.files
	job := &logsJob{kernel: &r.kernel, pod: r.newPod(), path: logs, names: []string{"app", "shut"}}
	job.kernel.files = files
	asNobody(t, func() { job.step() })
	job.store()
	got := job.pod.result
	if _, ok := got.ContainerLogs["shut"]; ok || got.ContainerLogs["app"].Inodes != snapshot.Some(1) || got.Logs.Time.IsZero() {
		t.Errorf("got %+v, want what can be read", got)
	}
	if !errors.Is(job.pod.logs.err, os.ErrPermission) {
		t.Errorf("got %v, want the refusal", job.pod.logs.err)
	}
}

// asNobody runs f on a thread that has no privileges over files. The thread ends with it.
func asNobody(t *testing.T, f func()) {
	t.Helper()
	if os.Getuid() != 0 {
		f()
		return
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread()
		// The kernel drops the capabilities over files with it (capabilities(7)).
		if err := unix.Setfsuid(65534); err != nil {
			t.Error(err)
			return
		}
		f()
	}()
	<-done
}

func TestPodsComeAndGo(t *testing.T) {
	h := newTestHost(t)
	r := h.reader(Options{})
	now := clock
	for round := range 30 {
		var pods []Pod
		for i := range 10 {
			uid := fmt.Sprintf("uid-%d-%d", round/(i+1), i)
			h.write(podsDir+"/"+uid+"/volumes/kubernetes.io~empty-dir/disk/file", 1)
			h.write(DefaultLogDir+"/ns_pod_"+uid+"/app/0.log", 1)
			pods = append(pods, Pod{
				UID: uid, LogUID: uid, Namespace: "ns", Name: "pod", Containers: []string{"app"},
				Volumes: []Spec{{Name: "disk", Plugin: EmptyDir}},
			})
		}
		results, err := r.Read(t.Context(), pods, now)
		if err != nil || len(results) != len(pods) || len(r.pods) != len(pods) {
			t.Fatalf("round %d: got %d results, %d pods known, %v; want %d", round, len(results), len(r.pods), err, len(pods))
		}
		for _, pod := range pods {
			if got := results[pod.UID]; len(got.Volumes) != 1 || got.ContainerLogs["app"].Inodes.Value != 1 {
				t.Errorf("round %d, %s: got %+v", round, pod.UID, got)
			}
		}
		now = now.Add(time.Second)
	}
}

func TestAgesDecideWhatIsMeasured(t *testing.T) {
	h := newTestHost(t)
	disk, share := podsDir+"/uid-1/volumes/kubernetes.io~empty-dir/disk", podsDir+"/uid-1/volumes/kubernetes.io~nfs/share"
	logs := DefaultLogDir + "/ns_web_uid-1"
	h.write(disk+"/file", 1)
	h.write(logs+"/app/0.log", 1)
	h.mount(share, "0:60")
	pods := []Pod{web(Spec{Name: "disk", Plugin: EmptyDir}, Spec{Name: "share", Plugin: NFS})}
	r := h.reader(Options{})
	for _, step := range []struct {
		after        time.Duration
		volume, logs int
	}{
		{0, 1, 1}, {5 * time.Second, 1, 1}, {10 * time.Second, 1, 2}, {59 * time.Second, 1, 3}, {60 * time.Second, 2, 3}, {70 * time.Second, 2, 4},
	} {
		if _, err := r.Read(t.Context(), pods, clock.Add(step.after)); err != nil {
			t.Fatal(err)
		}
		for path, want := range map[string]int{share: step.volume, logs: step.logs} {
			if got := h.count(path); got != want {
				t.Errorf("after %v: %s was asked %d times, want %d", step.after, path, got, want)
			}
		}
	}
	pods[0].Containers = append(pods[0].Containers, "new")
	if _, err := r.Read(t.Context(), pods, clock.Add(71*time.Second)); err != nil || h.count(logs) != 5 {
		t.Errorf("got %v, logs asked %d times; want 5 since a container is new", err, h.count(logs))
	}
}

func TestCloseEndsWorkers(t *testing.T) {
	h := newTestHost(t)
	dead, disk := podsDir+"/uid-1/volumes/kubernetes.io~nfs/dead", podsDir+"/uid-1/volumes/kubernetes.io~empty-dir/disk"
	h.mount(dead, "0:60")
	fill(t, filepath.Join(h.root, disk), 2_000)
	release := h.hang(dead)
	r := impatient(h.reader(Options{Inodes: 1, Deadline: 10 * time.Millisecond}))
	pods := []Pod{web(Spec{Name: "dead", Plugin: NFS}, Spec{Name: "disk", Plugin: EmptyDir})}
	now := clock
	// One worker waits for a server, another rests for ten seconds.
	until(t, r, pods, &now, 0, func(_ map[string]Result, err error) bool {
		r.mutex.Lock()
		defer r.mutex.Unlock()
		return errors.Is(err, storage.ErrNoAnswer) && len(r.walks.workers) == 1 && r.walks.workers[0].task == nil
	})
	r.Close()
	r.Close()
	release()
	for left := 1; left > 0; runtime.Gosched() {
		r.mutex.Lock()
		left = len(r.quick.workers) + len(r.sizes.workers) + len(r.walks.workers)
		r.mutex.Unlock()
	}
	if _, err := r.Read(t.Context(), pods, now); !errors.Is(err, ErrClosed) {
		t.Errorf("got %v, want ErrClosed", err)
	}
}

func TestNoWorkersWithoutWork(t *testing.T) {
	h := newTestHost(t)
	h.write(podsDir+"/uid-1/volumes/kubernetes.io~empty-dir/disk/file", 1)
	r := h.reader(Options{})
	if _, err := r.Read(t.Context(), []Pod{web(Spec{Name: "disk", Plugin: EmptyDir})}, clock); err != nil {
		t.Fatal(err)
	}
	for left := 1; left > 0; runtime.Gosched() {
		r.mutex.Lock()
		left = len(r.quick.workers) + len(r.sizes.workers) + len(r.walks.workers)
		r.mutex.Unlock()
	}
}
