package manifests

import (
	"encoding/json"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/util/yaml"
)

// moduleFolder is where Go keeps the module of that path which the module in folder requires.
func moduleFolder(t *testing.T, folder, path string) string {
	t.Helper()
	if said, err := exec.Command("go", "-C", folder, "mod", "download", path).CombinedOutput(); err != nil {
		t.Fatalf("go mod download %s: %v\n%s", path, err, said)
	}
	out, err := exec.Command("go", "-C", folder, "list", "-m", "-f", "{{.Dir}}", path).Output()
	if err != nil {
		t.Fatalf("go list -m %s: %v", path, err)
	}
	return strings.TrimSpace(string(out))
}

// strict makes a schema refuse fields that it does not name, as an API server refuses them on request, and turns its references to where a
// JSON schema has them.
func strict(schema any) {
	switch schema := schema.(type) {
	case map[string]any:
		delete(schema, "default")
		if reference, ok := schema["$ref"].(string); ok {
			schema["$ref"] = strings.Replace(reference, "#/components/schemas/", "#/definitions/", 1)
		}
		_, open := schema["additionalProperties"]
		if preserve, _ := schema["x-kubernetes-preserve-unknown-fields"].(bool); !open && !preserve {
			if _, ok := schema["properties"].(map[string]any); ok {
				schema["additionalProperties"] = false
			}
		}
		// This one has a type, which excludes the other, in custom resource definitions.
		if either, _ := schema["x-kubernetes-int-or-string"].(bool); either {
			delete(schema, "type")
		}
		for _, one := range schema {
			strict(one)
		}
	case []any:
		for _, one := range schema {
			strict(one)
		}
	}
}

// writeSchema leaves a schema under the name by which kubeconform looks for the kind.
func writeSchema(t *testing.T, folder, group, version, kind string, schema map[string]any) {
	t.Helper()
	text, err := json.Marshal(schema)
	if err != nil {
		t.Fatal(err)
	}
	name := kind + "-" + version
	if short, _, _ := strings.Cut(group, "."); short != "" {
		name = kind + "-" + short + "-" + version
	}
	if err := os.WriteFile(filepath.Join(folder, strings.ToLower(name)+".json"), text, 0o644); err != nil {
		t.Fatal(err)
	}
}

// schemas makes JSON schemas of what the API server of the Kubernetes in e2e/build publishes, and of the Prometheus Operator's definitions.
func schemas(t *testing.T, crds string) string {
	t.Helper()
	into := t.TempDir()
	published := filepath.Join(moduleFolder(t, "../e2e/build/kubernetes", "k8s.io/kubernetes"), "api/openapi-spec/v3")
	for _, group := range []string{"api__v1", "apis__apps__v1", "apis__rbac.authorization.k8s.io__v1", "apis__networking.k8s.io__v1"} {
		text, err := os.ReadFile(filepath.Join(published, group+"_openapi.json"))
		if err != nil {
			t.Fatal(err)
		}
		var document struct {
			Components struct{ Schemas map[string]map[string]any }
		}
		if err := json.Unmarshal(text, &document); err != nil {
			t.Fatal(err)
		}
		definitions := document.Components.Schemas
		for _, one := range definitions {
			strict(one)
		}
		for _, one := range definitions {
			kinds, _ := one["x-kubernetes-group-version-kind"].([]any)
			if len(kinds) != 1 {
				continue // lists and options, which are of every group
			}
			kind := kinds[0].(map[string]any)
			whole := maps.Clone(one)
			whole["definitions"] = definitions
			writeSchema(t, into, kind["group"].(string), kind["version"].(string), kind["kind"].(string), whole)
		}
	}
	files, err := filepath.Glob(filepath.Join(crds, "*.yaml"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no custom resource definitions in %s: %v", crds, err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var definition struct {
			Spec struct {
				Group    string
				Names    struct{ Kind string }
				Versions []struct {
					Name   string
					Schema struct{ OpenAPIV3Schema map[string]any }
				}
			}
		}
		if err := yaml.Unmarshal(text, &definition); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		for _, version := range definition.Spec.Versions {
			schema := version.Schema.OpenAPIV3Schema
			strict(schema)
			// What every object has beside its own fields is not in the definition.
			schema["properties"].(map[string]any)["metadata"] = map[string]any{"type": "object"}
			writeSchema(t, into, definition.Spec.Group, version.Name, definition.Spec.Names.Kind, schema)
		}
	}
	return into
}

// Each object is one that an API server knows, down to the last field.
func TestObjectsFitTheirSchemas(t *testing.T) {
	folder := needRendered(t)
	kubeconform := tool(t, "kubeconform")
	location := filepath.Join(schemas(t, filepath.Join(folder, "crds")), "{{.ResourceKind}}{{.KindSuffix}}.json")
	check := func(paths ...string) (string, error) {
		said, err := exec.Command(kubeconform, append([]string{"-summary", "-output", "text", "-schema-location", location}, paths...)...).CombinedOutput()
		return string(said), err
	}
	files, err := filepath.Glob(filepath.Join(folder, "*.yaml"))
	if err != nil || len(files) != 2*len(choices(t)) {
		t.Fatalf("%d files are rendered, want two for each choice: %v", len(files), err)
	}
	said, err := check(files...)
	if err != nil || !strings.Contains(said, "Invalid: 0, Errors: 0, Skipped: 0") {
		t.Errorf("kubeconform: %v\n%s", err, said)
	}
	t.Log(strings.TrimSpace(said))

	// And it would see a field that is not there, in each kind of schema.
	for _, wrong := range []struct{ in, from, to string }{
		{"beside-kubelet.helm.yaml", "readOnlyRootFilesystem:", "readOnlyRootFiles:"},
		{"beside-kubelet.helm.yaml", "containerPort: 10250", "containerPort: health"},
		{"pod-monitor.helm.yaml", "honorLabels:", "honourLabels:"},
	} {
		t.Run(wrong.to, func(t *testing.T) {
			text, err := os.ReadFile(filepath.Join(folder, wrong.in))
			if err != nil {
				t.Fatal(err)
			}
			broken := strings.Replace(string(text), wrong.from, wrong.to, 1)
			if broken == string(text) {
				t.Fatalf("%s has no %q", wrong.in, wrong.from)
			}
			path := filepath.Join(t.TempDir(), "broken.yaml")
			if err := os.WriteFile(path, []byte(broken), 0o644); err != nil {
				t.Fatal(err)
			}
			if said, err := check(path); err == nil {
				t.Errorf("it passes: %s", said)
			}
		})
	}
}
