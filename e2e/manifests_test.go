package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	core "k8s.io/api/core/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/nodevitals/nodevitals/e2e/cluster"
	"github.com/nodevitals/nodevitals/e2e/compare"
)

const (
	// deployVariable is the folder of the rendered manifests and the image, as scripts/e2e.sh makes it.
	deployVariable = "NODEVITALS_E2E_DEPLOY"
	// deployed is the namespace and the name of everything that the manifests make.
	deployed = "nodevitals"
	// deployedPort is the secure port of an agent at the node's address.
	deployedPort = 20250
	// deployedImage has a tag of its own, so that nothing but the archive can be meant.
	deployedImage = "ghcr.io/nodevitals/nodevitals:e2e"
	// rolloutLimit is for a pod that goes and another that comes, on an emulated processor.
	rolloutLimit = 5 * time.Minute
)

// What the tests look for. Pods are seen by name only if the account may watch them, their network and descriptors only from the host's
// PID namespace, and volumes only by root.
const (
	podMemory   = `^container_memory_working_set_bytes\{.*namespace="monitoring",pod="best-effort"`
	podNetwork  = `^container_network_receive_bytes_total\{.*namespace="monitoring",pod="best-effort"`
	podProcs    = `^container_processes\{container="only".*namespace="monitoring",pod="best-effort"`
	podFDs      = `^container_file_descriptors\{container="only".*namespace="monitoring",pod="best-effort"`
	podSockets  = `^container_sockets\{container="only".*namespace="monitoring",pod="best-effort"`
	machine     = `^machine_cpu_cores\{.*machine_id="[0-9a-f]{32}"`
	system      = `^cadvisor_version_info\{.*osVersion="[A-Z][^"]*[0-9]`
	podResource = `^pod_memory_working_set_bytes\{namespace="monitoring",pod="best-effort"`
	ofVolume    = `"name": ?"(data|scratch)"`
	ofNodeFS    = `(?s)"node": ?\{.*?"fs": ?\{.*?"capacityBytes": ?[1-9]`
	ofLayer     = `(?s)"rootfs": ?\{[^}]*"usedBytes"`
	kubeletOwn  = `^kubelet_volume_stats_used_bytes\{`
	apiIsSource = `^nodevitals_pod_source_connected\{source="api"\} 1$`
	podOfAPI    = `"name":"best-effort","namespace":"monitoring"`
	criIsSource = `^nodevitals_pod_source_connected\{source="cri"\} 1$`
)

// deployment is a choice that changes what the agent does, and what then is seen.
type deployment struct {
	name string
	// prepare makes what the choice presumes.
	prepare func(*testing.T)
	// serverName makes the test verify the certificate: for a name, or for the address with ".".
	serverName string
	// hostPort is whether the agent has a port of the node's by the network plugin.
	hostPort bool
	// hostNetwork tells whether the pod's address is the node's.
	hostNetwork bool
	// everywhere marks what kernels of either cgroup version must show. The others are not run again where the host has run them.
	everywhere bool
	// rights are the capabilities that the agent has kept; nil: CAP_DAC_READ_SEARCH. profile tells whether its seccomp profile is ours.
	rights  []uint
	profile bool
	// cadvisor, summary and own are what the answers have, and no… what they have not.
	cadvisor, noCadvisor, summary, noSummary, own []string
	// pods are what /pods has; nil: it is not served, and who may ask for it is told so.
	pods []string
	// consumers read the agent as they would with this choice, each in a test of its name.
	consumers map[string]consumer
}

// readerHere is what reads cgroups for an agent that may load programs into the kernel.
func readerHere() string {
	reader := readerOfFiles
	if compare.KernelHere().Unified {
		reader = readerInKernel
	}
	return `^nodevitals_reader\{reader="` + reader + `"\} 1$`
}

