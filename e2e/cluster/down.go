package cluster

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// patience is how long a component may take to end by itself.
const patience = 20 * time.Second

// Down ends everything that Up and Start have begun, and leaves the host as it was: processes, cgroups, mounts, kernel settings, files. It
// returns what it could not undo. Logs stay.
func (c *Cluster) Down(ctx context.Context) error {
	start := time.Now()
	var failed []error
	note := func(err error) {
		if err != nil {
			failed = append(failed, err)
		}
	}
	note(c.deletePods(ctx))
	cgroups := []string{podsCgroup}
	for _, p := range slices.Backward(c.all()) {
		c.drop(p)
		note(p.Stop(patience))
		if p.Cgroup != "" {
			cgroups = append(cgroups, p.Cgroup)
		}
	}
	if c.cgroups != nil {
		for _, cgroup := range cgroups {
			note(c.cgroups.clear(cgroup))
		}
		c.cgroups.removeMade()
	}
	note(c.unmount())
	if c.network != nil {
		c.network.close()
	}
	note(c.before.restore())
	note(os.RemoveAll(c.options.State))
	c.options.Logf("the cluster is down after %s", time.Since(start).Round(time.Second))
	if err := errors.Join(failed...); err != nil {
		return fmt.Errorf("take the cluster down: %w", err)
	}
	return nil
}

// deletePods has the kubelet end all pods, so that it takes back networks, volumes and logs itself. A cluster that did not come up
// has nobody who could: then there is nothing to wait for.
func (c *Cluster) deletePods(ctx context.Context) error {
	if kubelet := c.Process("kubelet"); kubelet == nil || kubelet.Ended() != nil {
		return nil
	}
	// First those who would make the pods of deployments and daemon sets anew, as fast as they go.
	if controllers := c.Process("kube-controller-manager"); controllers != nil {
		if err := c.End(controllers); err != nil {
			return err
		}
	}
	for name := range c.options.StaticPods {
		if err := os.Remove(c.manifest(name)); err != nil {
			return fmt.Errorf("remove a static pod: %w", err)
		}
	}
	return Await(ctx, quickly, "all pods to be gone", func(ctx context.Context) error {
		pods, err := c.client.CoreV1().Pods(meta.NamespaceAll).List(ctx, meta.ListOptions{})
		if err != nil {
			return err
		}
		var left []string
		for _, pod := range pods.Items {
			left = append(left, pod.Namespace+"/"+pod.Name)
			if pod.DeletionTimestamp == nil {
				grace := int64(1)
				if pod.Spec.NodeName != NodeName {
					grace = 0 // nobody there would end it
				}
				// An error shows in the next look: the pod is still there.
				_ = c.client.CoreV1().Pods(pod.Namespace).Delete(ctx, pod.Name, meta.DeleteOptions{GracePeriodSeconds: &grace})
			}
		}
		if len(left) > 0 {
			return fmt.Errorf("there still are %s", strings.Join(left, ", "))
		}
		if pids := c.cgroups.processes(podsCgroup); len(pids) > 0 {
			return fmt.Errorf("processes %v are still in %s", pids, podsCgroup)
		}
		return nil
	})
}

// unmount takes away the mounts that lie below the state folder, or come from it.
func (c *Cluster) unmount() error {
	mounts, err := c.mounts()
	if err != nil {
		return err
	}
	for _, mount := range slices.Backward(mounts) {
		if err := unix.Unmount(mount, unix.MNT_DETACH); err != nil {
			return fmt.Errorf("unmount %s: %w", mount, err)
		}
	}
	return nil
}

// mounts lists them in the order in which they were made.
func (c *Cluster) mounts() ([]string, error) {
	file, err := os.Open("/proc/self/mountinfo")
	if err != nil {
		return nil, err
	}
	defer file.Close()
	var mounts []string
	for lines := bufio.NewScanner(file); lines.Scan(); {
		// ID, parent, device, root, mount point, …
		if fields := strings.Fields(lines.Text()); len(fields) > 4 && strings.HasPrefix(fields[4], c.options.State+"/") {
			mounts = append(mounts, fields[4])
		}
	}
	return mounts, nil
}
