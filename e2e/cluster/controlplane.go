package cluster

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	rbac "k8s.io/api/rbac/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// The limits are for an emulated processor on a busy machine. A healthy component takes a tenth of them.
const (
	quickly = 2 * time.Minute
	slowly  = 5 * time.Minute
)

const etcdURL = "http://127.0.0.1:2379"

func (c *Cluster) startEtcd(ctx context.Context) error {
	const peers = "http://127.0.0.1:2380"
	_, err := c.Start(ctx, Component{
		Name: "etcd", Path: c.program("etcd"),
		Args: []string{
			"--data-dir=" + filepath.Join(c.options.State, "etcd"),
			"--listen-client-urls=" + etcdURL, "--advertise-client-urls=" + etcdURL,
			"--listen-peer-urls=" + peers, "--initial-advertise-peer-urls=" + peers, "--initial-cluster=default=" + peers,
			// What is lost with the machine is no loss here.
			"--unsafe-no-fsync",
		},
		Until: "its health at " + etcdURL + "/health", Limit: quickly,
		Ready: func(ctx context.Context) error {
			answer, err := c.Get(ctx, etcdURL+"/health")
			if err == nil && !strings.Contains(string(answer), `"true"`) {
				err = fmt.Errorf("it says %s", answer)
			}
			return err
		},
	})
	return err
}

func (c *Cluster) startAPIServer(ctx context.Context) error {
	_, err := c.Start(ctx, Component{
		Name: "kube-apiserver", Path: c.program("kube-apiserver"),
		Args: []string{
			"--etcd-servers=" + etcdURL,
			"--authorization-mode=Node,RBAC",
			// The service's own port: pods reach the server by the service's address without anything in between.
			"--bind-address=0.0.0.0", "--secure-port=443", "--advertise-address=" + NodeAddress,
			"--service-cluster-ip-range=" + serviceRange, "--endpoint-reconciler-type=none",
			"--client-ca-file=" + c.pki("ca.crt"),
			"--tls-cert-file=" + c.pki("apiserver.crt"), "--tls-private-key-file=" + c.pki("apiserver.key"),
			"--service-account-issuer=https://kubernetes.default.svc",
			"--service-account-key-file=" + c.pki("accounts.pub"), "--service-account-signing-key-file=" + c.pki("accounts.key"),
			"--kubelet-client-certificate=" + c.pki("apiserver-kubelet.crt"), "--kubelet-client-key=" + c.pki("apiserver-kubelet.key"),
			"--kubelet-preferred-address-types=InternalIP",
			// Whoever stands at a node's port has to name the node's address in a certificate of the cluster's, or is shown no certificate.
			"--kubelet-certificate-authority=" + c.pki("ca.crt"),
			// What an aggregated API such as metrics-server's needs.
			"--enable-aggregator-routing=true",
			"--requestheader-client-ca-file=" + c.pki("ca.crt"), "--requestheader-allowed-names=front-proxy-client",
			"--requestheader-username-headers=X-Remote-User", "--requestheader-group-headers=X-Remote-Group",
			"--requestheader-extra-headers-prefix=X-Remote-Extra-",
			"--proxy-client-cert-file=" + c.pki("front-proxy.crt"), "--proxy-client-key-file=" + c.pki("front-proxy.key"),
		},
		Until: "its /readyz", Limit: slowly,
		Ready: func(ctx context.Context) error {
			return c.client.Discovery().RESTClient().Get().AbsPath("/readyz").Do(ctx).Error()
		},
	})
	return err
}

func (c *Cluster) startControllerManager(ctx context.Context) error {
	_, err := c.Start(ctx, Component{
		Name: "kube-controller-manager", Path: c.program("kube-controller-manager"),
		Args: []string{
			"--kubeconfig=" + c.Kubeconfig("controller-manager"),
			"--authentication-kubeconfig=" + c.Kubeconfig("controller-manager"),
			"--authorization-kubeconfig=" + c.Kubeconfig("controller-manager"),
			"--bind-address=127.0.0.1", "--leader-elect=false",
			"--root-ca-file=" + c.pki("ca.crt"), "--service-account-private-key-file=" + c.pki("accounts.key"),
			"--flex-volume-plugin-dir=" + filepath.Join(c.options.State, "volume-plugins"),
			// By default an autoscaler looks four times a minute, and takes no processor time of pods younger than five.
			"--horizontal-pod-autoscaler-sync-period=5s", "--horizontal-pod-autoscaler-cpu-initialization-period=10s",
			"--horizontal-pod-autoscaler-initial-readiness-delay=5s",
		},
		// Without it, no pod passes admission.
		Until: "the default service account and the certificate that its tokens come with", Limit: slowly,
		Ready: func(ctx context.Context) error { return c.hasAccount(ctx, meta.NamespaceDefault) },
	})
	return err
}

