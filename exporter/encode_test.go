package exporter

import (
	"math"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/nodevitals/nodevitals/snapshot"
)

func TestDecimal(t *testing.T) {
	for _, test := range []struct {
		n        uint64
		decimals int
		want     string
	}{
		{0, 9, "0"},
		{0, 0, "0"},
		{1, 9, "0.000000001"},
		{10, 9, "0.00000001"},
		{1e9, 9, "1"},
		{1_500_000_000, 9, "1.5"},
		{1_835_879_476, 9, "1.835879476"},
		{123, 3, "0.123"},
		{1_000_001, 6, "1.000001"},
		{math.MaxUint64, 0, "18446744073709551615"},
	} {
		if got := string(appendDecimal(nil, test.n, test.decimals)); got != test.want {
			t.Errorf("appendDecimal(%d, %d) = %s, want %s", test.n, test.decimals, got, test.want)
		}
	}
}

// FuzzFixedPoint requires what a Prometheus reads to be what cAdvisor's division gives, to the last bit.
func FuzzFixedPoint(f *testing.F) {
	for _, n := range []uint64{0, 1, 999_999_999, 1 << 53, 1<<53 + 1, 1<<53 + 2, 1 << 62, math.MaxUint64} {
		f.Add(n)
	}
	f.Fuzz(func(t *testing.T, n uint64) {
		for _, decimals := range []int{0, 2, 3, 6, 9} {
			text := string(appendDecimal(nil, n, decimals))
			got, err := strconv.ParseFloat(text, 64)
			if err != nil {
				t.Fatalf("%d with %d decimals is %q: %v", n, decimals, text, err)
			}
			if want := float64(n) / math.Pow10(decimals); got != want {
				t.Errorf("%d with %d decimals is %s = %v, want %v", n, decimals, text, got, want)
			}
			if strings.Contains(text, ".") && strings.HasSuffix(text, "0") {
				t.Errorf("%d with %d decimals is %s: zeros not trimmed", n, decimals, text)
			}
		}
	})
}

// FuzzLabelValue prints a value as one of a cgroup's labels and as an extra label, and reads both back.
func FuzzLabelValue(f *testing.F) {
	for _, word := range oddWords {
		f.Add(word)
	}
	f.Fuzz(func(t *testing.T, value string) {
		s := &snapshot.Snapshot{Groups: snapshot.Network, Cgroups: []snapshot.Cgroup{{
			Identity:   &snapshot.Identity{ID: "/", Image: value},
			HasNetwork: true, Interfaces: []snapshot.Interface{{Name: value, RxBytes: 7}},
		}}}
		var r Renderer
		got := parse(t, r.Cadvisor(s, Options{Groups: snapshot.All, Now: time.Unix(1, 0)}), Text)
		want := strings.ToValidUTF8(value, "\uFFFD")
		found := false
		for key, sample := range got.samples {
			if sample.name != "container_network_receive_bytes_total" {
				continue
			}
			found = true
			if sample.labels["image"] != want || sample.labels["interface"] != want || sample.value != 7 {
				t.Errorf("%q came back as %s", value, key)
			}
		}
		if !found {
			t.Errorf("%q: no sample of its interface", value)
		}
	})
}

// TestOddLabelValuesInBothFormats reads each odd word back with Prometheus' own parsers, as a label of a cgroup, as one beside
// them, and as one of a pod's volume.
func TestOddLabelValuesInBothFormats(t *testing.T) {
	const network, volume = "container_network_receive_bytes_total", "kubelet_volume_stats_pod_used_bytes"
	show := mustSeries(t, SeriesOptions{Extra: []string{"volumes"}, Allow: []string{network, volume}})
	var r Renderer
	for _, word := range append(slices.Clone(oddWords), "\xff\xfe\"\n\\", "\xed\xa0\x80") {
		want := strings.ToValidUTF8(word, "\uFFFD")
		c := snapshot.Cgroup{
			Identity:   &snapshot.Identity{ID: "/" + word, Image: word, Pod: word, Container: word},
			HasNetwork: true, Interfaces: []snapshot.Interface{{Name: word, RxBytes: 7}},
		}
		s := &snapshot.Snapshot{Groups: snapshot.All, Cgroups: []snapshot.Cgroup{c}, Pods: []snapshot.Pod{{
			Name: word, Namespace: word, Volumes: []snapshot.Volume{{Name: word, Used: snapshot.Some(7)}},
		}}}
		for _, format := range []Format{Text, OpenMetrics} {
			got := parse(t, r.Cadvisor(s, Options{Groups: snapshot.All, Format: format, Series: show}), format)
			if len(got.samples) != 2 {
				t.Errorf("%q: %d samples, want 2: %v", word, len(got.samples), got.samples)
			}
			for key, sample := range got.samples {
				labels := []string{"image", "interface", "container", "pod"}
				if sample.name == volume {
					labels = []string{"namespace", "pod", "volume_name"}
				}
				for _, label := range labels {
					if sample.labels[label] != want {
						t.Errorf("%q came back as %q in %s", word, sample.labels[label], key)
					}
				}
				if sample.value != 7 {
					t.Errorf("%q: the value is %v, want 7", word, sample.value)
				}
			}
		}
	}
}

func TestExtraLabelsStandInSortedPlaces(t *testing.T) {
	var r Renderer
	text := string(r.Cadvisor(smallSnapshot(), Options{Groups: snapshot.All, Now: time.Unix(1, 0)}))
	for line := range strings.Lines(text) {
		_, block, ok := strings.Cut(line, "{")
		if !ok || strings.HasPrefix(line, "#") {
			continue
		}
		before := ""
		for pair := range strings.SplitSeq(block[:strings.LastIndex(block, "}")], `",`) {
			name, _, _ := strings.Cut(pair, "=")
			if name <= before {
				t.Fatalf("label %s stands after %s in %s", name, before, line)
			}
			before = name
		}
	}
}

func TestHelpEscapes(t *testing.T) {
	const help = "a \\ b\nc \"d\""
	if got, want := string(appendHelp(nil, help, Text)), `a \\ b\nc "d"`; got != want {
		t.Errorf("help in the text format = %s, want %s", got, want)
	}
	if got, want := string(appendHelp(nil, help, OpenMetrics)), `a \\ b\nc \"d\"`; got != want {
		t.Errorf("help in OpenMetrics = %s, want %s", got, want)
	}
}
