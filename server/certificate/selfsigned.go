package certificate

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net"
	"os"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
)

const (
	// authorityLife and leafLife are how long certificates of our own making are valid. A leaf is made anew once a third of its life is left,
	// an authority once a leaf would outlive it.
	authorityLife = 10 * 365 * 24 * time.Hour
	leafLife      = 365 * 24 * time.Hour
	// skew is by how much clients' clocks may be behind.
	skew = time.Hour
	// lookPeriod is how often the node's addresses are asked for.
	lookPeriod = time.Minute
)

// SelfSignedOptions say for whom a certificate is made.
type SelfSignedOptions struct {
	// NodeName goes into the subjects.
	NodeName string
	// Names returns the DNS names and the addresses that clients may use, at this moment.
	Names func() ([]string, []net.IP, error)
	// Folder is where certificates and keys are kept; empty: in memory alone. See [SelfSigned].
	Folder string
	// Log takes what an operator should know.
	Log *zap.Logger
}

// SelfSigned is a certificate of the agent's own making. An authority signs it that is made for this node alone, so that clients which
// know the authority (ca.crt, or the same at the end of nodevitals.crt) go on to know certificates that are made later.
// Certificate is safe for concurrent use, Check is not.
//
// With a folder it is made once and lasts: ca.crt, nodevitals.crt (the certificate and the authority's), and their keys ca.key and
// nodevitals.key, which nobody else may read.
type SelfSigned struct {
	options SelfSignedOptions
	now     func() time.Time

	authority *signer
	current   atomic.Pointer[tls.Certificate]
	// unsaved: what is in use is not in the folder.
	unsaved bool
	looked  time.Time
	trouble string
}

// signer is a certificate with its key.
type signer struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
}

// NewSelfSigned takes the certificate of the folder, or makes one. It returns an error if it cannot be made or kept.
func NewSelfSigned(options SelfSignedOptions) (*SelfSigned, error) {
	return newSelfSigned(options, time.Now)
}

func newSelfSigned(options SelfSignedOptions, now func() time.Time) (*SelfSigned, error) {
	s := &SelfSigned{options: options, now: now}
	if options.Folder != "" {
		// Others may look up the certificates: that is what they are for.
		if err := os.MkdirAll(options.Folder, 0o755); err != nil {
			return nil, err
		}
		if err := s.load(); err != nil && !errors.Is(err, fs.ErrNotExist) {
			options.Log.Warn("the kept certificate is of no use; a new one is made", zap.String("folder", options.Folder), zap.Error(err))
		}
	}
	if err := s.renew(); err != nil {
		return nil, err
	}
	s.tell()
	return s, nil
}

// Certificate returns the one in use.
func (s *SelfSigned) Certificate() *tls.Certificate { return s.current.Load() }

// Authority returns the certificate of the authority that signed it, which is all that a client needs to know.
func (s *SelfSigned) Authority() *x509.Certificate { return s.authority.certificate }

// Check implements [Watched]. It makes the certificate anew once its time is nearly over or it lacks an address.
func (s *SelfSigned) Check() {
	now := s.now()
	// A clock that was set back must not keep us from looking.
	if since := now.Sub(s.looked); since >= 0 && since < lookPeriod {
		return
	}
	before := s.Certificate()
	err := s.renew()
	if s.Certificate() != before {
		s.tell()
	}
	if err == nil {
		s.trouble = ""
		return
	}
	if err.Error() != s.trouble {
		s.trouble = err.Error()
		s.options.Log.Warn("the certificate of our own making could not be made anew, or not be kept", zap.Error(err))
	}
}

