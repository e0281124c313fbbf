package identity

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"go.uber.org/zap"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

// Mode says where names come from.
type Mode string

// The modes of --pod-source.
const (
	// Auto takes the API server where there is a kubeconfig or an account for it, and the runtime where there is a socket. Both
	// may run: names then come from the API server, and from the runtime what only that knows.
	Auto Mode = "auto"
	// API takes the API server alone.
	API Mode = "api"
	// CRI takes the container runtime alone.
	CRI Mode = "cri"
	// None takes neither: cgroups have the names that their paths have.
	None Mode = "none"
)

// Options say where names come from. The zero Options are those of Auto on a host.
type Options struct {
	// Mode is Auto if empty.
	Mode Mode
	// Kubeconfig is a file with the way to the API server; empty: the account of the pod that we run in, if we run in one.
	Kubeconfig string
	// NodeName is the node's name at the API server; empty: the host's name in lower case, as a kubelet chooses it.
	NodeName string
	// Endpoint is the runtime's socket, as a path that we can open, with or without "unix://"; empty: see [DefaultSockets].
	Endpoint string
	// HostRoot is where the host's root is mounted; empty: "/". It does not concern Endpoint.
	HostRoot string
	// Log takes what an operator should know; nil: nothing.
	Log *zap.Logger
}

// ErrExec is returned for a kubeconfig whose user is told by a program: an agent with root's rights starts none.
var ErrExec = errors.New("its user needs a program to be run; give it a token, a token file or a certificate")

// Sources are an Index and the sources that this node has for it.
type Sources struct {
	index   *Index
	api     *APIServer
	runtime *Runtime
}

// Open finds out which sources there are. It asks none of them yet, so it succeeds while they are away. It returns an error if
// the mode is unknown, or if a source that was asked for by name cannot be there: no kubeconfig, or one that is not valid, or
// one that needs a program ([ErrExec]).
func Open(options Options) (*Sources, error) {
	if options.Log == nil {
		options.Log = zap.NewNop()
	}
	s := &Sources{index: NewIndex()}
	switch options.Mode {
	case None:
	case API:
		if err := s.openAPI(options); err != nil {
			return nil, err
		}
	case CRI:
		s.openRuntime(options)
	case Auto, "":
		err := s.openAPI(options)
		if err != nil && options.Kubeconfig != "" {
			return nil, err
		}
		if err != nil && !errors.Is(err, rest.ErrNotInCluster) {
			options.Log.Warn("the pod's account for the API server is of no use; names come from the runtime alone", zap.Error(err))
		}
		if options.Endpoint != "" || runtimeInstalled(options.HostRoot) {
			s.openRuntime(options)
		}
	default:
		return nil, fmt.Errorf("pod source %q: must be %s, %s, %s or %s", options.Mode, Auto, API, CRI, None)
	}
	return s, nil
}

func (s *Sources) openAPI(options Options) error {
	config, err := LoadConfig(options.Kubeconfig)
	if err != nil {
		return err
	}
	node, err := NodeName(options.NodeName)
	if err != nil {
		return err
	}
	if s.api, err = NewAPIServer(config, node, s.index, options.Log); err != nil {
		return err
	}
	s.index.expect(apiName)
	return nil
}

func (s *Sources) openRuntime(options Options) {
	sockets := DefaultSockets(options.HostRoot)
	if options.Endpoint != "" {
		sockets = []string{options.Endpoint}
	}
	s.runtime = NewRuntime(sockets, s.index, options.Log)
	s.index.expect(runtimeName)
}

// LoadConfig reads a kubeconfig, or else ("") finds the account of the pod that we run in. It asks the API server nothing. Its error
// wraps [rest.ErrNotInCluster] if we run in no pod, and [ErrExec] for a kubeconfig that needs a program.
func LoadConfig(kubeconfig string) (*rest.Config, error) {
	if kubeconfig == "" {
		config, err := rest.InClusterConfig()
		if err != nil {
			return nil, fmt.Errorf("find the pod's account for the API server: %w", err)
		}
		return config, nil
	}
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return nil, fmt.Errorf("read kubeconfig %s: %w", kubeconfig, err)
	}
	if config.ExecProvider != nil {
		return nil, fmt.Errorf("read kubeconfig %s: %w", kubeconfig, ErrExec)
	}
	return config, nil
}

// NodeName returns the given name or else the one that a kubelet takes by default: the host's, in lower case.
func NodeName(given string) (string, error) {
	if given != "" {
		return given, nil
	}
	name, err := os.Hostname()
	if err != nil {
		return "", fmt.Errorf("find the node's name: %w", err)
	}
	return strings.ToLower(strings.TrimSpace(name)), nil
}

// runtimeInstalled tells whether a runtime's socket is there, or the folder of one that is just not running.
func runtimeInstalled(hostRoot string) bool {
	for _, socket := range DefaultSockets(hostRoot) {
		if isSocket(socket) {
			return true
		}
		folder := filepath.Dir(socket)
		// What cri-dockerd's socket lies in is there on every host.
		if filepath.Base(folder) == "run" {
			continue
		}
		if info, err := os.Stat(folder); err == nil && info.IsDir() {
			return true
		}
	}
	return false
}

// Index returns what the sources told. It is never nil.
func (s *Sources) Index() *Index { return s.index }

// API returns the API server, or nil where none is asked.
func (s *Sources) API() *APIServer { return s.api }

// Runtime returns the container runtime, or nil where there is none.
func (s *Sources) Runtime() *Runtime { return s.runtime }

// Run keeps the Index current until ctx ends. It returns the error of ctx.
func (s *Sources) Run(ctx context.Context) error {
	var running sync.WaitGroup
	if s.api != nil {
		running.Go(func() { _ = s.api.Run(ctx) })
	}
	if s.runtime != nil {
		running.Go(func() { _ = s.runtime.Run(ctx) })
	}
	running.Wait()
	<-ctx.Done()
	return ctx.Err()
}
