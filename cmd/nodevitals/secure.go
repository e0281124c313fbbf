package main

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"math"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/spf13/pflag"
	"go.uber.org/zap"
	"k8s.io/client-go/rest"

	"github.com/nodevitals/nodevitals/collector/identity"
	"github.com/nodevitals/nodevitals/server"
	"github.com/nodevitals/nodevitals/server/authentication"
	"github.com/nodevitals/nodevitals/server/authorization"
	"github.com/nodevitals/nodevitals/server/certificate"
	"github.com/nodevitals/nodevitals/server/review"
)

// The modes of --authorization-mode, by the kubelet's names.
const (
	modeWebhook     = "Webhook"
	modeAlwaysAllow = "AlwaysAllow"
)

// secureOptions are the values of the flags of the secure port.
type secureOptions struct {
	address server.Address

	// See certificate.Options and certificate.SelfSignedOptions for these. names are more of the latter's.
	certFile, keyFile, certDir string
	names                      []string
	minVersion                 string
	cipherSuites               []string

	// See authentication.Options for these.
	clientCAFile string
	audiences    []string
	tokenTTL     time.Duration
	anonymous    bool

	// See authorization.Options for these.
	authorizationMode string
	allowTTL, denyTTL time.Duration

	// flags tell which of them were given.
	flags *pflag.FlagSet
}

func defaultSecureOptions() secureOptions {
	return secureOptions{
		address:    server.Address{Host: "0.0.0.0", Port: 10250, HostFlag: "--bind-address", PortFlag: "--secure-port"},
		minVersion: "VersionTLS12", authorizationMode: modeWebhook,
		// The kubelet's own times.
		tokenTTL: 2 * time.Minute, allowTTL: 5 * time.Minute, denyTTL: 30 * time.Second,
	}
}

func (o *options) secureFlags() flagGroup {
	group, s := newGroup("Secure serving"), &o.secure
	s.flags = group.flags
	group.flags.StringVar(&s.address.Host, "bind-address", s.address.Host, "`IP` to serve everything on with TLS, to those who may")
	group.flags.IntVar(&s.address.Port, "secure-port", s.address.Port, "port to serve everything on with TLS; 0 is off, as it is where there is no kubeconfig, no pod's account and no --client-ca-file")
	group.flags.StringVar(&s.certFile, "tls-cert-file", "", "`file` with the certificate to serve with, and those between it and the one that clients know (default: one of the agent's own making)")
	group.flags.StringVar(&s.keyFile, "tls-private-key-file", "", "`file` with the key of --tls-cert-file; it may be the same")
	group.flags.StringVar(&s.certDir, "tls-cert-dir", "", "`folder` to keep a certificate of the agent's own making in; clients verify it by ca.crt there (default: it is kept in memory)")
	group.flags.StringSliceVar(&s.names, "tls-san", nil, "`names` and IP addresses that a certificate of the agent's own making has, besides the host's and the node's")
	group.flags.StringVar(&s.minVersion, "tls-min-version", s.minVersion, "least `version` of TLS: "+strings.Join(certificate.Versions(), " or "))
	group.flags.StringSliceVar(&s.cipherSuites, "tls-cipher-suites", nil, "`suites` of TLS 1.2 to choose from (default: Go's choice): "+strings.Join(certificate.CipherSuites(), ", "))
	group.flags.StringVar(&s.clientCAFile, "client-ca-file", "", "`file` with the authorities whose client certificates are believed")
	group.flags.StringSliceVar(&s.audiences, "api-audiences", nil, "`audiences` of which a bearer token must have one (default: the API server's own)")
	group.flags.DurationVar(&s.tokenTTL, "authentication-token-webhook-cache-ttl", s.tokenTTL, "how long the API server's word on a token is kept; 0 asks each time")
	group.flags.BoolVar(&s.anonymous, "anonymous-auth", s.anonymous, "let in those who show neither certificate nor token, as system:anonymous")
	group.flags.StringVar(&s.authorizationMode, "authorization-mode", s.authorizationMode, "`who` decides what a user may: Webhook (the API server) or AlwaysAllow (everybody who is let in may do everything)")
	group.flags.DurationVar(&s.allowTTL, "authorization-webhook-cache-authorized-ttl", s.allowTTL, "how long the API server's yes is kept; 0 asks each time")
	group.flags.DurationVar(&s.denyTTL, "authorization-webhook-cache-unauthorized-ttl", s.denyTTL, "how long the API server's no is kept; 0 asks each time")
	o.podsFlag(group)
	return group
}

