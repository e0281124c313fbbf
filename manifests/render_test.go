package manifests

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/yaml"
)

// object is one that a cluster is to get.
type object = unstructured.Unstructured

// tool is the path of a program of tools/deploy. A test without it is skipped: building them takes minutes.
func tool(t *testing.T, name string) string {
	t.Helper()
	path, err := filepath.Abs(filepath.Join("../build/tools", name))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); err != nil {
		t.Skipf("needs %s: make build/tools/.deploy", path)
	}
	return path
}

// shared is a folder for what several tests need.
var shared string

func TestMain(m *testing.M) {
	var err error
	if shared, err = os.MkdirTemp("", "nodevitals-manifests-"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	status := m.Run()
	_ = os.RemoveAll(shared)
	os.Exit(status)
}

// rendered is the folder that scripts/manifests.sh leaves, made once for all tests.
var rendered = sync.OnceValues(func() (string, error) {
	folder := filepath.Join(shared, "rendered")
	if said, err := exec.Command("../scripts/manifests.sh", folder).CombinedOutput(); err != nil {
		return "", fmt.Errorf("scripts/manifests.sh: %w\n%s", err, said)
	}
	return folder, nil
})

func needRendered(t *testing.T) string {
	t.Helper()
	for _, name := range []string{"kustomize", "helm", "kubeconform"} {
		tool(t, name)
	}
	folder, err := rendered()
	if err != nil {
		t.Fatal(err)
	}
	return folder
}

// choices are the names of the folders in testdata/choices: each has a kustomization and the values for the chart that mean the same.
func choices(t *testing.T) []string {
	t.Helper()
	folders, err := filepath.Glob("testdata/choices/*")
	if err != nil || len(folders) == 0 {
		t.Fatalf("no choices: %v", err)
	}
	for i, folder := range folders {
		folders[i] = filepath.Base(folder)
	}
	return folders
}

// objects reads a file of objects, by kind and name.
func objects(t *testing.T, path string) map[string]*object {
	t.Helper()
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	all := make(map[string]*object)
	for decoder := yaml.NewYAMLOrJSONDecoder(file, 4096); ; {
		one := new(object)
		err := decoder.Decode(&one.Object)
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		if len(one.Object) == 0 {
			continue
		}
		key := strings.Join([]string{one.GetKind(), one.GetNamespace(), one.GetName()}, " ")
		if all[key] != nil {
			t.Errorf("%s: %s is there twice", path, key)
		}
		all[key] = one
	}
}
