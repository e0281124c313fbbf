// Package cluster brings up a real one-node Kubernetes on this machine, from programs that run as they do on any node: etcd,
// kube-apiserver, kube-controller-manager, kube-scheduler, containerd and kubelet, in a network namespace of their own.
package cluster

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
)

// NodeName is the one node's.
const NodeName = "e2e-node"

// Options say what a cluster is made of.
type Options struct {
	// Programs is the folder of the components' programs, as e2e/build makes it.
	Programs string
	// App is the static program that the containers' images hold.
	App string
	// State is a folder for what the components keep. The filesystem must carry overlay mounts: an overlay itself does not.
	// Down removes it.
	State string
	// Logs is a folder for what they say, one file each.
	Logs string
	// WholeMachine says that the machine is there for the cluster alone. Then the node is the machine, with process 1's network namespace,
	// as real nodes are; else it gets one of its own.
	WholeMachine bool
	// StaticPods are manifests, by file name.
	StaticPods map[string][]byte
	// Logf takes a line on each step.
	Logf func(format string, arguments ...any)
}

// Cluster is one that runs. Its methods are not safe for concurrent use, except those that ask something, and those that start and end
// components of different names.
type Cluster struct {
	options   Options
	network   *network
	cgroups   *cgroups
	before    before
	authority *authority
	client    *kubernetes.Clientset

	mutex     sync.Mutex // of what follows
	processes []*Process
}

// all are the components that were started and not ended, in that order.
func (c *Cluster) all() []*Process {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	return slices.Clone(c.processes)
}

// add notes a component that was started.
func (c *Cluster) add(p *Process) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	c.processes = append(c.processes, p)
}

// drop forgets one that has ended, or is about to.
func (c *Cluster) drop(p *Process) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	c.processes = slices.DeleteFunc(c.processes, func(other *Process) bool { return other == p })
}

// Up brings a cluster up. On an error it has taken down what there was.
func Up(ctx context.Context, options Options) (*Cluster, error) {
	c := &Cluster{options: options}
	if err := c.up(ctx); err != nil {
		return nil, errors.Join(err, c.Down(context.WithoutCancel(ctx)))
	}
	return c, nil
}

func (c *Cluster) up(ctx context.Context) error {
	start := time.Now()
	if err := c.prepare(); err != nil {
		return err
	}
	steps := []func(context.Context) error{
		c.startEtcd, c.startAPIServer, c.startControllerManager, c.startScheduler, c.startContainerd, c.importImages, c.startKubelet, c.grant,
	}
	for _, step := range steps {
		if err := step(ctx); err != nil {
			return err
		}
	}
	c.options.Logf("the cluster is up after %s", time.Since(start).Round(time.Second))
	return nil
}

// prepare makes what the components are given: addresses, certificates, configurations.
func (c *Cluster) prepare() error {
	for _, folder := range []string{c.options.State, c.options.Logs, filepath.Join(c.options.State, "manifests")} {
		if err := os.MkdirAll(folder, 0o755); err != nil {
			return fmt.Errorf("make a folder: %w", err)
		}
	}
	var err error
	if c.cgroups, err = newCgroups(); err != nil {
		return err
	}
	c.before = look()
	if c.network, err = newNetwork(c.options.WholeMachine, links); err != nil {
		return err
	}
	if c.authority, err = newPKI(filepath.Join(c.options.State, "pki")); err != nil {
		return err
	}
	for _, name := range []string{"admin", "kubelet", "controller-manager", "scheduler", "nodevitals"} {
		if err := c.kubeconfig(name); err != nil {
			return err
		}
	}
	for name, path := range map[string]string{
		"containerd.toml": "containerd.toml", "network.conflist": "cni/10-network.conflist", "kubelet.yaml": "kubelet.yaml",
	} {
		if err := c.write(name, path); err != nil {
			return err
		}
	}
	for name, manifest := range c.options.StaticPods {
		if err := os.WriteFile(c.manifest(name), manifest, 0o644); err != nil {
			return fmt.Errorf("write the manifest of a static pod: %w", err)
		}
	}
	return c.newClient()
}

func (c *Cluster) newClient() error {
	config, err := clientcmd.BuildConfigFromFlags("", c.Kubeconfig("admin"))
	if err != nil {
		return fmt.Errorf("make a client of the API server: %w", err)
	}
	config.Dial = c.network.dial
	config.QPS = -1 // tests wait by asking
	c.client, err = kubernetes.NewForConfig(config)
	if err != nil {
		return fmt.Errorf("make a client of the API server: %w", err)
	}
	return nil
}

// Client asks the API server with an administrator's rights.
func (c *Cluster) Client() kubernetes.Interface { return c.client }

// RootDir is the kubelet's folder.
func (c *Cluster) RootDir() string { return filepath.Join(c.options.State, "kubelet") }

// OwnNetwork tells whether the node has a network namespace that is not the machine's. Who takes that of process 1 for the node's, as
// one may on real nodes, then sees another.
func (c *Cluster) OwnNetwork() bool { return c.network.own }

// StateDir is the folder of what the components keep, until Down removes it.
func (c *Cluster) StateDir() string { return c.options.State }

// KubeletCgroup is where the kubelet runs.
func (c *Cluster) KubeletCgroup() string { return c.Cgroup("kubelet.service") }

// ContainerdCgroup is where the runtime runs, with its shims.
func (c *Cluster) ContainerdCgroup() string { return c.Cgroup("containerd.service") }

// Cgroup is where a service runs. On a host with systemd it is out of the part of the tree that is systemd's.
func (c *Cluster) Cgroup(service string) string {
	if _, err := os.Stat("/run/systemd/system"); err == nil {
		return "/nodevitals-e2e/" + service
	}
	return "/system.slice/" + service
}

// Programs is the folder of the programs that e2e/build makes.
func (c *Cluster) Programs() string { return c.options.Programs }

func (c *Cluster) program(name string) string { return filepath.Join(c.options.Programs, name) }
func (c *Cluster) manifest(name string) string {
	return filepath.Join(c.options.State, "manifests", name)
}
