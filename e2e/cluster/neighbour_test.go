package cluster

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"testing"
	"time"
)

// The second node is reached from the first at its own address, until it is unplugged, and again once it is plugged.
func TestNeighbourIsReachedOverItsLink(t *testing.T) {
	if os.Geteuid() != 0 || find("ip") == "" {
		t.Skip("needs root and iproute2: nodes have network namespaces")
	}
	g, err := newCgroups()
	if err != nil {
		t.Skip(err)
	}
	first, err := newNetwork(false, []string{"link set lo up"})
	if err != nil {
		t.Fatal(err)
	}
	defer first.close()
	c := &Cluster{network: first, cgroups: g, options: Options{State: t.TempDir(), Logs: t.TempDir(), Logf: t.Logf}}
	n, err := c.AddNeighbour()
	if err != nil {
		t.Fatal(err)
	}
	const address = NeighbourAddress + ":8080"
	var listener net.Listener
	err = n.network.do(func() (err error) {
		listener, err = net.Listen("tcp", address)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	for _, step := range []struct {
		name    string
		change  func() error
		reached bool
	}{
		{"as made", func() error { return nil }, true}, {"unplugged", n.Unplug, false}, {"plugged", n.Plug, true},
	} {
		if err := step.change(); err != nil {
			t.Fatalf("%s: %v", step.name, err)
		}
		// A link that comes up may take a moment; one that is down never answers.
		err := Await(t.Context(), time.Minute, fmt.Sprintf("a connection that was made: %t", step.reached), func(ctx context.Context) error {
			conn, err := first.dial(ctx, "tcp", address)
			if err == nil {
				conn.Close()
			}
			switch {
			case (err == nil) == step.reached:
				return nil
			case err == nil:
				err = errors.New("there is one")
			}
			return err
		})
		if err != nil {
			t.Errorf("%s: %v", step.name, err)
		}
	}
	if err := n.Remove(); err != nil {
		t.Error(err)
	}
	if err := first.ip("link show " + neighbourLink); err == nil {
		t.Error("the link is still there")
	}
}
