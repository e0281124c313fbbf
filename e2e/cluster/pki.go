package cluster

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

// identity is who holds a certificate: for servers, with the names that they answer to.
type identity struct {
	name         string // of the files
	commonName   string
	organization string
	hosts        []string
	addresses    []string
}

// Server is a program of the cluster's that others verify, and that asks the API server under its own name.
type Server struct {
	// Name is the user's, and that of the files.
	Name string
	// Hosts and Addresses are what it is asked by.
	Hosts, Addresses []string
}

// identities are all that the cluster needs. Groups are what the API server takes their rights from.
var identities = []identity{
	{
		name: "apiserver", commonName: "kube-apiserver",
		hosts:     []string{"localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc"},
		addresses: []string{"127.0.0.1", ServiceAddress, NodeAddress},
	},
	{name: "admin", commonName: "admin", organization: "system:masters"},
	{
		name: "kubelet", commonName: "system:node:" + NodeName, organization: "system:nodes",
		hosts: []string{NodeName}, addresses: []string{"127.0.0.1", NodeAddress},
	},
	{name: "controller-manager", commonName: "system:kube-controller-manager", organization: "system:masters"},
	{name: "scheduler", commonName: "system:kube-scheduler", hosts: []string{"localhost"}, addresses: []string{"127.0.0.1"}},
	{name: "front-proxy", commonName: "front-proxy-client"},
	{name: "apiserver-kubelet", commonName: "kube-apiserver-kubelet-client", organization: "system:masters"},
	{name: "nodevitals", commonName: "nodevitals"},
}

// authority signs the cluster's certificates. It lives as long as this process.
type authority struct {
	folder      string
	key         *ecdsa.PrivateKey
	certificate *x509.Certificate
	// serial is the last one given; the authority's own is 1.
	serial int64
}

// newPKI writes an authority's certificate, one for each identity, and the keys that service accounts' tokens are signed with.
func newPKI(folder string) (*authority, error) {
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return nil, fmt.Errorf("make a folder for certificates: %w", err)
	}
	a := &authority{folder: folder, serial: 1}
	if err := a.create(); err != nil {
		return nil, fmt.Errorf("make the certificate authority: %w", err)
	}
	for _, who := range identities {
		if err := a.issue(who); err != nil {
			return nil, err
		}
	}
	if err := a.accountKeys(); err != nil {
		return nil, fmt.Errorf("make the keys of service accounts: %w", err)
	}
	return a, nil
}

// Issue makes a certificate and a kubeconfig for a server; [Cluster.Certificate] and [Cluster.Kubeconfig] find them.
func (c *Cluster) Issue(server Server) error {
	who := identity{name: server.Name, commonName: server.Name, hosts: server.Hosts, addresses: server.Addresses}
	if err := c.authority.issue(who); err != nil {
		return err
	}
	return c.kubeconfig(server.Name)
}

// Certificate returns the paths of the certificate and the key of an identity.
func (c *Cluster) Certificate(name string) (certificate, key string) {
	return c.pki(name + ".crt"), c.pki(name + ".key")
}

// CA is the path of the certificate that signed all others.
func (c *Cluster) CA() string { return c.pki("ca.crt") }

func (a *authority) create() error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "nodevitals-e2e"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}
	text, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return err
	}
	a.key = key
	if a.certificate, err = x509.ParseCertificate(text); err != nil {
		return err
	}
	return a.write("ca.crt", "CERTIFICATE", text)
}

func (a *authority) issue(who identity) error {
	if err := a.sign(who); err != nil {
		return fmt.Errorf("issue a certificate for %s: %w", who.name, err)
	}
	return nil
}

func (a *authority) sign(who identity) error {
	a.serial++
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(a.serial), Subject: pkix.Name{CommonName: who.commonName},
		NotBefore: a.certificate.NotBefore, NotAfter: a.certificate.NotAfter, DNSNames: who.hosts,
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	if who.organization != "" {
		template.Subject.Organization = []string{who.organization}
	}
	for _, address := range who.addresses {
		template.IPAddresses = append(template.IPAddresses, net.ParseIP(address))
	}
	text, err := x509.CreateCertificate(rand.Reader, template, a.certificate, key.Public(), a.key)
	if err != nil {
		return err
	}
	if err := a.write(who.name+".crt", "CERTIFICATE", text); err != nil {
		return err
	}
	return a.writeKey(who.name+".key", key)
}

func (a *authority) accountKeys() error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	public, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		return err
	}
	if err := a.write("accounts.pub", "PUBLIC KEY", public); err != nil {
		return err
	}
	return a.writeKey("accounts.key", key)
}

func (a *authority) writeKey(name string, key *ecdsa.PrivateKey) error {
	text, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return err
	}
	return a.write(name, "EC PRIVATE KEY", text)
}

func (a *authority) write(name, kind string, text []byte) error {
	block := pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: text})
	return os.WriteFile(filepath.Join(a.folder, name), block, 0o600)
}
