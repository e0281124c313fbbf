package e2e

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	meta "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/nodevitals/nodevitals/e2e/cluster"
	"github.com/nodevitals/nodevitals/e2e/compare"
	"github.com/nodevitals/nodevitals/e2e/prometheus"
	"github.com/nodevitals/nodevitals/e2e/workload"
)

const (
	prometheusAddress = "127.0.0.1:20090"
	// everything is a span in which all lies that this Prometheus ever scraped.
	everything = "[1d]"
)

// formats are the two text formats: what is asked for, and what the answers then are.
var formats = map[string]struct{ accept, answer string }{
	"text":        {"text/plain;version=0.0.4", "text/plain; version=0.0.4; charset=utf-8"},
	"openmetrics": {"", "application/openmetrics-text; version=1.0.0; charset=utf-8"},
}

// scrapedPaths are the endpoints, by the first part of the job's name.
var scrapedPaths = map[string]string{"cadvisor": "/metrics/cadvisor", "resource": "/metrics/resource", "self": "/metrics"}

// scraping is a Prometheus that scrapes nodevitals, every endpoint in both formats, through relays that count.
type scraping struct {
	server *prometheus.Server
	// processes are Prometheus itself, and the agent that it scrapes.
	processes []*cluster.Process
	// relays go by format.
	relays map[string]*prometheus.Relay
}

// scrapes is how many there were of the job that has the fewest.
func (s *scraping) scrapes() int {
	least := -1
	for _, relay := range s.relays {
		traffic := relay.Traffic()
		for _, path := range scrapedPaths {
			if count := traffic[path].Answers; least < 0 || count < least {
				least = count
			}
		}
	}
	return least
}

// startPrometheus has Debian's Prometheus scrape nodevitals for the length of a test.
func startPrometheus(t *testing.T, interval time.Duration) *scraping {
	t.Helper()
	program, err := prometheus.Find("prometheus")
	if err != nil {
		t.Skip(err)
	}
	agent := needScraped(t)
	s := &scraping{relays: map[string]*prometheus.Relay{}, server: &prometheus.Server{URL: "http://" + prometheusAddress, Get: node.Get}}
	var jobs []prometheus.Job
	for name, format := range formats {
		relay, err := prometheus.NewRelay(agent.PID(), scrapedAgent, format.accept)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = relay.Close() })
		s.relays[name] = relay
		for job, path := range scrapedPaths {
			jobs = append(jobs, prometheus.Job{Name: job + "-" + name, Target: relay.Address, Path: path})
		}
	}
	p := runPrometheus(t, "prometheus", program, s.server.URL, prometheus.Configuration(interval, jobs))
	s.processes = []*cluster.Process{p, agent}
	return s
}

