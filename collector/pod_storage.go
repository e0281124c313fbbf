package collector

import (
	"context"
	"errors"
	"time"

	"github.com/nodevitals/nodevitals/collector/identity"
	"github.com/nodevitals/nodevitals/collector/storage/volume"
	"github.com/nodevitals/nodevitals/snapshot"
)

// Runtime is a container runtime that knows what its containers and images take of filesystems; [identity.Runtime] does.
type Runtime interface {
	// WritableLayers returns the use of each running container's own layer, by the container's ID.
	WritableLayers(ctx context.Context) (map[string]snapshot.Usage, error)
	// ImageFilesystem returns where images and layers are; layers is nil where it is the same place.
	ImageFilesystem(ctx context.Context) (images, layers *snapshot.ImageFilesystem, err error)
}

// runtimeSample is what the runtime last told. It is asked in the background, since it may take seconds to answer.
type runtimeSample struct {
	// deadline and patience are [runtimeDeadline] and [runtimePatience].
	deadline, patience time.Duration

	at     time.Time
	asking chan struct{}
	usage  map[string]snapshot.Usage
	images *snapshot.ImageFilesystem
	layers *snapshot.ImageFilesystem
}

const (
	// runtimeDeadline bounds a question to the runtime: it measures on its own, so an answer takes as long as its locks.
	runtimeDeadline = 10 * time.Second
	// newLayerAge is how soon the runtime is asked again while a container's layer is not known.
	newLayerAge = 2 * time.Second
	// runtimePatience is how long a pass waits for the first answer of all. Later ones take what there is.
	runtimePatience = time.Second
)

// readRuntime gives the snapshot's node and containers what the runtime told of filesystems.
func (c *Collector) readRuntime(s *snapshot.Snapshot, now time.Time) {
	if c.options.Runtime == nil {
		return
	}
	c.mutex.Lock()
	sample := &c.runtime
	first := sample.at.IsZero()
	if age := now.Sub(sample.at); sample.asking == nil && (age >= c.options.StorageMaxAge || age >= newLayerAge && lacksLayer(s, sample.usage)) {
		sample.asking = make(chan struct{})
		go c.askRuntime(now)
	}
	asking := sample.asking
	c.mutex.Unlock()
	if first && asking != nil {
		select {
		case <-asking:
		case <-time.After(sample.patience):
		}
	}
	c.mutex.Lock()
	usage, images, layers := sample.usage, sample.images, sample.layers
	c.mutex.Unlock()
	s.Node.Images, s.Node.Layers = images, layers
	for i := range s.Pods {
		for at := range s.Pods[i].Containers {
			one := &s.Pods[i].Containers[at]
			one.WritableLayer = usage[one.ID]
		}
	}
}

// lacksLayer tells whether there is a container whose layer the runtime has not told of.
func lacksLayer(s *snapshot.Snapshot, usage map[string]snapshot.Usage) bool {
	for i := range s.Pods {
		for at := range s.Pods[i].Containers {
			if _, told := usage[s.Pods[i].Containers[at].ID]; !told {
				return true
			}
		}
	}
	return false
}

// askRuntime asks the runtime once. What it fails to tell stays as it was, with its time.
func (c *Collector) askRuntime(now time.Time) {
	ctx, cancel := context.WithTimeout(context.Background(), c.runtime.deadline)
	defer cancel()
	usage, usageErr := c.options.Runtime.WritableLayers(ctx)
	images, layers, imagesErr := c.options.Runtime.ImageFilesystem(ctx)
	c.waited(RuntimePart, errors.Join(usageErr, imagesErr))
	c.mutex.Lock()
	defer c.mutex.Unlock()
	sample := &c.runtime
	if usageErr == nil {
		sample.usage = usage
	}
	if imagesErr == nil {
		sample.images, sample.layers = images, layers
	}
	sample.at = now
	close(sample.asking)
	sample.asking = nil
}

// measuredPods turns the known pods into what the reader of volumes takes.
func measuredPods(pods []identity.Pod) []volume.Pod {
	measured := make([]volume.Pod, 0, len(pods))
	for i := range pods {
		pod := &pods[i]
		one := volume.Pod{UID: pod.UID, LogUID: pod.UID, Namespace: pod.Namespace, Name: pod.Name}
		for at := range pod.Containers {
			if pod.Containers[at].Running {
				one.Containers = append(one.Containers, pod.Containers[at].Name)
			}
		}
		if len(one.Containers) == 0 {
			continue
		}
		for _, spec := range pod.Volumes {
			one.Volumes = append(one.Volumes, volume.Spec{
				Name: spec.Name, Plugin: volumePlugin(spec.Plugin), Medium: spec.Medium, Claim: spec.Claim, PVName: spec.PVName,
				SizeLimit: spec.SizeLimit,
			})
		}
		measured = append(measured, one)
	}
	return measured
}

// volumePlugin is the same name to whoever measures, or "other" where it makes no difference there.
func volumePlugin(plugin identity.VolumePlugin) volume.Plugin {
	switch plugin {
	case identity.EmptyDir, identity.ConfigMap, identity.Secret, identity.Projected, identity.DownwardAPI, identity.HostPath,
		identity.NFS, identity.CSI, identity.ISCSI, identity.FlexVolume, identity.PersistentVolumeClaim, identity.GenericEphemeral:
		return volume.Plugin(plugin)
	}
	return volume.Other
}

// readVolumes gives pods and containers what they take of filesystems. The reader has ages and a deadline of its own.
func (c *Collector) readVolumes(s *snapshot.Snapshot, now time.Time) {
	if len(s.Pods) == 0 && len(c.roster.measured) == 0 {
		return
	}
	results, err := c.volumes.Read(context.Background(), c.roster.measured, now)
	c.waited(VolumesPart, err)
	for i := range s.Pods {
		pod := &s.Pods[i]
		result, ok := results[pod.UID]
		if !ok {
			continue
		}
		pod.Volumes, pod.Logs, pod.EtcHosts = result.Volumes, result.Logs, result.EtcHosts
		for at := range pod.Containers {
			pod.Containers[at].Logs = result.ContainerLogs[pod.Containers[at].Name]
		}
	}
}
