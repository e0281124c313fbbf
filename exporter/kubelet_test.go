package exporter

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/nodevitals/nodevitals/snapshot"
)

// claimed is a volume of a claim, measured, whose figures are n and those after it.
func claimed(namespace, claim string, n uint64) snapshot.Volume {
	some := snapshot.Some
	return snapshot.Volume{
		Name: "of-" + claim, ClaimNamespace: namespace, Claim: claim, Time: time.Unix(1, 0),
		Capacity: some(n), Available: some(n + 1), Used: some(n + 2), Inodes: some(n + 3), InodesFree: some(n + 4), InodesUsed: some(n + 5),
	}
}

// kubeletLines are the samples of /metrics whose names begin as the kubelet's.
func kubeletLines(t *testing.T, from Source, o KubeletOptions) string {
	t.Helper()
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(NewKubeletCollector(from, o))
	w := get(NewSelfHandler(registry, nil, nil), "/metrics", "")
	var b strings.Builder
	for _, line := range sampleLines(w.Body.Bytes()) {
		if strings.HasPrefix(line, "kubelet_") {
			b.WriteString(line)
		}
	}
	return b.String()
}

func TestKubeletSeries(t *testing.T) {
	s := smallSnapshot()
	web := &s.Pods[0]
	web.Containers[0].Logs = snapshot.Usage{Time: time.Unix(1, 0), Bytes: snapshot.Some(4096), Inodes: snapshot.Some(1)}
	scratch := claimed("", "", 7)
	web.Volumes = []snapshot.Volume{scratch, claimed("default", "data", 100)}
	// Another pod of a name that comes later has the same claim, one of the same name elsewhere, and a filesystem that counts no inodes.
	without := claimed("default", "vfat", 200)
	without.Inodes, without.InodesFree, without.InodesUsed = snapshot.Optional{}, snapshot.Optional{}, snapshot.Optional{}
	s.Pods = append(s.Pods, snapshot.Pod{
		Name: "worker", Namespace: "default", UID: "2", Containers: []snapshot.Container{{Name: "new"}},
		Volumes: []snapshot.Volume{claimed("default", "data", 300), claimed("other", "data", 400), without},
	})
	for i := range s.Cgroups {
		who := s.Cgroups[i].Identity
		if who.Kind == snapshot.ContainerCgroup || who.Kind == snapshot.SandboxCgroup {
			who.PodUID, who.ContainerID = "1", who.Name
		}
	}
	// A pod in a restart loop has its sandbox alone, and one that is being made a cgroup alone.
	s.Cgroups = append(s.Cgroups,
		snapshot.Cgroup{Identity: &snapshot.Identity{ID: "/kubepods/pod2", PodUID: "2", Kind: snapshot.PodCgroup}},
		snapshot.Cgroup{Identity: &snapshot.Identity{ID: "/kubepods/pod2/s", PodUID: "2", ContainerID: "s", Kind: snapshot.ContainerCgroup}},
		snapshot.Cgroup{Identity: &snapshot.Identity{ID: "/kubepods/pod3", PodUID: "3", Kind: snapshot.PodCgroup}},
	)
	src := &source{s: s}
	got := kubeletLines(t, src, KubeletOptions{Groups: snapshot.All, CgroupVersion: 2})
	const want = `kubelet_cgroup_version 2
kubelet_container_log_filesystem_used_bytes{container="app",namespace="default",pod="web",uid="1"} 4096
kubelet_node_name{node="node-a"} 1
kubelet_running_containers{container_state="running"} 2
kubelet_running_pods 2
kubelet_volume_stats_available_bytes{namespace="default",persistentvolumeclaim="data"} 101
kubelet_volume_stats_available_bytes{namespace="default",persistentvolumeclaim="vfat"} 201
kubelet_volume_stats_available_bytes{namespace="other",persistentvolumeclaim="data"} 401
kubelet_volume_stats_capacity_bytes{namespace="default",persistentvolumeclaim="data"} 100
kubelet_volume_stats_capacity_bytes{namespace="default",persistentvolumeclaim="vfat"} 200
kubelet_volume_stats_capacity_bytes{namespace="other",persistentvolumeclaim="data"} 400
kubelet_volume_stats_inodes{namespace="default",persistentvolumeclaim="data"} 103
kubelet_volume_stats_inodes{namespace="other",persistentvolumeclaim="data"} 403
kubelet_volume_stats_inodes_free{namespace="default",persistentvolumeclaim="data"} 104
kubelet_volume_stats_inodes_free{namespace="other",persistentvolumeclaim="data"} 404
kubelet_volume_stats_inodes_used{namespace="default",persistentvolumeclaim="data"} 105
kubelet_volume_stats_inodes_used{namespace="other",persistentvolumeclaim="data"} 405
kubelet_volume_stats_used_bytes{namespace="default",persistentvolumeclaim="data"} 102
kubelet_volume_stats_used_bytes{namespace="default",persistentvolumeclaim="vfat"} 202
kubelet_volume_stats_used_bytes{namespace="other",persistentvolumeclaim="data"} 402
`
	if got != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
	if src.wanted != snapshot.Volumes {
		t.Errorf("the snapshot was asked for %#x (%s), want volumes alone", src.wanted, src.wanted)
	}
}

