package certificate

import (
	"crypto/tls"
	"crypto/x509"
	"slices"
	"strings"
	"testing"
	"time"
)

func serving(t *testing.T, options Options) (*tls.Config, *x509.CertPool) {
	t.Helper()
	text, key := pair(t, "server", time.Now().Add(time.Hour))
	certificate, err := tls.X509KeyPair(text, key)
	if err != nil {
		t.Fatal(err)
	}
	options.Certificate = func() *tls.Certificate { return &certificate }
	config, err := NewConfig(options)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(text)
	return config, roots
}

func TestVersionsAndSuites(t *testing.T) {
	const gcm, cbc = "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256", "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA"
	for _, one := range []struct {
		name     string
		options  Options
		client   *tls.Config
		version  uint16
		protocol string
		fails    bool
	}{
		{name: "default", version: tls.VersionTLS13, protocol: "h2"},
		{name: "client of 1.2", client: &tls.Config{MaxVersion: tls.VersionTLS12}, version: tls.VersionTLS12, protocol: "h2"},
		{name: "client of 1.1", client: &tls.Config{MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}, fails: true},
		{name: "1.3 alone", options: Options{MinVersion: "VersionTLS13"}, client: &tls.Config{MaxVersion: tls.VersionTLS12}, fails: true},
		{name: "the same suite", options: Options{CipherSuites: []string{gcm}}, client: &tls.Config{MaxVersion: tls.VersionTLS12}, version: tls.VersionTLS12, protocol: "h2"},
		{
			name: "no suite of both", options: Options{CipherSuites: []string{gcm}}, fails: true,
			client: &tls.Config{MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384}},
		},
		{name: "a suite without HTTP/2", options: Options{CipherSuites: []string{cbc}}, client: &tls.Config{MaxVersion: tls.VersionTLS12}, version: tls.VersionTLS12, protocol: "http/1.1"},
		{name: "Kubernetes' short name", options: Options{CipherSuites: []string{"TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305"}}, client: &tls.Config{MaxVersion: tls.VersionTLS12}, version: tls.VersionTLS12, protocol: "h2"},
	} {
		t.Run(one.name, func(t *testing.T) {
			config, roots := serving(t, one.options)
			if one.client == nil {
				one.client = &tls.Config{}
			}
			one.client.RootCAs, one.client.ServerName = roots, "localhost"
			one.client.NextProtos = []string{"h2", "http/1.1"}
			state, err := handshake(t, config, one.client)
			if one.fails {
				if err == nil {
					t.Errorf("spoke %s", tls.VersionName(state.Version))
				}
				return
			}
			if err != nil || state.Version != one.version || state.NegotiatedProtocol != one.protocol {
				t.Errorf("got %s, %s, %v", tls.VersionName(state.Version), state.NegotiatedProtocol, err)
			}
		})
	}
}

func TestNamesThatMeanNothing(t *testing.T) {
	for _, one := range []struct {
		options Options
		want    string
	}{
		{Options{MinVersion: "VersionTLS11"}, `unknown version of TLS "VersionTLS11"`},
		{Options{CipherSuites: []string{"TLS_RSA_WITH_RC4_128_SHA"}}, `insecure cipher suite "TLS_RSA_WITH_RC4_128_SHA"`},
		{Options{CipherSuites: []string{"TLS_AES_128_GCM_SHA256"}}, "none of the cipher suites is one of TLS 1.2"},
	} {
		if _, err := NewConfig(one.options); err == nil || !strings.Contains(err.Error(), one.want) {
			t.Errorf("%+v: got %v, want %s", one.options, err, one.want)
		}
	}
	if !slices.Equal(Versions(), []string{"VersionTLS12", "VersionTLS13"}) || !slices.Contains(CipherSuites(), "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256") {
		t.Errorf("got %q, %q", Versions(), CipherSuites())
	}
}

// A client's certificate is asked for by the authorities of the moment, and comes through whoever signed it.
func TestClientCertificatesAreAskedFor(t *testing.T) {
	text, key := pair(t, "client", time.Now().Add(time.Hour))
	certificate, err := tls.X509KeyPair(text, key)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	config, roots := serving(t, Options{ClientCAs: func() *x509.CertPool { return pool }})
	ask := func() (asked int, shown int) {
		t.Helper()
		state, err := handshake(t, config, &tls.Config{
			RootCAs: roots, ServerName: "localhost",
			GetClientCertificate: func(info *tls.CertificateRequestInfo) (*tls.Certificate, error) {
				asked = len(info.AcceptableCAs)
				return &certificate, nil
			},
		})
		if err != nil {
			t.Fatal(err)
		}
		return asked, len(state.PeerCertificates) - 1
	}
	if asked, shown := ask(); asked != 0 || shown != 1 {
		t.Errorf("no authorities: asked by %d, shown %d, want 0 and 1", asked, shown)
	}
	replaced := x509.NewCertPool()
	replaced.AppendCertsFromPEM(text)
	pool = replaced
	if asked, shown := ask(); asked != 1 || shown != 1 {
		t.Errorf("one authority: asked by %d, shown %d, want 1 and 1", asked, shown)
	}
}

// Strangers, too, are asked for certificates, and must not have us hold many.
func TestLargeClientCertificatesAreRefused(t *testing.T) {
	text, key := pair(t, "client", time.Now().Add(time.Hour))
	certificate, err := tls.X509KeyPair(text, key)
	if err != nil {
		t.Fatal(err)
	}
	config, roots := serving(t, Options{ClientCAs: x509.NewCertPool})
	client := &tls.Config{RootCAs: roots, ServerName: "localhost", GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
		return &certificate, nil
	}}
	one := certificate.Certificate[0]
	for len(certificate.Certificate) < largestChain/len(one) {
		certificate.Certificate = append(certificate.Certificate, one)
	}
	if _, err := handshake(t, config, client); err != nil {
		t.Errorf("%d certificates of %d bytes: %v", len(certificate.Certificate), len(one), err)
	}
	certificate.Certificate = append(certificate.Certificate, one)
	if _, err := handshake(t, config, client); err == nil {
		t.Errorf("%d certificates of %d bytes were taken", len(certificate.Certificate), len(one))
	}
}
