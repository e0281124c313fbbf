package e2e

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"

	core "k8s.io/api/core/v1"
)

// telemetry is what an OpenTelemetry collector made of one reading of the node.
type telemetry []*telemetryResource

// telemetryResource is a node, pod, container or volume in it.
type telemetryResource struct {
	// labels are its attributes.
	labels map[string]string
	// metrics are its figures by name; of those with a direction, NAME/DIRECTION.
	metrics map[string]float64
	// at is when the newest of them was made.
	at time.Time
}

// key is what a resource is called in tests: NAMESPACE/POD, with /CONTAINER or /VOLUME, or the node's name.
func (r *telemetryResource) key() string {
	key := r.labels["k8s.node.name"]
	if pod := r.labels["k8s.pod.name"]; pod != "" {
		key = r.labels["k8s.namespace.name"] + "/" + pod
	}
	for _, part := range []string{"k8s.container.name", "k8s.volume.name"} {
		if name := r.labels[part]; name != "" {
			key += "/" + name
		}
	}
	return key
}

// with are those that have a metric, by key.
func (t telemetry) with(metric string) map[string]*telemetryResource {
	found := map[string]*telemetryResource{}
	for _, r := range t {
		if _, ok := r.metrics[metric]; ok {
			found[r.key()] = r
		}
	}
	return found
}

// at is when the newest of its figures was made.
func (t telemetry) at() (at time.Time) {
	for _, r := range t {
		if r.at.After(at) {
			at = r.at
		}
	}
	return at
}

// errNoTelemetry is returned while there is no whole reading.
var errNoTelemetry = errors.New("nothing is written yet")

// newestTelemetry is the last that a collector's file exporter wrote into an emptyDir of its pod: a line each, OTLP in JSON.
func newestTelemetry(pod *core.Pod, file string) (telemetry, error) {
	path := filepath.Join(node.RootDir(), "pods", string(pod.UID), "volumes/kubernetes.io~empty-dir/out", file)
	text, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, errNoTelemetry
	}
	if err != nil {
		return nil, err
	}
	// The last line may be half written.
	end := bytes.LastIndexByte(text, '\n')
	if end < 0 {
		return nil, errNoTelemetry
	}
	return parseTelemetry(text[bytes.LastIndexByte(text[:end], '\n')+1 : end])
}

type otlpAttributes []struct {
	Key   string
	Value struct{ StringValue string }
}

type otlpPoints struct {
	DataPoints []struct {
		Attributes   otlpAttributes
		TimeUnixNano string
		AsInt        string
		AsDouble     *float64
	}
}

type otlp struct {
	ResourceMetrics []struct {
		Resource     struct{ Attributes otlpAttributes }
		ScopeMetrics []struct {
			Metrics []struct {
				Name       string
				Gauge, Sum *otlpPoints
			}
		}
	}
}

func parseTelemetry(line []byte) (telemetry, error) {
	var document otlp
	if err := json.Unmarshal(line, &document); err != nil {
		return nil, fmt.Errorf("read OTLP: %w: %.300s", err, line)
	}
	var all telemetry
	for _, from := range document.ResourceMetrics {
		r := &telemetryResource{labels: map[string]string{}, metrics: map[string]float64{}}
		for _, a := range from.Resource.Attributes {
			r.labels[a.Key] = a.Value.StringValue
		}
		for _, scope := range from.ScopeMetrics {
			for _, metric := range scope.Metrics {
				for _, points := range []*otlpPoints{metric.Gauge, metric.Sum} {
					if points == nil {
						continue
					}
					if err := r.take(metric.Name, points); err != nil {
						return nil, err
					}
				}
			}
		}
		all = append(all, r)
	}
	return all, nil
}

// take adds a metric's points.
func (r *telemetryResource) take(name string, points *otlpPoints) error {
	for _, point := range points.DataPoints {
		nanoseconds, err := strconv.ParseInt(point.TimeUnixNano, 10, 64)
		if err != nil {
			return fmt.Errorf("the time of %s: %w", name, err)
		}
		if at := time.Unix(0, nanoseconds); at.After(r.at) {
			r.at = at
		}
		key := name
		for _, a := range point.Attributes {
			if a.Key == "direction" {
				key += "/" + a.Value.StringValue
			}
		}
		switch {
		case point.AsDouble != nil:
			r.metrics[key] = *point.AsDouble
		default:
			if r.metrics[key], err = strconv.ParseFloat(point.AsInt, 64); err != nil {
				return fmt.Errorf("the value of %s: %w", name, err)
			}
		}
	}
	return nil
}
