package cluster

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec" //nolint:depguard // ip sets the namespace up
	"runtime"
	"strings"

	"golang.org/x/sys/unix"
)

const (
	// NodeAddress is the node's. A kubelet refuses a loopback one.
	NodeAddress = "10.99.0.1"
	// ServiceAddress is where pods find the API server. The node has it as its own, so that no proxy is needed.
	ServiceAddress = "10.96.0.1"

	serviceRange = "10.96.0.0/16"
	podRange     = "10.244.0.0/16"
)

// links gives the namespace the node's addresses. Both ends of the pair stay inside: nothing leaves.
var links = []string{
	"link set lo up",
	"addr add " + ServiceAddress + "/32 dev lo",
	"link add node0 type veth peer name node1",
	"link set node1 up",
	"addr add " + NodeAddress + "/24 dev node0",
	"link set node0 up",
	"route add default via 10.99.0.254 dev node0",
}

// network is a node's network namespace. One of its own has no name: it goes with the last process in it and the last descriptor.
type network struct {
	file *os.File
	own  bool
}

// newNetwork makes a node's links in this process's network namespace, or in a new one.
func newNetwork(here bool, links []string) (*network, error) {
	n := &network{own: !here}
	err := onOwnThread(func() error {
		if n.own {
			if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
				return fmt.Errorf("make a network namespace: %w", err)
			}
		}
		var err error
		n.file, err = os.Open("/proc/thread-self/ns/net")
		return err
	})
	if err != nil {
		return nil, err
	}
	if err := n.ip(links...); err != nil {
		n.close()
		return nil, err
	}
	return n, nil
}

// ip has iproute2's program make changes in the namespace, each the words of one call.
func (n *network) ip(changes ...string) error {
	for _, change := range changes {
		cmd := exec.Command(find("ip"), strings.Fields(change)...)
		var said strings.Builder
		cmd.Stdout, cmd.Stderr = &said, &said
		run := func() error {
			if err := cmd.Start(); err != nil {
				return err
			}
			return cmd.Wait()
		}
		if err := n.do(run); err != nil {
			return fmt.Errorf("ip %s: %w: %s", change, err, strings.TrimSpace(said.String()))
		}
	}
	return nil
}

// do runs f in the namespace. Only the thread enters it, with the mounts of this process: its /sys shows the host's cgroups.
func (n *network) do(f func() error) error {
	return onOwnThread(func() error {
		if err := unix.Setns(int(n.file.Fd()), unix.CLONE_NEWNET); err != nil {
			return fmt.Errorf("enter the network namespace: %w", err)
		}
		return f()
	})
}

// dial is a DialContext that connects inside the namespace: a socket stays where its thread was.
func (n *network) dial(ctx context.Context, kind, address string) (conn net.Conn, err error) {
	err = n.do(func() error {
		conn, err = (&net.Dialer{}).DialContext(ctx, kind, address)
		return err
	})
	return conn, err
}

func (n *network) close() { n.file.Close() }

// onOwnThread runs f on a thread whose network namespace it may change, and puts that back. A thread that cannot be put back
// is given up; the runtime ends it.
func onOwnThread(f func() error) error {
	result := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		before, err := os.Open("/proc/thread-self/ns/net")
		if err != nil {
			runtime.UnlockOSThread()
			result <- err
			return
		}
		defer before.Close()
		err = f()
		if back := unix.Setns(int(before.Fd()), unix.CLONE_NEWNET); back == nil {
			runtime.UnlockOSThread()
		}
		result <- err
	}()
	return <-result
}