func deployments() []deployment {
	return []deployment{
		{
			name:     "beside-kubelet.kustomize",
			cadvisor: []string{podMemory, podNetwork, podProcs, podFDs, machine, system}, noCadvisor: []string{podSockets},
			summary: []string{ofVolume, ofNodeFS}, noSummary: []string{ofLayer}, own: []string{apiIsSource},
		},
		{
			name: "sockets.kustomize", rights: []uint{unix.CAP_DAC_READ_SEARCH, unix.CAP_SYS_PTRACE},
			cadvisor: []string{podMemory, podNetwork, podFDs, podSockets}, summary: []string{ofVolume}, own: []string{apiIsSource},
		},
		{
			name:     "serve-pods.kustomize",
			cadvisor: []string{podMemory}, summary: []string{ofVolume}, own: []string{apiIsSource}, pods: []string{podOfAPI},
		},
		{
			name: "kernel-reader.kustomize", everywhere: true, rights: withReader(unix.CAP_DAC_READ_SEARCH),
			cadvisor: []string{podMemory, podNetwork}, summary: []string{ofVolume}, own: []string{apiIsSource, readerHere()},
		},
		{
			name: "seccomp.kustomize", prepare: seccompProfile, everywhere: true, rights: withReader(unix.CAP_DAC_READ_SEARCH, unix.CAP_SYS_PTRACE), profile: true,
			cadvisor: []string{podMemory, podNetwork, podFDs, podSockets}, summary: []string{ofVolume, ofNodeFS}, own: []string{apiIsSource, readerHere()},
		},
		{
			name: "seccomp-non-root.kustomize", prepare: seccompProfile, everywhere: true, rights: []uint{}, profile: true,
			cadvisor: []string{podMemory, podNetwork, podProcs, machine}, noCadvisor: []string{podSockets},
			summary: []string{ofNodeFS}, noSummary: []string{ofVolume}, own: []string{apiIsSource},
		},
		{
			name: "non-root.helm", rights: []uint{}, cadvisor: []string{podMemory, podNetwork, podProcs, machine}, noCadvisor: []string{podSockets},
			summary: []string{ofNodeFS}, noSummary: []string{ofVolume}, own: []string{apiIsSource},
		},
		{
			name: "runtime-socket.helm", cadvisor: []string{podMemory, podNetwork}, summary: []string{ofVolume, ofLayer},
			own: []string{apiIsSource, criIsSource},
		},
		{
			name: "metrics-server.helm", prepare: kubeletCertificate, serverName: ".", hostNetwork: true,
			cadvisor: []string{podMemory, podNetwork}, summary: []string{ofVolume, ofNodeFS}, own: []string{apiIsSource},
			consumers: map[string]consumer{"metrics-server": testMetricsServerReads},
		},
		{
			name: "replace-kubelet-stats.helm", prepare: kubeletCertificate, serverName: cluster.NodeAddress, hostPort: true,
			cadvisor: []string{podMemory}, summary: []string{ofVolume}, own: []string{kubeletOwn},
		},
		{
			name: "serving-secret.helm", prepare: servingSecret, serverName: "nodevitals.nodevitals.svc",
			cadvisor: []string{podMemory}, own: []string{apiIsSource},
			consumers: map[string]consumer{"Prometheus by the ServiceMonitor": testPrometheusReads},
		},
		{
			name: "serving-secret-pods.helm", prepare: servingSecret, serverName: "nodevitals.nodevitals.svc",
			cadvisor: []string{podMemory}, own: []string{apiIsSource},
			consumers: map[string]consumer{"Prometheus by the PodMonitor": testPrometheusReads},
		},
	}
}

