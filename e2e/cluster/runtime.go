package cluster

import (
	"context"
	"errors"
	"fmt"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// RuntimePod is a pod that the container runtime runs though no kubelet asked it to. It has one container, named only.
type RuntimePod struct {
	// Namespace, Name and UID are what the runtime is told: nobody else knows them.
	Namespace, Name, UID string
	// Args are those of the images' program.
	Args []string

	connection *grpc.ClientConn
	sandbox    string
}

// Start has the runtime run the pod, by the calls that a kubelet would make. [RuntimePod.Remove] ends it, also one that did not start whole.
// A kubelet that comes back does so, too.
func (p *RuntimePod) Start(ctx context.Context) error {
	var err error
	p.connection, err = grpc.NewClient("unix://"+containerdSocket, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return fmt.Errorf("run pod %s by the runtime alone: %w", p.Name, err)
	}
	if err := p.start(ctx, cri.NewRuntimeServiceClient(p.connection)); err != nil {
		return fmt.Errorf("run pod %s by the runtime alone: %w", p.Name, errors.Join(err, p.Remove(ctx)))
	}
	return nil
}

func (p *RuntimePod) start(ctx context.Context, runtime cri.RuntimeServiceClient) error {
	config := &cri.PodSandboxConfig{
		Metadata: &cri.PodSandboxMetadata{Name: p.Name, Namespace: p.Namespace, Uid: p.UID},
		Linux:    &cri.LinuxPodSandboxConfig{CgroupParent: podsCgroup + "/besteffort/pod" + p.UID},
	}
	sandbox, err := runtime.RunPodSandbox(ctx, &cri.RunPodSandboxRequest{Config: config})
	if err != nil {
		return err
	}
	p.sandbox = sandbox.GetPodSandboxId()
	container, err := runtime.CreateContainer(ctx, &cri.CreateContainerRequest{
		PodSandboxId: p.sandbox, SandboxConfig: config,
		Config: &cri.ContainerConfig{
			Metadata: &cri.ContainerMetadata{Name: "only"}, Image: &cri.ImageSpec{Image: AppImage}, Args: p.Args,
		},
	})
	if err != nil {
		return err
	}
	_, err = runtime.StartContainer(ctx, &cri.StartContainerRequest{ContainerId: container.GetContainerId()})
	return err
}

// Remove has the runtime end the pod and forget it. One that is gone already is no error.
func (p *RuntimePod) Remove(ctx context.Context) error {
	defer func() { _ = p.connection.Close() }() // what it would say, the calls have said
	if p.sandbox == "" {
		return nil
	}
	runtime := cri.NewRuntimeServiceClient(p.connection)
	if _, err := runtime.StopPodSandbox(ctx, &cri.StopPodSandboxRequest{PodSandboxId: p.sandbox}); err != nil {
		return fmt.Errorf("end pod %s: %w", p.Name, err)
	}
	if _, err := runtime.RemovePodSandbox(ctx, &cri.RemovePodSandboxRequest{PodSandboxId: p.sandbox}); err != nil {
		return fmt.Errorf("remove pod %s: %w", p.Name, err)
	}
	return nil
}
