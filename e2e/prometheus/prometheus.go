// Package prometheus is for tests that have a real Prometheus scrape something, and ask it what came of that.
package prometheus

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"os"
	"os/exec" //nolint:depguard // to find Debian's programs
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Find returns the path of one of Debian's programs, prometheus or promtool, or an error that says how to get it.
func Find(program string) (string, error) {
	// scripts/setup.sh puts them there. The tests of a module run in the folder of their package.
	for _, folder := range []string{"../build/tools/prometheus", "../../build/tools/prometheus"} {
		path, err := filepath.Abs(filepath.Join(folder, program))
		if err != nil {
			return "", err
		}
		if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() {
			return path, nil
		}
	}
	path, err := exec.LookPath(program)
	if err != nil {
		return "", fmt.Errorf("needs %s of Debian's package prometheus: run scripts/setup.sh", program)
	}
	return path, nil
}

// Job is one thing to scrape.
type Job struct {
	// Name is the job's label, Target HOST:PORT, Path that of the URL.
	Name, Target, Path string
	// Labels are put on every series. One that is called job goes before the name.
	Labels map[string]string
}

// Configuration is the text of a configuration that scrapes jobs, each at the same interval, of whole seconds, and evaluates the rules of
// files as often.
func Configuration(interval time.Duration, jobs []Job, rules ...string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "global:\n  scrape_interval: %[1]ds\n  scrape_timeout: %[1]ds\n  evaluation_interval: %[1]ds\n", int(interval.Seconds()))
	if len(rules) > 0 {
		fmt.Fprintf(&b, "rule_files:\n")
	}
	for _, file := range rules {
		fmt.Fprintf(&b, "- %q\n", file)
	}
	fmt.Fprintf(&b, "scrape_configs:\n")
	for _, job := range jobs {
		fmt.Fprintf(&b, "- job_name: %s\n  metrics_path: %s\n  static_configs:\n  - targets: [%q]\n", job.Name, job.Path, job.Target)
		if len(job.Labels) > 0 {
			fmt.Fprintf(&b, "    labels:\n")
		}
		for _, name := range slices.Sorted(maps.Keys(job.Labels)) {
			fmt.Fprintf(&b, "      %s: %q\n", name, job.Labels[name])
		}
	}
	return b.String()
}

// Server is a Prometheus that runs.
type Server struct {
	// URL is where it answers, without a slash at the end.
	URL string
	// Get asks, and returns the body of an answer with status 200.
	Get func(ctx context.Context, url string) ([]byte, error)
}

// Series is one series of an answer.
type Series struct {
	// Labels has the name as __name__, where there is one.
	Labels map[string]string
	// Points are its samples, oldest first. Markers of staleness are none.
	Points []Point
}

// Point is one sample.
type Point struct {
	// At is in seconds since 1970, to the millisecond.
	At float64
	// Value is what was scraped.
	Value float64
}

// Last is the newest point. A series of an answer has one at least.
func (s *Series) Last() Point { return s.Points[len(s.Points)-1] }

// Query evaluates an expression at a moment in seconds since 1970, or now if it is 0. An instant vector has one point in each series.
func (s *Server) Query(ctx context.Context, expression string, at float64) ([]Series, error) {
	ask := url.Values{"query": {expression}}
	if at != 0 {
		ask.Set("time", strconv.FormatFloat(at, 'f', 3, 64))
	}
	text, err := s.Get(ctx, s.URL+"/api/v1/query?"+ask.Encode())
	if err != nil {
		return nil, err
	}
	series, err := parseQuery(text)
	if err != nil {
		return nil, fmt.Errorf("read the answer to %s: %w", expression, err)
	}
	return series, nil
}

// Names returns the names of all series that a selector has matched so far.
func (s *Server) Names(ctx context.Context, selector string) ([]string, error) {
	text, err := s.Get(ctx, s.URL+"/api/v1/label/__name__/values?"+url.Values{"match[]": {selector}}.Encode())
	if err != nil {
		return nil, err
	}
	var answer struct{ Data []string }
	if err := json.Unmarshal(text, &answer); err != nil {
		return nil, fmt.Errorf("read the names of %s: %w", selector, err)
	}
	return answer.Data, nil
}

// parseQuery reads a vector or a matrix.
func parseQuery(text []byte) ([]Series, error) {
	var answer struct {
		Data struct {
			Result []struct {
				Metric map[string]string
				Value  *point
				Values []point
			}
		}
	}
	if err := json.Unmarshal(text, &answer); err != nil {
		return nil, err
	}
	var all []Series
	for _, result := range answer.Data.Result {
		if result.Value != nil {
			result.Values = append(result.Values, *result.Value)
		}
		one := Series{Labels: result.Metric}
		for _, p := range result.Values {
			one.Points = append(one.Points, Point(p))
		}
		if len(one.Points) == 0 {
			return nil, fmt.Errorf("a series without points: %v", result.Metric)
		}
		all = append(all, one)
	}
	return all, nil
}

// point is written as [SECONDS, "VALUE"].
type point Point

// UnmarshalJSON implements [json.Unmarshaler].
func (p *point) UnmarshalJSON(text []byte) error {
	var value string
	if err := json.Unmarshal(text, &[]any{&p.At, &value}); err != nil {
		return err
	}
	number, err := strconv.ParseFloat(value, 64)
	p.Value = number
	return err
}
