package main

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// othersFlags are the flags of other programs that pages name, by program.
var othersFlags = map[string][]string{
	"cAdvisor": {
		"disable_metrics", "docker_only", "enable_load_reader", "enable_metrics", "housekeeping_interval", "max_housekeeping_interval",
		"perf_events_config", "store_container_labels", "whitelisted_container_labels",
	},
	"curl":     {"cacert"},
	"heapster": {"source"},
	"kubectl": {
		"all-namespaces", "as", "clusterrole", "containers", "field-selector", "force", "grace-period", "previous", "raw", "serviceaccount",
	},
	"helm": {"create-namespace", "namespace", "reuse-values", "set"},
	"the API server and metrics-server": {
		"kubelet-certificate-authority", "kubelet-client-certificate", "kubelet-insecure-tls", "kubelet-port",
		"kubelet-preferred-address-types", "kubelet-request-timeout", "kubelet-use-node-status-port", "metric-resolution",
	},
	"df":          {"inodes"},
	"the kubelet": {"feature-gates"},
	"the controller manager": {
		"horizontal-pod-autoscaler-cpu-initialization-period", "horizontal-pod-autoscaler-initial-readiness-delay",
		"horizontal-pod-autoscaler-sync-period",
	},
	"skopeo": {"all", "preserve-digests"},
}

var flagLike = regexp.MustCompile("(?:^|[^A-Za-z0-9_-])--([a-z][a-z0-9_-]*[a-z0-9])")

// Every flag that a page names is one of a command's, or another program's that is listed with it; and none is listed for nothing.
func TestPagesNameFlagsThatAre(t *testing.T) {
	ours := make(map[string]bool)
	var gather func(*cobra.Command)
	gather = func(command *cobra.Command) {
		command.InitDefaultHelpFlag()
		command.Flags().VisitAll(func(flag *pflag.Flag) { ours[flag.Name] = true })
		for _, sub := range command.Commands() {
			gather(sub)
		}
	}
	gather(newRoot())
	if len(ours) < 40 {
		t.Fatalf("only %d flags were found", len(ours))
	}
	var others []string
	for _, flags := range othersFlags {
		others = append(others, flags...)
	}
	named := make(map[string]bool)
	for _, page := range markdown(t) {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for i, line := range strings.Split(string(text), "\n") {
			for _, found := range flagLike.FindAllStringSubmatch(line, -1) {
				name := found[1]
				named[name] = true
				if !ours[name] && !slices.Contains(others, name) {
					t.Errorf("%s:%d: there is no flag --%s", page, i+1, name)
				}
			}
		}
	}
	for program, flags := range othersFlags {
		for _, name := range flags {
			if !named[name] {
				t.Errorf("no page names --%s of %s", name, program)
			}
		}
	}
}

// markdown are the pages of the checkout.
func markdown(t *testing.T) []string {
	t.Helper()
	const root = "../.."
	var pages []string
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() && filepath.Dir(path) == root && slices.Contains([]string{".git", "bin", "build", "deps"}, entry.Name()) {
			return filepath.SkipDir
		}
		if strings.HasSuffix(path, ".md") {
			pages = append(pages, path)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return pages
}
