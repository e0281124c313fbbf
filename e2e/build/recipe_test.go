package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestRecipesKnowTheirVersions(t *testing.T) {
	for _, r := range recipes {
		version, err := r.version(".")
		if err != nil {
			t.Error(err)
		}
		if !strings.HasPrefix(version, "v") {
			t.Errorf("the version of %s is %q", r.release, version)
		}
	}
	if _, err := (recipe{folder: "etcd", release: "example.org/other"}).version("."); err == nil {
		t.Error("no error for a release that the module does not require")
	}
}

func TestRecipesNameTheirPrograms(t *testing.T) {
	var got []string
	for _, r := range recipes {
		got = append(got, r.programs()...)
	}
	want := []string{"etcd", "containerd", "containerd-shim-runc-v2", "ctr", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubelet", "kubectl", "metrics-server", "adapter", "prometheus", "otelcol"}
	if !slices.Equal(got, want) {
		t.Errorf("programs are %v, want %v", got, want)
	}
}

// What decides the programs decides the folder's name, and no other recipe's.
func TestFingerprintChangesWithAModule(t *testing.T) {
	root := t.TempDir()
	names := map[string]string{}
	for _, r := range recipes {
		if err := os.CopyFS(filepath.Join(root, r.folder), os.DirFS(r.folder)); err != nil {
			t.Fatal(err)
		}
		name, err := r.fingerprint(root)
		if err != nil {
			t.Fatal(err)
		}
		if here, err := r.fingerprint("."); err != nil || here != name {
			t.Errorf("%s: a copy has %s and the error %v, want %s", r.folder, here, err, name)
		}
		names[r.folder] = name
	}
	if err := os.WriteFile(filepath.Join(root, "etcd", "go.mod"), []byte("module other\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, r := range recipes {
		name, err := r.fingerprint(root)
		if err != nil {
			t.Fatal(err)
		}
		if changed := name != names[r.folder]; changed != (r.folder == "etcd") {
			t.Errorf("%s: changed is %v after etcd's module changed", r.folder, changed)
		}
	}
}

// A folder of all programs is made of links, once.
func TestTogether(t *testing.T) {
	cache := t.TempDir()
	var folders []string
	for _, name := range []string{"one", "two"} {
		folder := filepath.Join(cache, name+"-0")
		folders = append(folders, folder)
		if err := os.MkdirAll(folder, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(folder, name), []byte(name), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	first, err := together(cache, folders)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"one", "two"} {
		if text, err := os.ReadFile(filepath.Join(first, name)); err != nil || string(text) != name {
			t.Errorf("%s: got %q and %v", name, text, err)
		}
	}
	if again, err := together(cache, folders); err != nil || again != first {
		t.Errorf("again: got %s and %v, want %s", again, err, first)
	}
	if less, err := together(cache, folders[:1]); err != nil || less == first {
		t.Errorf("of one folder: got %s and %v, want another than %s", less, err, first)
	}
}