// runPrometheus runs one with a configuration for the length of a test. It answers at the URL.
func runPrometheus(t *testing.T, name, program, url, configuration string) *cluster.Process {
	t.Helper()
	folder, err := os.MkdirTemp(node.StateDir(), "prometheus-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(folder) })
	file := filepath.Join(folder, "prometheus.yml")
	if err := os.WriteFile(file, []byte(configuration), 0o644); err != nil {
		t.Fatal(err)
	}
	p, err := node.Start(t.Context(), cluster.Component{
		Name: name, Path: program, Cgroup: node.Cgroup(name + ".service"),
		Args: []string{
			"--config.file=" + file, "--storage.tsdb.path=" + filepath.Join(folder, "data"), "--web.listen-address=" + strings.TrimPrefix(url, "http://"),
		},
		Until: "Prometheus to be ready at " + url, Limit: 3 * time.Minute,
		Ready: func(ctx context.Context) error {
			_, err := node.Get(ctx, url+"/-/ready")
			return err
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := node.End(p); err != nil {
			t.Error(err)
		}
	})
	return p
}

// query is for expressions that must have an answer, if only an empty one.
func (s *scraping) query(t *testing.T, expression string, at float64) []prometheus.Series {
	t.Helper()
	series, err := s.server.Query(t.Context(), expression, at)
	if err != nil {
		t.Fatal(err)
	}
	return series
}

// awaitSeries waits until an expression has so many series now.
func (s *scraping) awaitSeries(t *testing.T, expression string, count int) {
	t.Helper()
	err := cluster.Await(t.Context(), podsLimit, fmt.Sprintf("%d series of %s", count, expression), func(ctx context.Context) error {
		for _, process := range s.processes {
			if err := process.Ended(); err != nil {
				return cluster.Stop(err)
			}
		}
		series, err := s.server.Query(ctx, expression, 0)
		if err == nil && len(series) != count {
			err = fmt.Errorf("there are %d after %d scrapes", len(series), s.scrapes())
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// Scraped by a real Prometheus while pods come and go: every scrape is good, no sample is refused, what ends is stale at once, and no counter
// goes back.
func TestPrometheusScrapes(t *testing.T) {
	needCluster(t)
	needOnlyOnce(t)
	t.Parallel()
	// The emulated machine takes some ten times longer for everything, and a scrape has to be over before the next.
	interval, enough := 2*time.Second, 60
	if os.Getenv(machineVariable) != "" {
		interval, enough = 20*time.Second, 8
	}
	s := startPrometheus(t, interval)
	s.awaitSeries(t, "up == 1", len(formats)*len(scrapedPaths))

	// Pods come and go until there were scrapes enough.
	const crowd = 3
	ofCrowd := `container_memory_usage_bytes{pod=~"scraped-.*",container="only"}`
	made := 0
	for made == 0 || s.scrapes() < enough {
		remove := make([]func(), crowd)
		for i := range remove {
			remove[i] = makeScraped(t, fmt.Sprintf("scraped-%d", made))
			made++
		}
		s.awaitSeries(t, ofCrowd, crowd*len(formats))
		for _, one := range remove {
			one()
		}
		s.awaitSeries(t, ofCrowd, 0)
	}

	t.Run("all up", s.testUp)
	t.Run("nothing refused", s.testRefused)
	t.Run("stale at once", func(t *testing.T) { s.testStale(t, made) })
	t.Run("no counter goes back", s.testCounters)
	t.Run("on the wire", s.testWire)
}

// makeScraped makes a pod, which goes when remove is called, or else at the end of the test.
func makeScraped(t *testing.T, name string) (remove func()) {
	t.Helper()
	pods := node.Client().CoreV1().Pods(meta.NamespaceDefault)
	if _, err := pods.Create(t.Context(), workload.Plain(meta.NamespaceDefault, name), meta.CreateOptions{}); err != nil {
		t.Fatalf("make pod %s: %v", name, err)
	}
	remove = func() {
		// Removed twice, by the test and at its end, is no fault.
		_ = pods.Delete(context.WithoutCancel(t.Context()), name, meta.DeleteOptions{})
	}
	t.Cleanup(remove)
	return remove
}

// testUp wants a good scrape for each request that was answered, and each lasting container in each of them.
func (s *scraping) testUp(t *testing.T) {
	answered := map[string]int{}
	for format, relay := range s.relays {
		traffic := relay.Traffic()
		for job, path := range scrapedPaths {
			answered[job+"-"+format] = traffic[path].Answers
		}
	}
	// A scrape that was answered just now is still to be stored.
	err := cluster.Await(t.Context(), 2*time.Minute, "all scrapes that were answered", func(ctx context.Context) error {
		counts, err := s.server.Query(ctx, "count_over_time(up"+everything+")", 0)
		if err != nil {
			return err
		}
		for _, series := range counts {
			job := series.Labels["job"]
			if got := int(series.Last().Value); got < answered[job] {
				return fmt.Errorf("job %s has %d of %d", job, got, answered[job])
			}
		}
		if len(counts) != len(answered) {
			return fmt.Errorf("%d jobs of %d", len(counts), len(answered))
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	for _, series := range s.query(t, "min_over_time(up"+everything+") != 1", 0) {
		t.Errorf("job %s was not up in every scrape", series.Labels["job"])
	}
	for _, series := range s.query(t, "max_over_time(scrape_duration_seconds"+everything+")", 0) {
		t.Logf("%s: %d scrapes, the longest of %.3f s", series.Labels["job"], answered[series.Labels["job"]], series.Last().Value)
	}
	var pods []string
	for _, pod := range workload.Pods() {
		if _, name, _ := strings.Cut(pod.Key(), "/"); name != "completed" {
			pods = append(pods, name)
		}
	}
	lasting := fmt.Sprintf(`container_memory_working_set_bytes{job=~"cadvisor-.*",container!="",container!~%q,pod=~%q}`,
		strings.Join(workload.Fleeting, "|"), strings.Join(pods, "|"))
	containers := s.query(t, "count("+lasting+")", 0)
	if len(containers) == 0 || int(containers[0].Last().Value) < len(formats)*len(pods) {
		t.Fatalf("too few containers that last: %v of %d pods in %d formats", containers, len(pods), len(formats))
	}
	gaps := fmt.Sprintf("count_over_time(%[1]s%[2]s) != on(job) group_left count_over_time(up%[2]s)", lasting, everything)
	for _, series := range s.query(t, gaps, 0) {
		t.Errorf("not in every scrape of %s, but in %v: container %s of pod %s",
			series.Labels["job"], series.Last().Value, series.Labels["container"], series.Labels["pod"])
	}
}

// refusal is a name of a counter of Prometheus' own that tells of samples it did not take.
var refusal = regexp.MustCompile(`^prometheus_(target_scrapes_(sample_|exceeded_)|tsdb_(out_of_order|out_of_bound|too_old)_|target_scrape_pool_exceeded_)\w*_total$`)

func (s *scraping) testRefused(t *testing.T) {
	text, err := node.Get(t.Context(), s.server.URL+"/metrics")
	if err != nil {
		t.Fatal(err)
	}
	metrics, err := compare.ParseMetrics(text, compare.Moment{})
	if err != nil {
		t.Fatal(err)
	}
	looked := map[string]bool{}
	for path, figure := range metrics.Document {
		name, _, _ := strings.Cut(path, "{")
		if !refusal.MatchString(name) {
			continue
		}
		looked[name] = true
		if figure.Number != 0 {
			t.Errorf("%s is %v", path, figure.Number)
		}
	}
	for _, name := range []string{"sample_out_of_order", "sample_duplicate_timestamp", "sample_out_of_bounds", "exceeded_sample_limit"} {
		if name = "prometheus_target_scrapes_" + name + "_total"; !looked[name] {
			t.Errorf("Prometheus does not tell %s; it told %v", name, slices.Sorted(maps.Keys(looked)))
		}
	}
	log, err := os.ReadFile(s.processes[0].Log)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(log)) {
		if strings.Contains(line, `component="scrape manager"`) && (strings.Contains(line, "level=warn") || strings.Contains(line, "level=error")) {
			t.Errorf("Prometheus says: %s", line)
		}
	}
}

// testStale wants each series of a pod that is gone to be so from the very next scrape on, though what it was is still known.
func (s *scraping) testStale(t *testing.T, made int) {
	for format := range formats {
		job := "cadvisor-" + format
		var scrapes []float64
		for _, p := range s.query(t, fmt.Sprintf("up{job=%q}%s", job, everything), 0)[0].Points {
			scrapes = append(scrapes, p.At)
		}
		selector := fmt.Sprintf(`{job=%q,pod=~"scraped-.*"}`, job)
		ended := map[float64][]string{}
		pods := map[string]bool{}
		for _, series := range s.query(t, selector+everything, 0) {
			pods[series.Labels["pod"]] = true
			next := slices.IndexFunc(scrapes, func(at float64) bool { return at > series.Last().At })
			if next < 0 {
				continue // it was in the last scrape: a pod's own cgroup goes later than its containers'
			}
			ended[scrapes[next]] = append(ended[scrapes[next]], fmt.Sprint(series.Labels))
		}
		if len(pods) != made || len(ended) == 0 {
			t.Errorf("%s: series of %d pods, of which some ended, want of %d", job, len(pods), made)
		}
		count := 0
		for at, gone := range ended {
			there := map[string]bool{}
			for _, series := range s.query(t, selector, at) {
				there[fmt.Sprint(series.Labels)] = true
			}
			for _, series := range gone {
				if there[series] {
					t.Errorf("%s: still there at the scrape after its last: %s", job, series)
				}
			}
			count += len(gone)
		}
		t.Logf("%s: %d series of %d pods ended with the next scrape", job, count, len(pods))
	}
}

// ofDisks are counters of which a cgroup on v1 has the sum over those that are below it now: with one that is removed the sum goes back.
var ofDisks = regexp.MustCompile(`^container_(blkio|fs)_`)

// testCounters looks for counters that went back. Those of /metrics/resource have no ID, so that a container that began anew goes on as the same.
func (s *scraping) testCounters(t *testing.T) {
	const selector = `{job=~"(cadvisor|resource|self)-.*"}`
	names, err := s.server.Names(t.Context(), selector)
	if err != nil {
		t.Fatal(err)
	}
	counters := slices.DeleteFunc(names, func(name string) bool {
		return !strings.HasSuffix(name, "_total") && name != "container_memory_failcnt" || name == "container_fs_inodes_total"
	})
	restarting := fmt.Sprintf(`{container!~%q}`, strings.Join(workload.Fleeting, "|"))
	_, err = os.Stat("/sys/fs/cgroup/cgroup.controllers")
	unified := err == nil
	looked, aside := 0, 0
	for _, name := range counters {
		resets := s.query(t, fmt.Sprintf("resets(%s%s%s)", name, restarting, everything), 0)
		looked += len(resets)
		for _, series := range resets {
			switch {
			case series.Last().Value == 0:
			case !unified && ofDisks.MatchString(name) && series.Labels["container"] == "" && series.Labels["name"] == "":
				aside++
			default:
				t.Errorf("%s went back %v times: %v", name, series.Last().Value, series.Labels)
			}
		}
	}
	t.Logf("%d series of %d counters never went back, but %d of blkio in cgroups above containers", looked-aside, len(counters), aside)
	if len(counters) < 40 {
		t.Errorf("only %d counters: %v", len(counters), counters)
	}
}

// testWire wants each format in its jobs, compressed, and tells what it takes.
func (s *scraping) testWire(t *testing.T) {
	for format, relay := range s.relays {
		traffic := relay.Traffic()
		for _, path := range slices.Sorted(maps.Values(scrapedPaths)) {
			one := traffic[path]
			if one.Failures > 0 || one.Answers == 0 {
				t.Errorf("%s %s: %d answers, %d failures", format, path, one.Answers, one.Failures)
				continue
			}
			t.Logf("%-11s %-17s %d answers of %d bytes each on the wire: %v %v", format, path, one.Answers, one.Bytes/int64(one.Answers),
				slices.Sorted(maps.Keys(one.Types)), slices.Sorted(maps.Keys(one.Encodings)))
			if len(one.Encodings) != 1 || one.Encodings["gzip"] == 0 {
				t.Errorf("%s %s: encodings %v, want gzip alone", format, path, one.Encodings)
			}
			for kind := range one.Types {
				// client_golang adds how it escapes names.
				if !strings.HasPrefix(kind, formats[format].answer) {
					t.Errorf("%s %s: %s, want %s", format, path, kind, formats[format].answer)
				}
			}
		}
	}
}