// The agent of the image and the manifests runs as a DaemonSet, with an account of its own and no more rights than are written there, and tells
// what the choice lets it see.
func TestManifestsOnTheCluster(t *testing.T) {
	needDeployment(t)
	t.Cleanup(func() {
		if err := undeploy(context.WithoutCancel(t.Context())); err != nil {
			t.Errorf("remove what the manifests made: %v", err)
		}
	})
	folder, err := deployFolder()
	if err != nil {
		t.Fatal(err)
	}
	installDefinitions(t, folder)
	elsewhere := os.Getenv(elsewhereVariable) != ""
	if !elsewhere {
		t.Run("dry run", func(t *testing.T) { dryRun(t, folder) })
	}

	// The chart's selector has the release's name, and a DaemonSet's selector cannot change.
	renderer := ""
	for _, one := range deployments() {
		if elsewhere && !one.everywhere {
			continue
		}
		if _, by, _ := strings.Cut(one.name, "."); by != renderer {
			renderer = by
			if err := undeploy(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		t.Run(one.name, func(t *testing.T) { one.check(t) })
	}
}

// installDefinitions makes the Prometheus Operator's kinds known, unless they are, for the length of the test.
func installDefinitions(t *testing.T, folder string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(folder, "crds", "*.yaml"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no definitions in %s: %v", folder, err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		mustApply(t, string(text))
		_, kind, _ := strings.Cut(strings.TrimSuffix(filepath.Base(file), ".yaml"), "_")
		t.Cleanup(func() {
			path := "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/" + kind + ".monitoring.coreos.com"
			if err := node.Client().Discovery().RESTClient().Delete().AbsPath(path).Do(context.WithoutCancel(t.Context())).Error(); err != nil {
				t.Error(err)
			}
		})
	}
}

// dryRun has the API server judge every rendering of every choice, admission and all.
func dryRun(t *testing.T, folder string) {
	awaitServed(t)
	mustApply(t, `{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "`+deployed+`"}}`)
	files, err := filepath.Glob(filepath.Join(folder, "*.yaml"))
	if err != nil || len(files) == 0 {
		t.Fatalf("nothing is rendered in %s: %v", folder, err)
	}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".yaml")
		t.Run(name, func(t *testing.T) {
			kinds, err := apply(t.Context(), choice(t, name), true)
			if err != nil {
				t.Fatal(err)
			}
			if !slices.Contains(kinds, "DaemonSet") {
				t.Errorf("no DaemonSet was judged, only %v", kinds)
			}
		})
	}
	// And it does judge.
	broken := strings.Replace(choice(t, "beside-kubelet.kustomize"), "hostPID:", "hostPIDs:", 1)
	if _, err := apply(t.Context(), broken, true); err == nil || !strings.Contains(err.Error(), "hostPIDs") {
		t.Errorf("an unknown field: got %v, want an error that names it", err)
	}
}