func (o *options) validateSecure() error {
	s := &o.secure
	if err := validAddress(s.address); err != nil {
		return err
	}
	if (s.certFile == "") != (s.keyFile == "") {
		return errors.New("--tls-cert-file and --tls-private-key-file go together; they may name the same file")
	}
	if s.certFile != "" && (s.certDir != "" || len(s.names) > 0) {
		return errors.New("--tls-cert-dir and --tls-san are for a certificate of the agent's own making, and --tls-cert-file is for another")
	}
	for _, name := range s.names {
		if _, err := netip.ParseAddr(name); err != nil && !certificate.IsHostName(name) {
			return bad("--tls-san", name, "host names and IP addresses")
		}
	}
	if !slices.Contains([]string{modeWebhook, modeAlwaysAllow}, s.authorizationMode) {
		return bad("--authorization-mode", s.authorizationMode, modeWebhook+" or "+modeAlwaysAllow)
	}
	for _, d := range []struct {
		flag  string
		value time.Duration
	}{
		{"--authentication-token-webhook-cache-ttl", s.tokenTTL},
		{"--authorization-webhook-cache-authorized-ttl", s.allowTTL},
		{"--authorization-webhook-cache-unauthorized-ttl", s.denyTTL},
	} {
		if d.value < 0 {
			return bad(d.flag, d.value, "no less than 0")
		}
	}
	if !slices.Contains(certificate.Versions(), s.minVersion) {
		return bad("--tls-min-version", s.minVersion, strings.Join(certificate.Versions(), " or "))
	}
	if _, err := certificate.NewConfig(certificate.Options{MinVersion: s.minVersion, CipherSuites: s.cipherSuites}); err != nil {
		return bad("--tls-cipher-suites", strings.Join(s.cipherSuites, ","), "some of "+strings.Join(certificate.CipherSuites(), ", ")+": "+err.Error())
	}
	return nil
}

func validAddress(address server.Address) error {
	if address.Port < 0 || address.Port > math.MaxUint16 {
		return bad(address.PortFlag, address.Port, "a port from 1 to 65535, or 0 for off")
	}
	if _, err := netip.ParseAddr(address.Host); err != nil {
		return bad(address.HostFlag, address.Host, "an IP address")
	}
	return nil
}

// planSecure decides whether the secure port is on, with the way to the API server if there is one, and whether what is asked for can be.
func (o *options) planSecure(log *zap.Logger) (on bool, api *rest.Config, err error) {
	s := &o.secure
	if s.address.Port == 0 {
		return false, nil, nil
	}
	asked := s.flags != nil && s.flags.Changed("secure-port")
	api, err = identity.LoadConfig(o.kubeconfig)
	switch {
	case err == nil:
	case o.kubeconfig != "":
		return false, nil, fmt.Errorf("who may use the secure port: %w; change --kubeconfig, or set --secure-port=0", err)
	case !errors.Is(err, rest.ErrNotInCluster):
		log.Warn("the pod's account for the API server is of no use to the secure port", zap.Error(err))
	}
	if api == nil && s.clientCAFile == "" && !asked {
		return false, nil, nil
	}
	if api == nil && s.clientCAFile == "" && !s.anonymous {
		return false, nil, wrong(errors.New("--secure-port would let nobody in: give --kubeconfig for bearer tokens, or --client-ca-file for certificates"))
	}
	if api == nil && s.authorizationMode == modeWebhook {
		return false, nil, wrong(errors.New("--authorization-mode=Webhook asks the API server: give --kubeconfig, or --authorization-mode=AlwaysAllow, " +
			"by which everybody who is let in may read everything, or --secure-port=0"))
	}
	for _, plain := range []server.Address{o.readOnly, o.healthz} {
		if overlap(s.address, plain) {
			return false, nil, wrong(fmt.Errorf("%s and %s are both %d: one port cannot speak TLS and plain HTTP; change one of them, or set %s=0 "+
				"(the secure port serves health too)", s.address.PortFlag, plain.PortFlag, plain.Port, plain.PortFlag))
		}
	}
	return true, api, nil
}

// wrong makes a mistake of the command line of an error.
func wrong(err error) error { return &usageError{err} }

