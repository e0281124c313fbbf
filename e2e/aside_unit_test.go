package e2e

import "testing"

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
