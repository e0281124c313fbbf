package manifests

import (
	"archive/tar"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
)

// tagged makes a repository of this checkout's files, of which the one commit has that tag.
func tagged(t *testing.T, tag string) string {
	t.Helper()
	folder := checkout(t)
	for _, arguments := range [][]string{
		{"init", "--quiet"},
		{"add", "--all"},
		{"-c", "user.name=test", "-c", "user.email=test@localhost", "-c", "commit.gpgsign=false", "commit", "--quiet", "--message=All"},
		{"-c", "tag.gpgsign=false", "tag", tag},
	} {
		if said, err := exec.Command("git", append([]string{"-C", folder}, arguments...)...).CombinedOutput(); err != nil {
			t.Fatalf("git %v: %v\n%s", arguments, err, said)
		}
	}
	return folder
}

// release runs scripts/release.sh of a checkout as on a machine without a network.
func release(t *testing.T, checkout, out string) (string, error) {
	t.Helper()
	command := exec.Command(filepath.Join(checkout, "scripts/release.sh"), out)
	command.Env = append(os.Environ(), "GOPROXY=off", "TOOLS="+filepath.Dir(tool(t, "helm")))
	for _, name := range []string{"VERSION", "REVISION", "SOURCE_DATE_EPOCH"} {
		command.Env = slices.DeleteFunc(command.Env, func(one string) bool { return strings.HasPrefix(one, name+"=") })
	}
	said, err := command.CombinedOutput()
	return string(said), err
}

// currentVersion is the one that the manifests are of.
func currentVersion(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(chart + "/Chart.yaml")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), "appVersion: ")
	version, _, _ := strings.Cut(rest, "\n")
	return version
}

func TestReleaseIsWhole(t *testing.T) {
	needBuildah(t)
	tool(t, "cyclonedx-gomod")
	version := currentVersion(t)
	source, out := tagged(t, version), filepath.Join(t.TempDir(), "release")
	if said, err := release(t, source, out); err != nil {
		t.Fatalf("release.sh: %v\n%s", err, said)
	}
	name := "nodevitals-" + version
	want := []string{
		"SHA256SUMS", "nodevitals-" + version[1:] + ".tgz", name + "-image.tar", name + "-linux-amd64.cdx.json", name + "-linux-amd64.tar.gz",
		name + "-linux-arm64.cdx.json", name + "-linux-arm64.tar.gz", name + "-manifests.yaml", name + "-seccomp.json",
	}
	entries, err := os.ReadDir(out)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, entry := range entries {
		got = append(got, entry.Name())
	}
	if !slices.Equal(got, want) {
		t.Fatalf("it leaves %v, want %v", got, want)
	}
	t.Run("checksums", func(t *testing.T) { checkSums(t, out, want[1:]) })
	t.Run("program", func(t *testing.T) {
		said, err := exec.Command(unpackProgram(t, filepath.Join(out, name+"-linux-"+runtime.GOARCH+".tar.gz")), "version").CombinedOutput()
		if err != nil || !strings.HasPrefix(string(said), "nodevitals "+version+", revision ") {
			t.Errorf("nodevitals version says %q (%v), want %s", said, err, version)
		}
	})
	for _, architecture := range []string{"amd64", "arm64"} {
		t.Run("bill of materials "+architecture, func(t *testing.T) {
			checkMaterials(t, filepath.Join(out, name+"-linux-"+architecture+".cdx.json"), version)
		})
	}
	t.Run("chart", func(t *testing.T) {
		said, err := exec.Command(tool(t, "helm"), "template", "nodevitals", filepath.Join(out, "nodevitals-"+version[1:]+".tgz")).Output()
		if err != nil || !strings.Contains(string(said), "ghcr.io/nodevitals/nodevitals:"+version) {
			t.Errorf("the chart does not install %s: %v\n%s", version, err, said)
		}
	})
	t.Run("manifests", func(t *testing.T) {
		if got := objects(t, filepath.Join(out, name+"-manifests.yaml")); got["DaemonSet nodevitals nodevitals"] == nil {
			t.Errorf("no DaemonSet among %v", slices.Sorted(maps.Keys(got)))
		}
	})
	t.Run("image", func(t *testing.T) {
		var layout struct{ Manifests []descriptor }
		readArchive(t, filepath.Join(out, name+"-image.tar")).decode(t, "index.json", &layout)
		if len(layout.Manifests) != 1 || layout.Manifests[0].Annotations["io.containerd.image.name"] != "ghcr.io/nodevitals/nodevitals:"+version {
			t.Errorf("the image is %+v, want one of %s", layout.Manifests, version)
		}
	})
	t.Run("changes", func(t *testing.T) {
		if err := os.WriteFile(filepath.Join(source, "LICENSE"), []byte("another\n"), 0o644); err != nil {
			t.Fatal(err)
		}
		if said, err := release(t, source, out); err == nil || !strings.Contains(said, "not committed") {
			t.Errorf("a release with changes that are not committed: %v\n%s", err, said)
		}
	})
}

