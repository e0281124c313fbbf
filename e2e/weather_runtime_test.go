package e2e

import (
	"os"
	"testing"
)

// A runtime that hangs costs what it alone can tell, and no answer waits for it.
func runtimeHangs(t *testing.T) {
	runtimeAlone.awaitSource(t, "cri", true)
	before, both := runtimeAlone.mustSummary(t), bothSources.mustSummary(t)
	resume, err := node.Process("containerd").Hang()
	if err != nil {
		t.Fatal(err)
	}
	defer resume()
	runtimeAlone.awaitSource(t, "cri", false)
	runtimeAlone.awaitHealth(t, "[-]pod-source")
	runtimeAlone.readies(t)
	runtimeAlone.stillServes(t, before, strickenPod)
	bothSources.stillServes(t, both, strickenPod)
	resume()
	runtimeAlone.awaitSource(t, "cri", true)
	runtimeAlone.awaitHealth(t, "[+]pod-source")
}

// A runtime that is killed and starts again is asked again, also by an agent that has never seen it.
func runtimeKilled(t *testing.T) {
	before, both := runtimeAlone.mustSummary(t), bothSources.mustSummary(t)
	runtime, err := node.Kill("containerd")
	if err != nil {
		t.Fatal(err)
	}
	back := func() {
		if node.Process("containerd") == nil {
			if err := node.Again(t.Context(), runtime); err != nil {
				t.Fatal(err)
			}
		}
	}
	defer back()
	if err := os.Remove(node.RuntimeSocket()); err != nil {
		t.Fatal(err)
	}
	runtimeAlone.awaitSource(t, "cri", false)
	runtimeAlone.awaitHealth(t, "[-]pod-source")
	runtimeAlone.readies(t)
	runtimeAlone.stillServes(t, before, strickenPod)
	bothSources.stillServes(t, both, strickenPod)

	late := &agent{name: "nodevitals-later", url: "http://127.0.0.1:20259", source: "cri"}
	late.startForTest(t, "--container-runtime-endpoint=unix://"+node.RuntimeSocket())
	late.awaitHealth(t, "[-]pod-source")
	if _, ok := late.mustSummary(t)["node.cpu.usageCoreNanoSeconds"]; !ok {
		t.Error("without a runtime there is no CPU counter of the node")
	}

	back()
	runtimeAlone.awaitSource(t, "cri", true)
	runtimeAlone.awaitHealth(t, "[+]pod-source")
	late.awaitSource(t, "cri", true)
	late.awaitPodsSeen(t, "early", 2)
	runtimeAlone.awaitPodsSeen(t, "early", 2)
}
