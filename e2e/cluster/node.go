package cluster

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec" //nolint:depguard // iptables is a program
	"path/filepath"
	"strings"
	"time"

	core "k8s.io/api/core/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func (c *Cluster) startContainerd(ctx context.Context) error {
	if err := os.MkdirAll(filepath.Dir(containerdSocket), 0o755); err != nil {
		return fmt.Errorf("make a folder for containerd's socket: %w", err)
	}
	_, err := c.Start(ctx, Component{
		Name: "containerd", Path: c.program("containerd"), Cgroup: c.ContainerdCgroup(),
		Args: []string{"--config", filepath.Join(c.options.State, "containerd.toml")},
		// It looks for its shim there.
		Env:   []string{"PATH=" + c.options.Programs + ":" + os.Getenv("PATH") + ":/usr/sbin:/sbin"},
		Until: "its socket " + containerdSocket, Limit: quickly,
		Ready: func(ctx context.Context) error {
			conn, err := (&net.Dialer{}).DialContext(ctx, "unix", containerdSocket)
			if err == nil {
				conn.Close()
			}
			return err
		},
	})
	return err
}

func (c *Cluster) startKubelet(ctx context.Context) error {
	_, err := c.Start(ctx, Component{
		Name: "kubelet", Path: c.program("kubelet"), Cgroup: c.KubeletCgroup(),
		Args: []string{
			"--config=" + filepath.Join(c.options.State, "kubelet.yaml"), "--kubeconfig=" + c.Kubeconfig("kubelet"),
			"--root-dir=" + c.RootDir(), "--hostname-override=" + NodeName, "--node-ip=" + NodeAddress,
			"--runtime-cgroups=" + c.ContainerdCgroup(), "--v=2",
		},
		Until: "node " + NodeName + " to be ready", Limit: slowly, Ready: c.nodeReady,
	})
	return err
}

func (c *Cluster) nodeReady(ctx context.Context) error {
	node, err := c.client.CoreV1().Nodes().Get(ctx, NodeName, meta.GetOptions{})
	if err != nil {
		return err
	}
	for _, condition := range node.Status.Conditions {
		if condition.Type != core.NodeReady {
			continue
		}
		if condition.Status != core.ConditionTrue {
			return fmt.Errorf("it is not: %s", condition.Message)
		}
		return nil
	}
	return errors.New("it has no such condition yet")
}

// Unable says why this host cannot run a cluster, or nothing. It changes nothing.
func Unable() string {
	var missing []string
	for _, tool := range []struct{ path, pkg string }{
		{"runc", "runc"}, {"ip", "iproute2"}, {networkPlugins + "/ptp", "containernetworking-plugins"},
	} {
		if find(tool.path) == "" {
			missing = append(missing, tool.pkg)
		}
	}
	g, err := newCgroups()
	switch {
	case os.Geteuid() != 0:
		return "it needs root"
	case len(missing) > 0:
		return "missing Debian packages: " + strings.Join(missing, ", ")
	case err != nil:
		return err.Error()
	case g.has(podsCgroup):
		return "this host has a cgroup " + podsCgroup + " already: is it a node, or was a run killed?"
	case inUse(containerdSocket):
		return "this host has a containerd of its own at " + containerdSocket
	}
	return g.unusable()
}

// MapsNoPorts is why pods here have no port of the node's (hostPort), or nothing: the plugin for it writes rules with iptables.
func MapsNoPorts() string {
	program := find("iptables")
	switch {
	case program == "":
		return "missing Debian package: iptables"
	case find(networkPlugins+"/portmap") == "":
		return "missing Debian package: containernetworking-plugins"
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if said, err := exec.CommandContext(ctx, program, "--table=nat", "--list-rules").CombinedOutput(); err != nil {
		return fmt.Sprintf("the kernel gives iptables no table of addresses: %v: %s", err, bytes.TrimSpace(said))
	}
	return ""
}

// find returns a program's path, or nothing. It looks where root's programs are, too: not every shell has those folders in its PATH.
func find(program string) string {
	folders := append(filepath.SplitList(os.Getenv("PATH")), "/usr/sbin", "/sbin")
	if filepath.IsAbs(program) {
		folders = []string{""}
	}
	for _, folder := range folders {
		path := filepath.Join(folder, program)
		if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0 {
			return path
		}
	}
	return ""
}

func inUse(socket string) bool {
	conn, err := net.Dial("unix", socket)
	if err == nil {
		conn.Close()
	}
	return err == nil
}
