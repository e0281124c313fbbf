package cluster

import (
	"crypto/tls"
	"crypto/x509"
	"os"
	"path/filepath"
	"testing"
)

func TestCertificatesAreTheAuthoritys(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "pki")
	if _, err := newPKI(folder); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(folder, "ca.crt"))
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(text) {
		t.Fatal("ca.crt has no certificate")
	}
	for _, who := range identities {
		pair, err := tls.LoadX509KeyPair(filepath.Join(folder, who.name+".crt"), filepath.Join(folder, who.name+".key"))
		if err != nil {
			t.Errorf("%s: %v", who.name, err)
			continue
		}
		for _, host := range append(who.addresses, who.hosts...) {
			if _, err := pair.Leaf.Verify(x509.VerifyOptions{Roots: roots, DNSName: host}); err != nil {
				t.Errorf("%s does not answer to %s: %v", who.name, host, err)
			}
		}
		if got := pair.Leaf.Subject.CommonName; got != who.commonName {
			t.Errorf("%s is of %s, want %s", who.name, got, who.commonName)
		}
	}
}
