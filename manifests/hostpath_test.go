package manifests

import (
	"fmt"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/yaml"
)

// hostPaths are what the base has of the host. One more gives more of the node to whoever breaks into the agent: it is to be weighed here, too.
var hostPaths = []string{"/proc", "/sys", "/var/lib/kubelet", "/var/log/pods", "/etc/machine-id", "/etc/os-release"}

// componentPaths are what a component has besides.
var componentPaths = map[string]string{"runtime-socket": "/run/containerd", "metrics-server": "/var/lib/kubelet/pki"}

// componentsOf are the components that a kustomization and those below it list.
func componentsOf(t *testing.T, folder string) (names []string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(folder, "kustomization.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var listed struct{ Components, Resources []string }
	if err := yaml.Unmarshal(text, &listed); err != nil {
		t.Fatal(err)
	}
	for _, one := range listed.Components {
		names = append(names, path.Base(one))
	}
	for _, one := range append(listed.Components, listed.Resources...) {
		if filepath.Ext(one) == "" {
			names = append(names, componentsOf(t, filepath.Join(folder, one))...)
		}
	}
	return names
}

// hostMounts are the faults in what a pod has of the host: another path than those that may be, and a mount that can be written to. It returns
// the paths that it has, too.
func hostMounts(pod map[string]any, may []string) (paths, faults []string) {
	names := make(map[string]bool)
	volumes, _, _ := unstructured.NestedSlice(pod, "volumes")
	for _, volume := range volumes {
		volume := volume.(map[string]any)
		host, found, _ := unstructured.NestedString(volume, "hostPath", "path")
		if !found {
			continue
		}
		names[fmt.Sprint(volume["name"])] = true
		paths = append(paths, host)
		if !slices.Contains(may, host) {
			faults = append(faults, fmt.Sprintf("has %s of the host, and may have %v", host, may))
		}
	}
	for _, kind := range []string{"containers", "initContainers", "ephemeralContainers"} {
		containers, _, _ := unstructured.NestedSlice(pod, kind)
		for _, container := range containers {
			mounts, _, _ := unstructured.NestedSlice(container.(map[string]any), "volumeMounts")
			for _, mount := range mounts {
				mount := mount.(map[string]any)
				if names[fmt.Sprint(mount["name"])] && mount["readOnly"] != true {
					faults = append(faults, fmt.Sprintf("may write to the host at %s", mount["mountPath"]))
				}
			}
		}
	}
	return paths, faults
}

// What a choice has of the host is what the base has, and what its components name: never the whole, the runtime's socket only for who chose it,
// and nothing to write to.
func TestHostPathsAreThoseOfTheChoice(t *testing.T) {
	folder := needRendered(t)
	for _, choice := range choices(t) {
		t.Run(choice, func(t *testing.T) {
			may, asksRuntime := slices.Clone(hostPaths), false
			for _, component := range componentsOf(t, filepath.Join("testdata/choices", choice)) {
				if one, ok := componentPaths[component]; ok {
					may = append(may, one)
				}
				asksRuntime = asksRuntime || component == "runtime-socket"
			}
			for _, by := range []string{"kustomize", "helm"} {
				all := objects(t, filepath.Join(folder, choice+"."+by+".yaml"))
				pods := 0
				for _, key := range slices.Sorted(maps.Keys(all)) {
					pod, found, err := unstructured.NestedMap(all[key].Object, "spec", "template", "spec")
					if !found || err != nil {
						continue
					}
					paths, faults := hostMounts(pod, may)
					pods += len(paths)
					for _, fault := range faults {
						t.Errorf("%s, %s: %s", by, key, fault)
					}
					if text := fmt.Sprint(pod); !asksRuntime && (strings.Contains(text, ".sock") || strings.Contains(text, "--container-runtime-endpoint")) {
						t.Errorf("%s, %s: names a socket: %s", by, key, text)
					}
				}
				// A look that finds nothing finds no fault either.
				if pods < len(hostPaths)-1 {
					t.Errorf("%s: only %d paths of the host were looked at", by, pods)
				}
			}
		})
	}
}

// A look that cannot find a fault is none.
func TestHostPathFaultsAreFound(t *testing.T) {
	pod := func(host string, mount map[string]any) map[string]any {
		mount["name"], mount["mountPath"] = "a", "/host/a"
		return map[string]any{
			"volumes":        []any{map[string]any{"name": "a", "hostPath": map[string]any{"path": host}}},
			"initContainers": []any{map[string]any{"volumeMounts": []any{mount}}},
		}
	}
	for name, one := range map[string]struct {
		pod  map[string]any
		want string
	}{
		"good":        {pod("/proc", map[string]any{"readOnly": true}), ""},
		"the whole":   {pod("/", map[string]any{"readOnly": true}), "has / of the host"},
		"a socket":    {pod("/run/containerd", map[string]any{"readOnly": true}), "has /run/containerd"},
		"not said":    {pod("/proc", map[string]any{}), "may write to the host at /host/a"},
		"to write to": {pod("/proc", map[string]any{"readOnly": false}), "may write to the host at /host/a"},
		"in disguise": {pod("/proc/../", map[string]any{"readOnly": true}), "has /proc/../"},
	} {
		_, faults := hostMounts(one.pod, hostPaths)
		if got := strings.Join(faults, "\n"); one.want == "" && got != "" || !strings.Contains(got, one.want) {
			t.Errorf("%s: found %q, want %q", name, got, one.want)
		}
	}
}
