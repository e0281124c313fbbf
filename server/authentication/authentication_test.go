package authentication

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"
	"math/big"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
	authentication "k8s.io/api/authentication/v1"
)

// reviewer answers as a function does, and counts.
type reviewer struct {
	asked  atomic.Int32
	answer func(ctx context.Context, spec authentication.TokenReviewSpec) (authentication.TokenReviewStatus, error)
}

func (r *reviewer) Token(ctx context.Context, spec authentication.TokenReviewSpec) (authentication.TokenReviewStatus, error) {
	r.asked.Add(1)
	return r.answer(ctx, spec)
}

// knows answers yes to one token, which is jane's.
func knows(token string) *reviewer {
	return &reviewer{answer: func(_ context.Context, spec authentication.TokenReviewSpec) (authentication.TokenReviewStatus, error) {
		if spec.Token != token {
			return authentication.TokenReviewStatus{Error: "invalid bearer token " + spec.Token}, nil
		}
		return authentication.TokenReviewStatus{
			Authenticated: true, Audiences: spec.Audiences,
			User: authentication.UserInfo{
				Username: "jane", UID: "7", Groups: []string{"staff"}, Extra: map[string]authentication.ExtraValue{"k": {"v"}},
			},
		}, nil
	}}
}

func request(token string) *http.Request {
	r := httptest.NewRequest(http.MethodGet, "/metrics", nil)
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	return r
}

// authority signs certificates.
type authority struct {
	key         *ecdsa.PrivateKey
	certificate *x509.Certificate
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "authority"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageCertSign,
	}
	a := &authority{}
	a.key, a.certificate = sign(t, template, nil)
	return a
}

// sign makes a certificate; without an authority it signs itself.
func sign(t *testing.T, template *x509.Certificate, by *authority) (*ecdsa.PrivateKey, *x509.Certificate) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	parent, parentKey := template, key
	if by != nil {
		parent, parentKey = by.certificate, by.key
	}
	text, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), parentKey)
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := x509.ParseCertificate(text)
	if err != nil {
		t.Fatal(err)
	}
	return key, certificate
}

func (a *authority) pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(a.certificate)
	return pool
}

// client is a certificate for jane of staff, changed by change.
func (a *authority) client(t *testing.T, change func(*x509.Certificate)) *x509.Certificate {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "jane", Organization: []string{"staff"}},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	if change != nil {
		change(template)
	}
	_, certificate := sign(t, template, a)
	return certificate
}

func withCertificate(certificate *x509.Certificate) *http.Request {
	r := request("")
	r.TLS = &tls.ConnectionState{PeerCertificates: []*x509.Certificate{certificate}}
	return r
}

func refusedBecause(t *testing.T, user *User, err error, part string) *Refused {
	t.Helper()
	refused, ok := errors.AsType[*Refused](err)
	if !ok || user != nil || !strings.Contains(refused.Reason, part) {
		t.Fatalf("got %+v, %v; want it refused because of %q", user, err, part)
	}
	return refused
}

func TestNobodyIsLetInWithoutCredentials(t *testing.T) {
	user, err := New(Options{}).Authenticate(request("anything"))
	refusedBecause(t, user, err, "nobody is let in")
	a := New(Options{Tokens: knows("good"), ClientCAs: newAuthority(t).pool})
	user, err = a.Authenticate(request(""))
	refusedBecause(t, user, err, "wanted is a client certificate or a bearer token")
	basic := request("")
	basic.Header.Set("Authorization", "Basic good")
	user, err = a.Authenticate(basic)
	refusedBecause(t, user, err, "no credentials")
}

func TestAnonymousIsForThoseWhoShowNothing(t *testing.T) {
	ca := newAuthority(t)
	a := New(Options{Tokens: knows("good"), ClientCAs: ca.pool, Anonymous: true})
	user, err := a.Authenticate(request(""))
	want := &User{Name: "system:anonymous", Groups: []string{"system:unauthenticated"}}
	if err != nil || !reflect.DeepEqual(user, want) {
		t.Errorf("got %+v, %v, want %+v", user, err, want)
	}
	user, err = a.Authenticate(request("bad"))
	refusedBecause(t, user, err, "bearer token")
	user, err = a.Authenticate(withCertificate(newAuthority(t).client(t, nil)))
	refusedBecause(t, user, err, "unknown authority")
}

func TestTokenTellsTheUser(t *testing.T) {
	user, err := New(Options{Tokens: knows("good"), CacheTTL: time.Minute}).Authenticate(request("good"))
	want := &User{Name: "jane", UID: "7", Groups: []string{"staff", "system:authenticated"}, Extra: map[string][]string{"k": {"v"}}}
	if err != nil || !reflect.DeepEqual(user, want) {
		t.Errorf("got %+v, %v, want %+v", user, err, want)
	}
}

