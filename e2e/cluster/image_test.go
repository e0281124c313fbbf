package cluster

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"
)

// files reads an archive whole.
func files(t *testing.T, archive io.Reader) map[string][]byte {
	t.Helper()
	found := map[string][]byte{}
	for reader := tar.NewReader(archive); ; {
		header, err := reader.Next()
		if errors.Is(err, io.EOF) {
			return found
		}
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(reader)
		if err != nil {
			t.Fatal(err)
		}
		found[header.Name] = text
	}
}

func TestImageHoldsTheProgramUnderItsName(t *testing.T) {
	program, path := filepath.Join(t.TempDir(), "program"), filepath.Join(t.TempDir(), "image.tar")
	if err := os.WriteFile(program, []byte("text of a program"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := writeImage(path, "localhost/name:1", program); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	image := files(t, bytes.NewReader(text))
	var manifest []struct {
		Config           string
		RepoTags, Layers []string
	}
	if err := json.Unmarshal(image["manifest.json"], &manifest); err != nil {
		t.Fatal(err)
	}
	if len(manifest) != 1 || len(manifest[0].RepoTags) != 1 || manifest[0].RepoTags[0] != "localhost/name:1" {
		t.Fatalf("the manifest is %+v, want one image of the name", manifest)
	}
	layer := image[manifest[0].Layers[0]]
	if got := string(files(t, bytes.NewReader(layer))["app"]); got != "text of a program" {
		t.Errorf("the layer's program is %q", got)
	}
	var config struct {
		RootFS struct {
			Digests []string `json:"diff_ids"`
		} `json:"rootfs"`
	}
	if err := json.Unmarshal(image[manifest[0].Config], &config); err != nil {
		t.Fatal(err)
	}
	digest := sha256.Sum256(layer)
	if want := "sha256:" + hex.EncodeToString(digest[:]); len(config.RootFS.Digests) != 1 || config.RootFS.Digests[0] != want {
		t.Errorf("the layer's digest is %v, want %s", config.RootFS.Digests, want)
	}
}
