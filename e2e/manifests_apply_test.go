package e2e

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	core "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/yaml"

	"github.com/nodevitals/nodevitals/e2e/cluster"
)

// noDeployment is the reason why there is no image on this machine.
var noDeployment string

// deployFolder has the image's archive in the containerd's store, and returns where the rendered manifests are.
var deployFolder = sync.OnceValues(func() (string, error) {
	folder, err := given(deployVariable, func() (string, error) {
		folder := filepath.Join(node.StateDir(), "deploy")
		return folder, command("../scripts/deployment.sh", folder).Run()
	})
	if err != nil {
		return "", fmt.Errorf("render manifests and build the image: %w", err)
	}
	if text, err := os.ReadFile(filepath.Join(folder, "unable")); err == nil {
		noDeployment = strings.TrimSpace(string(text))
		return folder, nil
	}
	archives, err := filepath.Glob(filepath.Join(folder, "image", "*.tar"))
	if err != nil || len(archives) != 1 {
		return "", fmt.Errorf("%d archives of an image in %s, want one: %w", len(archives), folder, err)
	}
	return folder, node.ImportImage(context.Background(), archives[0])
})

// choice is one of manifests/testdata/choices, rendered by kustomize or helm, for this node.
func choice(t *testing.T, name string) string {
	t.Helper()
	folder, err := deployFolder()
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(folder, name+".yaml"))
	if err != nil {
		t.Fatal(err)
	}
	// This kubelet's folder is not where others have theirs.
	adapted := strings.ReplaceAll(string(text), "/var/lib/kubelet", node.RootDir())
	return regexp.MustCompile(`image: "?ghcr\.io/nodevitals/nodevitals:[^"\n]*"?`).ReplaceAllString(adapted, "image: "+deployedImage)
}

// needDeployment skips a test where no image was built.
func needDeployment(t *testing.T) {
	t.Helper()
	needCluster(t)
	awaitPods(t)
	if _, err := deployFolder(); err != nil {
		t.Fatal(err)
	}
	if noDeployment != "" {
		t.Skip(noDeployment)
	}
}

// plurals are the kinds of the manifests, as the API server's paths have them, and whether they are in a namespace.
var plurals = map[string]struct {
	name       string
	namespaced bool
}{
	"Namespace":                {"namespaces", false},
	"ServiceAccount":           {"serviceaccounts", true},
	"Secret":                   {"secrets", true},
	"ConfigMap":                {"configmaps", true},
	"Service":                  {"services", true},
	"ResourceQuota":            {"resourcequotas", true},
	"DaemonSet":                {"daemonsets", true},
	"ClusterRole":              {"clusterroles", false},
	"ClusterRoleBinding":       {"clusterrolebindings", false},
	"NetworkPolicy":            {"networkpolicies", true},
	"ServiceMonitor":           {"servicemonitors", true},
	"PodMonitor":               {"podmonitors", true},
	"PrometheusRule":           {"prometheusrules", true},
	"CustomResourceDefinition": {"customresourcedefinitions", false},
}

// pathOf is where the API server has an object.
func pathOf(one *unstructured.Unstructured) (string, error) {
	plural, ok := plurals[one.GetKind()]
	if !ok {
		return "", fmt.Errorf("no path is known of kind %s", one.GetKind())
	}
	path := "/apis/" + one.GetAPIVersion()
	if one.GetAPIVersion() == "v1" {
		path = "/api/v1"
	}
	if plural.namespaced {
		path += "/namespaces/" + one.GetNamespace()
	}
	return path + "/" + plural.name + "/" + one.GetName(), nil
}

