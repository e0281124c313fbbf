package cluster

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"os"

	"k8s.io/apimachinery/pkg/types"
)

// Dial connects to an address inside the cluster's network namespace. Clients of their own, such as those that keep connections, have it
// as their DialContext.
func (c *Cluster) Dial(ctx context.Context, kind, address string) (net.Conn, error) {
	return c.network.dial(ctx, kind, address)
}

// DialInPod connects to an address inside the network namespace of a pod that runs on the node.
func (c *Cluster) DialInPod(ctx context.Context, uid types.UID, kind, address string) (net.Conn, error) {
	for _, class := range []string{"", "/burstable", "/besteffort"} {
		for _, pid := range c.cgroups.processes(podsCgroup + class + "/pod" + string(uid)) {
			file, err := os.Open(fmt.Sprintf("/proc/%d/ns/net", pid))
			if err != nil {
				continue // it has ended
			}
			defer file.Close()
			return (&network{file: file}).dial(ctx, kind, address)
		}
	}
	return nil, fmt.Errorf("connect inside pod %s: no process of it runs", uid)
}

// AdminTLS is a client's side of TLS to any server of the cluster, with an administrator's certificate.
func (c *Cluster) AdminTLS() (*tls.Config, error) {
	pair, err := tls.LoadX509KeyPair(c.pki("admin.crt"), c.pki("admin.key"))
	if err != nil {
		return nil, fmt.Errorf("read the administrator's certificate: %w", err)
	}
	authority, err := os.ReadFile(c.pki("ca.crt"))
	if err != nil {
		return nil, fmt.Errorf("read the cluster's authority: %w", err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(authority)
	return &tls.Config{Certificates: []tls.Certificate{pair}, RootCAs: roots, MinVersion: tls.VersionTLS12}, nil
}
