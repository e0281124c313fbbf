package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"os/exec" //nolint:depguard // this command's work is to run go build
	"path/filepath"
	"strings"
	"time"
)

// revision is part of the cache folder's name: raise it when this file changes what a build makes of the same modules.
const revision = 2

// A recipe builds programs from one module below this folder. Each has its own, since their requirements disagree.
type recipe struct {
	// folder is the module's, below this program's.
	folder string
	// release is the module whose required version the programs report.
	release  string
	packages []string
	// tags are Go's build tags, separated by commas.
	tags string
	// stamp gives linker flags that make the programs report their version, if they would not know it otherwise.
	stamp func(version string) string
}

var recipes = []recipe{
	{folder: "etcd", release: "go.etcd.io/etcd/server/v3", packages: []string{"."}},
	{
		folder: "containerd", release: "github.com/containerd/containerd/v2",
		packages: []string{
			"github.com/containerd/containerd/v2/cmd/containerd",
			"github.com/containerd/containerd/v2/cmd/containerd-shim-runc-v2",
			"github.com/containerd/containerd/v2/cmd/ctr",
		},
		stamp: func(version string) string {
			return "-X github.com/containerd/containerd/v2/version.Version=" + version
		},
	},
	{
		folder: "kubernetes", release: "k8s.io/kubernetes",
		packages: []string{
			"k8s.io/kubernetes/cmd/kube-apiserver",
			"k8s.io/kubernetes/cmd/kube-controller-manager",
			"k8s.io/kubernetes/cmd/kube-scheduler",
			"k8s.io/kubernetes/cmd/kubelet",
		},
		// Unstamped, the API server calls itself v0.0.0 and refuses its own defaults for a version that old.
		stamp: func(version string) string {
			numbers := strings.SplitN(strings.TrimPrefix(version, "v"), ".", 3)
			const in = "-X k8s.io/component-base/version."
			return in + "gitVersion=" + version + " " + in + "gitMajor=" + numbers[0] + " " + in + "gitMinor=" + numbers[1]
		},
	},
	{folder: "kubectl", release: "k8s.io/kubectl", packages: []string{"."}},
	{
		folder: "metrics-server", release: "sigs.k8s.io/metrics-server",
		packages: []string{"sigs.k8s.io/metrics-server/cmd/metrics-server"},
	},
	{
		folder: "prometheus-adapter", release: "sigs.k8s.io/prometheus-adapter",
		packages: []string{"sigs.k8s.io/prometheus-adapter/cmd/adapter"},
	},
	{
		folder: "prometheus", release: "github.com/prometheus/prometheus",
		packages: []string{"github.com/prometheus/prometheus/cmd/prometheus"},
		// Of the ways to discover targets, the clouds' make most of the program.
		tags: "remove_all_sd,enable_kubernetes_sd",
	},
	{
		folder: "otelcol", release: "github.com/open-telemetry/opentelemetry-collector-contrib/receiver/kubeletstatsreceiver",
		packages: []string{"."}, stamp: func(version string) string { return "-X main.version=" + version },
	},
}

// programs are the names of what the recipe builds: the last elements of its packages, as go build names them.
func (r recipe) programs() []string {
	var names []string
	for _, pkg := range r.packages {
		if pkg == "." {
			pkg = r.folder
		}
		names = append(names, filepath.Base(pkg))
	}
	return names
}

// version reads the release's version from the recipe's go.mod.
func (r recipe) version(root string) (string, error) {
	path := filepath.Join(root, r.folder, "go.mod")
	text, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	for line := range bytes.Lines(text) {
		fields := strings.Fields(strings.TrimPrefix(strings.TrimSpace(string(line)), "require "))
		if len(fields) >= 2 && fields[0] == r.release {
			return fields[1], nil
		}
	}
	return "", fmt.Errorf("%s does not require %s", path, r.release)
}

// build puts the recipe's programs into the folder bin.
func (r recipe) build(root, bin string) error {
	version, err := r.version(root)
	if err != nil {
		return err
	}
	flags := "-s -w"
	if r.stamp != nil {
		flags += " " + r.stamp(version)
	}
	fmt.Fprintf(os.Stderr, "e2e: building %s %s\n", strings.Join(r.programs(), ", "), version)
	args := append([]string{"build", "-trimpath", "-tags", r.tags, "-ldflags", flags, "-o", bin + string(filepath.Separator)}, r.packages...)
	cmd := exec.Command("go", args...)
	cmd.Dir = filepath.Join(root, r.folder)
	// A static program runs on any machine, the emulated one included.
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOWORK=off")
	cmd.Stderr = os.Stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("build %s %s: %w", r.folder, version, err)
	}
	return nil
}

// cached returns the folder with the recipe's programs, and builds them if no earlier run did. Each recipe has a folder of its own, so
// that a new version of one component does not build the others anew.
func (r recipe) cached(root, cache string) (string, error) {
	name, err := r.fingerprint(root)
	if err != nil {
		return "", err
	}
	final := filepath.Join(cache, r.folder+"-"+name)
	if _, err := os.Stat(final); err == nil {
		return final, nil
	}
	start := time.Now()
	err = whole(cache, final, func(work string) error {
		if err := r.build(root, work); err != nil {
			return err
		}
		for _, program := range r.programs() {
			if _, err := os.Stat(filepath.Join(work, program)); err != nil {
				return fmt.Errorf("go build left no %s: %w", program, err)
			}
		}
		return nil
	})
	if err != nil {
		return "", err
	}
	fmt.Fprintf(os.Stderr, "e2e: built %s in %s\n", r.folder, time.Since(start).Round(time.Second))
	return final, nil
}

// fingerprint names one state of everything that decides what the recipe builds: its module, the sums, and the rules above.
func (r recipe) fingerprint(root string) (string, error) {
	hash := sha256.New()
	fmt.Fprintln(hash, "revision", revision)
	paths, err := filepath.Glob(filepath.Join(root, r.folder, "*"))
	if err != nil {
		return "", err
	}
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			return "", fmt.Errorf("fingerprint of %s: %w", r.folder, err)
		}
		fmt.Fprintln(hash, filepath.Base(path), len(text))
		hash.Write(text)
	}
	return hex.EncodeToString(hash.Sum(nil))[:16], nil
}
