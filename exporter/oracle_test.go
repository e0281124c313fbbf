package exporter

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/nodevitals/nodevitals/snapshot"
)

// snapshots is how many random snapshots are compared with cAdvisor's collector. All take about 4 s on two cores.
const snapshots = 400

// TestAgreesWithCadvisor renders random snapshots with cAdvisor's own collectors and with ours, and compares sample
// by sample, both ways: name, labels, value to the last bit, type, help, timestamp. Each difference must be a
// deviation, and the record must bear it out.
func TestAgreesWithCadvisor(t *testing.T) {
	met := map[deviation]int{}
	var r Renderer
	compared := 0
	for seed := range uint64(snapshots) {
		now := time.Unix(1795490000, int64(seed)*1e6)
		for _, timestamps := range []bool{false, true} {
			c := comparison{T: t, seed: seed, s: randomSnapshot(seed), now: now, timestamps: timestamps, met: met}
			compared += c.run(&r)
		}
		if t.Failed() {
			t.Fatalf("seed %d differs; further seeds are left out", seed)
		}
	}
	t.Logf("compared %d samples", compared)
	if compared < 100*snapshots {
		t.Errorf("compared %d samples of %d snapshots: the generator makes too little", compared, snapshots)
	}
	checkDeviations(t, met)
}

// comparison is that of one snapshot.
type comparison struct {
	*testing.T
	seed       uint64
	s          *snapshot.Snapshot
	now        time.Time
	timestamps bool
	met        map[deviation]int
}

func (c *comparison) run(r *Renderer) int {
	registry, p := newReference(c.s, c.now)
	families, err := registry.Gather()
	if err != nil {
		// A kubelet serves what remains of such an answer: the first of each series.
		for line := range strings.Lines(err.Error()) {
			if strings.HasPrefix(line, "* ") && !strings.Contains(line, "was collected before with the same name and label values") {
				c.Fatalf("seed %d: %s", c.seed, line)
			}
		}
		c.met[oneSeriesPerDevice]++
	}
	if p.replaced.Load() {
		c.met[invalidUTF8]++
	}
	want := takeApart(c, families, false)
	got := parse(c, r.Cadvisor(c.s, Options{Groups: snapshot.All, Timestamps: c.timestamps, Now: c.now}), Text)

	for key, w := range want.samples {
		g, ok := got.samples[key]
		switch {
		case !ok:
			c.missing(w)
		default:
			c.value(w, g)
			c.stamp(w, g)
		}
	}
	for key, g := range got.samples {
		if _, ok := want.samples[key]; !ok {
			c.additional(g)
		}
	}
	c.layers(got)
	for name, kind := range got.kinds {
		if w := want.kinds[name]; kind != w {
			c.Errorf("seed %d: %s has type %s, want %s", c.seed, name, kind, w)
		}
		if w := want.helps[name]; got.helps[name] != w {
			c.Errorf("seed %d: %s has help %q, want %q", c.seed, name, got.helps[name], w)
		}
	}
	return len(want.samples)
}

// truth finds the record that a sample is about.
func (c *comparison) truth(s sampleRead) (truth, bool) {
	for i := range c.s.Cgroups {
		if g := &c.s.Cgroups[i]; strings.ToValidUTF8(g.Identity.ID, "\uFFFD") == s.labels["id"] {
			return truth{c.s, g, s}, true
		}
	}
	return truth{}, false
}

// missing excuses a sample that we leave out.
func (c *comparison) missing(w sampleRead) {
	r, ok := c.truth(w)
	if !ok {
		c.Errorf("seed %d: we lack %s", c.seed, w.key())
		return
	}
	switch {
	case w.value == 0 && r.lacks():
		c.met[absentNotZero]++
	case (w.name == "container_creation_time_seconds" || w.name == "container_start_time_seconds") &&
		w.value == float64(time.Time{}.Unix()) && (r.c.Spec == nil || r.c.Spec.Created.IsZero()):
		c.met[unknownTimeAbsent]++
	default:
		c.Errorf("seed %d: we lack %s %v", c.seed, w.key(), w.value)
	}
}

// additional excuses a sample that cAdvisor does not have.
func (c *comparison) additional(g sampleRead) {
	if r, ok := c.truth(g); ok {
		if n, found := r.layer(); found && g.value == float64(n) && g.stamped == c.timestamps {
			c.met[containerFilesystem]++
			return
		}
	}
	c.Errorf("seed %d: cAdvisor has no %s, we print %v", c.seed, g.key(), g.value)
}