// renew makes what is missing or outdated. It uses what it made even if that could not be kept, and then tries to keep it each time.
func (s *SelfSigned) renew() error {
	s.looked = s.now()
	hosts, addresses, err := s.options.Names()
	if err != nil {
		return fmt.Errorf("find this node's names and addresses: %w", err)
	}
	made := false
	if s.authority == nil || !s.lasts(s.authority.certificate, leafLife) {
		if s.authority, err = s.newAuthority(); err != nil {
			return fmt.Errorf("make an authority for this node's certificate: %w", err)
		}
		made = true
	}
	pair := s.Certificate()
	if made || pair == nil || !s.lasts(pair.Leaf, leafLife/3) || !covers(pair.Leaf, hosts, addresses) {
		if pair, err = s.newLeaf(hosts, addresses); err != nil {
			return fmt.Errorf("make this node's certificate: %w", err)
		}
		made = true
	}
	s.current.Store(pair)
	s.unsaved = s.unsaved || made
	if !s.unsaved || s.options.Folder == "" {
		return nil
	}
	if err := s.store(pair); err != nil {
		return err
	}
	s.unsaved = false
	return nil
}

// lasts tells whether a certificate is valid now, and will be for so long.
func (s *SelfSigned) lasts(certificate *x509.Certificate, rest time.Duration) bool {
	now := s.now()
	return now.After(certificate.NotBefore) && now.Add(rest).Before(certificate.NotAfter)
}

// covers tells whether the certificate has every name and address. It may have more: an address that comes and goes changes nothing.
func covers(certificate *x509.Certificate, hosts []string, addresses []net.IP) bool {
	for _, host := range hosts {
		if certificate.VerifyHostname(host) != nil {
			return false
		}
	}
	for _, address := range addresses {
		if certificate.VerifyHostname(address.String()) != nil {
			return false
		}
	}
	return true
}

func (s *SelfSigned) newAuthority() (*signer, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	template := s.template("nodevitals authority of "+s.options.NodeName, authorityLife)
	template.IsCA, template.MaxPathLenZero = true, true
	template.KeyUsage = x509.KeyUsageCertSign | x509.KeyUsageCRLSign
	text, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, err
	}
	certificate, err := x509.ParseCertificate(text)
	return &signer{certificate: certificate, key: key}, err
}

func (s *SelfSigned) newLeaf(hosts []string, addresses []net.IP) (*tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	template := s.template(s.options.NodeName, leafLife)
	template.KeyUsage, template.ExtKeyUsage = x509.KeyUsageDigitalSignature, []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	template.DNSNames, template.IPAddresses = hosts, addresses
	text, err := x509.CreateCertificate(rand.Reader, template, s.authority.certificate, key.Public(), s.authority.key)
	if err != nil {
		return nil, err
	}
	leaf, err := x509.ParseCertificate(text)
	if err != nil {
		return nil, err
	}
	return &tls.Certificate{Certificate: [][]byte{text, s.authority.certificate.Raw}, PrivateKey: key, Leaf: leaf}, nil
}

func (s *SelfSigned) template(name string, life time.Duration) *x509.Certificate {
	serial := make([]byte, 16)
	_, _ = rand.Read(serial) // it never fails: it ends the program instead
	serial[0] &= 0x7f        // a serial number is not negative
	now := s.now()
	const longest = 64 // of a common name, by the standard; some clients insist
	return &x509.Certificate{
		SerialNumber: new(big.Int).SetBytes(serial), Subject: pkix.Name{CommonName: name[:min(len(name), longest)]},
		NotBefore: now.Add(-skew), NotAfter: now.Add(life), BasicConstraintsValid: true,
	}
}

// tell logs what an operator needs to know the certificate again.
func (s *SelfSigned) tell() {
	leaf := s.Certificate().Leaf
	s.options.Log.Info("serving a certificate of our own making; clients verify it by its authority",
		zap.String("sha256", Fingerprint(leaf)), zap.String("authority sha256", Fingerprint(s.authority.certificate)),
		zap.Strings("names", names(leaf)), zap.Time("expires", leaf.NotAfter), zap.String("folder", s.options.Folder))
}

// Fingerprint is the SHA-256 of a certificate, in hexadecimal, as openssl x509 -fingerprint -sha256 tells it but for colons and case.
func Fingerprint(certificate *x509.Certificate) string {
	sum := sha256.Sum256(certificate.Raw)
	return hex.EncodeToString(sum[:])
}

// names are all that a certificate is valid for.
func names(certificate *x509.Certificate) []string {
	all := append([]string(nil), certificate.DNSNames...)
	for _, address := range certificate.IPAddresses {
		all = append(all, address.String())
	}
	return all
}
