// Package workload is the varied pods that the tests compare figures of: all QoS classes, several containers, init, sidecar, restart loop,
// killed for memory, the host's network, static, and volumes of many kinds.
package workload

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"slices"

	core "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/nodevitals/nodevitals/e2e/cluster"
)

// Monitoring is a namespace besides "default", so that names alone do not tell pods apart.
const Monitoring = "monitoring"

// Fleeting are the containers that end again and again.
var Fleeting = []string{"fails", "hungry"}

// Changing are the pods of those containers, as NAMESPACE/NAME.
func Changing() []string {
	var keys []string
	for _, p := range Pods() {
		if slices.ContainsFunc(p.Spec.Containers, func(c core.Container) bool { return slices.Contains(Fleeting, c.Name) }) {
			keys = append(keys, p.Key())
		}
	}
	return keys
}

// Pod is one of them, and what it is meant to come to.
type Pod struct {
	*core.Pod
	// Static pods are not made through the API server: it shows their mirror, which carries the node's name.
	Static bool
	// Reached returns nil once the pod is in the state that it is there for, and else what is missing.
	Reached func(*core.Pod) error
}

// Key is NAMESPACE/NAME as the API server has it.
func (p Pod) Key() string {
	if p.Static {
		return p.Namespace + "/" + p.Name + "-" + cluster.NodeName
	}
	return p.Namespace + "/" + p.Name
}

// Pods are all of them. Those with volumes need the folder for the node's own disk.
func Pods() []Pod {
	return []Pod{
		guaranteed(), volumes(), sidecar(), bestEffort(), hostNetwork(), restartLoop(), outOfMemory(), completed(), static(),
	}
}

// guaranteed has requests that equal limits in each of its two containers.
func guaranteed() Pod {
	return Pod{Reached: running(core.PodQOSGuaranteed), Pod: pod(meta.NamespaceDefault, "guaranteed",
		limited(container("first", "burn", "20", "16"), "100m", "64Mi"),
		limited(container("second"), "50m", "32Mi"),
	)}
}

// volumes has one of each kind. The claim is of a local volume, which the kubelet measures; of a host path it does not.
func volumes() Pod {
	p := pod(meta.NamespaceDefault, "volumes",
		mounting(requesting(limited(container("app", "write", "/scratch/file", "12"), "", "128Mi"), "20m", "64Mi"),
			"scratch", "memory", "data", "host-data", "settings", "info"),
		mounting(container("writer", "write", "/memory/file", "4"), "memory"),
	)
	p.Spec.InitContainers = []core.Container{limited(container("setup", "exit", "0"), "", "64Mi")}
	claim := func(name string) core.VolumeSource {
		return core.VolumeSource{PersistentVolumeClaim: &core.PersistentVolumeClaimVolumeSource{ClaimName: name}}
	}
	p.Spec.Volumes = []core.Volume{
		volume("scratch", core.VolumeSource{EmptyDir: &core.EmptyDirVolumeSource{}}),
		volume("memory", core.VolumeSource{EmptyDir: &core.EmptyDirVolumeSource{
			Medium: core.StorageMediumMemory, SizeLimit: new(resource.MustParse("16Mi")),
		}}),
		volume("data", claim("data")),
		volume("host-data", claim("host-data")),
		volume("settings", core.VolumeSource{ConfigMap: &core.ConfigMapVolumeSource{LocalObjectReference: core.LocalObjectReference{Name: "settings"}}}),
		volume("info", core.VolumeSource{DownwardAPI: &core.DownwardAPIVolumeSource{Items: []core.DownwardAPIVolumeFile{
			{Path: "labels", FieldRef: &core.ObjectFieldSelector{FieldPath: "metadata.labels"}},
		}}}),
	}
	return Pod{Pod: p, Reached: running(core.PodQOSBurstable)}
}

// sidecar has an init container that never ends, before the others.
func sidecar() Pod {
	p := pod(meta.NamespaceDefault, "sidecar", requesting(container("app", "burn", "10", "8"), "10m", ""))
	beside := limited(container("beside", "serve", "8080"), "100m", "64Mi")
	beside.RestartPolicy = new(core.ContainerRestartPolicyAlways)
	p.Spec.InitContainers = []core.Container{beside, container("setup", "exit", "0")}
	return Pod{Pod: p, Reached: running(core.PodQOSBurstable)}
}

// bestEffort has no limits at all.
func bestEffort() Pod {
	return Pod{Reached: running(core.PodQOSBestEffort), Pod: pod(Monitoring, "best-effort", container("only", "burn", "5", "8"))}
}

// hostNetwork has no network of its own to report.
func hostNetwork() Pod {
	p := pod(meta.NamespaceDefault, "host-network", limited(container("agent", "serve", "18080"), "100m", "64Mi"))
	p.Spec.HostNetwork = true
	return Pod{Pod: p, Reached: running(core.PodQOSGuaranteed)}
}

// restartLoop has a container that fails at once beside one that lives.
func restartLoop() Pod {
	return Pod{
		Pod:     pod(meta.NamespaceDefault, "restart-loop", container("fails", "exit", "3"), container("calm")),
		Reached: restarted("fails", func(ended core.ContainerStateTerminated) bool { return ended.ExitCode == 3 }),
	}
}