// layers requires a row for every figure of every layer, and none if they are left out.
func (c *comparison) layers(got exposition) {
	count := 0
	for i := range c.s.Cgroups {
		for j := range c.s.Node.Filesystems {
			device := strings.ToValidUTF8(c.s.Node.Filesystems[j].Device, "\uFFFD")
			for _, name := range []string{"usage_bytes", "limit_bytes", "inodes_total", "inodes_free"} {
				sample := sampleRead{name: "container_fs_" + name, labels: map[string]string{"device": device}}
				if _, ok := (truth{c.s, &c.s.Cgroups[i], sample}).layer(); ok && !isRoot(&c.s.Cgroups[i]) {
					count++
				}
			}
		}
	}
	for _, sample := range got.samples {
		id := sample.labels["id"]
		switch sample.name {
		case "container_fs_usage_bytes", "container_fs_limit_bytes", "container_fs_inodes_total", "container_fs_inodes_free":
			if id != "/" {
				count--
			}
		}
	}
	if count != 0 {
		c.Errorf("seed %d: we lack %d rows of containers' layers", c.seed, count)
	}
}

// value compares two values, and excuses those of devices and filesystems.
func (c *comparison) value(w, g sampleRead) {
	if w.value == g.value {
		return
	}
	r, _ := c.truth(w)
	if row, ok := ioFamilies[w.name]; ok {
		should, found := r.device(row)
		switch {
		case !found || g.value != should.value:
		case should.hidden && w.value == 0:
			c.met[absentNotZero]++
			return
		case should.fromDisk && row.diskDivisor == 1e3 && w.value == float64(row.disk(r.filesystem().Disk))/1e9:
			c.met[fsTimeUnit]++
			return
		}
	}
	if w.name == "container_fs_io_time_weighted_seconds_total" {
		if ms := float64(r.filesystem().Disk.WeightedIOTime); w.value == ms/1e9 && g.value == ms/1e3 {
			c.met[fsTimeUnit]++
			return
		}
	}
	c.Errorf("seed %d: %s is %v, want %v", c.seed, w.key(), g.value, w.value)
}

// stamp compares two timestamps.
func (c *comparison) stamp(w, g sampleRead) {
	if !c.timestamps {
		if g.stamped {
			c.Errorf("seed %d: %s has timestamp %d, want none", c.seed, w.key(), g.stamp)
		} else if w.stamped {
			c.met[noExplicitTimestamps]++
		}
		return
	}
	if w.stamped == g.stamped && w.stamp == g.stamp {
		return
	}
	if r, ok := c.truth(w); ok && w.stamped && g.stamped {
		if group := r.group(); group != 0 && g.stamp == c.s.Time(group).UnixMilli() {
			c.met[timestampPerGroup]++
			return
		}
	}
	c.Errorf("seed %d: %s has timestamp %v %d, want %v %d", c.seed, w.key(), g.stamped, g.stamp, w.stamped, w.stamp)
}

// TestOpenMetricsHasTheSameSamples matters since Prometheus asks for OpenMetrics first: a sample under another name
// there would be lost to every dashboard.
func TestOpenMetricsHasTheSameSamples(t *testing.T) {
	var r Renderer
	for seed := range uint64(100) {
		s := randomSnapshot(seed)
		o := Options{Groups: snapshot.All, Now: time.Unix(1795490000, 5e6)}
		want := sampleLines(r.Cadvisor(s, o))
		o.Format = OpenMetrics
		if diff := cmp.Diff(want, sampleLines(r.Cadvisor(s, o))); diff != "" {
			t.Fatalf("seed %d: samples (-text +OpenMetrics):\n%s", seed, diff)
		}
	}
}

func sampleLines(text []byte) []string {
	var lines []string
	for line := range strings.Lines(string(text)) {
		if !strings.HasPrefix(line, "#") {
			lines = append(lines, line)
		}
	}
	return lines
}

// TestOpenMetricsIsWellFormed reads ours with Prometheus' strict parser, made from the standard's grammar. It takes
// a second for each snapshot, so these are few.
func TestOpenMetricsIsWellFormed(t *testing.T) {
	var r Renderer
	for seed := range uint64(3) {
		s := randomSnapshot(seed)
		o := Options{Groups: snapshot.All, Timestamps: seed%2 == 0, Now: time.Unix(1795490000, 5e6)}
		want := parse(t, r.Cadvisor(s, o), Text)
		o.Format = OpenMetrics
		text := r.Cadvisor(s, o)
		if !strings.HasSuffix(string(text), "\n# EOF\n") || strings.Count(string(text), "# EOF\n") != 1 {
			t.Fatalf("seed %d: not ended by # EOF", seed)
		}
		got := parse(t, text, OpenMetrics)
		for key, w := range want.samples {
			g, ok := got.samples[key]
			if !ok || g.value != w.value || g.stamped != w.stamped || g.stamp != w.stamp {
				t.Errorf("seed %d: OpenMetrics has %+v, want %+v", seed, g, w)
			}
		}
		if len(got.samples) != len(want.samples) {
			t.Errorf("seed %d: %d samples, want %d", seed, len(got.samples), len(want.samples))
		}
		for name, kind := range want.kinds {
			w := kind
			if kind == "COUNTER" && !strings.HasSuffix(name, "_total") {
				w = "UNTYPED"
			}
			if got.kinds[name] != w {
				t.Errorf("seed %d: %s is %s in OpenMetrics, want %s", seed, name, got.kinds[name], w)
			}
		}
	}
}