// awaitServed waits until the API server serves the Prometheus Operator's kinds.
func awaitServed(t *testing.T) {
	t.Helper()
	for _, kind := range []string{"servicemonitors", "podmonitors", "prometheusrules"} {
		err := cluster.Await(t.Context(), 2*time.Minute, kind+" to be served", func(ctx context.Context) error {
			return node.Client().Discovery().RESTClient().Get().AbsPath("/apis/monitoring.coreos.com/v1", kind).Do(ctx).Error()
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

func (d *deployment) check(t *testing.T) {
	if d.prepare != nil {
		d.prepare(t)
	}
	pod := install(t, d.name)
	if pod.Spec.HostNetwork != d.hostNetwork || (pod.Status.PodIP == cluster.NodeAddress) != d.hostNetwork {
		t.Errorf("host network %t, address %s", pod.Spec.HostNetwork, pod.Status.PodIP)
	}
	d.checkConfinement(t, pod)
	r := newReader(t, pod)
	if d.serverName != "" {
		r.verify(t, strings.TrimPrefix(d.serverName, "."))
	} else {
		r.verifyOwn(t, pod)
	}
	r.await(t, "/healthz", []string{`^ok$`}, nil)
	wantHealthInside(t, pod)
	r.await(t, "/metrics/cadvisor", d.cadvisor, d.noCadvisor)
	r.await(t, "/metrics/resource", []string{podResource}, nil)
	r.await(t, "/stats/summary", d.summary, d.noSummary)
	r.await(t, "/metrics", d.own, nil)
	if d.pods != nil {
		r.await(t, "/pods", d.pods, nil)
	} else {
		r.awaitNone(t, "/pods")
	}
	stranger := *r
	stranger.token = ""
	if got, err := stranger.get(t.Context(), "/metrics/cadvisor"); err != nil || got.status != http.StatusUnauthorized {
		t.Errorf("without a token: status %d, %v: %.200s", got.status, err, got.body)
	}
	if d.hostPort {
		t.Run("port of the node", func(t *testing.T) {
			if reason := cluster.MapsNoPorts(); reason != "" {
				t.Skip(reason)
			}
			atNode := *r
			atNode.base = "https://" + net.JoinHostPort(cluster.NodeAddress, strconv.Itoa(deployedPort))
			atNode.await(t, "/metrics/cadvisor", d.cadvisor, nil)
		})
	}
	for name, test := range d.consumers {
		t.Run(name, func(t *testing.T) { test(t, d, r) })
	}
	// Nothing of a restart, and no error in the log: not of a watch or a review that the account has no right to, either.
	said, err := node.Client().CoreV1().Pods(deployed).GetLogs(pod.Name, &core.PodLogOptions{}).DoRaw(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(said)) {
		if strings.Contains(line, "forbidden") || strings.Contains(line, `"level":"error"`) {
			t.Errorf("it said: %s", line)
		}
	}
	current, err := node.Client().CoreV1().Pods(deployed).Get(t.Context(), pod.Name, meta.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if restarts := current.Status.ContainerStatuses[0].RestartCount; restarts != 0 {
		t.Errorf("it was restarted %d times", restarts)
	}
}

// wantHealthInside asks for health as who is in the pod would: curl 127.0.0.1:10248/healthz. On the node's network the port is another.
func wantHealthInside(t *testing.T, pod *core.Pod) {
	t.Helper()
	url := "http://127.0.0.1:10248/healthz"
	if pod.Spec.HostNetwork {
		url = "http://127.0.0.1:20248/healthz"
	}
	dial := func(ctx context.Context, kind, address string) (net.Conn, error) {
		return node.DialInPod(ctx, pod.UID, kind, address)
	}
	got, err := askThrough(t.Context(), dial, url)
	if err != nil || got.status != http.StatusOK || got.body != "ok" {
		t.Errorf("%s inside the pod: got %d %q and error %v, want ok", url, got.status, got.body, err)
	}
}

// kubeletCertificate puts the kubelet's certificate where a kubelet with serverTLSBootstrap keeps it: a link to the newest of several files.
func kubeletCertificate(t *testing.T) {
	t.Helper()
	var pair []byte
	certificate, key := node.Certificate("kubelet")
	for _, path := range []string{certificate, key} {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		pair = append(pair, text...)
	}
	folder := filepath.Join(node.RootDir(), "pki")
	newest := filepath.Join(folder, "kubelet-server-2026-01-01-00-00-00.pem")
	current := filepath.Join(folder, "kubelet-server-current.pem")
	if err := errors.Join(os.MkdirAll(folder, 0o755), os.WriteFile(newest, pair, 0o600)); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(newest, current); err != nil && !errors.Is(err, os.ErrExist) {
		t.Fatal(err)
	}
}

// servingSecret makes the Secret as cert-manager would, with a certificate for the service's name.
func servingSecret(t *testing.T) {
	t.Helper()
	mustApply(t, `{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "`+deployed+`"}}`)
	certificate, key := node.Certificate("nodevitals-serving")
	// Once: an agent that runs already keeps what it has.
	if _, err := os.Stat(certificate); err != nil {
		if err := node.Issue(cluster.Server{Name: "nodevitals-serving", Hosts: []string{"nodevitals.nodevitals.svc"}}); err != nil {
			t.Fatal(err)
		}
	}
	object := &core.Secret{
		TypeMeta:   meta.TypeMeta{APIVersion: "v1", Kind: "Secret"},
		ObjectMeta: meta.ObjectMeta{Name: "nodevitals-serving", Namespace: deployed}, Data: map[string][]byte{},
	}
	for name, path := range map[string]string{"tls.crt": certificate, "tls.key": key, "ca.crt": node.CA()} {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		object.Data[name] = text
	}
	text, err := json.Marshal(object)
	if err != nil {
		t.Fatal(err)
	}
	mustApply(t, string(text))
}
