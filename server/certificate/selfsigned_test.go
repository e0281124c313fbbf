package certificate

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"
)

// node is one whose names and clock a test sets.
type node struct {
	now       time.Time
	hosts     []string
	addresses []net.IP
	err       error
}

func newNode() *node {
	return &node{now: time.Now(), hosts: []string{"node-1", "localhost"}, addresses: []net.IP{net.IPv4(127, 0, 0, 1), net.ParseIP("2001:db8::7")}}
}

func (n *node) selfSigned(t *testing.T, folder string, log *zap.Logger) *SelfSigned {
	t.Helper()
	s, err := newSelfSigned(SelfSignedOptions{
		NodeName: "node-1", Folder: folder, Log: log,
		Names: func() ([]string, []net.IP, error) { return n.hosts, n.addresses, n.err },
	}, func() time.Time { return n.now })
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// later sets the clock forward and checks.
func (n *node) later(s *SelfSigned, by time.Duration) {
	n.now = n.now.Add(by)
	s.Check()
}

// verify tells whether clients that know the authority believe the certificate, by each of the names, at this time.
func verify(s *SelfSigned, roots *x509.CertPool, at time.Time, names ...string) error {
	for _, name := range names {
		if _, err := s.Certificate().Leaf.Verify(x509.VerifyOptions{
			Roots: roots, DNSName: name, CurrentTime: at, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		}); err != nil {
			return err
		}
	}
	return nil
}

func poolOf(t *testing.T, path string) *x509.CertPool {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		t.Fatalf("no certificate in %s", path)
	}
	return pool
}

