package e2e

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	authentication "k8s.io/api/authentication/v1"
	core "k8s.io/api/core/v1"
	rbac "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/nodevitals/nodevitals/e2e/cluster"
)

const (
	// securePort is that of an agent with a certificate of its own making, and with answers of the API server that it soon forgets.
	securePort = "20450"
	// securedHealth is where that agent's health is.
	securedHealth = "http://127.0.0.1:20448/healthz"
	// secureTTL is how long that agent keeps answers of the API server.
	secureTTL = time.Second
	// secureLimit is for what takes seconds, most of them until the API server knows of a change.
	secureLimit = 2 * time.Minute
)

// secureFolder is where that agent keeps its certificate.
func secureFolder() string { return filepath.Join(node.StateDir(), "nodevitals-secure") }

// secureAgent is an agent with a secure port. Its name is also that of its log.
func secureAgent(name, port, health string, besides ...string) cluster.Component {
	return cluster.Component{
		Name: name, Path: node.Process(bothSources.name).Path, Cgroup: node.Cgroup(name + ".service"),
		Args: append([]string{
			"--secure-port=" + port, "--read-only-port=0", "--healthz-port=" + health[strings.LastIndexByte(health, ':')+1:strings.LastIndexByte(health, '/')],
			"--kubeconfig=" + node.Kubeconfig("nodevitals"), "--client-ca-file=" + node.CA(), "--tls-cert-dir=" + filepath.Join(node.StateDir(), name),
			"--node-name=" + cluster.NodeName, "--root-dir=" + node.RootDir(), "--log-level=debug",
		}, besides...),
		Until: "its health at " + health, Limit: 2 * time.Minute,
		Ready: func(ctx context.Context) error {
			_, err := node.Get(ctx, health)
			return err
		},
	}
}

// startSecure starts the agent once for all tests of the secure port.
var startSecure = sync.OnceValue(func() error {
	_, err := node.Start(context.Background(), secureAgent("nodevitals-secure", securePort, securedHealth,
		"--authentication-token-webhook-cache-ttl="+secureTTL.String(), "--authorization-webhook-cache-authorized-ttl="+secureTTL.String(),
		"--authorization-webhook-cache-unauthorized-ttl="+secureTTL.String()))
	return err
})

func needSecure(t *testing.T) {
	t.Helper()
	needAgent(t)
	needOnlyOnce(t)
	if err := startSecure(); err != nil {
		t.Fatal(err)
	}
}

// sender is who asks a secure port.
type sender struct {
	token       string
	certificate *tls.Certificate
}

// ask asks a server whose certificate one of the bundle's has signed.
func (s sender) ask(ctx context.Context, bundle, method, url string) (answer, error) {
	text, err := os.ReadFile(bundle)
	if err != nil {
		return answer{}, err
	}
	config := &tls.Config{RootCAs: x509.NewCertPool(), MinVersion: tls.VersionTLS12}
	if !config.RootCAs.AppendCertsFromPEM(text) {
		return answer{}, fmt.Errorf("no certificate in %s", bundle)
	}
	if s.certificate != nil {
		// Shown whichever authorities the server names.
		config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return s.certificate, nil }
	}
	return askWith(ctx, config, s.token, method, url)
}

// at gets a path of the secure port of an agent that [secureAgent] made.
func (s sender) at(ctx context.Context, name, port, path string) (answer, error) {
	return s.ask(ctx, filepath.Join(node.StateDir(), name, "ca.crt"), http.MethodGet, "https://"+cluster.NodeAddress+":"+port+path)
}

