package cluster

import (
	"bytes"
	"embed"
	"fmt"
	"os"
	"path/filepath"
	"text/template"

	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

//go:embed config
var templates embed.FS

const (
	containerdSocket = "/run/containerd/containerd.sock"
	// Where Debian's containernetworking-plugins are.
	networkPlugins = "/usr/lib/cni"
)

// settings are what the templates of configurations leave open.
type settings struct {
	State, Socket, PauseImage, NetworkPlugins, PodRange, KubeletCgroup string
	MapsPorts                                                          bool
}

// write renders a template of config/ to a file below the state folder.
func (c *Cluster) write(name, path string) error {
	t, err := template.New(name).Option("missingkey=error").ParseFS(templates, "config/"+name)
	if err != nil {
		return fmt.Errorf("configuration %s: %w", name, err)
	}
	var text bytes.Buffer
	err = t.Execute(&text, settings{
		State: c.options.State, Socket: containerdSocket, PauseImage: PauseImage, NetworkPlugins: networkPlugins,
		PodRange: podRange, KubeletCgroup: c.KubeletCgroup(), MapsPorts: MapsNoPorts() == "",
	})
	if err != nil {
		return fmt.Errorf("configuration %s: %w", name, err)
	}
	path = filepath.Join(c.options.State, path)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return fmt.Errorf("configuration %s: %w", name, err)
	}
	return os.WriteFile(path, text.Bytes(), 0o644)
}

// kubeconfig writes one identity's way to the API server, as Kubeconfig(name).
func (c *Cluster) kubeconfig(name string) error {
	config := clientcmdapi.NewConfig()
	config.Clusters["e2e"] = &clientcmdapi.Cluster{Server: "https://" + ServiceAddress, CertificateAuthority: c.pki("ca.crt")}
	config.AuthInfos[name] = &clientcmdapi.AuthInfo{ClientCertificate: c.pki(name + ".crt"), ClientKey: c.pki(name + ".key")}
	config.Contexts["e2e"] = &clientcmdapi.Context{Cluster: "e2e", AuthInfo: name}
	config.CurrentContext = "e2e"
	if err := clientcmd.WriteToFile(*config, c.Kubeconfig(name)); err != nil {
		return fmt.Errorf("write the kubeconfig of %s: %w", name, err)
	}
	return nil
}

// Kubeconfig is the path of an identity's: admin, kubelet, controller-manager, scheduler, nodevitals, or one that [Cluster.Issue] was asked for.
func (c *Cluster) Kubeconfig(name string) string {
	return filepath.Join(c.options.State, name+".kubeconfig")
}

func (c *Cluster) pki(name string) string { return filepath.Join(c.options.State, "pki", name) }
