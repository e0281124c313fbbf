package summary

import (
	"math"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/kubelet/pkg/apis/stats/v1alpha1"

	"github.com/nodevitals/nodevitals/snapshot"
)

// node renders what belongs to the machine, most of it from the root cgroup.
func (r *renderer) node(options Options) v1alpha1.NodeStats {
	node := &r.snapshot.Node
	stats := v1alpha1.NodeStats{
		NodeName:         node.Name,
		StartTime:        metav1.NewTime(node.BootTime),
		SystemContainers: r.systemContainers(options),
	}
	if root := r.snapshot.Find("/"); root != nil {
		r.root(&stats, root)
	}
	if r.full {
		stats.Fs, stats.Runtime = r.filesystem(node.RootFS()), r.runtime()
		stats.Rlimit = rlimit(node)
	}
	return stats
}

// root renders the root cgroup as the node.
func (r *renderer) root(stats *v1alpha1.NodeStats, root *snapshot.Cgroup) {
	stats.CPU, stats.Memory, stats.Swap = r.cpu(root), r.memory(root), r.swap(root)
	if stats.Memory != nil && stats.Memory.AvailableBytes != nil {
		// What is set aside for huge pages serves nothing else.
		stats.Memory.AvailableBytes = r.less(*stats.Memory.AvailableBytes, r.snapshot.Node.HugePagesTotal.Or(0))
	}
	if r.full {
		stats.IO, stats.Network = r.io(root), r.network(root.HasNetwork, root.Interfaces)
		return
	}
	if root.Spec != nil && !root.Spec.Created.IsZero() {
		// The kubelet shows the boot in full and its root container's making in short: here too, though they are seconds apart.
		stats.StartTime = metav1.NewTime(root.Spec.Created)
	}
}

// rlimit renders how many threads there are and may be.
func rlimit(node *snapshot.Node) *v1alpha1.RlimitStats {
	if !node.MaxPID.Present && !node.Tasks.Present {
		return nil
	}
	return &v1alpha1.RlimitStats{
		Time: metav1.NewTime(node.TasksTime), MaxPID: signed(node.MaxPID), NumOfRunningProcesses: signed(node.Tasks),
	}
}

func signed(number snapshot.Optional) *int64 {
	if !number.Present {
		return nil
	}
	value := int64(min(number.Value, math.MaxInt64))
	return &value
}

// defaultInterface is the one whose figures the kubelet takes for the whole node's.
const defaultInterface = "eth0"

// network lists the interfaces of a namespace, nil if they were not read. Without an eth0 no name and no figures are above the
// list, as in the kubelet's answer.
func (r *renderer) network(read bool, interfaces []snapshot.Interface) *v1alpha1.NetworkStats {
	if !read {
		return nil
	}
	stats := v1alpha1.NetworkStats{Time: r.time(snapshot.Network)}
	if len(interfaces) > 0 {
		stats.Interfaces = r.parts.interfaces.list(len(interfaces))
	}
	for i := range interfaces {
		one := &interfaces[i]
		rendered := v1alpha1.InterfaceStats{
			Name:    one.Name,
			RxBytes: r.number(one.RxBytes), RxErrors: r.number(one.RxErrors),
			TxBytes: r.number(one.TxBytes), TxErrors: r.number(one.TxErrors),
		}
		if one.Name == defaultInterface {
			stats.InterfaceStats = rendered
		}
		stats.Interfaces = append(stats.Interfaces, rendered)
	}
	return r.parts.networks.keep(stats)
}

// The usual cgroups of system containers; the first that exists is it.
var (
	usualPods = []string{
		"/kubepods.slice", "/kubepods",
		"/kubelet.slice/kubelet-kubepods.slice", "/kubelet/kubepods", // kind
	}
	usualKubelets = []string{"/system.slice/kubelet.service", "/kubelet.service", "/kubelet", "/kubelet.slice/kubelet.service"}
	usualRuntimes = []string{"/system.slice/containerd.service", "/system.slice/crio.service", "/system.slice/docker.service"}
)

// systemContainers renders the daemons of the node, sorted by name. Which cgroups they are is for the kubelet to configure; on a
// host without one, nothing configured and no pods, the cgroups below the root are shown by their own names.
func (r *renderer) systemContainers(options Options) []v1alpha1.ContainerStats {
	pods := r.find(options.PodsCgroup, usualPods)
	if pods == nil && options == (Options{}) {
		return r.topLevel()
	}
	var stats []v1alpha1.ContainerStats
	for _, one := range []struct {
		name   string
		cgroup *snapshot.Cgroup
	}{
		{v1alpha1.SystemContainerKubelet, r.find(options.KubeletCgroups, usualKubelets)},
		{v1alpha1.SystemContainerMisc, r.find(options.SystemCgroups, nil)},
		{v1alpha1.SystemContainerPods, pods},
		{v1alpha1.SystemContainerRuntime, r.find(options.RuntimeCgroups, usualRuntimes)},
	} {
		if one.cgroup != nil {
			stats = append(stats, r.container(one.name, one.cgroup))
		}
	}
	return stats
}

// find returns the configured cgroup, or where none is, the first usual one; nil if the node has no such cgroup. The root is no
// system container.
func (r *renderer) find(configured string, usual []string) *snapshot.Cgroup {
	if configured != "" {
		usual = []string{withSlash(configured)}
	}
	for _, id := range usual {
		if found := r.snapshot.Find(id); found != nil && id != "/" {
			return found
		}
	}
	return nil
}

// withSlash lets "system.slice" mean "/system.slice": the kubelet looks for the former in vain.
func withSlash(id string) string {
	for len(id) > 1 && id[len(id)-1] == '/' {
		id = id[:len(id)-1]
	}
	if id[0] != '/' {
		return "/" + id
	}
	return id
}

// topLevel renders the cgroups right below the root, by name as the snapshot has them.
func (r *renderer) topLevel() []v1alpha1.ContainerStats {
	var stats []v1alpha1.ContainerStats
	for i := range r.snapshot.Cgroups {
		cgroup := &r.snapshot.Cgroups[i]
		if name, ok := topLevelName(cgroup.Identity.ID); ok {
			stats = append(stats, r.container(name, cgroup))
		}
	}
	return stats
}

func topLevelName(id string) (string, bool) {
	if len(id) < 2 || id[0] != '/' {
		return "", false
	}
	for _, c := range id[1:] {
		if c == '/' {
			return "", false
		}
	}
	return id[1:], true
}
