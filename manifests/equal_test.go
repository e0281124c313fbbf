package manifests

import (
	"encoding/json"
	"fmt"
	"maps"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// chartLabels are those that a chart has by custom, and that say nothing about what runs.
var chartLabels = []string{"app.kubernetes.io/instance", "app.kubernetes.io/version", "app.kubernetes.io/managed-by", "helm.sh/chart"}

// unordered are the lists whose order means nothing, and what names an element.
var unordered = map[string]string{"args": "", "add": "", "volumes": "name", "volumeMounts": "name", "env": "name"}

// normal is a value without what may differ between the two renderings.
func normal(value any) any {
	switch value := value.(type) {
	case map[string]any:
		out := make(map[string]any, len(value))
		for key, one := range value {
			if slices.Contains(chartLabels, key) {
				continue
			}
			one = normal(one)
			if list, ok := one.([]any); ok {
				if name, ok := unordered[key]; ok {
					slices.SortFunc(list, func(a, b any) int { return strings.Compare(nameOf(a, name), nameOf(b, name)) })
				}
			}
			out[key] = one
		}
		return out
	case []any:
		out := make([]any, len(value))
		for i := range value {
			out[i] = normal(value[i])
		}
		return out
	default:
		return value
	}
}

func nameOf(element any, key string) string {
	if fields, ok := element.(map[string]any); ok {
		return fmt.Sprint(fields[key])
	}
	return fmt.Sprint(element)
}

// differences tells where two values differ, a line each.
func differences(path string, kustomize, helm any) []string {
	left, leftIs := kustomize.(map[string]any)
	right, rightIs := helm.(map[string]any)
	if leftIs && rightIs {
		keys := maps.Clone(left)
		maps.Copy(keys, right)
		var all []string
		for _, key := range slices.Sorted(maps.Keys(keys)) {
			all = append(all, differences(path+"."+key, left[key], right[key])...)
		}
		return all
	}
	leftList, leftIs := kustomize.([]any)
	rightList, rightIs := helm.([]any)
	if leftIs && rightIs && len(leftList) == len(rightList) {
		var all []string
		for i := range leftList {
			all = append(all, differences(fmt.Sprintf("%s[%d]", path, i), leftList[i], rightList[i])...)
		}
		return all
	}
	if reflect.DeepEqual(kustomize, helm) {
		return nil
	}
	a, _ := json.Marshal(kustomize)
	b, _ := json.Marshal(helm)
	return []string{fmt.Sprintf("%s: kustomize has %s, helm has %s", path, a, b)}
}

// Whoever chooses the same gets the same, by kustomize or by helm.
func TestKustomizeAndChartAgree(t *testing.T) {
	folder := needRendered(t)
	for _, choice := range choices(t) {
		t.Run(choice, func(t *testing.T) {
			kustomize := objects(t, filepath.Join(folder, choice+".kustomize.yaml"))
			helm := objects(t, filepath.Join(folder, choice+".helm.yaml"))
			all := maps.Clone(kustomize)
			maps.Copy(all, helm)
			for _, key := range slices.Sorted(maps.Keys(all)) {
				switch left, right := kustomize[key], helm[key]; {
				case left == nil:
					t.Errorf("%s is in the chart alone", key)
				case right == nil:
					t.Errorf("%s is in the kustomization alone", key)
				default:
					for _, line := range differences(key, normal(left.Object), normal(right.Object)) {
						t.Error(line)
					}
				}
			}
		})
	}
}

// A comparison that cannot fail is none.
func TestDifferencesAreFound(t *testing.T) {
	with := func(arguments ...any) any {
		return normal(map[string]any{"args": arguments, "labels": map[string]any{"helm.sh/chart": "nodevitals"}})
	}
	if got := differences("", with("--a", "--b"), with("--b", "--a")); len(got) > 0 {
		t.Errorf("the order of arguments makes a difference: %v", got)
	}
	for name, other := range map[string]any{
		"more": with("--a", "--b", "--c"), "other": with("--a", "--c"), "none": normal(map[string]any{}), "nothing": nil,
	} {
		if got := differences("", with("--a", "--b"), other); len(got) == 0 {
			t.Errorf("%s: no difference found", name)
		}
	}
}
