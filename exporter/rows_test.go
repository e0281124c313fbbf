package exporter

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/nodevitals/nodevitals/snapshot"
)

func mustSeries(t testing.TB, o SeriesOptions) *Series {
	t.Helper()
	s, err := NewSeries(o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// recordedNode is a node whose cgroups have the labels that a real kubelet gave them, a figure of every kind, and beside them
// what a moment of change adds: a sandbox and a container that were just replaced, a service of the host.
func recordedNode(t *testing.T, version string) *snapshot.Snapshot {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", "kubelet-1.37.2-cgroup-"+version+".rows"))
	if err != nil {
		t.Fatal(err)
	}
	s := smallSnapshot()
	root, app, sandbox := s.Cgroups[0], s.Cgroups[3], s.Cgroups[2]
	s.Cgroups = nil
	add := func(who snapshot.Identity) {
		c := app
		switch {
		case who.ID == "/":
			c = root
		case who.Name != "" && who.Container == "":
			who.Kind = snapshot.SandboxCgroup
			c.HasNetwork, c.Interfaces = true, sandbox.Interfaces
		case who.Name != "":
			who.Kind = snapshot.ContainerCgroup
		case who.Pod != "":
			who.Kind = snapshot.PodCgroup
		}
		c.Identity = &who
		s.Cgroups = append(s.Cgroups, c)
	}
	for line := range strings.Lines(string(text)) {
		w := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		who := snapshot.Identity{ID: w[0], Namespace: w[1], Pod: w[2], Container: w[3], Name: w[4], Image: w[5], Created: time.Unix(1795487904, 0)}
		if who.Name != "" {
			before := who
			at := strings.LastIndexByte(who.ID, '/') + 1
			before.ID, before.Name, before.Created = who.ID[:at]+"!before-"+who.ID[at:], "before-"+who.Name, who.Created.Add(-time.Hour)
			add(before)
		}
		add(who)
	}
	add(snapshot.Identity{ID: "/system.slice"})
	add(snapshot.Identity{ID: "/system.slice/cron.service"})
	for i := range s.Cgroups {
		s.Cgroups[i].Set(snapshot.CPUUsage, uint64(i+1)*1e9)
	}
	s.Pods = podsOf(s)
	for i := range s.Pods {
		// A collector shows a container once.
		pod := &s.Pods[i]
		pod.Containers = slices.DeleteFunc(pod.Containers, func(c snapshot.Container) bool { return strings.HasPrefix(c.ID, "before-") })
	}
	return s
}

// seriesOf returns the series of an answer, without values, and how often each is there.
func seriesOf(text []byte) map[string]int {
	all := make(map[string]int)
	for line := range strings.Lines(string(text)) {
		if !strings.HasPrefix(line, "#") {
			all[line[:strings.LastIndexByte(line, ' ')]]++
		}
	}
	return all
}

// eachPolicy calls f with every policy of labels.
func eachPolicy(f func(words []string, dropped map[string]bool)) {
	for set := range 1 << len(policies) {
		var words []string
		dropped := make(map[string]bool)
		for i, p := range policies {
			action := "keep"
			if set&(1<<i) != 0 {
				action = "drop"
				dropped[p.label] = true
			}
			words = append(words, p.label+"="+action)
		}
		f(words, dropped)
	}
}

// Whatever labels are dropped, no series is there twice, those of containers and pods all stay, and one sums up to what it did.
func TestNoPolicyMakesDuplicates(t *testing.T) {
	var r Renderer
	nodes := map[string]*snapshot.Snapshot{"v1": recordedNode(t, "v1"), "v2": recordedNode(t, "v2"), "made": nodeOf(40)}
	for seed := range uint64(8) {
		nodes[fmt.Sprint("seed ", seed)] = randomSnapshot(seed)
	}
	for name, s := range nodes {
		all := parse(t, r.Cadvisor(s, Options{Groups: snapshot.All}), Text)
		eachPolicy(func(words []string, dropped map[string]bool) {
			show := mustSeries(t, SeriesOptions{Labels: words, Extra: []string{"all"}})
			text := r.Cadvisor(s, Options{Groups: snapshot.All, Series: show})
			there := seriesOf(text)
			for series, count := range there {
				if count > 1 {
					t.Fatalf("%s with %v: %d times %s", name, words, count, series)
				}
			}
			got := parse(t, text, Text)
			for _, sample := range all.samples {
				want := sampleRead{name: sample.name, labels: make(map[string]string)}
				for label, value := range sample.labels {
					if isRoot := sample.labels["id"] == "/"; !dropped[label] || label == "id" && isRoot {
						want.labels[label] = value
					}
				}
				// Rows of no pod cannot be told apart without their ID.
				left := dropped["id"] && sample.labels["pod"] == "" && sample.labels["id"] != "/" && sample.labels["id"] != ""
				if _, ok := got.samples[want.key()]; !ok && !left {
					t.Fatalf("%s with %v: lacks %s", name, words, want.key())
				}
			}
			for _, sample := range got.samples {
				for label := range dropped {
					if value, ok := sample.labels[label]; ok && value != "/" {
						t.Fatalf("%s with %v: has label %s: %s", name, words, label, sample.key())
					}
				}
			}
		})
	}
}

// A pod's CPU is that of its own cgroup, and its network that of its sandbox, also where both have the same labels.
func TestPodAndSandboxWithTheSameLabels(t *testing.T) {
	var r Renderer
	s := smallSnapshot()
	show := mustSeries(t, SeriesOptions{Labels: []string{"id=drop", "name=drop", "image=drop"}})
	got := parse(t, r.Cadvisor(s, Options{Groups: snapshot.All, Series: show}), Text)
	pod, _ := s.Cgroups[1].Get(snapshot.CPUUsage)
	labels := ` container="" %s="%s" namespace="default" pod="web"`
	if sample := got.samples["container_cpu_usage_seconds_total"+fmt.Sprintf(labels, "cpu", "total")]; sample.value != float64(pod)/1e9 {
		t.Errorf("the pod's CPU is %+v, want %v", sample, float64(pod)/1e9)
	}
	if sample := got.samples["container_network_receive_bytes_total"+fmt.Sprintf(labels, "interface", "eth0")]; sample.value != 446 {
		t.Errorf("the pod's network is %+v, want the sandbox's", sample)
	}
}

// Of a container and the one that it replaced the newer one is shown.
func TestNewerContainerIsShown(t *testing.T) {
	var r Renderer
	s := recordedNode(t, "v1")
	show := mustSeries(t, SeriesOptions{Labels: []string{"id=drop", "name=drop"}})
	got := parse(t, r.Cadvisor(s, Options{Groups: snapshot.All, Series: show}), Text)
	found := 0
	for i := range s.Cgroups {
		id := s.Cgroups[i].Identity
		if id.Container == "" || strings.HasPrefix(id.Name, "before-") {
			continue
		}
		want, _ := s.Cgroups[i].Get(snapshot.CPUUsage)
		key := fmt.Sprintf(`container_cpu_usage_seconds_total container=%q cpu="total" image=%q namespace=%q pod=%q`, id.Container, id.Image, id.Namespace, id.Pod)
		if sample := got.samples[key]; sample.value != float64(want)/1e9 {
			t.Errorf("%s is %v, want that of %s", key, sample.value, id.ID)
		}
		found++
	}
	if found < 5 {
		t.Errorf("looked at %d containers, want those of the recording", found)
	}
}

func TestSlices(t *testing.T) {
	var r Renderer
	s := recordedNode(t, "v1")
	for _, test := range []struct {
		word string
		want map[string]bool
	}{
		{"all", map[string]bool{
			"/": true, "/kubepods": true, "/kubepods/besteffort": true, "/kubepods/burstable": true, "/system.slice": true, "/system.slice/cron.service": true,
		}},
		{"top", map[string]bool{"/": true, "/kubepods": true, "/system.slice": true}},
		{"none", map[string]bool{"/": true}},
	} {
		t.Run(test.word, func(t *testing.T) {
			got := parse(t, r.Cadvisor(s, Options{Groups: snapshot.All, Series: mustSeries(t, SeriesOptions{Slices: test.word})}), Text)
			ids, pods, machine := make(map[string]bool), 0, 0
			for _, sample := range got.samples {
				switch {
				case strings.HasPrefix(sample.name, "machine_"):
					machine++
				case sample.labels["pod"] != "":
					pods++
				case sample.labels["id"] != "":
					ids[sample.labels["id"]] = true
				}
			}
			if diff := cmp.Diff(test.want, ids); diff != "" {
				t.Errorf("rows of no pod (-want +got):\n%s", diff)
			}
			if pods < 1000 || machine == 0 {
				t.Errorf("%d rows of pods and %d of the machine, want them all", pods, machine)
			}
		})
	}
}

// The zero choice is what a kubelet has, to the byte.
func TestDefaultChoiceChangesNothing(t *testing.T) {
	var r Renderer
	for seed := range uint64(20) {
		s := randomSnapshot(seed)
		want := string(r.Cadvisor(s, Options{Groups: snapshot.All}))
		for _, o := range []SeriesOptions{{}, {Profile: "full", Slices: "all", Labels: []string{"id=keep"}, MaxSeries: 1 << 20}} {
			if got := string(r.Cadvisor(s, Options{Groups: snapshot.All, Series: mustSeries(t, o)})); got != want {
				t.Fatalf("seed %d, %+v: differs:\n%s", seed, o, cmp.Diff(want, got))
			}
		}
	}
}