// overlap tells whether two addresses that are on cannot both be bound.
func overlap(a, b server.Address) bool {
	x, errX := netip.ParseAddr(a.Host)
	y, errY := netip.ParseAddr(b.Host)
	if errX != nil || errY != nil || a.Port == 0 || a.Port != b.Port {
		return false
	}
	x, y = x.Unmap(), y.Unmap()
	return x == y || x.IsUnspecified() || y.IsUnspecified()
}

// secureServing is what the secure port needs besides routes.
type secureServing struct {
	tls *tls.Config
	// guard puts around a handler what lets in only those who may.
	guard func(next http.Handler) http.Handler
	// watched are to be kept current.
	watched []certificate.Watched
	// expiries tell when each certificate expires, by what it is for; reviews, what became of each kind of question to the API server.
	expiries []expiry
	reviews  []reviewed
}

// expiry is of one certificate, or of several the first.
type expiry struct {
	of string
	at func() time.Time
}

// reviewed is one kind of question.
type reviewed struct {
	kind   string
	counts func() authentication.Reviews
}

// openSecure reads or makes certificates, and finds whom to ask. api is the way to the API server; nil: there is none. An error names the
// flag to change.
func (o *options) openSecure(log *zap.Logger, api *rest.Config) (*secureServing, error) {
	s, serving := &o.secure, &secureServing{}
	log = log.Named("secure")
	node, err := identity.NodeName(o.nodeName)
	if err != nil {
		return nil, fmt.Errorf("%w; set --node-name", err)
	}
	var clientCAs func() *x509.CertPool
	if s.clientCAFile != "" {
		authorities, err := certificate.NewAuthorities(s.clientCAFile, log)
		if err != nil {
			return nil, fmt.Errorf("%w; change --client-ca-file", err)
		}
		serving.watched = append(serving.watched, authorities)
		clientCAs = authorities.Pool
		serving.expiries = append(serving.expiries, expiry{"client_ca", authorities.Expires})
	}
	who := authentication.Options{
		ClientCAs: clientCAs, Audiences: s.audiences, CacheTTL: s.tokenTTL, Anonymous: s.anonymous, Log: log,
	}
	may := authorization.Options{NodeName: node, AllowTTL: s.allowTTL, DenyTTL: s.denyTTL, Log: log}
	if api != nil {
		client, err := review.NewClient(api)
		if err != nil {
			return nil, fmt.Errorf("%w; change --kubeconfig", err)
		}
		who.Tokens = client
		if s.authorizationMode == modeWebhook {
			may.Access = client
		}
	}
	authenticator, authorizer := authentication.New(who), authorization.New(may)
	serving.reviews = []reviewed{{"token", authenticator.Reviews}, {"access", authorizer.Reviews}}
	serving.guard = func(next http.Handler) http.Handler {
		return authorization.Filter(log, authenticator, authorizer, next)
	}
	// Last: it logs what it serves.
	own, err := o.openCertificate(log, node)
	if err != nil {
		return nil, err
	}
	serving.watched = append(serving.watched, own)
	serving.expiries = append(serving.expiries, expiry{"serving", func() time.Time { return own.Certificate().Leaf.NotAfter }})
	serving.tls, err = certificate.NewConfig(certificate.Options{
		MinVersion: s.minVersion, CipherSuites: s.cipherSuites, Certificate: own.Certificate, ClientCAs: clientCAs,
	})
	if err != nil {
		return nil, err
	}
	return serving, nil
}

// ownCertificate is the server's, wherever it comes from.
type ownCertificate interface {
	certificate.Watched
	Certificate() *tls.Certificate
}

func (o *options) openCertificate(log *zap.Logger, node string) (ownCertificate, error) {
	s := &o.secure
	if s.certFile != "" {
		pair, err := certificate.NewPair(s.certFile, s.keyFile, log)
		if err != nil {
			return nil, fmt.Errorf("%w; change --tls-cert-file or --tls-private-key-file", err)
		}
		return pair, nil
	}
	self, err := certificate.NewSelfSigned(certificate.SelfSignedOptions{
		NodeName: node, Folder: s.certDir, Log: log,
		Names: func() ([]string, []net.IP, error) { return certificate.NodeNames(node, s.names) },
	})
	if err != nil {
		return nil, fmt.Errorf("%w; change --tls-cert-dir, or give --tls-cert-file", err)
	}
	return self, nil
}
