package certificate

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
)

// Files of a folder.
const (
	authorityFile    = "ca.crt"
	authorityKeyFile = "ca.key"
	leafFile         = "nodevitals.crt"
	leafKeyFile      = "nodevitals.key"
)

// load takes what the folder has. An authority without a certificate of use is kept: a new certificate of its is known to clients.
func (s *SelfSigned) load() error {
	authority, err := s.loadPair(authorityFile, authorityKeyFile)
	if err != nil {
		return err
	}
	key, ok := authority.PrivateKey.(*ecdsa.PrivateKey)
	if !ok || !authority.Leaf.IsCA {
		return fmt.Errorf("%s is no authority of our making", filepath.Join(s.options.Folder, authorityFile))
	}
	s.authority = &signer{certificate: authority.Leaf, key: key}
	pair, err := s.loadPair(leafFile, leafKeyFile)
	if err != nil {
		return err
	}
	if err := pair.Leaf.CheckSignatureFrom(authority.Leaf); err != nil {
		return fmt.Errorf("%s is not signed by %s: %w", leafFile, authorityFile, err)
	}
	s.current.Store(pair)
	return nil
}

func (s *SelfSigned) loadPair(certificate, key string) (*tls.Certificate, error) {
	var texts [2][]byte
	for i, name := range []string{certificate, key} {
		var err error
		if texts[i], err = readFile(filepath.Join(s.options.Folder, name)); err != nil {
			return nil, err
		}
	}
	pair, err := parsePair(texts[0], texts[1])
	if err != nil {
		return nil, fmt.Errorf("%s with %s: %w", certificate, key, err)
	}
	return pair, nil
}

// store keeps what is in use. Each file is whole at any moment; should this end between two of them, load sees that they do not fit.
func (s *SelfSigned) store(pair *tls.Certificate) error {
	key, ok := pair.PrivateKey.(*ecdsa.PrivateKey)
	if !ok {
		return errors.New("the key is not of our making")
	}
	authorityKey, err := x509.MarshalPKCS8PrivateKey(s.authority.key)
	if err != nil {
		return err
	}
	leafKey, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	for _, file := range []struct {
		name, kind string
		mode       os.FileMode
		blocks     [][]byte
	}{
		{authorityKeyFile, "PRIVATE KEY", 0o600, [][]byte{authorityKey}},
		{authorityFile, "CERTIFICATE", 0o644, [][]byte{s.authority.certificate.Raw}},
		{leafKeyFile, "PRIVATE KEY", 0o600, [][]byte{leafKey}},
		{leafFile, "CERTIFICATE", 0o644, pair.Certificate},
	} {
		var text bytes.Buffer
		for _, block := range file.blocks {
			_ = pem.Encode(&text, &pem.Block{Type: file.kind, Bytes: block}) // a buffer takes everything
		}
		path := filepath.Join(s.options.Folder, file.name)
		if err := replace(path, text.Bytes(), file.mode); err != nil {
			return fmt.Errorf("keep %s: %w", path, plainReason(err))
		}
	}
	return nil
}

// plainReason strips the operation and the path that errors of files have: the path is one that was made up, another each time, and trouble that
// lasts is to have one text.
func plainReason(err error) error {
	if number, ok := errors.AsType[syscall.Errno](err); ok {
		return number
	}
	return err
}

// replace puts a whole new file in another's place.
func replace(path string, text []byte, mode os.FileMode) (err error) {
	// It is nobody else's to read from the start.
	file, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = os.Remove(file.Name()) // the error before is the one to tell
		}
	}()
	defer file.Close()
	if _, err := file.Write(text); err != nil {
		return err
	}
	if err := file.Chmod(mode); err != nil {
		return err
	}
	if err := file.Sync(); err != nil {
		return err
	}
	if err := file.Close(); err != nil {
		return err
	}
	return os.Rename(file.Name(), path)
}