// startScheduler is for the pods of deployments and daemon sets. Those that tests make themselves are bound to the node as they are made.
func (c *Cluster) startScheduler(ctx context.Context) error {
	_, err := c.Start(ctx, Component{
		Name: "kube-scheduler", Path: c.program("kube-scheduler"),
		Args: []string{
			"--kubeconfig=" + c.Kubeconfig("scheduler"),
			"--authentication-kubeconfig=" + c.Kubeconfig("scheduler"), "--authorization-kubeconfig=" + c.Kubeconfig("scheduler"),
			"--bind-address=127.0.0.1", "--leader-elect=false",
			"--tls-cert-file=" + c.pki("scheduler.crt"), "--tls-private-key-file=" + c.pki("scheduler.key"),
		},
		Until: "its port 10259", Limit: slowly,
		Ready: func(ctx context.Context) error {
			conn, err := c.network.dial(ctx, "tcp", "127.0.0.1:10259")
			if err == nil {
				conn.Close()
			}
			return err
		},
	})
	return err
}

// hasAccount returns nil once pods can be made in a namespace.
func (c *Cluster) hasAccount(ctx context.Context, namespace string) error {
	if _, err := c.client.CoreV1().ServiceAccounts(namespace).Get(ctx, "default", meta.GetOptions{}); err != nil {
		return err
	}
	_, err := c.client.CoreV1().ConfigMaps(namespace).Get(ctx, "kube-root-ca.crt", meta.GetOptions{})
	return err
}

// AwaitAccount waits until pods can be made in a namespace: each gets the account "default", which the controller manager makes.
func (c *Cluster) AwaitAccount(ctx context.Context, namespace string) error {
	return Await(ctx, quickly, "the default service account of namespace "+namespace, func(ctx context.Context) error {
		return c.hasAccount(ctx, namespace)
	})
}

// grant gives the identity "nodevitals" what an agent needs of the API: its node and its pods with their claims, and who may ask it. The names
// of role and binding are not those of manifests/, which tests apply and delete.
func (c *Cluster) grant(ctx context.Context) error {
	role := &rbac.ClusterRole{
		ObjectMeta: meta.ObjectMeta{Name: "e2e:nodevitals"},
		Rules: []rbac.PolicyRule{
			{APIGroups: []string{""}, Resources: []string{"pods", "nodes"}, Verbs: []string{"get", "list", "watch"}},
			{APIGroups: []string{""}, Resources: []string{"persistentvolumeclaims"}, Verbs: []string{"get"}},
			{APIGroups: []string{"authentication.k8s.io"}, Resources: []string{"tokenreviews"}, Verbs: []string{"create"}},
			{APIGroups: []string{"authorization.k8s.io"}, Resources: []string{"subjectaccessreviews"}, Verbs: []string{"create"}},
		},
	}
	binding := &rbac.ClusterRoleBinding{
		ObjectMeta: meta.ObjectMeta{Name: "e2e:nodevitals"},
		RoleRef:    rbac.RoleRef{APIGroup: rbac.GroupName, Kind: "ClusterRole", Name: "e2e:nodevitals"},
		Subjects:   []rbac.Subject{{APIGroup: rbac.GroupName, Kind: rbac.UserKind, Name: "nodevitals"}},
	}
	if _, err := c.client.RbacV1().ClusterRoles().Create(ctx, role, meta.CreateOptions{}); err != nil {
		return fmt.Errorf("grant nodevitals its rights: %w", err)
	}
	if _, err := c.client.RbacV1().ClusterRoleBindings().Create(ctx, binding, meta.CreateOptions{}); err != nil {
		return fmt.Errorf("grant nodevitals its rights: %w", err)
	}
	return nil
}