// outOfMemory has a container that the kernel kills.
func outOfMemory() Pod {
	return Pod{
		Pod:     pod(meta.NamespaceDefault, "out-of-memory", limited(container("hungry", "oom"), "", "32Mi"), container("calm")),
		Reached: restarted("hungry", func(ended core.ContainerStateTerminated) bool { return ended.Reason == "OOMKilled" }),
	}
}

// completed has ended well, and stays known to the API server.
func completed() Pod {
	p := pod(Monitoring, "completed", container("once", "exit", "0"))
	p.Spec.RestartPolicy = core.RestartPolicyNever
	return Pod{Pod: p, Reached: func(p *core.Pod) error {
		if p.Status.Phase != core.PodSucceeded {
			return fmt.Errorf("its phase is %s, want %s", p.Status.Phase, core.PodSucceeded)
		}
		return nil
	}}
}

// static has no service account, and its cgroup's UID is not the one that the API server knows.
func static() Pod {
	p := pod(meta.NamespaceSystem, "static", requesting(container("only", "burn", "5", "8"), "5m", ""))
	p.Spec.NodeName = ""
	return Pod{Pod: p, Static: true, Reached: running(core.PodQOSBurstable)}
}

// StaticPods are the manifests of those among Pods, by file name.
func StaticPods() (map[string][]byte, error) {
	manifests := map[string][]byte{}
	for _, p := range Pods() {
		if !p.Static {
			continue
		}
		text, err := json.Marshal(p.Pod)
		if err != nil {
			return nil, fmt.Errorf("write pod %s as a manifest: %w", p.Name, err)
		}
		manifests[p.Name+".json"] = text
	}
	return manifests, nil
}

// Create makes the pods that are not static, and what they need. The folder holds the data of persistent volumes.
func Create(ctx context.Context, c *cluster.Cluster, folder string) error {
	client := c.Client()
	namespace := &core.Namespace{ObjectMeta: meta.ObjectMeta{Name: Monitoring}}
	if _, err := client.CoreV1().Namespaces().Create(ctx, namespace, meta.CreateOptions{}); err != nil {
		return fmt.Errorf("make namespace %s: %w", Monitoring, err)
	}
	if err := c.AwaitAccount(ctx, Monitoring); err != nil {
		return err
	}
	settings := &core.ConfigMap{ObjectMeta: meta.ObjectMeta{Name: "settings"}, Data: map[string]string{"key": "value"}}
	if _, err := client.CoreV1().ConfigMaps(meta.NamespaceDefault).Create(ctx, settings, meta.CreateOptions{}); err != nil {
		return fmt.Errorf("make config map settings: %w", err)
	}
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return fmt.Errorf("make the folder of a local volume: %w", err)
	}
	sources := map[string]core.PersistentVolumeSource{
		"data":      {Local: &core.LocalVolumeSource{Path: folder}},
		"host-data": {HostPath: &core.HostPathVolumeSource{Path: folder}},
	}
	for name, source := range sources {
		if err := createClaim(ctx, client, name, source); err != nil {
			return fmt.Errorf("make persistent volume %s: %w", name, err)
		}
	}
	for _, p := range Pods() {
		if p.Static {
			continue
		}
		if _, err := client.CoreV1().Pods(p.Namespace).Create(ctx, p.Pod, meta.CreateOptions{}); err != nil {
			return fmt.Errorf("make pod %s: %w", p.Key(), err)
		}
	}
	return nil
}

// createClaim makes a volume and the claim that holds it.
func createClaim(ctx context.Context, client kubernetes.Interface, name string, source core.PersistentVolumeSource) error {
	size := core.ResourceList{core.ResourceStorage: resource.MustParse("1Gi")}
	modes := []core.PersistentVolumeAccessMode{core.ReadWriteOnce}
	pv := &core.PersistentVolume{ObjectMeta: meta.ObjectMeta{Name: name}, Spec: core.PersistentVolumeSpec{
		Capacity: size, AccessModes: modes, StorageClassName: "manual", PersistentVolumeSource: source,
		NodeAffinity: &core.VolumeNodeAffinity{Required: &core.NodeSelector{NodeSelectorTerms: []core.NodeSelectorTerm{{
			MatchExpressions: []core.NodeSelectorRequirement{
				{Key: core.LabelHostname, Operator: core.NodeSelectorOpIn, Values: []string{cluster.NodeName}},
			},
		}}}},
	}}
	if _, err := client.CoreV1().PersistentVolumes().Create(ctx, pv, meta.CreateOptions{}); err != nil {
		return err
	}
	pvc := &core.PersistentVolumeClaim{ObjectMeta: meta.ObjectMeta{Name: name}, Spec: core.PersistentVolumeClaimSpec{
		AccessModes: modes, StorageClassName: new("manual"), VolumeName: name, Resources: core.VolumeResourceRequirements{Requests: size},
	}}
	_, err := client.CoreV1().PersistentVolumeClaims(meta.NamespaceDefault).Create(ctx, pvc, meta.CreateOptions{})
	return err
}
