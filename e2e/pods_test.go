package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	core "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"

	"github.com/nodevitals/nodevitals/e2e/cluster"
	"github.com/nodevitals/nodevitals/e2e/workload"
)

// servedPodsPort is the secure port of an agent that serves pods, and nothing else that others do not.
const servedPodsPort = 20360

var startServedPods = sync.OnceValue(func() error {
	component, err := pulledComponent("nodevitals-pods", servedPodsPort, "http://127.0.0.1:20365", "--serve-pods")
	if err != nil {
		return err
	}
	_, err = node.Start(context.Background(), component)
	return err
})

// needServedPods starts that agent, and the one that other systems pull from.
func needServedPods(t *testing.T) {
	t.Helper()
	needPulled(t)
	if err := startServedPods(); err != nil {
		t.Fatal(err)
	}
}

// servedPods asks that agent as an administrator.
func servedPods(t *testing.T, path string) answer {
	t.Helper()
	secure, err := node.AdminTLS()
	if err != nil {
		t.Fatal(err)
	}
	got, err := askWith(t.Context(), secure, "", http.MethodGet, fmt.Sprintf("https://%s:%d%s", cluster.NodeAddress, servedPodsPort, path))
	if err != nil || got.status != http.StatusOK {
		t.Fatalf("%s: status %d, %v: %.300s", path, got.status, err, got.body)
	}
	return got
}

// podsByKey are the pods of an answer by NAMESPACE/NAME.
func podsByKey(t *testing.T, text string) map[string]*core.Pod {
	t.Helper()
	var list core.PodList
	if err := json.Unmarshal([]byte(text), &list); err != nil {
		t.Fatal(err)
	}
	if list.Kind != "PodList" || list.APIVersion != "v1" {
		t.Errorf("got a %s of %s", list.Kind, list.APIVersion)
	}
	pods := map[string]*core.Pod{}
	for i := range list.Items {
		pods[list.Items[i].Namespace+"/"+list.Items[i].Name] = &list.Items[i]
	}
	return pods
}

// The pods are the kubelet's, with its UIDs: of those that stay as they are, specs and containers too.
func TestPodsAreTheKubelets(t *testing.T) {
	needServedPods(t)
	text, err := node.Kubelet(t.Context(), "/pods")
	if err != nil {
		t.Fatal(err)
	}
	kubelet, ours := podsByKey(t, string(text)), podsByKey(t, servedPods(t, "/pods").body)
	t.Logf("the kubelet's answer has %d bytes, ours %d", len(text), len(servedPods(t, "/pods").body))
	for _, pod := range workload.Pods() {
		want, got := kubelet[pod.Key()], ours[pod.Key()]
		if want == nil || got == nil {
			t.Errorf("%s: the kubelet has it: %t; ours: %t", pod.Key(), want != nil, got != nil)
			continue
		}
		if got.UID != want.UID {
			t.Errorf("%s: UID is %q, the kubelet's %q", pod.Key(), got.UID, want.UID)
		}
		if got.ManagedFields != nil {
			t.Errorf("%s: managed fields are there", pod.Key())
		}
		if slices.Contains(workload.Changing(), pod.Key()) {
			continue
		}
		if !pod.Static && !equality.Semantic.DeepEqual(got.Spec, want.Spec) {
			t.Errorf("%s: the spec is\n%+v\nthe kubelet's\n%+v", pod.Key(), got.Spec, want.Spec)
		}
		for _, of := range []func(*core.Pod) []core.ContainerStatus{
			func(p *core.Pod) []core.ContainerStatus { return p.Status.ContainerStatuses },
			func(p *core.Pod) []core.ContainerStatus { return p.Status.InitContainerStatuses },
		} {
			if !equality.Semantic.DeepEqual(of(got), of(want)) {
				t.Errorf("%s: containers are\n%+v\nthe kubelet's\n%+v", pod.Key(), of(got), of(want))
			}
		}
	}
}

// Who may ask for pods is who may ask a kubelet for them, by the right to nodes/pods or the wider one to nodes/proxy.
func TestPodsAreForThoseWhoMay(t *testing.T) {
	needServedPods(t)
	for _, one := range []struct {
		right  string
		status int
	}{
		{"nodes/pods", http.StatusOK},
		{"nodes/proxy", http.StatusOK},
		{"nodes/metrics", http.StatusForbidden},
	} {
		t.Run(one.right, func(t *testing.T) {
			account := scraper(t, "e2e-"+strings.ReplaceAll(one.right, "/", "-"), one.right)
			asking := sender{token: tokenOf(t, account)}
			for _, port := range []int{servedPodsPort, 10250} {
				url := fmt.Sprintf("https://%s:%d/pods", cluster.NodeAddress, port)
				err := cluster.Await(t.Context(), secureLimit, fmt.Sprintf("status %d of %s", one.status, url), func(ctx context.Context) error {
					got, err := asking.ask(ctx, node.CA(), http.MethodGet, url)
					if err == nil && got.status != one.status {
						err = fmt.Errorf("status %d: %.300s", got.status, got.body)
					}
					if err == nil && one.status == http.StatusForbidden && !strings.Contains(got.body, "subresource(s)=[pods proxy]") {
						err = cluster.Stop(fmt.Errorf("it says %s", got.body))
					}
					return err
				})
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	// Those that serve none by default say so to who may ask.
	got, err := admin(t).ask(t.Context(), node.CA(), http.MethodGet, fmt.Sprintf("https://%s:%d/pods", cluster.NodeAddress, pulledPort))
	if err != nil || got.status != http.StatusNotFound {
		t.Errorf("without --serve-pods: status %d, %v, want 404", got.status, err)
	}
	if text, err := node.Get(t.Context(), "http://127.0.0.1:20365/pods"); err == nil || !strings.Contains(err.Error(), "404") {
		t.Errorf("the read-only port: got %.200s, %v, want 404", text, err)
	}
}
