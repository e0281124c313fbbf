package identity

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// kubeconfig writes a file with the way to an API server.
func kubeconfig(t *testing.T, server, user string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "kubeconfig")
	text := fmt.Sprintf(`apiVersion: v1
kind: Config
current-context: lab
clusters: [{name: lab, cluster: {server: "%s"}}]
contexts: [{name: lab, context: {cluster: lab, user: lab}}]
users: [{name: lab, user: {%s}}]
`, server, user)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

const token = "token: secret"

// hostWith makes a host's root with these folders.
func hostWith(t *testing.T, folders ...string) string {
	t.Helper()
	root := t.TempDir()
	for _, folder := range folders {
		if err := os.MkdirAll(filepath.Join(root, folder), 0o750); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

func TestOpen(t *testing.T) {
	// Whatever runs the tests may itself be a pod.
	t.Setenv("KUBERNETES_SERVICE_HOST", "")
	config := kubeconfig(t, "http://127.0.0.1:1", token)
	for _, test := range []struct {
		name    string
		options Options
		want    []string
		wantErr string
	}{
		{"bare host", Options{HostRoot: hostWith(t, "run", "var/run")}, nil, ""},
		{"runtime installed", Options{Mode: Auto, HostRoot: hostWith(t, "run/containerd")}, []string{"cri"}, ""},
		{"endpoint", Options{Endpoint: "unix:///nowhere", HostRoot: hostWith(t)}, []string{"cri"}, ""},
		{"kubeconfig", Options{Kubeconfig: config, HostRoot: hostWith(t)}, []string{"api"}, ""},
		{"both", Options{Kubeconfig: config, HostRoot: hostWith(t, "run/crio")}, []string{"api", "cri"}, ""},
		{"none", Options{Mode: None, Kubeconfig: config, HostRoot: hostWith(t, "run/crio")}, nil, ""},
		{"API server alone", Options{Mode: API, Kubeconfig: config, HostRoot: hostWith(t, "run/crio")}, []string{"api"}, ""},
		{"runtime alone", Options{Mode: CRI, Kubeconfig: config, HostRoot: hostWith(t)}, []string{"cri"}, ""},
		{"API server without a way to it", Options{Mode: API}, nil, "find the pod's account"},
		{"kubeconfig that is not there", Options{Kubeconfig: "/nowhere", HostRoot: hostWith(t)}, nil, "read kubeconfig /nowhere"},
		{
			"kubeconfig that runs a program",
			Options{
				// Without TLS client-go leaves out who the user is.
				Kubeconfig: kubeconfig(t, "https://127.0.0.1:1", `exec: {apiVersion: client.authentication.k8s.io/v1, command: x, interactiveMode: Never}`),
				HostRoot:   hostWith(t),
			},
			nil, "a program",
		},
		{"no such mode", Options{Mode: "docker"}, nil, `pod source "docker"`},
	} {
		t.Run(test.name, func(t *testing.T) {
			s, err := Open(test.options)
			if test.wantErr != "" {
				if err == nil || !strings.Contains(err.Error(), test.wantErr) {
					t.Fatalf("got error %v, want one with %q", err, test.wantErr)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, state := range s.Index().Sources() {
				got = append(got, state.Name)
			}
			if !slices.Equal(got, test.want) {
				t.Errorf("got sources %v, want %v", got, test.want)
			}
			if hasRuntime := slices.Contains(test.want, "cri"); (s.Runtime() != nil) != hasRuntime {
				t.Errorf("runtime: got %v, want one: %t", s.Runtime(), hasRuntime)
			}
		})
	}
}

func TestRunWithoutSources(t *testing.T) {
	s, err := Open(Options{Mode: None})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Run(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want that it was cancelled", err)
	}
	wantNameless(t, s.Index(), pathOf(idA))
}

// TestRunBoth: names from the API server and the sandbox from the runtime, which is found below the host's root.
func TestRunBoth(t *testing.T) {
	server := newFakeAPI(t)
	server.set(podOf("web", "app", idA))
	server.start()
	f := newFakeRuntime(t)
	f.addSandbox(idC, "web", uid)
	f.addContainer(idA, idC, "app", 0)
	// The socket lies where CRI-O's does.
	root, err := os.MkdirTemp("", "host")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(root) })
	f.socket = DefaultSockets(root)[1]
	if err := os.MkdirAll(filepath.Dir(f.socket), 0o750); err != nil {
		t.Fatal(err)
	}
	f.start()
	s, err := Open(Options{Kubeconfig: kubeconfig(t, "http://"+server.addr, token), NodeName: "lab-node", HostRoot: root})
	if err != nil {
		t.Fatal(err)
	}
	runUntilTheEnd(t, s.Run)
	x := s.Index()
	named(t, x, pathOf(idA), "web")
	eventually(t, "the pause image", func() bool { return x.Resolve(pathOf(idC)).Image == "localhost/pause:1" })
	eventually(t, "the image from the API server", func() bool { return x.Resolve(pathOf(idA)).Image == "localhost/app:1" })
	connected(t, x, apiName, true)
	connected(t, x, runtimeName, true)
}

// TestRunEndsWhileAServerOnlyListens: an API server that takes connections and no more holds up neither names nor the end.
func TestRunEndsWhileAServerOnlyListens(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	f := newFakeRuntime(t)
	f.addSandbox(idC, "web", uid)
	f.addContainer(idA, idC, "app", 0)
	f.start()
	s, err := Open(Options{
		Kubeconfig: kubeconfig(t, "http://"+listener.Addr().String(), token), NodeName: "lab-node", Endpoint: f.socket, HostRoot: hostWith(t),
	})
	if err != nil {
		t.Fatal(err)
	}
	runUntilTheEnd(t, s.Run)
	named(t, s.Index(), pathOf(idA), "web")
}
