package exporter

import (
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/nodevitals/nodevitals/snapshot"
)

func total(text []byte) (count int) {
	for _, n := range seriesOf(text) {
		count += n
	}
	return count
}

// Within each limit an answer is well-formed, has whole families or none of them, and lacks no more of them than it must.
func TestMaxSeries(t *testing.T) {
	var r Renderer
	s := recordedNode(t, "v1")
	for _, format := range []Format{Text, OpenMetrics} {
		options := Options{Groups: snapshot.All, Format: format, Now: fixedNow()}
		whole := slices.Clone(r.Cadvisor(s, options))
		all := seriesOf(whole)
		most := total(whole)
		for limit := most + 1; limit > 0; limit -= 1 + most/25 {
			options.Series = mustSeries(t, SeriesOptions{MaxSeries: limit})
			text := r.Cadvisor(s, options)
			there := seriesOf(text)
			got := total(text)
			if limit >= most && string(text) != string(whole) {
				t.Fatalf("limit %d of %d: the answer is not whole", limit, most)
			}
			nodeRows := 0
			for _, f := range cadvisorFamilies {
				if f.node != nil {
					nodeRows += strings.Count(string(whole), "\n"+f.name)
				}
			}
			if got > max(limit, nodeRows) {
				t.Fatalf("limit %d: %d series", limit, got)
			}
			if r.cut.series != most || r.cut.left != most-got {
				t.Fatalf("limit %d: told of %d series of which %d are left out, want %d and %d", limit, r.cut.series, r.cut.left, most, most-got)
			}
			for series := range there {
				if all[series] == 0 {
					t.Fatalf("limit %d: new series %s", limit, series)
				}
			}
			left := make(map[string]bool)
			for _, name := range r.cut.families {
				left[name] = true
			}
			for series := range all {
				name, _, _ := strings.Cut(series, "{")
				if there[series] == 0 != left[name] {
					t.Fatalf("limit %d: %s of family left out %v", limit, series, left[name])
				}
			}
			// One family less left out would have been too much.
			if n := len(r.cut.families); n > 0 {
				last := strings.Count(string(whole), "\n"+r.cut.families[n-1]+"{")
				if got+last <= limit {
					t.Fatalf("limit %d: %s is left out without need", limit, r.cut.families[n-1])
				}
			}
		}
		// Prometheus' strict parser takes its time, so it gets a small node.
		options.Series = mustSeries(t, SeriesOptions{MaxSeries: 100})
		if text := r.Cadvisor(smallSnapshot(), options); len(r.cut.families) == 0 || len(parse(t, text, format).samples) != total(text) {
			t.Errorf("what is left is not all read:\n%s", text)
		}
	}
}

func TestOrderOfCutting(t *testing.T) {
	families := mustSeries(t, SeriesOptions{Extra: []string{"all"}}).families
	var order []string
	for _, i := range cutOrder(families) {
		order = append(order, families[i].name)
	}
	sooner := [][2]string{
		{"pod_oom_kills_total", "container_sockets"},
		{"container_sockets", "container_threads"},
		{"container_threads", "container_spec_cpu_period"},
		{"container_blkio_device_usage_total", "container_memory_failcnt"},
		{"container_memory_failcnt", "container_memory_rss"},
		{"container_memory_rss", "container_memory_working_set_bytes"},
		{"container_memory_working_set_bytes", "container_cpu_usage_seconds_total"},
	}
	for _, pair := range sooner {
		if slices.Index(order, pair[0]) >= slices.Index(order, pair[1]) {
			t.Errorf("%s is left out after %s: %v", pair[0], pair[1], order)
		}
	}
	for _, name := range []string{"container_scrape_error", "machine_cpu_cores", "cadvisor_version_info"} {
		if slices.Contains(order, name) {
			t.Errorf("%s can be left out", name)
		}
	}
}

func TestWhatIsCutIsCountedAndSaid(t *testing.T) {
	core, logs := observer.New(zap.WarnLevel)
	show := mustSeries(t, SeriesOptions{MaxSeries: 100})
	src := &source{s: smallSnapshot()}
	h := NewCadvisorHandler(src, HandlerOptions{Groups: snapshot.All, Series: show, Log: zap.New(core)})
	var r Renderer
	whole := total(r.Cadvisor(smallSnapshot(), Options{Groups: snapshot.All}))
	answer := func() int {
		src.s.Sequence++ // what was rendered of one snapshot is not rendered again
		return total(get(h, "/metrics/cadvisor", "").Body.Bytes())
	}
	shown := answer()
	if shown > 100 || shown == 0 {
		t.Fatalf("%d series, want up to 100", shown)
	}
	answer()
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(show)
	families, err := registry.Gather()
	if err != nil || len(families) != 2 {
		t.Fatalf("%d families, %v", len(families), err)
	}
	if got := families[0].GetMetric()[0].GetGauge().GetValue(); got != float64(whole) {
		t.Errorf("%s is %v, want %d", families[0].GetName(), got, whole)
	}
	if got := families[1].GetMetric()[0].GetCounter().GetValue(); got != float64(2*(whole-shown)) {
		t.Errorf("%s is %v, want twice %d", families[1].GetName(), got, whole-shown)
	}
	if problems, err := promlint.NewWithMetricFamilies(families).Lint(); err != nil || len(problems) > 0 {
		t.Errorf("lint: %v %v", problems, err)
	}
	if entries := logs.TakeAll(); len(entries) != 2 || !strings.Contains(entries[0].Message, "--max-series") || len(entries[0].ContextMap()["families"].([]any)) == 0 {
		t.Errorf("logged %v, want a line of each answer about --max-series with the families", entries)
	}
}
