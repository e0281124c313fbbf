package volume

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/cadvisor/lib/fs"
	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/nodevitals/nodevitals/snapshot"
)

// some is a volume's figures as the test host's statfs gives them.
func some(name string, used, inodes uint64) snapshot.Volume {
	return snapshot.Volume{
		Name: name, Capacity: snapshot.Some(100 * 4096), Available: snapshot.Some(50 * 4096), Used: snapshot.Some(used),
		Inodes: snapshot.Some(1000), InodesFree: snapshot.Some(900), InodesUsed: snapshot.Some(inodes),
	}
}

// untimed takes times away, once they are known to be there.
func untimed(t *testing.T, volumes []snapshot.Volume, since time.Time) []snapshot.Volume {
	t.Helper()
	result := make([]snapshot.Volume, 0, len(volumes))
	for _, one := range volumes {
		if one.Time.Before(since) || one.Time.After(time.Now()) {
			t.Errorf("%s was measured at %v, want it since %v", one.Name, one.Time, since)
		}
		one.Time = time.Time{}
		result = append(result, one)
	}
	return result
}

func TestVolumesByPlugin(t *testing.T) {
	h := newTestHost(t)
	dir := podsDir + "/uid-1/volumes/"
	for _, folder := range []string{"empty-dir/disk", "empty-dir/memory", "configmap/config", "secret/secret", "projected/token", "downward-api/labels"} {
		h.write(dir+"kubernetes.io~"+folder+"/..data/file", 5000)
	}
	for _, folder := range []string{"empty-dir/memory", "secret/secret", "projected/token", "downward-api/labels"} {
		h.mount(dir+"kubernetes.io~"+folder, "0:50")
	}
	h.mount(dir+"kubernetes.io~csi/pvc-1/mount", "254:16")
	h.mount(dir+"kubernetes.io~csi/inline/mount", "254:32")
	h.mount(dir+"kubernetes.io~nfs/share", "0:60")
	h.mount(dir+"kubernetes.io~iscsi/lun", "8:16")
	h.mount(dir+"vendor~driver/flex", "8:32")
	h.mount(dir+"kubernetes.io~local-volume/pv-local", "254:0")
	h.mount(dir+"kubernetes.io~fc/pv-fc", "8:48")
	h.mount(dir+"kubernetes.io~csi/pvc-2/mount", "254:48")
	h.write("/srv/data/file", 10)
	specs := []Spec{
		{Name: "disk", Plugin: EmptyDir},
		{Name: "memory", Plugin: EmptyDir, Medium: "Memory"},
		{Name: "unmounted", Plugin: EmptyDir, Medium: "Memory"},
		{Name: "not-made", Plugin: EmptyDir},
		{Name: "config", Plugin: ConfigMap},
		{Name: "secret", Plugin: Secret},
		{Name: "token", Plugin: Projected},
		{Name: "labels", Plugin: DownwardAPI},
		{Name: "inline", Plugin: CSI},
		{Name: "share", Plugin: NFS},
		{Name: "lun", Plugin: ISCSI},
		{Name: "flex", Plugin: FlexVolume},
		{Name: "data", Plugin: PersistentVolumeClaim, Claim: "data-0", PVName: "pvc-1"},
		{Name: "local", Plugin: PersistentVolumeClaim, Claim: "local-0", PVName: "pv-local"},
		{Name: "fibre", Plugin: PersistentVolumeClaim, Claim: "fibre-0", PVName: "pv-fc"},
		{Name: "block", Plugin: PersistentVolumeClaim, Claim: "block-0", PVName: "pv-block"},
		{Name: "scratch", Plugin: Ephemeral},
		{Name: "host", Plugin: HostPath, Path: "/srv/data"},
		{Name: "../../../etc", Plugin: EmptyDir},
	}
	began := time.Now()
	r := h.reader(Options{})
	results, err := r.Read(t.Context(), []Pod{web(specs...)}, clock)
	if err != nil {
		t.Fatal(err)
	}
	walked := func(name, folder string, ephemeral bool) snapshot.Volume {
		usage, err := fs.GetDirUsage(filepath.Join(h.root, dir, "kubernetes.io~"+folder, name))
		must(t, err)
		one := some(name, usage.Bytes, usage.Inodes)
		one.Ephemeral = ephemeral
		return one
	}
	sized := func(name, claim string) snapshot.Volume {
		one := some(name, 40*4096, 100)
		if claim != "" {
			one.Claim, one.ClaimNamespace = claim, "ns"
		}
		return one
	}
	want := []snapshot.Volume{
		walked("config", "configmap", true),
		sized("data", "data-0"),
		walked("disk", "empty-dir", true),
		sized("flex", ""),
		sized("inline", ""),
		walked("labels", "downward-api", false),
		sized("local", "local-0"),
		sized("lun", ""),
		walked("memory", "empty-dir", false),
		sized("scratch", "web-scratch"),
		walked("secret", "secret", false),
		sized("share", ""),
		walked("token", "projected", false),
	}
	if diff := cmp.Diff(want, untimed(t, results["uid-1"].Volumes, began)); diff != "" {
		t.Errorf("volumes (-want +got):\n%s", diff)
	}

	r = h.reader(Options{HostPath: true})
	results, err = r.Read(t.Context(), []Pod{web(specs[17])}, clock)
	if diff := cmp.Diff([]snapshot.Volume{sized("host", "")}, untimed(t, results["uid-1"].Volumes, began)); diff != "" || err != nil {
		t.Errorf("with hostPath: %v (-want +got):\n%s", err, diff)
	}
}