func TestCertificateTellsTheUser(t *testing.T) {
	ca := newAuthority(t)
	uid := pkix.AttributeTypeAndValue{Type: asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 57683, 2}, Value: "7"}
	a := New(Options{ClientCAs: ca.pool})
	user, err := a.Authenticate(withCertificate(ca.client(t, func(c *x509.Certificate) { c.Subject.ExtraNames = []pkix.AttributeTypeAndValue{uid} })))
	if err != nil {
		t.Fatal(err)
	}
	id := user.Extra["authentication.kubernetes.io/credential-id"]
	if user.Name != "jane" || user.UID != "7" || !reflect.DeepEqual(user.Groups, []string{"staff", "system:authenticated"}) ||
		len(id) != 1 || !strings.HasPrefix(id[0], "X509SHA256=") {
		t.Errorf("got %+v", user)
	}
	user, err = a.Authenticate(withCertificate(ca.client(t, func(c *x509.Certificate) {
		c.Subject.ExtraNames = []pkix.AttributeTypeAndValue{uid, uid}
	})))
	refusedBecause(t, user, err, "more than one UID")
}

func TestCertificatesThatAreNotBelieved(t *testing.T) {
	ca := newAuthority(t)
	for _, one := range []struct {
		name, want  string
		certificate *x509.Certificate
	}{
		{"other authority", "unknown authority", newAuthority(t).client(t, nil)},
		{"expired", "expired", ca.client(t, func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) })},
		{"not yet valid", "not yet valid", ca.client(t, func(c *x509.Certificate) { c.NotBefore = time.Now().Add(time.Minute) })},
		{"a server's", "incompatible key usage", ca.client(t, func(c *x509.Certificate) {
			c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
		})},
		{"nameless", "no credentials", ca.client(t, func(c *x509.Certificate) { c.Subject.CommonName = "" })},
	} {
		t.Run(one.name, func(t *testing.T) {
			user, err := New(Options{ClientCAs: ca.pool}).Authenticate(withCertificate(one.certificate))
			refusedBecause(t, user, err, one.want)
		})
	}
	t.Run("no authorities", func(t *testing.T) {
		none := func() *x509.CertPool { return nil }
		user, err := New(Options{ClientCAs: none}).Authenticate(withCertificate(ca.client(t, nil)))
		refusedBecause(t, user, err, "unknown authority")
	})
}

func TestTokenHelpsABadCertificate(t *testing.T) {
	r := withCertificate(newAuthority(t).client(t, nil))
	r.Header.Set("Authorization", "Bearer good")
	user, err := New(Options{Tokens: knows("good"), ClientCAs: newAuthority(t).pool}).Authenticate(r)
	if err != nil || user.Name != "jane" {
		t.Errorf("got %+v, %v, want jane by her token", user, err)
	}
}

func TestAnswersAreKept(t *testing.T) {
	r := knows("good")
	a := New(Options{Tokens: r, CacheTTL: time.Hour})
	for range 5 {
		if user, err := a.Authenticate(request("good")); err != nil || user.Name != "jane" {
			t.Fatalf("got %+v, %v", user, err)
		}
		user, err := a.Authenticate(request("bad"))
		refusedBecause(t, user, err, "does not know it")
	}
	if got := r.asked.Load(); got != 2 {
		t.Errorf("asked %d times, want once for each token", got)
	}
}

func TestAnswersAreNotKeptWithoutTTL(t *testing.T) {
	r := knows("good")
	a := New(Options{Tokens: r})
	for range 3 {
		if _, err := a.Authenticate(request("good")); err != nil {
			t.Fatal(err)
		}
	}
	if got := r.asked.Load(); got != 3 {
		t.Errorf("asked %d times, want 3", got)
	}
}