// secured asks that agent.
func (s sender) secured(t *testing.T, method, path string) answer {
	t.Helper()
	got, err := s.ask(t.Context(), filepath.Join(secureFolder(), "ca.crt"), method, "https://"+cluster.NodeAddress+":"+securePort+path)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// await asks that agent until it answers with a status.
func (s sender) await(t *testing.T, what, path string, status int) {
	t.Helper()
	err := cluster.Await(t.Context(), secureLimit, what, func(context.Context) error {
		if got := s.secured(t, http.MethodGet, path); got.status != status {
			return fmt.Errorf("%s is answered %d %.200s", path, got.status, got.body)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// scraper makes a service account that may get the node's metrics, or else what is named, for the length of the test.
func scraper(t *testing.T, name string, resources ...string) *core.ServiceAccount {
	t.Helper()
	ctx, client := t.Context(), node.Client()
	account, err := client.CoreV1().ServiceAccounts(meta.NamespaceDefault).Create(ctx,
		&core.ServiceAccount{ObjectMeta: meta.ObjectMeta{Name: name}}, meta.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if len(resources) == 0 {
		resources = []string{"nodes/metrics"}
	}
	rule := rbac.PolicyRule{APIGroups: []string{""}, Resources: resources, Verbs: []string{"get"}}
	_, err = client.RbacV1().ClusterRoles().Create(ctx, &rbac.ClusterRole{ObjectMeta: meta.ObjectMeta{Name: name}, Rules: []rbac.PolicyRule{rule}}, meta.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	_, err = client.RbacV1().ClusterRoleBindings().Create(ctx, bindingOf(account), meta.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx := context.WithoutCancel(t.Context())
		for _, err := range []error{
			client.RbacV1().ClusterRoleBindings().Delete(ctx, name, meta.DeleteOptions{}),
			client.RbacV1().ClusterRoles().Delete(ctx, name, meta.DeleteOptions{}),
			client.CoreV1().ServiceAccounts(account.Namespace).Delete(ctx, name, meta.DeleteOptions{}),
		} {
			if err != nil && !apierrors.IsNotFound(err) {
				t.Error(err)
			}
		}
	})
	return account
}

// bindingOf gives an account the role of its name.
func bindingOf(account *core.ServiceAccount) *rbac.ClusterRoleBinding {
	return &rbac.ClusterRoleBinding{
		ObjectMeta: meta.ObjectMeta{Name: account.Name},
		RoleRef:    rbac.RoleRef{APIGroup: rbac.GroupName, Kind: "ClusterRole", Name: account.Name},
		Subjects:   []rbac.Subject{{Kind: rbac.ServiceAccountKind, Namespace: account.Namespace, Name: account.Name}},
	}
}

// tokenOf asks the API server for an account's token.
func tokenOf(t *testing.T, account *core.ServiceAccount, audiences ...string) string {
	t.Helper()
	request, err := node.Client().CoreV1().ServiceAccounts(account.Namespace).CreateToken(t.Context(), account.Name,
		&authentication.TokenRequest{Spec: authentication.TokenRequestSpec{Audiences: audiences}}, meta.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return request.Status.Token
}

// signedToken signs an account's token with the cluster's own key: the API server gives none that expires within a test.
func signedToken(t *testing.T, account *core.ServiceAccount, expires time.Time) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(filepath.Dir(node.CA()), "accounts.key"))
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(text)
	key, err := x509.ParseECPrivateKey(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	const issuer = "https://kubernetes.default.svc"
	claims, err := json.Marshal(map[string]any{
		"iss": issuer, "aud": []string{issuer}, "sub": "system:serviceaccount:" + account.Namespace + ":" + account.Name,
		"iat": time.Now().Add(-2 * time.Hour).Unix(), "nbf": time.Now().Add(-2 * time.Hour).Unix(), "exp": expires.Unix(),
		"kubernetes.io": map[string]any{
			"namespace": account.Namespace, "serviceaccount": map[string]string{"name": account.Name, "uid": string(account.UID)},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	encode := base64.RawURLEncoding.EncodeToString
	signed := encode([]byte(`{"alg":"ES256","typ":"JWT"}`)) + "." + encode(claims)
	sum := sha256.Sum256([]byte(signed))
	r, s, err := ecdsa.Sign(rand.Reader, key, sum[:])
	if err != nil {
		t.Fatal(err)
	}
	return signed + "." + encode(append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...))
}

// admin is who has a certificate of the kubelet's client authority, and all rights.
func admin(t *testing.T) sender {
	t.Helper()
	pair, err := tls.LoadX509KeyPair(node.Certificate("admin"))
	if err != nil {
		t.Fatal(err)
	}
	return sender{certificate: &pair}
}

// impostor has a certificate with an administrator's names that signs itself.
func impostor(t *testing.T) sender {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "admin", Organization: []string{"system:masters"}},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	text, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return sender{certificate: &tls.Certificate{Certificate: [][]byte{text}, PrivateKey: key}}
}

// Who is known and may is answered; everybody else is refused as the kubelet beside refuses them.
func TestSecurePortRefusesAsTheKubelet(t *testing.T) {
	needSecure(t)
	account := scraper(t, "e2e-scraper")
	scraping := sender{token: tokenOf(t, account)}
	scraping.await(t, "the account's right to metrics", "/metrics/resource", http.StatusOK)
	for _, one := range []struct {
		name string
		sender
		method, path string
		status       int
		says         string
		// alone: the kubelet answers a path that it does not serve without asking who wants it.
		alone bool
	}{
		{name: "metrics", sender: scraping, path: "/metrics/cadvisor", status: 200, says: "container_cpu_usage_seconds_total{"},
		{name: "more metrics", sender: scraping, path: "/metrics/resource", status: 200, says: "node_cpu_usage_seconds_total"},
		{name: "own metrics", sender: scraping, path: "/metrics", status: 200},
		{name: "summary", sender: scraping, path: "/stats/summary", status: 403, says: "Forbidden (user=system:serviceaccount:default:e2e-scraper, verb=get, resource=nodes, subresource(s)=[stats])\n"},
		{name: "posting", sender: scraping, method: http.MethodPost, path: "/metrics", status: 403, says: "verb=create"},
		{name: "heading", sender: scraping, method: http.MethodHead, path: "/metrics", status: 403},
		{name: "health", sender: scraping, path: "/healthz", status: 403, says: "subresource(s)=[healthz proxy]"},
		{name: "unknown path", sender: scraping, path: "/nothing", status: 403, says: "subresource(s)=[proxy]", alone: true},
		{name: "good token of our signing", sender: sender{token: signedToken(t, account, time.Now().Add(time.Hour))}, path: "/metrics", status: 200},
		{name: "expired token", sender: sender{token: signedToken(t, account, time.Now().Add(-time.Hour))}, path: "/metrics", status: 401, says: "Unauthorized"},
		{name: "wrong audience", sender: sender{token: tokenOf(t, account, "elsewhere")}, path: "/metrics", status: 401, says: "Unauthorized"},
		{name: "garbage", sender: sender{token: "garbage"}, path: "/metrics", status: 401, says: "Unauthorized"},
		{name: "nobody", path: "/metrics", status: 401, says: "Unauthorized"},
		{name: "nobody, unknown path", path: "/nothing", status: 401, says: "Unauthorized", alone: true},
		{name: "impostor", sender: impostor(t), path: "/metrics", status: 401, says: "Unauthorized"},
		{name: "administrator", sender: admin(t), path: "/stats/summary", status: 200, says: `"nodeName"`},
		{name: "administrator posting", sender: admin(t), method: http.MethodPost, path: "/stats/summary", status: 200, says: `"nodeName"`},
		{name: "administrator's health", sender: admin(t), path: "/healthz", status: 200, says: "ok"},
	} {
		t.Run(one.name, func(t *testing.T) {
			if one.method == "" {
				one.method = http.MethodGet
			}
			got := one.secured(t, one.method, one.path)
			if got.status != one.status || !strings.Contains(got.body, one.says) {
				t.Errorf("got %d %.300s, want %d with %q", got.status, got.body, one.status, one.says)
			}
			if one.alone {
				return
			}
			kubelet, err := one.ask(t.Context(), node.CA(), one.method, "https://"+cluster.NodeAddress+":10250"+one.path)
			if err != nil {
				t.Fatal(err)
			}
			if kubelet.status != got.status || got.status == http.StatusForbidden && kubelet.body != got.body {
				t.Errorf("the kubelet: %d %.300q\nnodevitals: %d %.300q", kubelet.status, kubelet.body, got.status, got.body)
			}
			if got.status == http.StatusUnauthorized && !strings.HasPrefix(got.body, kubelet.body) {
				t.Errorf("the kubelet says %q, which nodevitals does not begin with: %q", kubelet.body, got.body)
			}
		})
	}
	text, err := os.ReadFile(node.Process("nodevitals-secure").Log)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(text), scraping.token) || strings.Contains(string(text), scraping.token[strings.LastIndexByte(scraping.token, '.'):]) {
		t.Error("a token is in the log")
	}
}

// A client that has the bundle verifies the certificate of the agent's own making by each of the node's names and addresses.
func TestSelfMadeCertificateIsVerified(t *testing.T) {
	needSecure(t)
	host, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	for _, bundle := range []string{"ca.crt", "nodevitals.crt"} {
		text, err := os.ReadFile(filepath.Join(secureFolder(), bundle))
		if err != nil {
			t.Fatal(err)
		}
		roots := x509.NewCertPool()
		roots.AppendCertsFromPEM(text)
		for _, name := range []string{cluster.NodeAddress, "127.0.0.1", "localhost", cluster.NodeName, host} {
			conn, err := node.Dial(t.Context(), "tcp", net.JoinHostPort("127.0.0.1", securePort))
			if err != nil {
				t.Fatal(err)
			}
			secure := tls.Client(conn, &tls.Config{RootCAs: roots, ServerName: name, NextProtos: []string{"h2"}, MinVersion: tls.VersionTLS12})
			if err := secure.HandshakeContext(t.Context()); err != nil {
				t.Errorf("%s by %s: %v", name, bundle, err)
			} else if state := secure.ConnectionState(); state.Version != tls.VersionTLS13 || state.NegotiatedProtocol != "h2" {
				t.Errorf("%s: spoke %s and %q", name, tls.VersionName(state.Version), state.NegotiatedProtocol)
			}
			conn.Close()
		}
	}
	if _, err := admin(t).ask(t.Context(), node.CA(), http.MethodGet, "https://"+cluster.NodeAddress+":"+securePort+"/metrics"); err == nil {
		t.Error("a client that knows another authority accepts the certificate")
	}
}

// The kubelet's port is the agent's default: that it is taken is one line that says who may hold it.
func TestKubeletsPortIsTaken(t *testing.T) {
	needAgent(t)
	needOnlyOnce(t)
	component := secureAgent("nodevitals-taken", "10250", "http://127.0.0.1:20447/healthz")
	component.Cgroup = "" // it ends sooner than it could be moved
	_, err := node.Start(t.Context(), component)
	if err == nil {
		t.Fatal("an agent runs on the kubelet's port")
	}
	want := "nodevitals: listen on 0.0.0.0:10250: address already in use: a kubelet or another nodevitals may hold it; change --secure-port"
	if !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "exit status 1") {
		t.Errorf("got %v\nwant %s", err, want)
	}
}
