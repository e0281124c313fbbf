package e2e

import (
	"context"
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nodevitals/nodevitals/e2e/cluster"
)

// pulledPort is the secure port of the agent that other systems pull from.
const pulledPort = 20350

// pulledURL is its read-only port.
const pulledURL = "http://127.0.0.1:20355"

// startPulled starts that agent.
var startPulled = sync.OnceValue(func() error {
	component, err := pulledComponent("nodevitals-pulled", pulledPort, pulledURL)
	if err != nil {
		return err
	}
	_, err = node.Start(context.Background(), component)
	return err
})

// pulledComponent is nodevitals as it stands on a cluster's network: TLS with a certificate that the cluster's authority signed, and
// everybody's rights asked of the API server.
func pulledComponent(name string, port int, readOnly string, besides ...string) (cluster.Component, error) {
	binary, err := agentBinary()
	if err != nil {
		return cluster.Component{}, err
	}
	server := cluster.Server{Name: name, Hosts: []string{cluster.NodeName}, Addresses: []string{cluster.NodeAddress, "127.0.0.1"}}
	if err := node.Issue(server); err != nil {
		return cluster.Component{}, err
	}
	certificate, key := node.Certificate(server.Name)
	return cluster.Component{
		Name: server.Name, Path: binary, Cgroup: node.Cgroup(server.Name + ".service"),
		Args: append([]string{
			"--secure-port=" + strconv.Itoa(port), "--read-only-port=" + readOnly[strings.LastIndexByte(readOnly, ':')+1:], "--healthz-port=0",
			"--tls-cert-file=" + certificate, "--tls-private-key-file=" + key, "--client-ca-file=" + node.CA(),
			"--kubeconfig=" + node.Kubeconfig("nodevitals"), "--node-name=" + cluster.NodeName, "--root-dir=" + node.RootDir(),
			"--kubelet-cgroups=" + node.KubeletCgroup(), "--runtime-cgroups=" + node.ContainerdCgroup(),
		}, besides...),
		// It is ready before it knows any names, and some who pull from it ask once.
		Until: "both sources of names in its metrics at " + readOnly, Limit: 2 * time.Minute,
		Ready: func(ctx context.Context) error { return namesKnown(ctx, readOnly) },
	}, nil
}

// needPulled starts that agent.
func needPulled(t *testing.T) {
	t.Helper()
	needCluster(t)
	needOnlyOnce(t)
	awaitPods(t)
	if err := startPulled(); err != nil {
		t.Fatal(err)
	}
}

// applied fills in a manifest of docs/integrations, as envsubst would, and applies it.
func applied(ctx context.Context, name string, values map[string]string) error {
	text, err := manifest(name, values)
	if err != nil {
		return err
	}
	_, err = node.Kubectl(ctx, text, "apply", "-f", "-")
	return err
}

// appliedForTest applies it for the length of a test.
func appliedForTest(t *testing.T, name string, values map[string]string) {
	t.Helper()
	if err := applied(t.Context(), name, values); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		text, err := manifest(name, values)
		if err == nil {
			_, err = node.Kubectl(context.WithoutCancel(t.Context()), text, "delete", "--wait=false", "-f", "-")
		}
		if err != nil {
			t.Error(err)
		}
	})
}

// variableName is what envsubst takes for the name of a variable.
var variableName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

func manifest(name string, values map[string]string) (string, error) {
	text, err := os.ReadFile(filepath.Join("..", "docs", "integrations", name))
	if err != nil {
		return "", err
	}
	return filledIn(name, string(text), values)
}

// filledIn is what envsubst makes of a text. The name is for an error.
func filledIn(name, text string, values map[string]string) (string, error) {
	var unknown []string
	filled := os.Expand(text, func(variable string) string {
		value, ok := values[variable]
		switch {
		case ok:
		case variable >= "0" && variable <= "9": // a group of a pattern, in the adapter's rules
			return "$" + variable
		case !variableName.MatchString(variable): // envsubst leaves what is no name, such as ${env:X} of a collector
			return "${" + variable + "}"
		default:
			unknown = append(unknown, variable)
		}
		return value
	})
	if len(unknown) > 0 {
		return "", fmt.Errorf("%s: no value for %v", name, unknown)
	}
	return filled, nil
}

// secret hands a server's certificate to its pods as NAME-tls, made by kubectl as anybody would.
func secret(ctx context.Context, namespace string, server cluster.Server) error {
	if err := node.Issue(server); err != nil {
		return err
	}
	certificate, key := node.Certificate(server.Name)
	text, err := node.Kubectl(ctx, "", "create", "secret", "tls", server.Name+"-tls", "--namespace="+namespace,
		"--cert="+certificate, "--key="+key, "--dry-run=client", "--output=yaml")
	if err != nil {
		return err
	}
	_, err = node.Kubectl(ctx, text, "apply", "-f", "-")
	return err
}

// bundle is the cluster's authority as an APIService wants it.
func bundle() (string, error) {
	text, err := os.ReadFile(node.CA())
	return base64.StdEncoding.EncodeToString(text), err
}

// program is the path of one that the cluster is made of, or that asks it.
func program(name string) string { return filepath.Join(node.Programs(), name) }

// answeredBy is how often an agent has answered an endpoint well, by its own count. The function asks it for its metrics.
func answeredBy(ctx context.Context, path string, ownMetrics func(context.Context) (string, error)) (float64, error) {
	said, err := ownMetrics(ctx)
	if err != nil {
		return 0, err
	}
	series := fmt.Sprintf(`nodevitals_scrapes_total{endpoint=%q,outcome="success"} `, path)
	for line := range strings.Lines(said) {
		if value, ok := strings.CutPrefix(line, series); ok {
			return strconv.ParseFloat(strings.TrimSpace(value), 64)
		}
	}
	return 0, fmt.Errorf("there is no %s in %d bytes", series, len(said))
}

// pulledMetrics asks the agent that other systems pull from.
func pulledMetrics(ctx context.Context) (string, error) {
	text, err := node.Get(ctx, pulledURL+"/metrics")
	return string(text), err
}

// awaitAnswered waits until an agent has answered an endpoint so many times more than before.
func awaitAnswered(t *testing.T, path string, before float64, more int, ownMetrics func(context.Context) (string, error)) {
	t.Helper()
	what := fmt.Sprintf("%d more answers to %s than %.0f", more, path, before)
	err := cluster.Await(t.Context(), metricsServerLimit, what, func(ctx context.Context) error {
		now, err := answeredBy(ctx, path, ownMetrics)
		if err == nil && now < before+float64(more) {
			err = fmt.Errorf("there were %.0f", now)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}
