package e2e

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	core "k8s.io/api/core/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/nodevitals/nodevitals/e2e/cluster"
)

// The commands of docs/install.md: one installs, one changes a value, one takes that back, and one takes everything away.
func TestHelmInstalls(t *testing.T) {
	needDeployment(t)
	needOnlyOnce(t)
	t.Parallel()
	folder, err := deployFolder()
	if err != nil {
		t.Fatal(err)
	}
	cleanUp(t)
	helm := func(arguments ...string) string {
		said, err := node.Administer(t.Context(), filepath.Join(folder, "helm"), append(arguments, "--namespace="+deployed)...)
		if err != nil {
			t.Fatal(err)
		}
		return said
	}
	const chart, flag = "../charts/nodevitals", "--max-age=7s"
	said := helm("install", deployed, chart, "--create-namespace", "--wait", "--timeout=5m",
		"--set=image.tag=e2e,kubelet.rootDir="+node.RootDir(), "--set-json=podLabels={\"by\":\"helm\"}")
	if !strings.Contains(said, "It answers at port 10250 of each pod") {
		t.Errorf("the notes do not say where it answers:\n%s", said)
	}
	wantArgument(t, flag, false)
	helm("upgrade", deployed, chart, "--reuse-values", "--wait", "--timeout=5m", "--set=extraArgs={"+flag+"}")
	wantArgument(t, flag, true)
	helm("rollback", deployed, "1", "--wait", "--timeout=5m")
	wantArgument(t, flag, false)
	helm("uninstall", deployed, "--wait", "--timeout=5m")
	wantNothing(t)
}

// One command with kustomize, from a checkout, and one that takes it back. The kustomization around the overlay is for this node alone: its image and
// the kubelet's folder.
func TestKustomizeInstalls(t *testing.T) {
	needDeployment(t)
	needOnlyOnce(t)
	cleanUp(t)
	overlay, err := filepath.Abs("../manifests/overlays/beside-kubelet")
	if err != nil {
		t.Fatal(err)
	}
	folder := t.TempDir()
	if overlay, err = filepath.Rel(folder, overlay); err != nil {
		t.Fatal(err)
	}
	name, tag, _ := strings.Cut(deployedImage, ":")
	text := fmt.Sprintf(`apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
resources: [%q]
images: [{name: ghcr.io/nodevitals/nodevitals, newName: %q, newTag: %q}]
`, overlay, name, tag)
	if err := os.WriteFile(filepath.Join(folder, "kustomization.yaml"), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	rendered, err := node.Kubectl(t.Context(), "", "kustomize", folder)
	if err != nil {
		t.Fatal(err)
	}
	adapted := strings.ReplaceAll(rendered, "/var/lib/kubelet", node.RootDir())
	for range 2 { // who does it again changes nothing
		said, err := node.Kubectl(t.Context(), adapted, "apply", "-f", "-")
		if err != nil || strings.Contains(strings.ToLower(said), "warning") {
			t.Fatalf("%v: %s", err, said)
		}
	}
	if said, err := node.Administer(t.Context(), program("kubectl"), "--namespace="+deployed, "rollout", "status", "daemonset/"+deployed, "--timeout=5m"); err != nil {
		t.Fatalf("%v: %s", err, said)
	}
	if _, err := node.Kubectl(t.Context(), adapted, "delete", "--wait=false", "-f", "-"); err != nil {
		t.Fatal(err)
	}
	wantNothing(t)
}

// cleanUp leaves nothing of a deployment before the test, and nothing after it.
func cleanUp(t *testing.T) {
	t.Helper()
	if err := undeploy(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := undeploy(context.WithoutCancel(t.Context())); err != nil {
			t.Errorf("remove what was installed: %v", err)
		}
	})
}

// wantArgument waits until the deployment has one pod a node, which is ready and whose agent has a flag or does not have it. Helm's --wait leaves
// as many pods of a DaemonSet unready as may be unavailable, which on one node is the only one.
func wantArgument(t *testing.T, flag string, wanted bool) {
	t.Helper()
	err := cluster.Await(t.Context(), rolloutLimit, fmt.Sprintf("one ready pod with %s %t", flag, wanted), func(ctx context.Context) error {
		pods, err := node.Client().CoreV1().Pods(deployed).List(ctx, ours)
		if err != nil {
			return err
		}
		running := slices.DeleteFunc(pods.Items, func(pod core.Pod) bool { return pod.DeletionTimestamp != nil })
		if len(running) != 1 {
			return fmt.Errorf("%d pods run", len(running))
		}
		pod := &running[0]
		ready := slices.ContainsFunc(pod.Status.Conditions, func(c core.PodCondition) bool { return c.Type == core.PodReady && c.Status == core.ConditionTrue })
		if has := slices.Contains(pod.Spec.Containers[0].Args, flag); !ready || has != wanted {
			return fmt.Errorf("pod %s: ready %t, has %s %t", pod.Name, ready, flag, has)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

// wantNothing waits until nothing is left of what was installed, in the namespace and beyond.
func wantNothing(t *testing.T) {
	t.Helper()
	err := cluster.Await(t.Context(), rolloutLimit, "everything that was installed to be gone", func(ctx context.Context) error {
		client := node.Client()
		sets, err := client.AppsV1().DaemonSets(meta.NamespaceAll).List(ctx, ours)
		if err != nil {
			return err
		}
		pods, err := client.CoreV1().Pods(deployed).List(ctx, ours)
		if err != nil {
			return err
		}
		roles, err := client.RbacV1().ClusterRoles().List(ctx, ours)
		if err != nil {
			return err
		}
		bindings, err := client.RbacV1().ClusterRoleBindings().List(ctx, ours)
		if err != nil {
			return err
		}
		if len(sets.Items)+len(pods.Items)+len(roles.Items)+len(bindings.Items) > 0 {
			return fmt.Errorf("%d DaemonSets, %d pods, %d roles and %d bindings are left", len(sets.Items), len(pods.Items), len(roles.Items), len(bindings.Items))
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}
