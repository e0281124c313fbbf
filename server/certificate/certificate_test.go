package certificate

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
)

// patience is for what a healthy machine does at once.
const patience = 30 * time.Second

// pair makes a certificate for localhost that signs itself, and its key, as PEM.
func pair(t *testing.T, name string, expires time.Time) (certificate, key []byte) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, DNSNames: []string{"localhost"},
		NotBefore: time.Now().Add(-2 * time.Hour), NotAfter: expires, IsCA: true, BasicConstraintsValid: true,
	}
	text, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: text}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret})
}

func write(t *testing.T, path string, text []byte) {
	t.Helper()
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
}

// volume is a folder that is filled as Kubernetes fills those of secrets: its files are links through one link that is swapped.
type volume struct {
	folder string
	count  int
}

func (v *volume) path(name string) string { return filepath.Join(v.folder, name) }

func (v *volume) fill(t *testing.T, contents map[string][]byte) {
	t.Helper()
	v.count++
	data := fmt.Sprintf("..%d", v.count)
	if err := os.Mkdir(v.path(data), 0o700); err != nil {
		t.Fatal(err)
	}
	for name, text := range contents {
		write(t, filepath.Join(v.path(data), name), text)
		if err := os.Symlink(filepath.Join("..data", name), v.path(name)); err != nil && !errors.Is(err, os.ErrExist) {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(data, v.path("..data_tmp")); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(v.path("..data_tmp"), v.path("..data")); err != nil {
		t.Fatal(err)
	}
}

func logger() (*zap.Logger, *observer.ObservedLogs) {
	core, logs := observer.New(zap.DebugLevel)
	return zap.New(core), logs
}

// handshake lets a client connect to a server, once, and returns what the server saw, or the client's error. The certificates are the
// server's, then the client's.
func handshake(t *testing.T, server, client *tls.Config) (state tls.ConnectionState, err error) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	states := make(chan tls.ConnectionState, 1)
	go func() {
		conn, err := listener.Accept()
		if err != nil {
			close(states)
			return
		}
		defer conn.Close()
		_ = conn.SetDeadline(time.Now().Add(patience))
		secure := tls.Server(conn, server)
		if err := secure.Handshake(); err != nil {
			close(states)
			return
		}
		states <- secure.ConnectionState()
		_, _ = io.WriteString(secure, "done")
	}()
	conn, err := tls.DialWithDialer(&net.Dialer{Timeout: patience}, "tcp", listener.Addr().String(), client)
	if err != nil {
		return state, err
	}
	defer conn.Close()
	// A client of TLS 1.3 learns only now what the server says of its certificate.
	if _, err := io.ReadAll(conn); err != nil && !errors.Is(err, io.EOF) {
		return state, err
	}
	state, ok := <-states
	if !ok {
		return state, errors.New("the server broke off")
	}
	state.PeerCertificates = append(conn.ConnectionState().PeerCertificates, state.PeerCertificates...)
	return state, nil
}

func TestPairIsReloadedThroughSymlinkSwap(t *testing.T) {
	v := &volume{folder: t.TempDir()}
	first, firstKey := pair(t, "first", time.Now().Add(time.Hour))
	second, secondKey := pair(t, "second", time.Now().Add(time.Hour))
	v.fill(t, map[string][]byte{"tls.crt": first, "tls.key": firstKey})
	log, logs := logger()
	p, err := NewPair(v.path("tls.crt"), v.path("tls.key"), log)
	if err != nil {
		t.Fatal(err)
	}
	config, err := NewConfig(Options{Certificate: p.Certificate})
	if err != nil {
		t.Fatal(err)
	}
	sees := func(certificate []byte, name string) {
		t.Helper()
		roots := x509.NewCertPool()
		roots.AppendCertsFromPEM(certificate)
		state, err := handshake(t, config, &tls.Config{RootCAs: roots, ServerName: "localhost"})
		if err != nil || state.PeerCertificates[0].Subject.CommonName != name {
			t.Errorf("want %s, got %+v, %v", name, state.PeerCertificates, err)
		}
	}
	sees(first, "first")
	p.Check()
	v.fill(t, map[string][]byte{"tls.crt": second, "tls.key": secondKey})
	p.Check()
	sees(second, "second")
	p.Check()
	if got := logs.FilterMessage("serving certificate").Len(); got != 2 {
		t.Errorf("told of %d certificates, want 2: %v", got, logs.All())
	}
}

func TestUselessFilesLeaveThePairAsItIs(t *testing.T) {
	good, key := pair(t, "good", time.Now().Add(time.Hour))
	_, otherKey := pair(t, "other", time.Now().Add(time.Hour))
	old, oldKey := pair(t, "old", time.Now().Add(-time.Hour))
	for _, one := range []struct {
		name, want       string
		certificate, key []byte
	}{
		{"garbage", "failed to find", []byte("garbage"), key},
		{"empty", "failed to find", nil, nil},
		{"half", "find any PEM", good[:len(good)/2], key},
		{"another's key", "does not match", good, otherKey},
		{"expired", "expired", old, oldKey},
	} {
		t.Run(one.name, func(t *testing.T) {
			v := &volume{folder: t.TempDir()}
			v.fill(t, map[string][]byte{"tls.crt": good, "tls.key": key})
			log, logs := logger()
			p, err := NewPair(v.path("tls.crt"), v.path("tls.key"), log)
			if err != nil {
				t.Fatal(err)
			}
			before := p.Certificate()
			v.fill(t, map[string][]byte{"tls.crt": one.certificate, "tls.key": one.key})
			p.Check()
			p.Check()
			if p.Certificate() != before {
				t.Error("the certificate was replaced")
			}
			warnings := logs.FilterLevelExact(zap.WarnLevel).All()
			if len(warnings) != 1 || !strings.Contains(fmt.Sprint(warnings[0].ContextMap()["error"]), one.want) {
				t.Errorf("want one warning of %q, got %v", one.want, warnings)
			}
			v.fill(t, map[string][]byte{"tls.crt": good, "tls.key": key})
			p.Check()
			if logs.FilterMessage("the serving certificate is as it was before").Len() != 1 {
				t.Errorf("not told that all is well again: %v", logs.All())
			}
		})
	}
}

func TestDeletedFilesLeaveThePairAsItIs(t *testing.T) {
	folder := t.TempDir()
	good, key := pair(t, "good", time.Now().Add(time.Hour))
	write(t, filepath.Join(folder, "both.pem"), slices.Concat(good, key)) // as a kubelet keeps its own
	log, logs := logger()
	file := filepath.Join(folder, "both.pem")
	p, err := NewPair(file, file, log)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	p.Check()
	p.Check()
	if p.Certificate().Leaf.Subject.CommonName != "good" || logs.FilterLevelExact(zap.WarnLevel).Len() != 1 {
		t.Errorf("want the certificate kept and one warning: %v", logs.All())
	}
}

func TestExpiredCertificateIsServedAndSaid(t *testing.T) {
	folder := t.TempDir()
	old, key := pair(t, "old", time.Now().Add(-time.Hour))
	write(t, filepath.Join(folder, "crt"), old)
	write(t, filepath.Join(folder, "key"), key)
	log, logs := logger()
	p, err := NewPair(filepath.Join(folder, "crt"), filepath.Join(folder, "key"), log)
	if err != nil {
		t.Fatal(err)
	}
	p.Check()
	if got := logs.FilterMessageSnippet("has expired").Len(); got != 1 {
		t.Errorf("said %d times that it has expired, want once", got)
	}
}

func TestFilesThatAreNone(t *testing.T) {
	folder := t.TempDir()
	if _, err := NewPair(folder, folder, zap.NewNop()); err == nil || !strings.Contains(err.Error(), "it is not a file") {
		t.Errorf("a folder: %v", err)
	}
	if _, err := NewPair(filepath.Join(folder, "no"), filepath.Join(folder, "no"), zap.NewNop()); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
	large := filepath.Join(folder, "large")
	write(t, large, make([]byte, largestFile+1))
	if _, err := NewAuthorities(large, zap.NewNop()); err == nil || !strings.Contains(err.Error(), "larger than") {
		t.Errorf("a large file: %v", err)
	}
}

func TestAuthoritiesAreReloaded(t *testing.T) {
	v := &volume{folder: t.TempDir()}
	first, _ := pair(t, "first", time.Now().Add(time.Hour))
	second, _ := pair(t, "second", time.Now().Add(time.Hour))
	v.fill(t, map[string][]byte{"ca.crt": first})
	log, logs := logger()
	a, err := NewAuthorities(v.path("ca.crt"), log)
	if err != nil {
		t.Fatal(err)
	}
	has := func(texts ...[]byte) bool {
		want := x509.NewCertPool()
		for _, text := range texts {
			want.AppendCertsFromPEM(text)
		}
		return a.Pool().Equal(want)
	}
	v.fill(t, map[string][]byte{"ca.crt": slices.Concat(first, second)})
	a.Check()
	if !has(first, second) {
		t.Error("two authorities wanted")
	}
	for _, text := range []string{"", "garbage", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"} {
		v.fill(t, map[string][]byte{"ca.crt": []byte(text)})
		a.Check()
		if !has(first, second) {
			t.Errorf("%q took the authorities away", text)
		}
	}
	v.fill(t, map[string][]byte{"ca.crt": second})
	a.Check()
	if !has(second) {
		t.Error("the first authority is still believed")
	}
	if got := logs.FilterLevelExact(zap.WarnLevel).Len(); got != 2 {
		t.Errorf("warned %d times, want once for each kind of trouble: %v", got, logs.All())
	}
}

func TestRunChecksUntilItEnds(t *testing.T) {
	checked := make(chan struct{})
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		Run(ctx, time.Millisecond, checkFunc(func() {
			select {
			case checked <- struct{}{}:
			case <-ctx.Done():
			}
		}))
		close(ended)
	}()
	for range 3 {
		wait(t, checked, "a check")
	}
	cancel()
	wait(t, ended, "the end")
}

type checkFunc func()

func (f checkFunc) Check() { f() }

func wait(t *testing.T, from <-chan struct{}, what string) {
	t.Helper()
	select {
	case <-from:
	case <-time.After(patience):
		t.Fatalf("waited %s for %s", patience, what)
	}
}

// TestExpiryOfAuthorities: of several the first counts, in whatever order they are, and it follows the file.
func TestExpiryOfAuthorities(t *testing.T) {
	folder, now := t.TempDir(), time.Now()
	late, _ := pair(t, "late", now.Add(9*time.Hour))
	soon, _ := pair(t, "soon", now.Add(time.Hour))
	file := filepath.Join(folder, "ca.crt")
	log, _ := logger()
	write(t, file, slices.Concat(late, soon, late))
	a, err := NewAuthorities(file, log)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []time.Time{now.Add(time.Hour), now.Add(9 * time.Hour)} {
		if got := a.Expires(); got.Unix() != want.Unix() {
			t.Errorf("got %s, want %s", got, want)
		}
		write(t, file, late)
		a.Check()
	}
}
