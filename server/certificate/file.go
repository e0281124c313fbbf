// Package certificate holds the server's certificate and the authorities of its clients' certificates, and keeps both current: files are
// read again when they change, and a certificate of the agent's own making is made anew in time.
package certificate

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"os"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
)

// Period is how often [Run] looks.
const Period = 10 * time.Second

// largestFile is more than any bundle of authorities has, in bytes.
const largestFile = 4 << 20

// Watched is what [Run] keeps current.
type Watched interface {
	// Check looks whether anything changed. It logs what an operator should know.
	Check()
}

// Run checks everything each period, until ctx ends.
func Run(ctx context.Context, period time.Duration, all ...Watched) {
	ticker := time.NewTicker(period)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			for _, one := range all {
				one.Check()
			}
		}
	}
}

// files are read together. They are read whole each time and compared: their times tell little where they are links into a folder that
// is swapped as a whole, as Kubernetes does it.
type files struct {
	paths []string
	last  [][]byte
	// trouble is what was wrong with them last, so that it is said once.
	trouble string
}

// changed returns the contents if they are not those of the last time.
func (f *files) changed() ([][]byte, bool, error) {
	now := make([][]byte, len(f.paths))
	same := f.last != nil
	for i, path := range f.paths {
		text, err := readFile(path)
		if err != nil {
			return nil, false, err
		}
		now[i] = text
		same = same && bytes.Equal(text, f.last[i])
	}
	return now, !same, nil
}

// again takes them in if they changed, and says once for each trouble that they are of no use.
func (f *files) again(log *zap.Logger, what string, take func(contents [][]byte) error) {
	contents, changed, err := f.changed()
	if err == nil && changed {
		err = take(contents)
	}
	if err == nil {
		if f.trouble != "" && !changed {
			log.Info(what+" is as it was before", zap.Strings("files", f.paths))
		}
		f.trouble = ""
		if changed {
			f.last = contents
		}
		return
	}
	if err.Error() != f.trouble {
		f.trouble = err.Error()
		log.Warn(what+" changed and is of no use; the one before stays in use", zap.Strings("files", f.paths), zap.Error(err))
	}
}

func readFile(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	// A pipe would be waited for without end.
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("read %s: it is not a file", path)
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, largestFile+1))
	if err != nil {
		return nil, err
	}
	if len(text) > largestFile {
		return nil, fmt.Errorf("read %s: it is larger than %d bytes", path, largestFile)
	}
	return text, nil
}

// Pair is a certificate with its key, of two files or of one that has both. Certificate is safe for concurrent use, Check is not.
type Pair struct {
	files   files
	log     *zap.Logger
	current atomic.Pointer[tls.Certificate]
	expired bool
}

// NewPair reads a certificate, with those of the authorities between it and the one that clients know, and its key. It returns an error
// if it cannot, or if the key is not the certificate's. A certificate that has expired is served, and said to be.
func NewPair(certFile, keyFile string, log *zap.Logger) (*Pair, error) {
	p := &Pair{files: files{paths: []string{certFile, keyFile}}, log: log}
	contents, _, err := p.files.changed()
	if err != nil {
		return nil, err
	}
	pair, err := parsePair(contents[0], contents[1])
	if err != nil {
		return nil, fmt.Errorf("certificate %s with key %s: %w", certFile, keyFile, err)
	}
	p.files.last = contents
	p.use(pair)
	return p, nil
}

// Certificate returns the one in use.
func (p *Pair) Certificate() *tls.Certificate { return p.current.Load() }

// Check implements [Watched]. New files that are of no use leave the certificate as it is, and so do those that are gone.
func (p *Pair) Check() {
	p.files.again(p.log, "the serving certificate", func(contents [][]byte) error {
		pair, err := parsePair(contents[0], contents[1])
		if err != nil {
			return err
		}
		if now := time.Now(); now.After(pair.Leaf.NotAfter) && now.Before(p.Certificate().Leaf.NotAfter) {
			return fmt.Errorf("it expired at %s", pair.Leaf.NotAfter.Format(time.RFC3339))
		}
		p.use(pair)
		return nil
	})
	p.tellExpired()
}

func (p *Pair) use(pair *tls.Certificate) {
	p.current.Store(pair)
	p.expired = false
	p.log.Info("serving certificate", zap.Strings("files", p.files.paths), zap.String("sha256", Fingerprint(pair.Leaf)),
		zap.Strings("names", names(pair.Leaf)), zap.Time("expires", pair.Leaf.NotAfter))
	p.tellExpired()
}

func (p *Pair) tellExpired() {
	if leaf := p.Certificate().Leaf; !p.expired && time.Now().After(leaf.NotAfter) {
		p.expired = true
		p.log.Warn("the serving certificate has expired: clients refuse it until its files are new", zap.Strings("files", p.files.paths),
			zap.Time("expired", leaf.NotAfter))
	}
}

func parsePair(certificate, key []byte) (*tls.Certificate, error) {
	pair, err := tls.X509KeyPair(certificate, key)
	if err != nil {
		return nil, err
	}
	if pair.Leaf == nil { // set by every Go since 1.23, unless told not to
		if pair.Leaf, err = x509.ParseCertificate(pair.Certificate[0]); err != nil {
			return nil, err
		}
	}
	return &pair, nil
}

// Authorities are those of the clients' certificates, of a file. Pool is safe for concurrent use, Check is not.
type Authorities struct {
	files   files
	log     *zap.Logger
	current atomic.Pointer[pool]
}

// pool is a set of authorities.
type pool struct {
	*x509.CertPool
	count int
	// expires is when the first of them does.
	expires time.Time
}

// NewAuthorities reads a bundle. It returns an error if it cannot, if a certificate in it is broken, or if there is none.
func NewAuthorities(file string, log *zap.Logger) (*Authorities, error) {
	a := &Authorities{files: files{paths: []string{file}}, log: log}
	contents, _, err := a.files.changed()
	if err != nil {
		return nil, err
	}
	pool, err := parsePool(contents[0])
	if err != nil {
		return nil, fmt.Errorf("authorities in %s: %w", file, err)
	}
	a.files.last = contents
	a.current.Store(pool)
	return a, nil
}

// Pool returns those in use; never nil.
func (a *Authorities) Pool() *x509.CertPool { return a.current.Load().CertPool }

// Expires returns when the first of those in use expires, or did. It is safe for concurrent use.
func (a *Authorities) Expires() time.Time { return a.current.Load().expires }

// Check implements [Watched]. A new file that is of no use leaves the authorities as they are, and so does one that is gone.
func (a *Authorities) Check() {
	a.files.again(a.log, "the file of clients' authorities", func(contents [][]byte) error {
		pool, err := parsePool(contents[0])
		if err != nil {
			return err
		}
		a.current.Store(pool)
		a.log.Info("clients' authorities are new", zap.Strings("files", a.files.paths), zap.Int("certificates", pool.count),
			zap.Time("expires", pool.expires))
		return nil
	})
}

func parsePool(text []byte) (*pool, error) {
	p := &pool{CertPool: x509.NewCertPool()}
	for {
		var block *pem.Block
		if block, text = pem.Decode(text); block == nil {
			break
		}
		if block.Type != "CERTIFICATE" {
			continue
		}
		certificate, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("certificate %d: %w", p.count+1, err)
		}
		p.AddCert(certificate)
		if p.count == 0 || certificate.NotAfter.Before(p.expires) {
			p.expires = certificate.NotAfter
		}
		p.count++
	}
	if p.count == 0 {
		return nil, errors.New("no certificate in it")
	}
	return p, nil
}