// An API server that fails says nothing about a token: what it said before stands, and what it says later is asked for.
func TestFailuresAreNotKept(t *testing.T) {
	core, logs := observer.New(zap.DebugLevel)
	good := knows("good")
	healthy := good.answer
	a := New(Options{Tokens: good, CacheTTL: time.Hour, Log: zap.New(core)})
	if _, err := a.Authenticate(request("good")); err != nil {
		t.Fatal(err)
	}
	good.answer = func(context.Context, authentication.TokenReviewSpec) (authentication.TokenReviewStatus, error) {
		// Nobody may take this for a yes.
		return authentication.TokenReviewStatus{Authenticated: true, User: authentication.UserInfo{Username: "eve"}}, errors.New("away")
	}
	if user, err := a.Authenticate(request("good")); err != nil || user.Name != "jane" {
		t.Errorf("a kept identity while the API server is away: got %+v, %v", user, err)
	}
	for range 3 {
		user, err := a.Authenticate(request("other"))
		refused := refusedBecause(t, user, err, "could not be asked")
		if refused.TooMany || !strings.Contains(refused.Unwrap().Error(), "away") {
			t.Errorf("got %+v", refused)
		}
	}
	// To limit them is up to the log, which goes by the message.
	if got := logs.FilterMessageSnippet("a bearer token could not be reviewed").Len(); got != 3 || got != logs.Len() {
		t.Errorf("logged %d lines, want 3 of one message: %+v", got, logs.All())
	}
	if got, want := a.Reviews(), (Reviews{Yes: 1, Failed: 3, Kept: 1}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	good.answer = healthy
	user, err := a.Authenticate(request("other"))
	refusedBecause(t, user, err, "does not know it")
	if got := a.Reviews().No; got != 1 {
		t.Errorf("counted %d tokens that the API server does not know, want 1", got)
	}
}

func TestAudiences(t *testing.T) {
	for _, one := range []struct {
		name   string
		has    []string
		letsIn bool
	}{{"its own", []string{"nodes"}, true}, {"another", []string{"api"}, false}, {"none checked", nil, false}} {
		t.Run(one.name, func(t *testing.T) {
			r := &reviewer{answer: func(context.Context, authentication.TokenReviewSpec) (authentication.TokenReviewStatus, error) {
				return authentication.TokenReviewStatus{Authenticated: true, Audiences: one.has, User: authentication.UserInfo{Username: "jane"}}, nil
			}}
			user, err := New(Options{Tokens: r, Audiences: []string{"nodes"}, CacheTTL: time.Hour}).Authenticate(request("good"))
			if one.letsIn {
				if err != nil {
					t.Error(err)
				}
				return
			}
			refusedBecause(t, user, err, "audiences")
		})
	}
}

func TestNamelessTokenIsRefused(t *testing.T) {
	r := &reviewer{answer: func(context.Context, authentication.TokenReviewSpec) (authentication.TokenReviewStatus, error) {
		return authentication.TokenReviewStatus{Authenticated: true}, nil
	}}
	user, err := New(Options{Tokens: r}).Authenticate(request("good"))
	refusedBecause(t, user, err, "no user")
}

func TestConcurrentReviewsOfATokenAreOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		r := knows("good")
		yes := r.answer
		r.answer = func(ctx context.Context, spec authentication.TokenReviewSpec) (authentication.TokenReviewStatus, error) {
			<-release
			if err := ctx.Err(); err != nil {
				return authentication.TokenReviewStatus{}, err
			}
			return yes(ctx, spec)
		}
		a := New(Options{Tokens: r, CacheTTL: time.Hour})
		// The first leaves before the answer is there, which must not take it from the others.
		first, leave := context.WithCancel(t.Context())
		left := make(chan error, 1)
		go func() {
			_, err := a.Authenticate(request("good").WithContext(first))
			left <- err
		}()
		synctest.Wait()
		leave()
		if err := <-left; err == nil {
			t.Error("no error for who left")
		}
		var all sync.WaitGroup
		for range 20 {
			all.Go(func() {
				if user, err := a.Authenticate(request("good")); err != nil || user.Name != "jane" {
					t.Errorf("got %+v, %v", user, err)
				}
			})
		}
		synctest.Wait() // until all wait for the answer
		close(release)
		all.Wait()
		if got := r.asked.Load(); got != 1 {
			t.Errorf("asked %d times for one token, want once", got)
		}
	})
}

func TestFloodIsHeldBack(t *testing.T) {
	r := knows("good")
	a := New(Options{Tokens: r, CacheTTL: time.Hour})
	from := func(address, token string) (*User, error) {
		request := request(token)
		request.RemoteAddr = address
		return a.Authenticate(request)
	}
	if _, err := from("192.0.2.1:1", "good"); err != nil {
		t.Fatal(err)
	}
	var refused *Refused
	for i := 0; refused == nil; i++ {
		if i > 100*clientBurst {
			t.Fatalf("%d tokens of one address were reviewed", i)
		}
		_, err := from("192.0.2.1:1", fmt.Sprintf("guess-%d", i))
		if one, ok := errors.AsType[*Refused](err); ok && one.TooMany {
			refused = one
		}
	}
	if user, err := from("192.0.2.1:2", "good"); err != nil || user.Name != "jane" {
		t.Errorf("the flooding address's kept token: got %+v, %v", user, err)
	}
	_, err := from("192.0.2.2:1", "unknown")
	if one, ok := errors.AsType[*Refused](err); !ok || one.TooMany {
		t.Errorf("another address: got %v, want its token reviewed", err)
	}
}

func TestReviewsAtOneTimeAreBounded(t *testing.T) {
	l := newLimit()
	var held []func()
	for i := range inFlight {
		done, err := l.take(fmt.Sprintf("10.0.%d.1:1", i))
		if err != nil {
			t.Fatalf("review %d: %v", i, err)
		}
		held = append(held, done)
	}
	if _, err := l.take("10.1.0.1:1"); err == nil {
		t.Errorf("review %d was let through", inFlight+1)
	}
	held[0]()
	if _, err := l.take("10.1.0.1:1"); err != nil {
		t.Errorf("after one ended: %v", err)
	}
}

func TestNetworkOfAClient(t *testing.T) {
	for client, want := range map[string]string{
		"192.0.2.7:80":              "192.0.2.7/32",
		"[::ffff:192.0.2.7]:80":     "192.0.2.7/32",
		"[2001:db8:1:2:3:4:5:6]:80": "2001:db8:1:2::/64",
		"[fe80::1%eth0]:80":         "fe80::/64",
		"@":                         "invalid Prefix",
		"":                          "invalid Prefix",
	} {
		if got := network(client).String(); got != want {
			t.Errorf("network of %q: got %s, want %s", client, got, want)
		}
	}
}