func TestClaimWithoutPVName(t *testing.T) {
	claim := func(name string) Spec {
		return Spec{Name: name, Plugin: PersistentVolumeClaim, Claim: name}
	}
	bound := func(name, pv string) Spec {
		return Spec{Name: name, Plugin: PersistentVolumeClaim, Claim: name, PVName: pv}
	}
	csi := func(names ...string) (mounts []mount) {
		for _, name := range names {
			mounts = append(mounts, mount{plugin: csiFolder, name: name})
		}
		return mounts
	}
	for _, test := range []struct {
		name    string
		volumes []Spec
		mounts  []mount
		// want is the mount's name of each volume, "" is none.
		want []string
	}{
		{"one and one", []Spec{claim("a")}, csi("pv-1"), []string{"pv-1"}},
		{"nothing mounted", []Spec{claim("a")}, nil, []string{""}},
		{"two claims", []Spec{claim("a"), claim("b")}, csi("pv-1"), []string{"", ""}},
		{"two mounts", []Spec{claim("a")}, csi("pv-1", "pv-2"), []string{""}},
		{"the other is known", []Spec{claim("a"), bound("b", "pv-1")}, csi("pv-1", "pv-2"), []string{"pv-2", "pv-1"}},
		{"an inline one beside it", []Spec{claim("a"), {Name: "in", Plugin: CSI}}, csi("in", "pv-1"), []string{"pv-1", ""}},
		{
			"a secret beside it",
			[]Spec{claim("a"), {Name: "s", Plugin: Secret}},
			[]mount{{plugin: "kubernetes.io~secret", name: "s"}, {plugin: csiFolder, name: "pv-1"}},
			[]string{"pv-1", ""},
		},
		{"something unknown beside it", []Spec{claim("a"), {Name: "x", Plugin: Other}}, csi("pv-1"), []string{"", ""}},
		{"one PersistentVolume twice", []Spec{bound("a", "pv-1"), bound("b", "pv-1")}, csi("pv-1"), []string{"pv-1", "pv-1"}},
		{"a name with a slash", []Spec{bound("a", "x/y")}, csi("x~y"), []string{"x~y"}},
	} {
		pod := web(test.volumes...)
		got := make([]string, len(test.volumes))
		for i, one := range matchClaims(&pod, test.mounts) {
			if one != nil {
				got[i] = one.name
			}
		}
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", test.name, diff)
		}
	}
}

func TestParsePlace(t *testing.T) {
	for _, test := range []struct{ path, uid, plugin, name string }{
		{"u/volumes/kubernetes.io~csi/pv/mount", "u", "kubernetes.io~csi", "pv"},
		{"u/volumes/kubernetes.io~nfs/share", "u", "kubernetes.io~nfs", "share"},
		{"u/volumes/kubernetes.io~csi/pv", "", "", ""},
		{"u/volumes/kubernetes.io~csi/pv/mount/inner", "", "", ""},
		{"u/volumes/kubernetes.io~nfs/share/mount", "", "", ""},
		{"u/volume-subpaths/data/app/0", "", "", ""},
		{"u/volumes", "", "", ""},
		{"", "", "", ""},
	} {
		uid, one, ok := parsePlace(test.path)
		if uid != test.uid || one.plugin != test.plugin || one.name != test.name || ok != (test.uid != "") {
			t.Errorf("%s: got %s, %+v, %v", test.path, uid, one, ok)
		}
	}
}

func TestFilesystemWithoutInodes(t *testing.T) {
	var got snapshot.Volume
	(&figures{statfs: &unix.Statfs_t{Bsize: 4096, Blocks: 10, Bfree: 20, Bavail: 5}}).fill(&got)
	want := snapshot.Volume{Capacity: snapshot.Some(40960), Available: snapshot.Some(20480)}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("more free than there is, no inodes (-want +got):\n%s", diff)
	}
}

