package manifests

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// largestImage is what a node has to pull at most for its own platform, in bytes as they travel.
const largestImage = 25 << 20

// descriptor is how the Open Container Initiative's documents name each other.
type descriptor struct {
	MediaType   string
	Digest      string
	Size        int64
	Platform    struct{ OS, Architecture string }
	Annotations map[string]string
}

// archive is an image archive's files by their paths.
type archive map[string][]byte

func readArchive(t *testing.T, path string) archive {
	t.Helper()
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	files := make(archive)
	for reader := tar.NewReader(file); ; {
		header, err := reader.Next()
		if errors.Is(err, io.EOF) {
			return files
		}
		if err != nil {
			t.Fatal(err)
		}
		if files[header.Name], err = io.ReadAll(reader); err != nil {
			t.Fatal(err)
		}
	}
}

// decode reads the JSON file at path, or the one of a digest.
func (a archive) decode(t *testing.T, path string, into any) {
	t.Helper()
	if name, ok := strings.CutPrefix(path, "sha256:"); ok {
		path = "blobs/sha256/" + name
	}
	if err := json.Unmarshal(a[path], into); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
}

// checkout copies the files of this checkout, changed ones as they are, to a folder of another name.
func checkout(t *testing.T) string {
	t.Helper()
	list := exec.Command("git", "-C", "..", "ls-files", "-z", "--cached", "--others", "--exclude-standard")
	names, err := list.Output()
	if err != nil {
		t.Skipf("needs git and a checkout: %v", err)
	}
	into := filepath.Join(t.TempDir(), "elsewhere")
	for name := range strings.SplitSeq(strings.TrimRight(string(names), "\x00"), "\x00") {
		text, err := os.ReadFile(filepath.Join("..", name))
		if errors.Is(err, os.ErrNotExist) {
			continue // deleted, and not yet committed
		}
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(into, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, text, 0o700)); err != nil {
			t.Fatal(err)
		}
	}
	return into
}

// buildImage runs scripts/image.sh of a checkout and returns the digest and the archive's path.
func buildImage(t *testing.T, checkout, out string) (digest, path string) {
	t.Helper()
	command := exec.Command(filepath.Join(checkout, "scripts/image.sh"), out)
	command.Env = append(os.Environ(), "VERSION=v0.0.0-test", "REVISION=0123456789abcdef", "SOURCE_DATE_EPOCH=1700000000")
	if said, err := command.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", command, err, said)
	}
	text, err := os.ReadFile(filepath.Join(out, "digest"))
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(text)), filepath.Join(out, "nodevitals-v0.0.0-test-image.tar")
}

func needBuildah(t *testing.T) {
	t.Helper()
	if _, err := exec.LookPath("buildah"); err != nil {
		t.Skip("needs Debian's package buildah")
	}
	if os.Geteuid() != 0 {
		t.Skip("needs root: buildah without its own user namespaces")
	}
}

// Whoever builds a commit, wherever, gets the image that was released.
func TestImageIsReproducible(t *testing.T) {
	needBuildah(t)
	here, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	digest, path := buildImage(t, here, filepath.Join(t.TempDir(), "first"))
	other, otherPath := buildImage(t, checkout(t), filepath.Join(t.TempDir(), "second"))
	if digest != other {
		t.Errorf("two builds have the digests %s and %s, want one", digest, other)
	}
	one, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	two, err := os.ReadFile(otherPath)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(one, two) {
		t.Error("the archives of two builds differ")
	}
	t.Run("content", func(t *testing.T) { checkImage(t, readArchive(t, path), digest) })
}

// checkImage holds an archive to what the manifests and the documentation say of the image.
func checkImage(t *testing.T, files archive, digest string) {
	var layout, index struct{ Manifests []descriptor }
	files.decode(t, "index.json", &layout)
	if len(layout.Manifests) != 1 || layout.Manifests[0].Digest != digest {
		t.Fatalf("index.json lists %+v, want the index %s alone", layout.Manifests, digest)
	}
	for _, key := range []string{"io.containerd.image.name", "org.opencontainers.image.ref.name"} {
		if got, want := layout.Manifests[0].Annotations[key], "ghcr.io/nodevitals/nodevitals:v0.0.0-test"; got != want {
			t.Errorf("annotation %s is %q, want %q", key, got, want)
		}
	}
	files.decode(t, digest, &index)
	var platforms []string
	for _, image := range index.Manifests {
		platform := image.Platform.OS + "/" + image.Platform.Architecture
		platforms = append(platforms, platform)
		t.Run(platform, func(t *testing.T) { checkPlatform(t, files, image) })
	}
	if got := strings.Join(platforms, " "); got != "linux/amd64 linux/arm64" {
		t.Errorf("platforms: %s, want linux/amd64 linux/arm64", got)
	}
}

func checkPlatform(t *testing.T, files archive, image descriptor) {
	var manifest struct {
		Config descriptor
		Layers []descriptor
	}
	files.decode(t, image.Digest, &manifest)
	size := image.Size + manifest.Config.Size
	for _, layer := range manifest.Layers {
		size += layer.Size
	}
	t.Logf("%d bytes to pull", size)
	if size > largestImage {
		t.Errorf("%d bytes to pull, want %d at most", size, largestImage)
	}
	if len(manifest.Layers) != 1 {
		t.Errorf("%d layers, want one", len(manifest.Layers))
	}
	var config struct {
		OS, Architecture string
		Created          string
		Config           struct {
			User       string
			Entrypoint []string
			Labels     map[string]string
		}
	}
	files.decode(t, manifest.Config.Digest, &config)
	if config.Config.User != "65532:65532" {
		t.Errorf("it runs as %q, want as nobody by number", config.Config.User)
	}
	if got := strings.Join(config.Config.Entrypoint, " "); got != "/nodevitals" {
		t.Errorf("it starts %q, want /nodevitals", got)
	}
	for label, want := range map[string]string{
		"version": "v0.0.0-test", "revision": "0123456789abcdef", "created": "2023-11-14T22:13:20Z", "licenses": "Apache-2.0",
		"title": "nodevitals", "source": "https://github.com/nodevitals/nodevitals",
	} {
		if got := config.Config.Labels["org.opencontainers.image."+label]; got != want {
			t.Errorf("label %s is %q, want %q", label, got, want)
		}
	}
}