// Without names a sandbox looks like a container, so that their number is not known; without pods it is 0.
func TestKubeletCountsNoContainersWithoutNames(t *testing.T) {
	nameless := &snapshot.Snapshot{Cgroups: []snapshot.Cgroup{
		{Identity: &snapshot.Identity{ID: "/kubepods/pod1/c", PodUID: "1", ContainerID: "c", Kind: snapshot.ContainerCgroup}},
	}}
	got := kubeletLines(t, &source{s: nameless}, KubeletOptions{Groups: snapshot.All})
	if strings.Contains(got, "kubelet_running_containers") || !strings.Contains(got, "kubelet_running_pods 1\n") {
		t.Errorf("want one pod and no number of containers, got:\n%s", got)
	}
	got = kubeletLines(t, &source{s: new(snapshot.Snapshot)}, KubeletOptions{Groups: snapshot.All &^ snapshot.Storage})
	if !strings.Contains(got, "kubelet_running_containers{container_state=\"running\"} 0\n") || !strings.Contains(got, "kubelet_running_pods 0\n") {
		t.Errorf("want no pods and no containers, got:\n%s", got)
	}
}

func TestKubeletSeriesOfOddNames(t *testing.T) {
	s := &snapshot.Snapshot{Node: snapshot.Node{Name: "node\xff\"\n"}}
	if got := kubeletLines(t, &source{s: s}, KubeletOptions{}); !strings.Contains(got, `kubelet_node_name{node="node`+"\uFFFD"+`\"\n"} 1`) {
		t.Errorf("got:\n%s", got)
	}
}

func TestKubeletSeriesWithoutSnapshot(t *testing.T) {
	registry := NewSelfRegistry(Build{}, busyStatus)
	registry.MustRegister(NewKubeletCollector(&source{err: errors.New("no pass")}, KubeletOptions{Groups: snapshot.All}))
	w := get(NewSelfHandler(registry, nil, nil), "/metrics", "")
	if text := w.Body.String(); w.Code != 200 || strings.Contains(text, "kubelet_") || !strings.Contains(text, "nodevitals_build_info") {
		t.Errorf("want the agent's own metrics alone with status 200, got %d:\n%s", w.Code, text)
	}
}

// The list is of a real kubelet's answer: "name type help", a line a family.
func TestKubeletFamiliesAreThoseOfTheKubelet(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("testdata", "kubelet-1.37.2-own.families"))
	if err != nil {
		t.Fatal(err)
	}
	var want []string
	for line := range strings.Lines(string(text)) {
		want = append(want, strings.TrimSuffix(line, "\n"))
	}
	for i, f := range kubeletFamilies {
		if got := f.name + " gauge " + f.help; i >= len(want) || got != want[i] {
			t.Errorf("row %d is %q, want that of %q", i, got, want)
		}
	}
	if len(want) != len(kubeletFamilies) {
		t.Errorf("%d families, want %d", len(kubeletFamilies), len(want))
	}
}
