package exporter

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/cadvisor/lib/container"
	"github.com/google/cadvisor/lib/metrics"
	cadvisor "github.com/google/cadvisor/lib/model"
	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"k8s.io/klog/v2"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/nodevitals/nodevitals/collector/cgrouptest"
	"github.com/nodevitals/nodevitals/snapshot"
)

func TestMain(m *testing.M) {
	// cAdvisor warns of every machine that it cannot read, which many random snapshots want.
	klog.LogToStderr(false)
	klog.SetOutput(io.Discard)
	// Some tests put load on real cgroups.
	cgrouptest.Main(m)
}

// kubeletMetrics are the kinds that a kubelet 1.37 exposes where the kernel has PSI.
var kubeletMetrics = container.MetricSet{
	container.CpuUsageMetrics:     {},
	container.MemoryUsageMetrics:  {},
	container.DiskIOMetrics:       {},
	container.DiskUsageMetrics:    {},
	container.NetworkUsageMetrics: {},
	container.AppMetrics:          {},
	container.ProcessMetrics:      {},
	container.OOMMetrics:          {},
	container.PressureMetrics:     {},
}

// provider stands in for cAdvisor's manager.
type provider struct {
	s *snapshot.Snapshot
	// replaced tells that a label was not UTF-8. cAdvisor would panic on it, so it gets what we print.
	// Two collectors ask at once.
	replaced atomic.Bool
}

func (p *provider) valid(s *string) {
	if v := strings.ToValidUTF8(*s, "\uFFFD"); v != *s {
		*s = v
		p.replaced.Store(true)
	}
}

func (p *provider) GetRequestedContainersInfo(string, cadvisor.RequestOptions) (map[string]*cadvisor.ContainerInfo, error) {
	infos := make(map[string]*cadvisor.ContainerInfo)
	for i := range p.s.Cgroups {
		info := p.s.ContainerInfo(&p.s.Cgroups[i])
		p.valid(&info.Name)
		p.valid(&info.Spec.Image)
		for j := range info.Aliases {
			p.valid(&info.Aliases[j])
		}
		for name, value := range info.Spec.Labels {
			p.valid(&value)
			info.Spec.Labels[name] = value
		}
		stats := info.Stats[0]
		for j := range stats.Filesystem {
			p.valid(&stats.Filesystem[j].Device)
		}
		if stats.Network != nil {
			for j := range stats.Network.Interfaces {
				p.valid(&stats.Network.Interfaces[j].Name)
			}
		}
		if io := stats.DiskIo; io != nil {
			for _, rows := range [][]cadvisor.PerDiskStats{
				io.IoServiceBytes, io.IoServiced, io.IoQueued, io.Sectors, io.IoServiceTime, io.IoMerged,
				io.IoCostUsage, io.IoCostWait, io.IoCostIndebt, io.IoCostIndelay,
			} {
				for j := range rows {
					p.valid(&rows[j].Device)
				}
			}
		}
		infos[info.Name] = info
	}
	return infos, nil
}

func (p *provider) GetVersionInfo() (*cadvisor.VersionInfo, error) {
	v := p.s.Node.VersionInfo()
	p.valid(&v.KernelVersion)
	p.valid(&v.ContainerOsVersion)
	return v, nil
}

func (p *provider) GetMachineInfo() (*cadvisor.MachineInfo, error) {
	m := p.s.Node.MachineInfo()
	if m == nil {
		return nil, errors.New("no machine")
	}
	p.valid(&m.MachineID)
	p.valid(&m.SystemUUID)
	p.valid(&m.BootID)
	return m, nil
}

// kubeletLabels are the six labels that a kubelet gives every row of a cgroup.
func kubeletLabels(c *cadvisor.ContainerInfo) map[string]string {
	name := ""
	if len(c.Aliases) > 0 {
		name = c.Aliases[0]
	}
	return map[string]string{
		"id": c.Name, "name": name, "image": c.Spec.Image,
		"pod": c.Spec.Labels[snapshot.LabelPod], "namespace": c.Spec.Labels[snapshot.LabelNamespace],
		"container": c.Spec.Labels[snapshot.LabelContainer],
	}
}

// newReference returns a registry that answers as a kubelet would to s at the time now.
func newReference(s *snapshot.Snapshot, now time.Time) (*prometheus.Registry, *provider) {
	p := &provider{s: s}
	clock := clocktesting.NewFakeClock(now)
	registry := prometheus.NewRegistry()
	registry.MustRegister(
		metrics.NewPrometheusCollector(p, kubeletLabels, kubeletMetrics, clock, cadvisor.RequestOptions{}),
		metrics.NewPrometheusMachineCollector(p, kubeletMetrics),
	)
	return registry, p
}

// exposition is one taken apart.
type exposition struct {
	kinds, helps map[string]string
	samples      map[string]sampleRead
}

// sampleRead is one sample of an exposition.
type sampleRead struct {
	name    string
	labels  map[string]string
	value   float64
	stamped bool
	stamp   int64
}

// takeApart flattens families; suffixed adds the _total that OpenMetrics leaves out of a family's name.
func takeApart(t testing.TB, families []*dto.MetricFamily, suffixed bool) exposition {
	t.Helper()
	a := exposition{kinds: map[string]string{}, helps: map[string]string{}, samples: map[string]sampleRead{}}
	for _, f := range families {
		name := f.GetName()
		if suffixed && f.GetType() == dto.MetricType_COUNTER && !strings.HasSuffix(name, "_total") {
			name += "_total"
		}
		a.kinds[name] = f.GetType().String()
		a.helps[name] = f.GetHelp()
		for _, m := range f.GetMetric() {
			s := sampleRead{name: name, labels: map[string]string{}, stamped: m.TimestampMs != nil, stamp: m.GetTimestampMs()}
			for _, l := range m.GetLabel() {
				s.labels[l.GetName()] = l.GetValue()
			}
			switch {
			case m.Counter != nil:
				s.value = m.GetCounter().GetValue()
			case m.Gauge != nil:
				s.value = m.GetGauge().GetValue()
			case m.Untyped != nil:
				s.value = m.GetUntyped().GetValue()
			default:
				t.Fatalf("%s is no counter, gauge or untyped: %v", name, m)
			}
			key := s.key()
			if _, twice := a.samples[key]; twice {
				t.Errorf("series printed twice: %s", key)
			}
			a.samples[key] = s
		}
	}
	return a
}

func (s sampleRead) key() string {
	var b strings.Builder
	b.WriteString(s.name)
	for _, name := range slices.Sorted(maps.Keys(s.labels)) {
		fmt.Fprintf(&b, " %s=%s", name, strconv.Quote(s.labels[name]))
	}
	return b.String()
}

// parse reads an exposition with Prometheus' own parser of the format.
func parse(t testing.TB, text []byte, format Format) exposition {
	t.Helper()
	var families []*dto.MetricFamily
	if format == OpenMetrics {
		decoder := expfmt.NewDecoder(bytes.NewReader(text), expfmt.NewFormat(expfmt.TypeOpenMetrics))
		for {
			f := new(dto.MetricFamily)
			err := decoder.Decode(f)
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatalf("not OpenMetrics: %v\n%s", err, text)
			}
			families = append(families, f)
		}
	} else {
		parser := expfmt.NewTextParser(model.LegacyValidation)
		byName, err := parser.TextToMetricFamilies(bytes.NewReader(text))
		if err != nil {
			t.Fatalf("not the text format: %v\n%s", err, text)
		}
		families = slices.Collect(maps.Values(byName))
	}
	return takeApart(t, families, format == OpenMetrics)
}
