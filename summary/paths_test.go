package summary

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"k8s.io/kubelet/pkg/apis/stats/v1alpha1"

	"github.com/nodevitals/nodevitals/snapshot"
)

// absentNotZero is the one deviation that the comparison of paths excuses.
const absentNotZero = "absent-not-zero"

// excused are the paths that a kubelet's answer has and ours has not, by the deviation that says why.
var excused = map[string]map[string]string{
	"cgroup-v1": {
		"node.cpu.psi.":                       absentNotZero,
		"node.memory.psi.":                    absentNotZero,
		"node.io.psi.":                        absentNotZero,
		"node.systemContainers[].cpu.psi.":    absentNotZero,
		"node.systemContainers[].memory.psi.": absentNotZero,
		"node.systemContainers[].io.psi.":     absentNotZero,
		"pods[].cpu.psi.":                     absentNotZero,
		"pods[].memory.psi.":                  absentNotZero,
		"pods[].io.psi.":                      absentNotZero,
		"pods[].containers[].cpu.psi.":        absentNotZero,
		"pods[].containers[].memory.psi.":     absentNotZero,
		"pods[].containers[].io.psi.":         absentNotZero,
	},
}

// Of a node that has all that the recorded one has, our answer has the very paths that the kubelet's had.
func TestPathsAreTheKubelets(t *testing.T) {
	for _, version := range []string{"cgroup-v1", "cgroup-v2"} {
		for _, only := range []bool{false, true} {
			name := "kubelet-1.37.2-" + version + map[bool]string{false: "-full.paths", true: "-short.paths"}[only]
			t.Run(name, func(t *testing.T) {
				text, err := os.ReadFile(filepath.Join("testdata", name))
				if err != nil {
					t.Fatal(err)
				}
				s, options := likeRecorded(version)
				got := pathsOf(t, Render(s, options, only))
				comparePaths(t, strings.Fields(string(text)), got, excused[version], only)
			})
		}
	}
}

// likeRecorded is a snapshot with just what the nodes of the recordings had: on v2 no interface but loopback, no swap limit of
// slices and pods, no claims, and a kubelet in a cgroup; on v1 neither that nor pressure. The runtime's cgroup was not configured.
func likeRecorded(version string) (*snapshot.Snapshot, Options) {
	s, options := podNode(), Options{RuntimeCgroups: "/none"}
	if version == "cgroup-v1" {
		options.KubeletCgroups = "/none"
	}
	for i := range s.Cgroups {
		one := &s.Cgroups[i]
		if i > 0 && one.Identity.Container == "" {
			one.Spec.SwapLimit = snapshot.Some(snapshot.Unlimited)
		}
		for field := range snapshot.FieldCount {
			if version == "cgroup-v1" && snapshot.Fields[field].Group == snapshot.Pressure {
				one.Clear(field)
			}
		}
	}
	for i := range s.Pods {
		for j := range s.Pods[i].Volumes {
			s.Pods[i].Volumes[j].Claim = ""
		}
	}
	s.Cgroups[0].HasNetwork = version == "cgroup-v1"
	return s, options
}

func comparePaths(t *testing.T, want []string, got map[string]bool, excuses map[string]string, only bool) {
	t.Helper()
	met := make(map[string]bool)
	for _, path := range want {
		if got[path] {
			delete(got, path)
			continue
		}
		prefix := excuse(path, excuses)
		if prefix == "" {
			t.Errorf("%s: the kubelet has it, ours has not", path)
		}
		met[prefix] = true
	}
	for path := range got {
		t.Errorf("%s: ours has it, the kubelet has not", path)
	}
	for prefix, name := range excuses {
		if !met[prefix] && !only {
			t.Errorf("deviation %s excuses %s, which both have", name, prefix)
		}
	}
}

func excuse(path string, excuses map[string]string) string {
	for prefix := range excuses {
		if strings.HasPrefix(path, prefix) {
			return prefix
		}
	}
	return ""
}

// pathsOf lists the paths of all values, as testdata/*.paths do.
func pathsOf(t *testing.T, summary *v1alpha1.Summary) map[string]bool {
	t.Helper()
	text, err := Encode(summary)
	if err != nil {
		t.Fatal(err)
	}
	var decoded struct{ Node, Pods any }
	if err := json.Unmarshal(text, &decoded); err != nil {
		t.Fatal(err)
	}
	paths := make(map[string]bool)
	var walk func(path string, value any)
	walk = func(path string, value any) {
		switch value := value.(type) {
		case map[string]any:
			for key, below := range value {
				walk(path+"."+key, below)
			}
		case []any:
			for _, below := range value {
				walk(path+"[]", below)
			}
		default:
			paths[path] = true
		}
	}
	walk("node", decoded.Node)
	walk("pods", decoded.Pods)
	return paths
}

func TestDeviationsAreDocumented(t *testing.T) {
	page, err := os.ReadFile("../docs/fidelity.md")
	if err != nil {
		t.Skip("docs/fidelity.md is not there")
	}
	names := []string{
		"accept-range", "auto-containers", "bare-host-containers", "cgroup-slash", "cgroups-alone", "container-fs", "container-start",
		"deterministic-order", "form-400", "huge-pages", "layer-unknown", "no-wrap-around", "partial-answer", "rate-window",
		"runtime-needs-cri", "sums-of-all", "time-per-group",
	}
	for _, excuses := range excused {
		names = slices.AppendSeq(names, maps.Values(excuses))
	}
	for _, name := range slices.Compact(slices.Sorted(slices.Values(names))) {
		if !strings.Contains(string(page), "\n| "+name+" |") {
			t.Errorf("deviation %s has no row in docs/fidelity.md", name)
		}
	}
}