func TestLogsAndEtcHosts(t *testing.T) {
	h := newTestHost(t)
	logs := DefaultLogDir + "/ns_web_log-uid/"
	h.write(logs+"pod.log", 100)
	h.write(logs+"app/0.log", 10_000)
	h.write(logs+"app/0.log.20260101.gz", 5_000)
	h.write(logs+"app/deeper/not-counted", 1<<20)
	must(t, os.Symlink("/nowhere", filepath.Join(h.root, logs, "app/1.log")))
	must(t, os.MkdirAll(filepath.Join(h.root, logs, "quiet"), 0o755))
	h.write(podsDir+"/uid-1/etc-hosts", 200)
	pod := web()
	pod.LogUID, pod.Containers = "log-uid", []string{"app", "quiet", "absent", "../app"}
	bare := Pod{UID: "uid-2", LogUID: "uid-2", Namespace: "ns", Name: "bare", Containers: []string{"app"}}
	began := time.Now()
	results, err := h.reader(Options{}).Read(t.Context(), []Pod{pod, bare}, clock)
	if err != nil {
		t.Fatal(err)
	}
	check := func(what string, got snapshot.Usage, bytes, inodes snapshot.Optional) {
		if got.Bytes != bytes || got.Inodes != inodes || got.Time.Before(began) {
			t.Errorf("%s: got %+v, want %v bytes, %v inodes", what, got, bytes, inodes)
		}
	}
	got := results["uid-1"]
	check("pod's logs", got.Logs, snapshot.Some(4096), snapshot.Some(1))
	check("etc-hosts", got.EtcHosts, snapshot.Some(4096), snapshot.Some(1))
	check("app's logs", got.ContainerLogs["app"], snapshot.Some(12288+8192), snapshot.Some(3))
	check("quiet's logs", got.ContainerLogs["quiet"], snapshot.Optional{}, snapshot.Optional{})
	if len(got.ContainerLogs) != 2 {
		t.Errorf("got logs of %v, want those of app and quiet", got.ContainerLogs)
	}
	if got := results["uid-2"]; got.Logs != (snapshot.Usage{}) || got.EtcHosts != (snapshot.Usage{}) || len(got.ContainerLogs) != 0 {
		t.Errorf("got %+v for a pod without files, want nothing", got)
	}
}

func TestHostWithoutPods(t *testing.T) {
	h := newTestHost(t)
	must(t, os.RemoveAll(filepath.Join(h.root, "var")))
	results, err := h.reader(Options{}).Read(t.Context(), []Pod{web(Spec{Name: "disk", Plugin: EmptyDir})}, clock)
	if err != nil || len(results["uid-1"].Volumes) != 0 {
		t.Errorf("got %+v, %v; want nothing and no error", results, err)
	}
}

// The kubelet's folder is often a link to another disk, and an absolute one at that.
func TestRootDirBehindAbsoluteLink(t *testing.T) {
	h := newTestHost(t)
	h.write("/data/kubelet/pods/uid-1/volumes/kubernetes.io~empty-dir/disk/file", 10)
	h.mount("/data/kubelet/pods/uid-1/volumes/kubernetes.io~csi/pv/mount", "254:16")
	must(t, os.RemoveAll(filepath.Join(h.root, DefaultRootDir)))
	must(t, os.Symlink("/data/kubelet", filepath.Join(h.root, DefaultRootDir)))
	pod := web(Spec{Name: "disk", Plugin: EmptyDir}, Spec{Name: "data", Plugin: PersistentVolumeClaim, Claim: "c"})
	results, err := h.reader(Options{}).Read(t.Context(), []Pod{pod}, clock)
	if err != nil || len(results["uid-1"].Volumes) != 2 {
		t.Errorf("got %+v, %v; want both volumes", results["uid-1"].Volumes, err)
	}
}

func TestRefusalIsToldAndCostsItsVolume(t *testing.T) {
	h := newTestHost(t)
	dead, well := podsDir+"/uid-1/volumes/kubernetes.io~nfs/dead", podsDir+"/uid-1/volumes/kubernetes.io~nfs/well"
	h.mount(dead, "0:60")
	h.mount(well, "0:61")
	h.refuse(dead, unix.ESTALE)
	pod := web(Spec{Name: "dead", Plugin: NFS}, Spec{Name: "well", Plugin: NFS})
	results, err := h.reader(Options{}).Read(t.Context(), []Pod{pod}, clock)
	if !errors.Is(err, unix.ESTALE) {
		t.Errorf("got %v, want ESTALE", err)
	}
	if got := results["uid-1"].Volumes; len(got) != 1 || got[0].Name != "well" {
		t.Errorf("got %+v, want well", got)
	}
}
