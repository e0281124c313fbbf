package identity

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// fakeRuntime is a gRPC server on a unix socket that serves the Container Runtime Interface.
type fakeRuntime struct {
	cri.UnimplementedRuntimeServiceServer
	cri.UnimplementedImageServiceServer
	t      *testing.T
	socket string
	server *grpc.Server

	mutex         sync.Mutex
	name, version string
	sandboxes     []*cri.PodSandbox
	containers    []*cri.Container
	// hostNetwork are the sandboxes that use the host's; images the names of each image.
	hostNetwork []string
	images      map[string]*cri.Image
	stats       []*cri.ContainerStats
	filesystems *cri.ImageFsInfoResponse
	// events has those to send; nil: the runtime does not have them.
	events chan *cri.ContainerEventResponse
	// hung has the calls that are not answered.
	hung   map[string]bool
	calls  map[string]int
	serves bool
}

func newFakeRuntime(t *testing.T) *fakeRuntime {
	t.Helper()
	// A test's own folder may have a path that is too long for a socket.
	folder, err := os.MkdirTemp("", "cri")
	if err != nil {
		t.Fatal(err)
	}
	f := &fakeRuntime{
		t: t, socket: filepath.Join(folder, "s"), name: "containerd", version: "v2.3.7", serves: true,
		images: make(map[string]*cri.Image), hung: make(map[string]bool), calls: make(map[string]int),
	}
	t.Cleanup(func() {
		f.stop()
		os.RemoveAll(folder)
	})
	return f
}

func (f *fakeRuntime) start() {
	f.t.Helper()
	listener, err := net.Listen("unix", f.socket)
	if err != nil {
		f.t.Fatal(err)
	}
	f.server = grpc.NewServer(
		grpc.UnaryInterceptor(func(ctx context.Context, request any, info *grpc.UnaryServerInfo, do grpc.UnaryHandler) (any, error) {
			if err := f.enter(ctx, filepath.Base(info.FullMethod)); err != nil {
				return nil, err
			}
			return do(ctx, request)
		}),
		grpc.StreamInterceptor(func(server any, stream grpc.ServerStream, info *grpc.StreamServerInfo, do grpc.StreamHandler) error {
			if err := f.enter(stream.Context(), filepath.Base(info.FullMethod)); err != nil {
				return err
			}
			return do(server, stream)
		}),
	)
	if f.serves {
		cri.RegisterRuntimeServiceServer(f.server, f)
		cri.RegisterImageServiceServer(f.server, f)
	}
	go f.server.Serve(listener)
}

// stop ends the server as if it were killed; the socket's file goes with it.
func (f *fakeRuntime) stop() {
	if f.server != nil {
		f.server.Stop()
	}
}

// enter counts a call and holds up those that hang.
func (f *fakeRuntime) enter(ctx context.Context, method string) error {
	f.mutex.Lock()
	f.calls[method]++
	hung := f.hung[method]
	f.mutex.Unlock()
	if hung {
		<-ctx.Done()
		return ctx.Err()
	}
	return nil
}

func (f *fakeRuntime) hang(hung bool, methods ...string) {
	f.mutex.Lock()
	defer f.mutex.Unlock()
	for _, method := range methods {
		f.hung[method] = hung
	}
}

func (f *fakeRuntime) called(method string) int {
	f.mutex.Lock()
	defer f.mutex.Unlock()
	return f.calls[method]
}

// change changes what the runtime has.
func (f *fakeRuntime) change(change func()) {
	f.mutex.Lock()
	defer f.mutex.Unlock()
	change()
}

// addSandbox adds a ready sandbox of a pod. The mutex is held.
func (f *fakeRuntime) addSandbox(id, name, uid string) {
	f.sandboxes = append(f.sandboxes, &cri.PodSandbox{
		Id: id, Metadata: &cri.PodSandboxMetadata{Name: name, Namespace: "default", Uid: uid},
		State: cri.PodSandboxState_SANDBOX_READY, CreatedAt: began.UnixNano(),
	})
}

// addContainer adds a running container. The mutex is held.
func (f *fakeRuntime) addContainer(id, sandbox, name string, attempt uint32) {
	f.containers = append(f.containers, &cri.Container{
		Id: id, PodSandboxId: sandbox, Metadata: &cri.ContainerMetadata{Name: name, Attempt: attempt},
		Image: &cri.ImageSpec{Image: imageID, UserSpecifiedImage: "app:1"}, ImageRef: imageID, ImageId: imageID,
		State: cri.ContainerState_CONTAINER_RUNNING, CreatedAt: began.Add(time.Duration(attempt+1) * time.Minute).UnixNano(),
	})
}

