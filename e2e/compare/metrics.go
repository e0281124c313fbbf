package compare

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

// Metrics are one answer in Prometheus' text format.
type Metrics struct {
	Document
	// Families are the metrics' types and help texts, by name.
	Families map[string]Family
}

// Family is what is said of a metric once.
type Family struct {
	Type, Help string
}

// ParseMetrics lays an answer flat: a path is NAME{LABEL="VALUE",…} in the order of labels' names. Samples without a timestamp were taken at the given moment.
func ParseMetrics(text []byte, taken Moment) (Metrics, error) {
	parser := expfmt.NewTextParser(model.LegacyValidation)
	families, err := parser.TextToMetricFamilies(bytes.NewReader(text))
	if err != nil {
		return Metrics{}, fmt.Errorf("read metrics: %w", err)
	}
	m := Metrics{Document: Document{}, Families: map[string]Family{}}
	for name, family := range families {
		m.Families[name] = Family{Type: family.GetType().String(), Help: family.GetHelp()}
		for _, metric := range family.GetMetric() {
			figure := Figure{Number: number(metric), Taken: taken}
			if metric.TimestampMs != nil {
				at := time.UnixMilli(metric.GetTimestampMs())
				figure.Taken = Moment{at, at.Add(time.Millisecond - 1)}
			}
			path := series(name, metric.GetLabel())
			if _, twice := m.Document[path]; twice {
				return Metrics{}, fmt.Errorf("read metrics: two samples for %s", path)
			}
			m.Document[path] = figure
		}
	}
	return m, nil
}

// number is the value of a counter, a gauge or what has no type. A histogram has none that one number could tell; its count stands for it.
func number(metric *dto.Metric) float64 {
	switch {
	case metric.Counter != nil:
		return metric.Counter.GetValue()
	case metric.Gauge != nil:
		return metric.Gauge.GetValue()
	case metric.Histogram != nil:
		return float64(metric.Histogram.GetSampleCount())
	case metric.Summary != nil:
		return float64(metric.Summary.GetSampleCount())
	}
	return metric.GetUntyped().GetValue()
}

func series(name string, labels []*dto.LabelPair) string {
	var path strings.Builder
	path.WriteString(name + "{")
	labels = slices.SortedFunc(slices.Values(labels), func(a, b *dto.LabelPair) int { return strings.Compare(a.GetName(), b.GetName()) })
	for i, label := range labels {
		if i > 0 {
			path.WriteByte(',')
		}
		fmt.Fprintf(&path, "%s=%q", label.GetName(), label.GetValue())
	}
	path.WriteByte('}')
	return path.String()
}

// Families tells which families of the kubelet's ours lack or describe otherwise. What we have besides is our own.
func Families(kubelet, ours Metrics) []Difference {
	var differences []Difference
	for _, name := range slices.Sorted(maps.Keys(kubelet.Families)) {
		want := kubelet.Families[name]
		got, ok := ours.Families[name]
		switch {
		case !ok:
			differences = append(differences, Difference{Path: name, What: Missing, Zero: allZero(kubelet.Document, name)})
		case got.Type != want.Type:
			differences = append(differences, Difference{Path: name, What: Other, Said: fmt.Sprintf("type %s, want %s", got.Type, want.Type)})
		case got.Help != want.Help:
			differences = append(differences, Difference{Path: name, What: Other, Said: fmt.Sprintf("help %q, want %q", got.Help, want.Help)})
		}
	}
	return differences
}

// allZero tells whether a family has no sample other than 0.
func allZero(d Document, name string) bool {
	for path, figure := range d {
		if figure.Number != 0 && strings.HasPrefix(path, name+"{") {
			return false
		}
	}
	return true
}

// Label returns a label's value from a path of metrics, or nothing.
func Label(path, name string) string {
	for _, before := range []string{"{", ","} {
		if _, rest, ok := strings.Cut(path, before+name+`="`); ok {
			value, _, _ := strings.Cut(rest, `"`)
			return value
		}
	}
	return ""
}
