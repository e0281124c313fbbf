package identity

import (
	"context"
	"time"

	cri "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/nodevitals/nodevitals/snapshot"
)

// WritableLayers returns what the layer of each container takes, by the container's ID, as the runtime measured it. Containers whose
// layer it has not measured are absent. It returns an error if the runtime is not there or does not answer.
func (r *Runtime) WritableLayers(ctx context.Context) (map[string]snapshot.Usage, error) {
	c, err := r.connect(ctx)
	if err != nil {
		return nil, err
	}
	var answer *cri.ListContainerStatsResponse
	err = r.call(ctx, c, r.measuring, "list container stats", func(ctx context.Context) (err error) {
		answer, err = c.runtime.ListContainerStats(ctx, &cri.ListContainerStatsRequest{})
		return err
	})
	if err != nil {
		return nil, err
	}
	layers := make(map[string]snapshot.Usage, len(answer.GetStats()))
	for _, stats := range answer.GetStats() {
		layer := stats.GetWritableLayer()
		if id := stats.GetAttributes().GetId(); id != "" && layer.GetTimestamp() != 0 {
			layers[id] = snapshot.Usage{
				Time:       time.Unix(0, layer.GetTimestamp()),
				Bytes:      optional(layer.GetUsedBytes()),
				Inodes:     optional(layer.GetInodesUsed()),
				MountPoint: layer.GetFsId().GetMountpoint(),
			}
		}
	}
	return layers, nil
}

// ImageFilesystem returns what images take and where the runtime keeps them, and the same of containers' layers. Where both lie in
// one filesystem, or the runtime does not tell of layers, layers is images; both are nil where it tells of neither. It
// returns an error if the runtime is not there or does not answer.
func (r *Runtime) ImageFilesystem(ctx context.Context) (images, layers *snapshot.ImageFilesystem, err error) {
	c, err := r.connect(ctx)
	if err != nil {
		return nil, nil, err
	}
	var answer *cri.ImageFsInfoResponse
	err = r.call(ctx, c, r.patience, "ask for the image filesystem", func(ctx context.Context) (err error) {
		answer, err = c.images.ImageFsInfo(ctx, &cri.ImageFsInfoRequest{})
		return err
	})
	if err != nil {
		return nil, nil, err
	}
	// The interface has lists, of which the kubelet takes the first and runtimes give one.
	if all := answer.GetImageFilesystems(); len(all) > 0 {
		images = fromFilesystemUsage(all[0])
	}
	layers = images
	if all := answer.GetContainerFilesystems(); len(all) > 0 {
		if told := fromFilesystemUsage(all[0]); images == nil || told.MountPoint != images.MountPoint {
			layers = told
		}
	}
	return images, layers, nil
}

func fromFilesystemUsage(told *cri.FilesystemUsage) *snapshot.ImageFilesystem {
	return &snapshot.ImageFilesystem{
		Time:       fromNanoseconds(told.GetTimestamp()),
		MountPoint: told.GetFsId().GetMountpoint(),
		Bytes:      optional(told.GetUsedBytes()),
		Inodes:     optional(told.GetInodesUsed()),
	}
}

func optional(value *cri.UInt64Value) snapshot.Optional {
	if value == nil {
		return snapshot.Optional{}
	}
	return snapshot.Some(value.GetValue())
}