// apply has the API server take every object of a text, as kubectl apply --server-side does, or with dry only judge it. It returns their
// kinds. A field that the server does not know is an error.
func apply(ctx context.Context, text string, dry bool) (kinds []string, err error) {
	for decoder := yaml.NewYAMLOrJSONDecoder(strings.NewReader(text), 4096); ; {
		var one unstructured.Unstructured
		err := decoder.Decode(&one.Object)
		if errors.Is(err, io.EOF) {
			return kinds, nil
		}
		if err != nil {
			return kinds, err
		}
		if len(one.Object) == 0 {
			continue
		}
		path, err := pathOf(&one)
		if err != nil {
			return kinds, err
		}
		object, err := one.MarshalJSON()
		if err != nil {
			return kinds, err
		}
		request := node.Client().Discovery().RESTClient().Patch(types.ApplyPatchType).AbsPath(path).Body(object).
			Param("fieldManager", "e2e").Param("force", "true").Param("fieldValidation", "Strict")
		if dry {
			request = request.Param("dryRun", "All")
		}
		if err := request.Do(ctx).Error(); err != nil {
			return kinds, fmt.Errorf("%s %s: %w", one.GetKind(), one.GetName(), err)
		}
		kinds = append(kinds, one.GetKind())
	}
}

// mustApply is apply for what the tests themselves presume.
func mustApply(t *testing.T, text string) {
	t.Helper()
	if _, err := apply(t.Context(), text, false); err != nil {
		t.Fatal(err)
	}
}

// undeploy removes everything that a choice makes and waits until it is gone.
func undeploy(ctx context.Context) error {
	client := node.Client()
	if err := client.RbacV1().ClusterRoleBindings().DeleteCollection(ctx, meta.DeleteOptions{}, ours); err != nil {
		return err
	}
	if err := client.RbacV1().ClusterRoles().DeleteCollection(ctx, meta.DeleteOptions{}, ours); err != nil {
		return err
	}
	return cluster.Await(ctx, rolloutLimit, "namespace "+deployed+" to be gone", func(ctx context.Context) error {
		if _, err := client.CoreV1().Namespaces().Get(ctx, deployed, meta.GetOptions{}); err != nil {
			return ignoreNotFound(err)
		}
		if err := client.CoreV1().Namespaces().Delete(ctx, deployed, meta.DeleteOptions{}); err != nil {
			return ignoreNotFound(err)
		}
		return errors.New("it is still there")
	})
}

var ours = meta.ListOptions{LabelSelector: "app.kubernetes.io/name=" + deployed}

// install applies a choice and waits until its pod runs and is ready. The returned pod is the new one.
func install(t *testing.T, name string) *core.Pod {
	t.Helper()
	mustApply(t, choice(t, name))
	var pod *core.Pod
	err := cluster.Await(t.Context(), rolloutLimit, "the DaemonSet of "+name+" to be ready", func(ctx context.Context) error {
		set, err := node.Client().AppsV1().DaemonSets(deployed).Get(ctx, deployed, meta.GetOptions{})
		if err != nil {
			return err
		}
		pods, err := node.Client().CoreV1().Pods(deployed).List(ctx, ours)
		if err != nil {
			return err
		}
		status := set.Status
		if status.ObservedGeneration != set.Generation || status.DesiredNumberScheduled != 1 || status.UpdatedNumberScheduled != 1 ||
			status.NumberReady != 1 || len(pods.Items) != 1 {
			return fmt.Errorf("generation %d, %+v; %s", set.Generation, status, trouble(ctx, pods.Items))
		}
		pod = &pods.Items[0]
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return pod
}

// trouble tells why pods do not come up: their states, events, and what they said.
func trouble(ctx context.Context, pods []core.Pod) string {
	var words []string
	for i := range pods {
		pod := &pods[i]
		words = append(words, fmt.Sprintf("pod %s is %s", pod.Name, pod.Status.Phase))
		for _, status := range pod.Status.ContainerStatuses {
			words = append(words, fmt.Sprintf("ready %t, restarts %d, %+v", status.Ready, status.RestartCount, status.State))
		}
		lines := int64(5)
		if said, err := node.Client().CoreV1().Pods(deployed).GetLogs(pod.Name, &core.PodLogOptions{TailLines: &lines}).DoRaw(ctx); err == nil {
			words = append(words, "it said: "+string(said))
		}
	}
	events, err := node.Client().CoreV1().Events(deployed).List(ctx, meta.ListOptions{})
	if err != nil {
		return strings.Join(append(words, err.Error()), "; ")
	}
	for i := range events.Items {
		words = append(words, events.Items[i].Message)
	}
	return strings.Join(words, "; ")
}

// ignoreNotFound is nil for an object that is not there.
func ignoreNotFound(err error) error {
	if apierrors.IsNotFound(err) {
		return nil
	}
	return err
}
