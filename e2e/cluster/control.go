package cluster

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"syscall"
	"time"
)

// Process returns the component of this name that was started last, or nil.
func (c *Cluster) Process(name string) *Process {
	for _, p := range slices.Backward(c.all()) {
		if p.Name == name {
			return p
		}
	}
	return nil
}

// Kill ends a component at once, as a machine that fails would.
func (c *Cluster) Kill(name string) (*Process, error) {
	p := c.Process(name)
	if p == nil {
		return nil, fmt.Errorf("kill %s: it does not run", name)
	}
	if err := syscall.Kill(p.PID(), syscall.SIGKILL); err != nil {
		return nil, fmt.Errorf("kill %s: %w", name, err)
	}
	<-p.ended
	c.drop(p)
	return p, nil
}

// Again starts a component that was killed, as it was and on the node where it was.
func (c *Cluster) Again(ctx context.Context, p *Process) error {
	_, err := c.start(ctx, p.network, p.Component)
	return err
}

// Hang stops a component in its tracks until resume is called: it has its sockets and answers none.
func (p *Process) Hang() (resume func(), err error) {
	if err := syscall.Kill(p.PID(), syscall.SIGSTOP); err != nil {
		return nil, fmt.Errorf("stop %s: %w", p.Name, err)
	}
	return func() { _ = syscall.Kill(p.PID(), syscall.SIGCONT) }, nil // one that has ended needs none
}

// End ends a component that a test started for itself.
func (c *Cluster) End(p *Process) error {
	c.drop(p)
	return p.Stop(20 * time.Second)
}

// AddStaticPod gives the kubelet the manifest of a pod that it runs without being asked by the API server. The name is the file's.
func (c *Cluster) AddStaticPod(name string, manifest []byte) error {
	// Whole or not at all: the kubelet reads whatever is there.
	hidden := c.manifest("." + name)
	if err := os.WriteFile(hidden, manifest, 0o644); err != nil {
		return fmt.Errorf("write the manifest of a static pod: %w", err)
	}
	return os.Rename(hidden, c.manifest(name))
}

// RemoveStaticPod takes it back.
func (c *Cluster) RemoveStaticPod(name string) error { return os.Remove(c.manifest(name)) }

// RuntimeSocket is where containerd answers.
func (c *Cluster) RuntimeSocket() string { return containerdSocket }

// Forget has etcd forget every version but the present one, as it does by itself in time: who asks for what came after an older one gets no answer.
func (c *Cluster) Forget(ctx context.Context) error {
	var answer struct {
		Header struct{ Revision string }
	}
	// Any key will do, since each answer tells the revision.
	said, err := c.post(ctx, etcdURL+"/v3/kv/range", map[string]any{"key": []byte("/")})
	if err != nil {
		return err
	}
	if err := json.Unmarshal(said, &answer); err != nil {
		return fmt.Errorf("read etcd's revision: %w", err)
	}
	_, err = c.post(ctx, etcdURL+"/v3/kv/compaction", map[string]any{"revision": answer.Header.Revision, "physical": true})
	return err
}
