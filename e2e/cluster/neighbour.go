package cluster

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"slices"

	core "k8s.io/api/core/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/util/retry"
)

const (
	// NeighbourName is the second node's name.
	NeighbourName = "e2e-neighbour"
	// NeighbourAddress is its own, which it is reached at over a link from the first node, also from the pods there.
	NeighbourAddress = "10.99.1.2"

	neighbourLink    = "neighbour0"
	neighbourGateway = "10.99.1.1"
	neighbourRoute   = "route add default via " + neighbourGateway + " dev eth0"
)

// Neighbour is a second node, without a kubelet: a network namespace with an address of its own and a link to the first. Its programs see the
// cgroups of this machine, as those of the first do. Its methods are not safe for concurrent use.
type Neighbour struct {
	cluster *Cluster
	network *network
}

// AddNeighbour makes the second node's network. There is one at most. [Neighbour.Remove] takes it down.
func (c *Cluster) AddNeighbour() (*Neighbour, error) {
	there, err := newNetwork(false, []string{"link set lo up"})
	if err != nil {
		return nil, fmt.Errorf("make a second node: %w", err)
	}
	n := &Neighbour{cluster: c, network: there}
	// The file is the namespace's only name.
	peer := fmt.Sprintf(" type veth peer name eth0 netns /proc/%d/fd/%d", os.Getpid(), there.file.Fd())
	err = c.network.ip("link add "+neighbourLink+peer, "addr add "+neighbourGateway+"/24 dev "+neighbourLink, "link set "+neighbourLink+" up")
	if err == nil {
		err = there.ip("addr add "+NeighbourAddress+"/24 dev eth0", "link set eth0 up", neighbourRoute)
	}
	if err != nil {
		return nil, fmt.Errorf("link a second node: %w", errors.Join(err, n.Remove()))
	}
	return n, nil
}

// Start runs a component on the second node and waits until it is ready, as [Cluster.Start] does on the first.
func (n *Neighbour) Start(ctx context.Context, component Component) (*Process, error) {
	return n.cluster.start(ctx, n.network, component)
}

// Unplug takes the node's link down: what is sent there is lost until Plug.
func (n *Neighbour) Unplug() error { return n.network.ip("link set eth0 down") }

// Plug brings the link up again.
func (n *Neighbour) Plug() error {
	// The route went with the link.
	return n.network.ip("link set eth0 up", neighbourRoute)
}

// Run does for a pod of one container, which is bound to the second node, what a kubelet and a runtime would: it starts the images' program with the
// container's arguments, in a cgroup as theirs, waits until it is ready, and tells the API server that it runs.
func (n *Neighbour) Run(ctx context.Context, pod *core.Pod, until string, ready func(context.Context) error) error {
	digest := sha256.Sum256([]byte(pod.UID))
	id := hex.EncodeToString(digest[:])
	// Out of the first kubelet's tree: it ends what it does not know.
	cgroup := n.cluster.Cgroup(NeighbourName) + "/kubepods/besteffort/pod" + string(pod.UID) + "/" + id
	p, err := n.Start(ctx, Component{
		Name: NeighbourName + "-" + pod.Name, Path: n.cluster.options.App, Args: pod.Spec.Containers[0].Args, Cgroup: cgroup,
		Until: until, Limit: quickly, Ready: ready,
	})
	if err != nil {
		return err
	}
	started := meta.NewTime(p.started)
	pods := n.cluster.client.CoreV1().Pods(pod.Namespace)
	err = retry.RetryOnConflict(retry.DefaultBackoff, func() error {
		known, err := pods.Get(ctx, pod.Name, meta.GetOptions{})
		if err != nil {
			return err
		}
		known.Status = core.PodStatus{
			Phase: core.PodRunning, HostIP: NeighbourAddress, PodIP: NeighbourAddress, StartTime: &started,
			Conditions: []core.PodCondition{{Type: core.PodReady, Status: core.ConditionTrue, LastTransitionTime: started}},
			ContainerStatuses: []core.ContainerStatus{{
				Name: pod.Spec.Containers[0].Name, ContainerID: "containerd://" + id, Image: AppImage, Ready: true, Started: new(true),
				State: core.ContainerState{Running: &core.ContainerStateRunning{StartedAt: started}},
			}},
		}
		_, err = pods.UpdateStatus(ctx, known, meta.UpdateOptions{})
		return err
	})
	if err != nil {
		return fmt.Errorf("tell that pod %s runs: %w", pod.Name, err)
	}
	return nil
}

// Remove ends all that runs on the second node, and takes it away. It returns what it could not undo.
func (n *Neighbour) Remove() error {
	var failed []error
	for _, p := range slices.Backward(n.cluster.all()) {
		if p.network != n.network {
			continue
		}
		failed = append(failed, n.cluster.End(p))
		if p.Cgroup != "" {
			failed = append(failed, n.cluster.cgroups.clear(p.Cgroup))
		}
	}
	failed = append(failed, n.cluster.cgroups.clear(n.cluster.Cgroup(NeighbourName)))
	// A namespace lives on for a moment after its last process: the link would, too.
	failed = append(failed, n.cluster.network.ip("link delete "+neighbourLink))
	n.network.close()
	if err := errors.Join(failed...); err != nil {
		return fmt.Errorf("take the second node away: %w", err)
	}
	return nil
}