func TestSelfSignedIsBelievedByEveryNameAndAddress(t *testing.T) {
	log, logs := logger()
	s := newNode().selfSigned(t, "", log)
	pool := x509.NewCertPool()
	pool.AddCert(s.Authority())
	config, err := NewConfig(Options{Certificate: s.Certificate})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"node-1", "localhost", "127.0.0.1", "2001:db8::7"} {
		if _, err := handshake(t, config, &tls.Config{RootCAs: pool, ServerName: name}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := handshake(t, config, &tls.Config{RootCAs: pool, ServerName: "other"}); err == nil {
		t.Error("believed by a name that it has not")
	}
	if line := logs.FilterField(zap.String("sha256", Fingerprint(s.Certificate().Leaf))).Len(); line != 1 {
		t.Errorf("the fingerprint was told %d times, want once: %v", line, logs.All())
	}
}

func TestSelfSignedIsMadeAnewInTime(t *testing.T) {
	n := newNode()
	log, logs := logger()
	s := n.selfSigned(t, "", log)
	first := s.Certificate()
	pool := x509.NewCertPool()
	pool.AddCert(s.Authority())
	n.later(s, leafLife/2)
	if s.Certificate() != first {
		t.Error("made anew after half of its life")
	}
	n.later(s, leafLife/4)
	if s.Certificate() == first {
		t.Fatal("not made anew after three quarters of its life")
	}
	if err := verify(s, pool, n.now, "node-1"); err != nil {
		t.Errorf("who knows the first authority does not believe the second certificate: %v", err)
	}
	n.now = n.now.Add(authorityLife - leafLife)
	s.Check()
	pool.AddCert(s.Authority())
	if err := verify(s, pool, n.now, "node-1"); err != nil {
		t.Errorf("at the end of the authority's life: %v", err)
	}
	if got := logs.Len(); got != 3 {
		t.Errorf("told of %d certificates, want 3", got)
	}
}

func TestSelfSignedFollowsAddresses(t *testing.T) {
	n := newNode()
	s := n.selfSigned(t, "", zap.NewNop())
	pool := x509.NewCertPool()
	pool.AddCert(s.Authority())
	first := s.Certificate()
	n.addresses = append(n.addresses, net.ParseIP("192.0.2.9"))
	n.later(s, time.Second)
	if s.Certificate() != first {
		t.Error("the node was asked again within a second")
	}
	n.later(s, lookPeriod)
	if err := verify(s, pool, n.now, "192.0.2.9", "2001:db8::7"); err != nil {
		t.Error(err)
	}
	second := s.Certificate()
	n.addresses = n.addresses[:1]
	n.later(s, lookPeriod)
	if s.Certificate() != second {
		t.Error("made anew because an address went")
	}
	n.hosts = append(n.hosts, "new-name")
	n.later(s, lookPeriod)
	if err := verify(s, pool, n.now, "new-name"); err != nil {
		t.Error(err)
	}
}

func TestSelfSignedOutlivesAClockThatJumps(t *testing.T) {
	n := newNode()
	s := n.selfSigned(t, "", zap.NewNop())
	for _, jump := range []time.Duration{-30 * 24 * time.Hour, 20 * 365 * 24 * time.Hour, -20 * 365 * 24 * time.Hour} {
		n.later(s, jump)
		pool := x509.NewCertPool()
		pool.AddCert(s.Authority())
		if err := verify(s, pool, n.now, "node-1"); err != nil {
			t.Errorf("after a jump of %s: %v", jump, err)
		}
	}
}

func TestSelfSignedKeepsWhatItHasInTrouble(t *testing.T) {
	n := newNode()
	log, logs := logger()
	s := n.selfSigned(t, "", log)
	before := s.Certificate()
	n.err = errors.New("no addresses today")
	n.later(s, lookPeriod)
	n.later(s, lookPeriod)
	if s.Certificate() != before || logs.FilterLevelExact(zap.WarnLevel).Len() != 1 {
		t.Errorf("want the certificate kept and one warning: %v", logs.All())
	}
}

func TestSelfSignedLastsInAFolder(t *testing.T) {
	n := newNode()
	folder := filepath.Join(t.TempDir(), "made", "for it")
	s := n.selfSigned(t, folder, zap.NewNop())
	for name, mode := range map[string]os.FileMode{"ca.crt": 0o644, "ca.key": 0o600, "nodevitals.crt": 0o644, "nodevitals.key": 0o600} {
		info, err := os.Stat(filepath.Join(folder, name))
		if err != nil || info.Mode() != mode {
			t.Errorf("%s: want mode %s, got %v, %v", name, mode, info, err)
		}
	}
	if entries, _ := os.ReadDir(folder); len(entries) != 4 {
		t.Errorf("left in the folder: %v", entries)
	}
	again := n.selfSigned(t, folder, zap.NewNop())
	if Fingerprint(again.Certificate().Leaf) != Fingerprint(s.Certificate().Leaf) {
		t.Error("a second start has another certificate")
	}
	// Either file is a bundle that clients can verify by, now and after the certificate was made anew.
	for _, name := range []string{"ca.crt", "nodevitals.crt"} {
		pool := poolOf(t, filepath.Join(folder, name))
		if err := verify(again, pool, n.now, "node-1", "127.0.0.1"); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	pool := poolOf(t, filepath.Join(folder, "nodevitals.crt"))
	n.addresses = append(n.addresses, net.ParseIP("192.0.2.9"))
	n.later(again, lookPeriod)
	if err := verify(again, pool, n.now, "192.0.2.9"); err != nil {
		t.Errorf("the bundle of before: %v", err)
	}
	third := n.selfSigned(t, folder, zap.NewNop())
	if Fingerprint(third.Certificate().Leaf) != Fingerprint(again.Certificate().Leaf) {
		t.Error("what was made later was not kept")
	}
}

// What could not be kept when it was made is kept once the folder is there again, or the next start would have an authority that clients do not know.
func TestSelfSignedIsKeptLater(t *testing.T) {
	n := newNode()
	log, logs := logger()
	folder := filepath.Join(t.TempDir(), "made")
	s := n.selfSigned(t, folder, log)
	if err := os.Rename(folder, folder+".away"); err != nil {
		t.Fatal(err)
	}
	write(t, folder, nil)
	n.later(s, authorityLife)
	n.later(s, lookPeriod)
	if got := logs.FilterLevelExact(zap.WarnLevel).Len(); got != 1 {
		t.Errorf("warned %d times while the folder was away, want once: %v", got, logs.All())
	}
	if err := errors.Join(os.Remove(folder), os.Rename(folder+".away", folder)); err != nil {
		t.Fatal(err)
	}
	n.later(s, lookPeriod)
	if err := verify(s, poolOf(t, filepath.Join(folder, "ca.crt")), n.now, "node-1"); err != nil {
		t.Errorf("who knows the authority in the folder does not believe the certificate in use: %v", err)
	}
	again := n.selfSigned(t, folder, log)
	if Fingerprint(again.Certificate().Leaf) != Fingerprint(s.Certificate().Leaf) {
		t.Error("the next start has another certificate")
	}
}

func TestSelfSignedMendsItsFolder(t *testing.T) {
	n := newNode()
	other := t.TempDir()
	n.selfSigned(t, other, zap.NewNop())
	for name, damage := range map[string]func(t *testing.T, folder string){
		"garbage": func(t *testing.T, folder string) {
			write(t, filepath.Join(folder, "nodevitals.crt"), []byte("garbage"))
		},
		"another's key": func(t *testing.T, folder string) {
			text, _ := os.ReadFile(filepath.Join(other, "nodevitals.key"))
			write(t, filepath.Join(folder, "nodevitals.key"), text)
		},
		"another's certificate": func(t *testing.T, folder string) {
			for _, name := range []string{"nodevitals.crt", "nodevitals.key"} {
				text, _ := os.ReadFile(filepath.Join(other, name))
				write(t, filepath.Join(folder, name), text)
			}
		},
		"half of an authority": func(t *testing.T, folder string) {
			text, _ := os.ReadFile(filepath.Join(other, "ca.key"))
			write(t, filepath.Join(folder, "ca.key"), text)
		},
		"gone": func(t *testing.T, folder string) { _ = os.Remove(filepath.Join(folder, "nodevitals.crt")) },
	} {
		t.Run(name, func(t *testing.T) {
			folder := t.TempDir()
			n.selfSigned(t, folder, zap.NewNop())
			damage(t, folder)
			log, logs := logger()
			s := n.selfSigned(t, folder, log)
			if err := verify(s, poolOf(t, filepath.Join(folder, "ca.crt")), n.now, "node-1"); err != nil {
				t.Error(err)
			}
			if got := logs.FilterLevelExact(zap.WarnLevel).Len(); got != 1 && name != "gone" {
				t.Errorf("warned %d times, want once: %v", got, logs.All())
			}
		})
	}
}

func TestSelfSignedNeedsItsFolder(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	write(t, file, nil)
	_, err := newSelfSigned(SelfSignedOptions{
		NodeName: "node-1", Folder: filepath.Join(file, "below"), Log: zap.NewNop(), Names: func() ([]string, []net.IP, error) { return nil, nil, nil },
	}, time.Now)
	if err == nil || !strings.Contains(err.Error(), "not a directory") {
		t.Errorf("a folder that cannot be: %v", err)
	}
}

func TestNodeNames(t *testing.T) {
	// Others may give this host addresses and take them away; what it has before and after, it has in between.
	before, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	hosts, addresses, err := NodeNames("Node-1.example", []string{"192.0.2.77", "more.example", "not a name", "-", ""})
	if err != nil {
		t.Fatal(err)
	}
	host, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, name := range hosts {
		seen[name] = true
	}
	for _, address := range addresses {
		seen[address.String()] = true
	}
	after, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	lasted := func(address net.Addr) bool {
		return slices.ContainsFunc(after, func(other net.Addr) bool { return other.String() == address.String() })
	}
	want := []string{host, "Node-1.example", "localhost", "127.0.0.1", "::1", "192.0.2.77", "more.example"}
	for _, address := range before {
		if ip := address.(*net.IPNet).IP; !ip.IsLinkLocalUnicast() && lasted(address) {
			want = append(want, ip.String())
		}
	}
	for _, name := range want {
		if !seen[name] {
			t.Errorf("%s is missing: %v %v", name, hosts, addresses)
		}
	}
	if seen["not a name"] || seen[""] {
		t.Errorf("what is no name is among them: %q", hosts)
	}
}

// What was written can be read by those who know nothing of us.
func TestKeysArePKCS8(t *testing.T) {
	folder := t.TempDir()
	newNode().selfSigned(t, folder, zap.NewNop())
	text, err := os.ReadFile(filepath.Join(folder, "nodevitals.key"))
	if err != nil {
		t.Fatal(err)
	}
	block, rest := pem.Decode(text)
	if block == nil || block.Type != "PRIVATE KEY" || len(rest) != 0 {
		t.Fatalf("got %v", block)
	}
	if _, err := x509.ParsePKCS8PrivateKey(block.Bytes); err != nil {
		t.Error(err)
	}
}
