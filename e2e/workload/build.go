package workload

import (
	core "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/nodevitals/nodevitals/e2e/cluster"
)

// pod makes one that is bound to the node straight away: there is no scheduler, and nothing that it would choose from.
func pod(namespace, name string, containers ...core.Container) *core.Pod {
	return &core.Pod{
		TypeMeta:   meta.TypeMeta{APIVersion: "v1", Kind: "Pod"},
		ObjectMeta: meta.ObjectMeta{Namespace: namespace, Name: name, Labels: map[string]string{"app": name}},
		Spec: core.PodSpec{
			NodeName:                      cluster.NodeName,
			Containers:                    containers,
			Tolerations:                   []core.Toleration{{Operator: core.TolerationOpExists}},
			TerminationGracePeriodSeconds: new(int64(1)),
		},
	}
}

// container runs the images' program with a behaviour of it.
func container(name string, arguments ...string) core.Container {
	return core.Container{Name: name, Image: cluster.AppImage, ImagePullPolicy: core.PullNever, Args: arguments}
}

// limited gives a container limits; requests it has none of are the same.
func limited(c core.Container, cpu, memory string) core.Container {
	c.Resources.Limits = quantities(cpu, memory)
	return c
}

// requesting gives a container requests.
func requesting(c core.Container, cpu, memory string) core.Container {
	c.Resources.Requests = quantities(cpu, memory)
	return c
}

// quantities leaves out what is empty.
func quantities(cpu, memory string) core.ResourceList {
	list := core.ResourceList{}
	if cpu != "" {
		list[core.ResourceCPU] = resource.MustParse(cpu)
	}
	if memory != "" {
		list[core.ResourceMemory] = resource.MustParse(memory)
	}
	return list
}

// mounting mounts volumes of the pod at /NAME.
func mounting(c core.Container, volumes ...string) core.Container {
	for _, name := range volumes {
		c.VolumeMounts = append(c.VolumeMounts, core.VolumeMount{Name: name, MountPath: "/" + name})
	}
	return c
}

func volume(name string, source core.VolumeSource) core.Volume {
	return core.Volume{Name: name, VolumeSource: source}
}

// Plain is a pod of one container named only, which does nothing.
func Plain(namespace, name string) *core.Pod { return pod(namespace, name, container("only")) }

// Scratch is a pod of one container named only, which writes a file of a mebibyte to its emptyDir named scratch.
func Scratch(namespace, name string) *core.Pod {
	p := pod(namespace, name, mounting(container("only", "write", "/scratch/file", "1"), "scratch"))
	p.Spec.Volumes = []core.Volume{volume("scratch", core.VolumeSource{EmptyDir: &core.EmptyDirVolumeSource{}})}
	return p
}
