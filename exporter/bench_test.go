package exporter

import (
	"fmt"
	"io"
	"slices"
	"testing"
	"time"

	cadvisor "github.com/google/cadvisor/lib/model"
	"github.com/prometheus/common/expfmt"

	"github.com/nodevitals/nodevitals/snapshot"
)

// nodeOf returns the snapshot of a node with count cgroups, such as a cgroup v2 node has: pods of a sandbox and two
// containers, one of which is limited, and one disk.
func nodeOf(count int) *snapshot.Snapshot {
	s := smallSnapshot()
	root, app := s.Cgroups[0], s.Cgroups[3]
	s.Cgroups = []snapshot.Cgroup{root}
	for i := 1; i < count; i++ {
		c := app
		pod := fmt.Sprintf("2fbcb859-a59b-4c7b-93c4-%012d", i/4)
		id := &snapshot.Identity{
			ID: "/kubepods/burstable/pod" + pod, Pod: fmt.Sprintf("web-7d4b9c6f5-%05d", i/4), Namespace: "production",
		}
		if i%4 != 0 {
			id.Name = fmt.Sprintf("1132fd1814435486308d6ad7ee7d6599fa66156d7329fc6c7f943b4f%08d", i)
			id.ID += "/" + id.Name
			id.Image = "registry.example.com/team/app:1.2.3"
		}
		switch i % 4 {
		case 0:
			id.Kind = snapshot.PodCgroup
		case 1:
			id.Kind = snapshot.SandboxCgroup
		default:
			id.Kind, id.Container = snapshot.ContainerCgroup, fmt.Sprint("app-", i%4)
		}
		c.Identity = id
		spec := *app.Spec
		if i%2 == 0 {
			spec.CPUQuota = snapshot.Optional{}
		}
		c.Spec = &spec
		for f := range snapshot.FieldCount {
			c.Set(f, uint64(i)*uint64(f)*7_654_321)
		}
		c.Clear(snapshot.MemoryFailcnt)
		c.Devices = slices.Clone(app.Devices)
		s.Cgroups = append(s.Cgroups, c)
	}
	slices.SortFunc(s.Cgroups, func(a, b snapshot.Cgroup) int {
		switch {
		case a.Identity.ID < b.Identity.ID:
			return -1
		case a.Identity.ID > b.Identity.ID:
			return 1
		}
		return 0
	})
	s.Pods = podsOf(s)
	return s
}

// podsOf makes the pods that the cgroups of s belong to, in the order of their cgroups' paths. Each has a cgroup first.
func podsOf(s *snapshot.Snapshot) []snapshot.Pod {
	var pods []snapshot.Pod
	for i := range s.Cgroups {
		c := &s.Cgroups[i]
		switch c.Identity.Kind {
		case snapshot.PodCgroup:
			pods = append(pods, snapshot.Pod{Name: c.Identity.Pod, Namespace: c.Identity.Namespace, Cgroup: c})
		case snapshot.ContainerCgroup:
			if len(pods) == 0 {
				continue
			}
			pod := &pods[len(pods)-1]
			pod.Containers = append(pod.Containers, snapshot.Container{
				Name: c.Identity.Container, ID: c.Identity.Name, Started: time.Unix(1795487904, int64(i)*1_000_003), Cgroup: c,
				WritableLayer: snapshot.Usage{Time: time.Unix(1795487904, 0), Bytes: snapshot.Some(uint64(i) << 12), MountPoint: "/var/lib/containerd"},
			})
		case snapshot.PlainCgroup, snapshot.SandboxCgroup:
		}
	}
	return pods
}

// nodeOfPods returns the snapshot of a node with count pods of three containers each.
func nodeOfPods(count int) *snapshot.Snapshot {
	s := nodeOf(1 + 4*count)
	for i := range s.Cgroups {
		// The sandboxes become containers.
		if id := s.Cgroups[i].Identity; id.Kind == snapshot.SandboxCgroup {
			id.Kind, id.Container = snapshot.ContainerCgroup, "app-1"
		}
	}
	s.Pods = podsOf(s)
	return s
}

func TestRenderAllocatesNothingPerCgroup(t *testing.T) {
	for _, s := range []*snapshot.Snapshot{nodeOf(10), nodeOf(1000), nodeOfPods(110)} {
		var r Renderer
		for _, format := range []Format{Text, OpenMetrics} {
			o := Options{Groups: snapshot.All, Format: format, Timestamps: true, Now: time.Unix(1, 0)}
			if got := testing.AllocsPerRun(3, func() { r.Cadvisor(s, o); r.Resource(s, o) }); got != 0 {
				t.Errorf("%d cgroups, %s: %v allocations a render into used buffers, want 0", len(s.Cgroups), format.ContentType(), got)
			}
		}
	}
}

