package identity

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/encoding/proto"
	"google.golang.org/grpc/mem"
	protobuf "google.golang.org/protobuf/proto"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// ErrNoRuntime is returned where there is no socket of a container runtime.
var ErrNoRuntime = errors.New("no socket of a container runtime")

// defaultSockets are where runtimes listen. The kubelet's own choice is not to be seen from outside, so they are tried in turn.
var defaultSockets = [...]string{
	"/run/containerd/containerd.sock",
	"/run/crio/crio.sock",
	"/run/cri-dockerd.sock",
	"/var/run/cri-dockerd.sock",
	"/run/k3s/containerd/containerd.sock",
	"/run/k0s/containerd.sock",
	"/var/snap/microk8s/common/run/containerd.sock",
}

// DefaultSockets returns where container runtimes listen by default, below the folder where the host's root is mounted ("" or "/":
// it is ours).
func DefaultSockets(hostRoot string) []string {
	sockets := make([]string, len(defaultSockets))
	for i, socket := range defaultSockets {
		sockets[i] = filepath.Join("/", hostRoot, socket)
	}
	return sockets
}

// dialer finds the runtime's socket.
type dialer struct{ sockets []string }

// connection is one to a runtime that has said who it is.
type connection struct {
	socket  string
	conn    io.Closer
	runtime cri.RuntimeServiceClient
	images  cri.ImageServiceClient
	crio    bool
	// events: it is safe to ask for them; see followEvents.
	events bool
}

// largestMessage is that of the kubelet: a list of a thousand containers with their annotations takes some megabytes.
const largestMessage = 16 << 20

// connect returns the connection, and makes it if there is none.
func (r *Runtime) connect(ctx context.Context) (*connection, error) {
	r.mutex.Lock()
	current := r.connection
	r.mutex.Unlock()
	if current != nil {
		return current, nil
	}
	c, err := r.dial.dial(ctx, r.patience)
	if err != nil {
		return nil, err
	}
	r.mutex.Lock()
	defer r.mutex.Unlock()
	if r.connection != nil {
		// Another call was quicker.
		c.conn.Close()
		return r.connection, nil
	}
	r.connection = c
	signal(r.connected)
	return c, nil
}

// drop gives up a broken connection, so that the next call looks for the runtime anew: it may be another by then.
func (r *Runtime) drop(c *connection) {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	if r.connection == c {
		r.connection = nil
	}
	c.conn.Close()
}

func (r *Runtime) close() {
	r.mutex.Lock()
	c := r.connection
	r.mutex.Unlock()
	if c != nil {
		r.drop(c)
	}
}

func (r *Runtime) isConnected() bool {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	return r.connection != nil
}

// dial returns a connection to the first socket behind which a runtime answers. A socket file may be left over from a runtime that
// is gone, and docker's containerd listens without serving the interface.
func (d dialer) dial(ctx context.Context, patience time.Duration) (*connection, error) {
	var all []error
	for _, socket := range d.sockets {
		socket = strings.TrimPrefix(socket, "unix://")
		if !isSocket(socket) {
			continue
		}
		c, err := dialSocket(ctx, socket, patience)
		if err == nil {
			return c, nil
		}
		all = append(all, err)
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("connect to a container runtime at %s: %w", strings.Join(d.sockets, ", "), ErrNoRuntime)
	}
	return nil, errors.Join(all...)
}

func dialSocket(ctx context.Context, socket string, patience time.Duration) (*connection, error) {
	// The target is a name alone: what is dialled is the socket. There is no keepalive: a runtime that hangs is told by deadlines.
	conn, err := grpc.NewClient("passthrough:///runtime",
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", socket)
		}),
		grpc.WithAuthority("localhost"),
		grpc.WithDisableServiceConfig(),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(largestMessage), grpc.ForceCodecV2(exactCodec{encoding.GetCodecV2(proto.Name)})),
	)
	if err != nil {
		return nil, fmt.Errorf("connect to %s: %w", socket, err)
	}
	c := &connection{
		socket: socket, conn: conn,
		runtime: cri.NewRuntimeServiceClient(conn), images: cri.NewImageServiceClient(conn),
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	version, err := c.runtime.Version(ctx, &cri.VersionRequest{})
	if err != nil {
		c.conn.Close()
		return nil, fmt.Errorf("ask the runtime at %s for its version: %w", socket, err)
	}
	c.crio = version.GetRuntimeName() == "cri-o"
	c.events = sharesEvents(version.GetRuntimeName(), version.GetRuntimeVersion())
	return c, nil
}

// exactCodec takes messages apart in buffers of their size. Those of the library's pool have 32 KiB or else 1 MiB, and the list of a node's
// containers has some 300 KiB.
type exactCodec struct{ encoding.CodecV2 }

// Unmarshal implements [encoding.CodecV2].
func (exactCodec) Unmarshal(data mem.BufferSlice, into any) error {
	message, ok := into.(protobuf.Message)
	if !ok {
		return fmt.Errorf("take apart a message of the runtime: %T is none", into)
	}
	return protobuf.Unmarshal(data.Materialize(), message)
}

// sharesEvents tells whether each client of the runtime gets all events. containerd before 2.0 gives each event to one client only
// (github.com/containerd/containerd/issues/7318), and it must not be missing to the kubelet.
func sharesEvents(name, version string) bool {
	if name != "containerd" {
		return true
	}
	major, _, _ := strings.Cut(strings.TrimPrefix(version, "v"), ".")
	number, err := strconv.Atoi(major)
	return err == nil && number >= 2
}

func isSocket(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode()&os.ModeSocket != 0
}
