package e2e

import (
	"testing"

	"github.com/nodevitals/nodevitals/e2e/compare"
)

// On a shared host the machine's gauges of memory are set aside, and no counter, no pod's and no other family.
func TestMemoryOfMachineIsGaugesAlone(t *testing.T) {
	for path, want := range map[string]bool{
		"node.memory.rssBytes":                  true,
		"node.memory.majorPageFaults":           false,
		"node_memory_working_set_bytes":         true,
		"node_cpu_usage_seconds_total":          false,
		"pods[default/volumes].memory.rssBytes": false,
		`container_memory_rss{container="",id="/",image="",name="",namespace="",pod=""}`:                                                     true,
		`container_memory_mapped_file{container="",id="/",image="",name="",namespace="",pod=""}`:                                             true,
		`container_memory_rss{container="",id="/kubepods",image="",name="",namespace="",pod=""}`:                                             false,
		`container_memory_failcnt{container="",id="/",image="",name="",namespace="",pod=""}`:                                                 false,
		`container_memory_failures_total{container="",failure_type="pgfault",id="/",image="",name="",namespace="",pod="",scope="container"}`: false,
	} {
		if got := memoryOfMachine.MatchString(path); got != want {
			t.Errorf("%s: set aside is %v, want %v", path, got, want)
		}
	}
}

// Only gauges, and only of what is killed again and again.
func TestMemoryOfKilled(t *testing.T) {
	for path, want := range map[string]bool{
		"pods[default/out-of-memory].memory.usageBytes":                         true,
		"pods[default/out-of-memory].containers[hungry].memory.rssBytes":        true,
		"pods[default/out-of-memory].containers[hungry].memory.pageFaults":      false,
		"pods[default/out-of-memory].containers[beside].memory.workingSetBytes": false,
		"pods[default/web].containers[hungry].memory.workingSetBytes":           false,
	} {
		if got := memoryOfKilled.MatchString(path); got != want {
			t.Errorf("%s: set aside is %v, want %v", path, got, want)
		}
	}
}

// Only limits, only of a container that ends again and again, and only if the kubelet did not have them before.
func TestLimitsOfWhatBeganMeanwhile(t *testing.T) {
	before := compare.Document{`container_spec_cpu_shares{container="hungry",id="/old",pod="out-of-memory"}`: {Number: 2}}
	for path, want := range map[string]bool{
		`container_spec_cpu_shares{container="hungry",id="/new",pod="out-of-memory"}`: true,
		`container_spec_cpu_shares{container="hungry",id="/old",pod="out-of-memory"}`: false,
		`container_spec_cpu_shares{container="app",id="/new",pod="web"}`:              false,
		`container_memory_rss{container="hungry",id="/new",pod="out-of-memory"}`:      false,
	} {
		if got := beganMeanwhile(path, before); got != want {
			t.Errorf("%s: set aside is %v, want %v", path, got, want)
		}
	}
}