var sizes = []int{10, 100, 1000}

func perCgroup(b *testing.B, count, bytes int) {
	b.Helper()
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(count), "ns/cgroup")
	b.ReportMetric(float64(bytes)/float64(count), "bytes/cgroup")
}

func BenchmarkCadvisor(b *testing.B) { benchmark(b, (*Renderer).Cadvisor) }
func BenchmarkResource(b *testing.B) { benchmark(b, (*Renderer).Resource) }

func benchmark(b *testing.B, render func(*Renderer, *snapshot.Snapshot, Options) []byte) {
	for _, count := range sizes {
		b.Run(fmt.Sprint(count), func(b *testing.B) {
			s := nodeOf(count)
			var r Renderer
			o := Options{Groups: snapshot.All, Now: time.Unix(1, 0)}
			bytes := len(render(&r, s, o))
			b.ReportAllocs()
			for b.Loop() {
				render(&r, s, o)
			}
			perCgroup(b, count, bytes)
		})
	}
}

// BenchmarkResourceOfPods is what metrics-server asks of a full node: 110 pods of three containers.
func BenchmarkResourceOfPods(b *testing.B) {
	s := nodeOfPods(110)
	var r Renderer
	o := Options{Groups: snapshot.All, Now: time.Unix(1, 0)}
	bytes := len(r.Resource(s, o))
	b.ReportAllocs()
	for b.Loop() {
		r.Resource(s, o)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/330, "ns/container")
	b.ReportMetric(float64(bytes)/330, "bytes/container")
}

// BenchmarkReferenceCollector does what a kubelet does with the same snapshot: cAdvisor's collectors, then the
// text encoder of client_golang. The conversion to cAdvisor's types is in it: a kubelet has
// them ready, but it is a small part (see BenchmarkConversion).
func BenchmarkReferenceCollector(b *testing.B) {
	for _, count := range sizes {
		b.Run(fmt.Sprint(count), func(b *testing.B) {
			registry, _ := newReference(nodeOf(count), time.Unix(1, 0))
			bytes := 0
			b.ReportAllocs()
			for b.Loop() {
				// Of a device that is shown twice, Gather returns the first, with an error.
				families, _ := registry.Gather()
				counting := countingWriter{}
				encoder := expfmt.NewEncoder(&counting, expfmt.NewFormat(expfmt.TypeTextPlain))
				for _, f := range families {
					if err := encoder.Encode(f); err != nil {
						b.Fatal(err)
					}
				}
				bytes = counting.n
			}
			perCgroup(b, count, bytes)
		})
	}
}

// BenchmarkConversion is the part of BenchmarkReferenceCollector that a kubelet does not have.
func BenchmarkConversion(b *testing.B) {
	s := nodeOf(1000)
	p := &provider{s: s}
	for b.Loop() {
		if _, err := p.GetRequestedContainersInfo("/", cadvisor.RequestOptions{}); err != nil {
			b.Fatal(err)
		}
	}
	perCgroup(b, len(s.Cgroups), 0)
}

type countingWriter struct{ n int }

var _ io.Writer = (*countingWriter)(nil)

func (w *countingWriter) Write(p []byte) (int, error) {
	w.n += len(p)
	return len(p), nil
}

// BenchmarkChoices renders a node of 443 cgroups as it is and as it is chosen.
func BenchmarkChoices(b *testing.B) {
	const count = 443
	s := nodeOf(count)
	for _, choice := range []struct {
		name string
		o    SeriesOptions
	}{
		{"full", SeriesOptions{}},
		{"everything", SeriesOptions{Extra: []string{"all"}}},
		{"kubernetes", SeriesOptions{Profile: "kubernetes"}},
		{"minimal", SeriesOptions{Profile: "minimal"}},
		{"without-ids", SeriesOptions{Labels: []string{"id=drop", "name=drop", "image=drop"}}},
		{"half-the-series", SeriesOptions{MaxSeries: 20000}},
	} {
		b.Run(choice.name, func(b *testing.B) {
			var r Renderer
			o := Options{Groups: snapshot.All, Now: time.Unix(1, 0), Series: mustSeries(b, choice.o)}
			bytes := len(r.Cadvisor(s, o))
			b.ReportAllocs()
			for b.Loop() {
				r.Cadvisor(s, o)
			}
			perCgroup(b, count, bytes)
		})
	}
}
