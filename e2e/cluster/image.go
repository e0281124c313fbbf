package cluster

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"os/exec" //nolint:depguard // ctr imports images
	"path/filepath"
	"runtime"
	"time"
)

// The images that pods have. Both hold the one program of Options.App; no registry is asked.
const (
	PauseImage = "localhost/pause:1"
	AppImage   = "localhost/app:1"
)

// importImages makes the images and hands them to containerd.
func (c *Cluster) importImages(ctx context.Context) error {
	for _, name := range []string{PauseImage, AppImage} {
		if err := c.ImportProgram(ctx, name, c.options.App); err != nil {
			return err
		}
	}
	return nil
}

// ImportProgram makes an image that holds one static program, as its entrypoint /app, and hands it to containerd. Image names are whole,
// such as localhost/app:1, since nothing is pulled.
func (c *Cluster) ImportProgram(ctx context.Context, name, program string) error {
	path := filepath.Join(c.options.State, "image.tar")
	if err := writeImage(path, name, program); err != nil {
		return fmt.Errorf("make image %s: %w", name, err)
	}
	if err := c.ImportImage(ctx, path); err != nil {
		return fmt.Errorf("image %s: %w", name, err)
	}
	return os.Remove(path)
}

// ImportImage hands containerd an archive of an image, as docker save or buildah push make it.
func (c *Cluster) ImportImage(ctx context.Context, archive string) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, c.program("ctr"), "--address", containerdSocket, "--namespace", "k8s.io", "images", "import", archive)
	if said, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("import %s: %w: %s", archive, err, bytes.TrimSpace(said))
	}
	return nil
}

// writeImage makes an archive as docker save does: one layer with the program, a configuration that starts it, and a list of both.
func writeImage(path, name, program string) error {
	layer, err := layerOf(program)
	if err != nil {
		return err
	}
	type object = map[string]any
	digest := sha256.Sum256(layer)
	config, err := json.Marshal(object{
		"architecture": runtime.GOARCH, "os": "linux", "config": object{"Entrypoint": []string{"/app"}},
		"rootfs": object{"type": "layers", "diff_ids": []string{"sha256:" + hex.EncodeToString(digest[:])}},
	})
	if err != nil {
		return err
	}
	manifest, err := json.Marshal([]object{{"Config": "config.json", "RepoTags": []string{name}, "Layers": []string{"layer.tar"}}})
	if err != nil {
		return err
	}
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	defer file.Close()
	archive := tar.NewWriter(file)
	for _, part := range []struct {
		name string
		text []byte
	}{{"manifest.json", manifest}, {"config.json", config}, {"layer.tar", layer}} {
		if err := addFile(archive, part.name, 0o644, part.text); err != nil {
			return err
		}
	}
	return archive.Close()
}

// layerOf is a file system with the program and the folders that pods mount volumes at.
func layerOf(program string) ([]byte, error) {
	text, err := os.ReadFile(program)
	if err != nil {
		return nil, err
	}
	var layer bytes.Buffer
	archive := tar.NewWriter(&layer)
	if err := archive.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: "tmp/", Mode: 0o1777}); err != nil {
		return nil, err
	}
	if err := addFile(archive, "app", 0o755, text); err != nil {
		return nil, err
	}
	if err := archive.Close(); err != nil {
		return nil, err
	}
	return layer.Bytes(), nil
}

func addFile(archive *tar.Writer, name string, mode int64, text []byte) error {
	if err := archive.WriteHeader(&tar.Header{Name: name, Mode: mode, Size: int64(len(text))}); err != nil {
		return err
	}
	_, err := archive.Write(text)
	return err
}
