package e2e

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"net"
	"net/http"
	"os"
	"regexp"
	"strconv"
	"testing"
	"time"

	authentication "k8s.io/api/authentication/v1"
	core "k8s.io/api/core/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/nodevitals/nodevitals/e2e/cluster"
)

// reader asks a deployed agent with the token of an account that has the right of the manifests' reader, and that to pods, which that one has not.
type reader struct {
	base, token string
	tls         *tls.Config
}

// newReader makes the account, once for each namespace that is made.
func newReader(t *testing.T, pod *core.Pod) *reader {
	t.Helper()
	const name = "reader-of-the-test"
	mustApply(t, `
apiVersion: v1
kind: ServiceAccount
metadata: {name: `+name+`, namespace: `+deployed+`}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: `+name+`, labels: {app.kubernetes.io/name: `+deployed+`}}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: nodevitals-reader}
subjects: [{kind: ServiceAccount, name: `+name+`, namespace: `+deployed+`}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: reader-of-pods, labels: {app.kubernetes.io/name: `+deployed+`}}
rules: [{apiGroups: [""], resources: [nodes/pods], verbs: [get]}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: reader-of-pods, labels: {app.kubernetes.io/name: `+deployed+`}}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: reader-of-pods}
subjects: [{kind: ServiceAccount, name: `+name+`, namespace: `+deployed+`}]
`)
	request, err := node.Client().CoreV1().ServiceAccounts(deployed).CreateToken(t.Context(), name, &authentication.TokenRequest{}, meta.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	port := "10250"
	if pod.Spec.HostNetwork {
		port = strconv.Itoa(deployedPort)
	}
	return &reader{base: "https://" + net.JoinHostPort(pod.Status.PodIP, port), token: request.Status.Token}
}

// ownAuthority is what an agent says of the authority that it made for its certificate.
var ownAuthority = regexp.MustCompile(`"authority sha256":"([0-9a-f]{64})"`)

// verifyOwn makes the reader insist on a certificate for the pod's address, by the authority whose fingerprint the agent has logged.
func (r *reader) verifyOwn(t *testing.T, pod *core.Pod) {
	t.Helper()
	said, err := node.Kubectl(t.Context(), "", "logs", "--namespace="+pod.Namespace, pod.Name)
	if err != nil {
		t.Fatal(err)
	}
	found := ownAuthority.FindStringSubmatch(said)
	if found == nil {
		t.Fatalf("the agent logs no authority of its own:\n%s", said)
	}
	r.tls = &tls.Config{
		// Nobody knows the authority before the agent shows it.
		InsecureSkipVerify: true, MinVersion: tls.VersionTLS12,
		VerifyConnection: func(state tls.ConnectionState) error {
			shown := state.PeerCertificates
			authority := shown[len(shown)-1]
			if sum := sha256.Sum256(authority.Raw); hex.EncodeToString(sum[:]) != found[1] {
				return fmt.Errorf("shown is the authority %x, and logged was %s", sum, found[1])
			}
			roots := x509.NewCertPool()
			roots.AddCert(authority)
			_, err := shown[0].Verify(x509.VerifyOptions{Roots: roots, DNSName: pod.Status.PodIP})
			return err
		},
	}
}

// verify makes the reader insist on a certificate of the cluster's authority, for a name or, if that is empty, the address.
func (r *reader) verify(t *testing.T, name string) {
	t.Helper()
	text, err := os.ReadFile(node.CA())
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(text)
	r.tls = &tls.Config{RootCAs: roots, ServerName: name, MinVersion: tls.VersionTLS12}
}

// get asks for a path.
func (r *reader) get(ctx context.Context, path string) (answer, error) {
	return askWith(ctx, r.tls, r.token, http.MethodGet, r.base+path)
}

// await waits until an answer matches each wanted expression and none of the others.
func (r *reader) await(t *testing.T, path string, wanted, unwanted []string) {
	t.Helper()
	what := fmt.Sprintf("%s with %q and without %q", path, wanted, unwanted)
	err := cluster.Await(t.Context(), 3*time.Minute, what, func(ctx context.Context) error {
		got, err := r.get(ctx, path)
		if err != nil {
			return err
		}
		if got.status != http.StatusOK {
			return fmt.Errorf("status %d: %.300s", got.status, got.body)
		}
		for _, expression := range wanted {
			if !regexp.MustCompile("(?m)" + expression).MatchString(got.body) {
				return fmt.Errorf("%d bytes without %s", len(got.body), expression)
			}
		}
		for _, expression := range unwanted {
			if found := regexp.MustCompile("(?m)" + expression).FindString(got.body); found != "" {
				return fmt.Errorf("there is %s", found)
			}
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

// awaitNone waits until the agent says that it does not serve a path. Until the right to it is known to be given, it says that this is missing.
func (r *reader) awaitNone(t *testing.T, path string) {
	t.Helper()
	err := cluster.Await(t.Context(), 3*time.Minute, "status 404 of "+path, func(ctx context.Context) error {
		got, err := r.get(ctx, path)
		switch {
		case err != nil:
			return err
		case got.status == http.StatusOK:
			return cluster.Stop(fmt.Errorf("it is served: %.300s", got.body))
		case got.status != http.StatusNotFound:
			return fmt.Errorf("status %d: %.300s", got.status, got.body)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}