const imageID = "sha256:dcb49a224449ea1d4096a7d40e551c4bf57fbbf8717e8370f5cb4ca37efef628"

// Version says who the runtime is.
func (f *fakeRuntime) Version(context.Context, *cri.VersionRequest) (*cri.VersionResponse, error) {
	f.mutex.Lock()
	defer f.mutex.Unlock()
	return &cri.VersionResponse{RuntimeName: f.name, RuntimeVersion: f.version, RuntimeApiVersion: "v1"}, nil
}

// ListPodSandbox lists the sandboxes.
func (f *fakeRuntime) ListPodSandbox(context.Context, *cri.ListPodSandboxRequest) (*cri.ListPodSandboxResponse, error) {
	f.mutex.Lock()
	defer f.mutex.Unlock()
	return &cri.ListPodSandboxResponse{Items: slices.Clone(f.sandboxes)}, nil
}

// ListContainers lists the containers.
func (f *fakeRuntime) ListContainers(context.Context, *cri.ListContainersRequest) (*cri.ListContainersResponse, error) {
	f.mutex.Lock()
	defer f.mutex.Unlock()
	return &cri.ListContainersResponse{Containers: slices.Clone(f.containers)}, nil
}

// PodSandboxStatus tells a sandbox's details as containerd does.
func (f *fakeRuntime) PodSandboxStatus(_ context.Context, r *cri.PodSandboxStatusRequest) (*cri.PodSandboxStatusResponse, error) {
	f.mutex.Lock()
	defer f.mutex.Unlock()
	network := cri.NamespaceMode_POD
	if slices.Contains(f.hostNetwork, r.GetPodSandboxId()) {
		network = cri.NamespaceMode_NODE
	}
	answer := &cri.PodSandboxStatusResponse{Status: &cri.PodSandboxStatus{
		Id:    r.GetPodSandboxId(),
		Linux: &cri.LinuxPodSandboxStatus{Namespaces: &cri.Namespace{Options: &cri.NamespaceOption{Network: network}}},
	}}
	if r.GetVerbose() {
		answer.Info = map[string]string{"info": `{"pid":4242,"image":"localhost/pause:1","config":{"metadata":{}}}`}
	}
	return answer, nil
}

// ImageStatus tells an image's names.
func (f *fakeRuntime) ImageStatus(_ context.Context, r *cri.ImageStatusRequest) (*cri.ImageStatusResponse, error) {
	f.mutex.Lock()
	defer f.mutex.Unlock()
	return &cri.ImageStatusResponse{Image: f.images[r.GetImage().GetImage()]}, nil
}

// ListContainerStats tells what layers take.
func (f *fakeRuntime) ListContainerStats(context.Context, *cri.ListContainerStatsRequest) (*cri.ListContainerStatsResponse, error) {
	f.mutex.Lock()
	defer f.mutex.Unlock()
	return &cri.ListContainerStatsResponse{Stats: f.stats}, nil
}

// ImageFsInfo tells what images take.
func (f *fakeRuntime) ImageFsInfo(context.Context, *cri.ImageFsInfoRequest) (*cri.ImageFsInfoResponse, error) {
	f.mutex.Lock()
	defer f.mutex.Unlock()
	if f.filesystems == nil {
		return nil, status.Error(codes.Internal, "not measured yet")
	}
	return f.filesystems, nil
}

// GetContainerEvents sends events until the client goes.
func (f *fakeRuntime) GetContainerEvents(
	_ *cri.GetEventsRequest, stream grpc.ServerStreamingServer[cri.ContainerEventResponse],
) error {
	f.mutex.Lock()
	events := f.events
	f.mutex.Unlock()
	if events == nil {
		return status.Error(codes.Unimplemented, "no events")
	}
	for {
		select {
		case event, ok := <-events:
			if !ok {
				return errors.New("the stream broke")
			}
			if err := stream.Send(event); err != nil {
				return fmt.Errorf("send: %w", err)
			}
		case <-stream.Context().Done():
			return stream.Context().Err()
		}
	}
}