// A tag that the chart and the others do not have is refused before anything is built.
func TestReleaseRefusesAnotherVersion(t *testing.T) {
	out := filepath.Join(t.TempDir(), "release")
	said, err := release(t, tagged(t, "v99.0.0"), out)
	if err == nil {
		t.Fatal("it is made")
	}
	for _, want := range []string{"v99.0.0", "Chart.yaml", "kustomization.yaml", "CHANGELOG.md"} {
		if !strings.Contains(said, want) {
			t.Errorf("the refusal does not name %s: %s", want, said)
		}
	}
	if _, err := os.Stat(out); err == nil {
		t.Error("it has left something")
	}
}

func checkSums(t *testing.T, folder string, want []string) {
	text, err := os.ReadFile(filepath.Join(folder, "SHA256SUMS"))
	if err != nil {
		t.Fatal(err)
	}
	var listed []string
	for line := range strings.Lines(string(text)) {
		sum, name, _ := strings.Cut(strings.TrimSpace(line), "  ")
		listed = append(listed, name)
		content, err := os.ReadFile(filepath.Join(folder, name))
		if err != nil {
			t.Fatal(err)
		}
		if got := sha256.Sum256(content); hex.EncodeToString(got[:]) != sum {
			t.Errorf("%s is not what SHA256SUMS says", name)
		}
	}
	if !slices.Equal(listed, want) {
		t.Errorf("SHA256SUMS lists %v, want %v", listed, want)
	}
}

// unpackProgram takes the program out of a release's archive.
func unpackProgram(t *testing.T, path string) string {
	t.Helper()
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	unzipped, err := gzip.NewReader(file)
	if err != nil {
		t.Fatal(err)
	}
	for reader := tar.NewReader(unzipped); ; {
		header, err := reader.Next()
		if err != nil {
			t.Fatalf("%s has no program: %v", path, err)
		}
		if header.Name != "nodevitals" {
			continue
		}
		if header.Mode != 0o755 {
			t.Errorf("the program's mode is %o, want 755", header.Mode)
		}
		text, err := io.ReadAll(reader)
		if err != nil {
			t.Fatal(err)
		}
		program := filepath.Join(t.TempDir(), "nodevitals")
		if err := os.WriteFile(program, text, 0o755); err != nil {
			t.Fatal(err)
		}
		return program
	}
}

func checkMaterials(t *testing.T, path, version string) {
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var bill struct {
		BOMFormat string
		Metadata  struct {
			Component struct{ Name, Version string }
		}
		Components []struct{ Name, Version string }
	}
	if err := json.Unmarshal(text, &bill); err != nil {
		t.Fatal(err)
	}
	if bill.BOMFormat != "CycloneDX" || bill.Metadata.Component.Version != version {
		t.Errorf("it is a %q of %+v, want a CycloneDX of %s", bill.BOMFormat, bill.Metadata.Component, version)
	}
	versions := make(map[string]string)
	for _, one := range bill.Components {
		versions[one.Name] = one.Version
	}
	for _, name := range []string{"std", "github.com/google/cadvisor/lib", "k8s.io/client-go", "go.uber.org/zap"} {
		if versions[name] == "" {
			t.Errorf("%s is not among the %d components", name, len(versions))
		}
	}
}
