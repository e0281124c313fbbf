package compare

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

func read(t *testing.T, name string) []byte {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func summary(t *testing.T, name string) Document {
	t.Helper()
	d, err := ParseSummary(read(t, name))
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func metrics(t *testing.T, name string, taken Moment) Metrics {
	t.Helper()
	m, err := ParseMetrics(read(t, name), taken)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func seconds(from, to int64) Moment { return Moment{time.Unix(from, 0), time.Unix(to, 0)} }

func lines(differences []Difference) []string {
	var all []string
	for _, d := range differences {
		all = append(all, d.String())
	}
	return all
}

func check(t *testing.T, what string, got, want []string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s are\n\t%s\nwant\n\t%s", what, strings.Join(got, "\n\t"), strings.Join(want, "\n\t"))
	}
}

// withoutRuntime are the deviations of whom the runtime is not asked for, on a kernel that keeps little.
var withoutRuntime = append(APIAloneSummary(), SummaryDeviations(Kernel{})...)

func TestPathsGoByNamesAndNotByOrder(t *testing.T) {
	before, after, ours := summary(t, "kubelet-before.json"), summary(t, "kubelet-after.json"), summary(t, "ours.json")
	got := Excuse(Paths([]Document{before, after}, ours), withoutRuntime)
	check(t, "differences", lines(got), []string{
		"missing node.runtime.imageFs.time (runtime-needs-cri)",
		"missing node.runtime.imageFs.usedBytes (runtime-needs-cri)",
		"missing node.swap.swapUsageBytes (absent-not-zero)",
		"extra   node.systemContainers[runtime].name (auto-containers)",
		"extra   node.systemContainers[runtime].startTime (auto-containers)",
	})
}

func TestDeviationsMetAreNamedWithTheirFigures(t *testing.T) {
	got := Met([]Difference{
		{Path: "pods[default/web].containers[app].cpu.psi.some.total", Excuse: "absent-not-zero"},
		{Path: "pods[default/web].containers[other].cpu.psi.some.total", Excuse: "absent-not-zero"},
		{Path: "container_oom_events_total{id=\"/\"}", Excuse: "oom-from-cgroup"},
		{Path: "node.nodeName"},
	})
	check(t, "deviations met", got, []string{
		"absent-not-zero 2 times: .cpu.psi.some.total", "oom-from-cgroup 1 times: container_oom_events_total",
	})
}

func TestPathsThatComeOrGoAreNoDifference(t *testing.T) {
	before, after, ours := summary(t, "kubelet-before.json"), summary(t, "kubelet-after.json"), summary(t, "ours.json")
	const gone, come = "pods[default/web].containers[app].cpu.usageNanoCores", "pods[default/new].podRef.name"
	delete(after, gone)
	delete(ours, gone)
	after[come], ours[come] = Figure{Text: "new"}, Figure{Text: "new"}
	if got := Unexcused(Excuse(Paths([]Document{before, after}, ours), withoutRuntime)); len(got) > 0 {
		t.Errorf("got differences %v, want none", got)
	}
}

func TestPathsOfAnotherStartAreNoDifference(t *testing.T) {
	before, after, ours := summary(t, "kubelet-before.json"), summary(t, "kubelet-after.json"), summary(t, "ours.json")
	for path := range ours.Only("pods[default/crash].containers[hungry].") {
		delete(ours, path) // it waits to begin anew, while the kubelet's two answers show it before and after
	}
	if got := Unexcused(Excuse(Paths([]Document{before, after}, ours), withoutRuntime)); len(got) > 0 {
		t.Errorf("got differences %v, want none", got)
	}
}

func TestValuesLieBetweenTheSamplesAround(t *testing.T) {
	kubelet := []Document{summary(t, "kubelet-before.json"), summary(t, "kubelet-after.json")}
	got := Values(kubelet, summary(t, "ours.json"), SummaryRules)
	check(t, "differences", lines(got.Differences), nil)
	check(t, "unbounded paths", got.Unbounded, nil)
	if got.Held < 20 {
		t.Errorf("held %d figures, want 20 and more", got.Held)
	}
}

func TestValuesThatCannotBeTrue(t *testing.T) {
	const total = "pods[default/web].containers[app].cpu.usageCoreNanoSeconds"
	const memory = "pods[default/web].containers[app].memory.workingSetBytes"
	const uid = "pods[default/web].podRef.uid"
	for _, test := range []struct {
		name, path string
		figure     func(Figure) Figure
		want       string
	}{
		{"counter too small", total, func(f Figure) Figure { f.Number = 999999999; return f }, "outside " + total},
		{"counter too large", total, func(f Figure) Figure { f.Number = 1100000001; return f }, "outside " + total},
		{"gauge far off", memory, func(f Figure) Figure { f.Number *= 2; return f }, "outside " + memory},
		{"gauge nearby", memory, func(f Figure) Figure { f.Number += 1 << 20; return f }, ""},
		{"another text", uid, func(f Figure) Figure { f.Text = "u9"; return f }, "other   " + uid},
	} {
		t.Run(test.name, func(t *testing.T) {
			kubelet := []Document{summary(t, "kubelet-before.json"), summary(t, "kubelet-after.json")}
			ours := summary(t, "ours.json")
			ours[test.path] = test.figure(ours[test.path])
			got := strings.Join(lines(Values(kubelet, ours, SummaryRules).Differences), "\n")
			if path, _, _ := strings.Cut(got, ":"); path != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

// A container that began anew between the kubelet's samples has counters of its own, which neither bounds.
func TestCountersOfAnotherStartAreNotHeld(t *testing.T) {
	kubelet := []Document{summary(t, "kubelet-before.json"), summary(t, "kubelet-after.json")}
	ours := summary(t, "ours.json")
	const path = "pods[default/crash].containers[hungry].cpu.usageCoreNanoSeconds"
	ours[path] = Figure{Number: 5, Taken: ours[path].Taken}
	got := Values(kubelet, ours, SummaryRules)
	check(t, "differences", lines(got.Differences), nil)
}

func TestWaitingForNewerSamples(t *testing.T) {
	before, after, ours := summary(t, "kubelet-before.json"), summary(t, "kubelet-after.json"), summary(t, "ours.json")
	if got := Waiting(before, ours, SummaryRules); !slices.Contains(got, "node.cpu.usageCoreNanoSeconds") {
		t.Errorf("with an older answer, got %v, want it to have node.cpu.usageCoreNanoSeconds", got)
	}
	check(t, "paths that wait with a newer answer", Waiting(after, ours, SummaryRules), nil)

	got := Values([]Document{before}, ours, SummaryRules)
	if !slices.Contains(got.Unbounded, "node.cpu.usageCoreNanoSeconds") {
		t.Errorf("unbounded without a newer answer: %v, want it to have node.cpu.usageCoreNanoSeconds", got.Unbounded)
	}
}

func TestMetricsDiffer(t *testing.T) {
	kubelet, ours := metrics(t, "kubelet.txt", Moment{}), metrics(t, "ours.txt", seconds(1795487959, 1795487960))
	deviations := MetricDeviations(kubelet.Document, Kernel{})
	check(t, "families", lines(Excuse(Families(kubelet, ours), deviations)), []string{
		`other   container_fs_limit_bytes: help "Bytes.", want "Number of bytes that can be consumed by the container on this filesystem."`,
		"missing container_memory_swap (absent-not-zero)",
	})
	check(t, "label sets", lines(Excuse(Paths([]Document{kubelet.Document}, ours.Document), deviations)), []string{
		`missing container_memory_swap{container="app",id="/kubepods/pod1/a",image="i",name="a",namespace="default",pod="web"} (absent-not-zero)`,
		`extra   container_cpu_usage_seconds_total{container="",cpu="total",id="/system.slice",image="",name="",namespace="",pod=""} (every-cgroup)`,
	})
}

func TestMetricsWithoutTimestampsHaveTheMomentOfTheRequest(t *testing.T) {
	before, ours := metrics(t, "kubelet.txt", Moment{}), metrics(t, "ours.txt", seconds(1795487959, 1795487960))
	after := metrics(t, "kubelet.txt", Moment{})
	for path, figure := range after.Document {
		figure.Taken = seconds(1795487970, 1795487970)
		if strings.HasPrefix(path, "container_cpu_usage") {
			figure.Number = 1.55
		}
		after.Document[path] = figure
	}
	got := Values([]Document{before.Document, after.Document}, ours.Document, MetricRules(before.Families))
	if len(got.Differences) != 1 || !strings.HasPrefix(got.Differences[0].Path, "container_cpu_usage_seconds_total{") {
		t.Errorf("got %v, want the counter alone, which is past the kubelet's later one", got.Differences)
	}
}

func TestLabelsOfAPath(t *testing.T) {
	const path = `container_cpu_usage_seconds_total{container="app",cpu="total",id="/kubepods/pod1/a",image="i",name="a",namespace="default",pod="web"}`
	if _, ok := metrics(t, "kubelet.txt", Moment{}).Document[path]; !ok {
		t.Errorf("there is no %s", path)
	}
	for label, want := range map[string]string{"id": "/kubepods/pod1/a", "container": "app", "d": ""} {
		if got := Label(path, label); got != want {
			t.Errorf("label %s is %q, want %q", label, got, want)
		}
	}
}

func TestSamplesGivenTwiceAreAnError(t *testing.T) {
	text := []byte("# TYPE a gauge\na{id=\"1\",pod=\"x\"} 1\na{pod=\"x\",id=\"1\"} 2\n")
	if _, err := ParseMetrics(text, Moment{}); err == nil || !strings.Contains(err.Error(), "two samples") {
		t.Errorf("error is %v, want one of two samples", err)
	}
}

func TestDeviationsHaveRowsInThePage(t *testing.T) {
	page := filepath.Join(t.TempDir(), "fidelity.md")
	if err := os.WriteFile(page, []byte("| name | where |\n|---|---|\n| known | everywhere |\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	got, err := Undocumented(page, []Deviation{{Name: "known"}, {Name: "made-up"}})
	if err != nil {
		t.Fatal(err)
	}
	check(t, "undocumented", got, []string{"made-up"})
}

// Totals of pressure, and nothing else, may be older than their sample.
func TestPressureSince(t *testing.T) {
	at := Moment{From: time.Unix(100, 0), To: time.Unix(101, 0)}
	d := Document{}
	for _, path := range []string{
		"node.cpu.psi.full.total", `container_pressure_io_waiting_seconds_total{id="/"}`, "node.cpu.psi.full.avg10", "node.cpu.usageCoreNanoSeconds",
	} {
		d[path] = Figure{Taken: at}
	}
	d.PressureSince(2 * time.Second)
	for path, figure := range d {
		want := at
		if strings.HasSuffix(path, ".total") || strings.HasPrefix(path, "container_pressure_") {
			want.From = time.Unix(98, 0)
		}
		if figure.Taken != want {
			t.Errorf("%s: taken %v, want %v", path, figure.Taken, want)
		}
	}
}
