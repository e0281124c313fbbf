package certificate

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// versions are the versions of TLS that may be asked for, by Kubernetes' names. Older ones are broken.
var versions = map[string]uint16{"VersionTLS12": tls.VersionTLS12, "VersionTLS13": tls.VersionTLS13}

// Versions returns the names of the versions of TLS, sorted.
func Versions() []string { return slices.Sorted(maps.Keys(versions)) }

// aliases are Kubernetes' other names of cipher suites.
var aliases = map[string]uint16{
	"TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305":   tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
	"TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305": tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
}

// CipherSuites returns the names of the cipher suites of TLS 1.2 that may be asked for, sorted. Those of TLS 1.3 are not to be chosen from.
func CipherSuites() []string {
	var names []string
	for _, suite := range tls.CipherSuites() {
		names = append(names, suite.Name)
	}
	return slices.Sorted(slices.Values(names))
}

// Options say how TLS is spoken.
type Options struct {
	// MinVersion is one of [Versions]; empty: VersionTLS12. 1.3 is spoken with whoever can.
	MinVersion string
	// CipherSuites are some of [CipherSuites]; empty: Go's choice.
	CipherSuites []string
	// Certificate returns the server's, at this moment.
	Certificate func() *tls.Certificate
	// ClientCAs returns the authorities whose certificates clients are asked for, at this moment. Nil: they are asked for none.
	ClientCAs func() *x509.CertPool
}

// errNoSuites is a server that could speak with nobody.
var errNoSuites = errors.New("none of the cipher suites is one of TLS 1.2; add one, or set the least version to VersionTLS13")

// NewConfig returns the server's side of TLS, with HTTP/2. Client certificates are asked for and not verified: whoever answers the request does
// that, and can say what is wrong with them.
func NewConfig(options Options) (*tls.Config, error) {
	version, ok := versions[options.MinVersion]
	if !ok && options.MinVersion != "" {
		return nil, fmt.Errorf("unknown version of TLS %q", options.MinVersion)
	}
	suites, err := suites(options.CipherSuites)
	if err != nil {
		return nil, err
	}
	config := &tls.Config{
		// Go's small records at first are for pages that a browser renders as they come: the first 128 KiB of an answer would take some hundred writes.
		DynamicRecordSizingDisabled: true,
		MinVersion:                  max(version, tls.VersionTLS12),
		CipherSuites:                suites,
		NextProtos:                  []string{"h2", "http/1.1"},
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
			return options.Certificate(), nil
		},
	}
	if len(suites) > 0 && config.MinVersion < tls.VersionTLS13 {
		switch usable := suitesOf12(suites); {
		case len(usable) == 0:
			return nil, errNoSuites
		// HTTP/2 forbids the others, and would break off with who speaks one.
		case slices.ContainsFunc(usable, func(suite string) bool { return strings.Contains(suite, "_CBC_") }):
			config.NextProtos = []string{"http/1.1"}
		}
	}
	if options.ClientCAs == nil {
		return config, nil
	}
	config.ClientAuth = tls.RequestClientCert
	config.VerifyConnection = func(state tls.ConnectionState) error {
		size := 0
		for _, one := range state.PeerCertificates {
			size += len(one.Raw)
		}
		if size > largestChain {
			return fmt.Errorf("a client's certificates have %d bytes, and may have %d", size, largestChain)
		}
		return nil
	}
	plain := config.Clone()
	config.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) {
		// Their names tell a client which of its certificates to show.
		current := plain.Clone()
		current.ClientCAs = options.ClientCAs()
		return current, nil
	}
	return config, nil
}

// largestChain is what a client's certificates may have in all, in bytes. They are kept for as long as its connection, before anybody looks at who
// signed them, and TLS itself takes 256 KiB.
const largestChain = 16 << 10

func suites(names []string) ([]uint16, error) {
	var ids []uint16
	for _, name := range names {
		id, ok := aliases[name]
		for _, suite := range tls.CipherSuites() {
			if suite.Name == name {
				id, ok = suite.ID, true
			}
		}
		if !ok {
			return nil, fmt.Errorf("unknown or insecure cipher suite %q", name)
		}
		ids = append(ids, id)
	}
	return ids, nil
}

// suitesOf12 are the names of those that TLS 1.2 has.
func suitesOf12(ids []uint16) []string {
	var names []string
	for _, suite := range tls.CipherSuites() {
		if slices.Contains(ids, suite.ID) && slices.Contains(suite.SupportedVersions, tls.VersionTLS12) {
			names = append(names, suite.Name)
		}
	}
	return names
}
