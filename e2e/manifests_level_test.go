package e2e

import (
	"context"
	"encoding/json"
	"maps"
	"os"
	"regexp"
	"strings"
	"testing"

	apps "k8s.io/api/apps/v1"
	core "k8s.io/api/core/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// installPage has the table of what the pod has and why, below a heading of its own.
const (
	installPage = "../docs/install.md"
	rightsTable = "## What it may do, and why"
)

// refusedDetail is one reason of a refusal by Pod Security, and what it is about.
var refusedDetail = regexp.MustCompile(`([A-Za-z -]+) \(([^)]*)\)`)

// The namespace's level is privileged for what docs/install.md lists and for nothing else: the level below it, baseline, refuses the pod for just
// that, and the default one, which is privileged, does not.
func TestBaselineRefusesWhatIsDocumented(t *testing.T) {
	needDeployment(t)
	needOnlyOnce(t)
	const namespace = "nodevitals-baseline"
	mustApply(t, `{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "`+namespace+`", "labels": {"pod-security.kubernetes.io/enforce": "baseline"}}}`)
	t.Cleanup(func() {
		if err := node.Client().CoreV1().Namespaces().Delete(context.WithoutCancel(t.Context()), namespace, meta.DeleteOptions{}); err != nil {
			t.Error(err)
		}
	})
	if err := node.AwaitAccount(t.Context(), namespace); err != nil {
		t.Fatal(err)
	}
	const (
		folders    = `volumes "proc", "sys", "kubelet", "pod-logs", "machine-id", "os-release"`
		capability = `container "nodevitals" must not include %s in securityContext.capabilities.add`
	)
	for name, want := range map[string]map[string]string{
		"beside-kubelet.kustomize": {
			"host namespaces": "hostPID=true", "hostPath volumes": folders,
			"non-default capabilities": strings.ReplaceAll(capability, "%s", `"DAC_READ_SEARCH"`),
		},
		"sockets.helm": {
			"host namespaces": "hostPID=true", "hostPath volumes": folders,
			"non-default capabilities": strings.ReplaceAll(capability, "%s", `"DAC_READ_SEARCH", "SYS_PTRACE"`),
		},
		"non-root.helm": {"host namespaces": "hostPID=true", "hostPath volumes": folders},
	} {
		t.Run(name, func(t *testing.T) {
			var set apps.DaemonSet
			if err := json.Unmarshal(objectIn(t, choice(t, name), "DaemonSet"), &set); err != nil {
				t.Fatal(err)
			}
			// It is pods that are judged. A DaemonSet gets warnings at most.
			pod := &core.Pod{ObjectMeta: meta.ObjectMeta{Name: deployed}, Spec: set.Spec.Template.Spec}
			pod.Spec.ServiceAccountName = "" // those namespaces do not have it
			dry := meta.CreateOptions{DryRun: []string{meta.DryRunAll}}
			if _, err := node.Client().CoreV1().Pods(meta.NamespaceDefault).Create(t.Context(), pod, dry); err != nil {
				t.Errorf("at level privileged: %v", err)
			}
			_, err := node.Client().CoreV1().Pods(namespace).Create(t.Context(), pod, dry)
			if err == nil {
				t.Fatal("it is allowed at level baseline")
			}
			_, details, ok := strings.Cut(err.Error(), `violates PodSecurity "baseline:latest": `)
			if !ok {
				t.Fatalf("it is refused for something else: %v", err)
			}
			got := map[string]string{}
			for _, detail := range refusedDetail.FindAllStringSubmatch(details, -1) {
				got[strings.TrimSpace(detail[1])] = detail[2]
			}
			if !maps.Equal(got, want) {
				t.Errorf("it is refused for %q\nwant %q\nin full: %v", got, want, err)
			}
			wantListed(t, &pod.Spec)
		})
	}
}

// wantListed wants what is refused to be in the first column of the table.
func wantListed(t *testing.T, pod *core.PodSpec) {
	t.Helper()
	text, err := os.ReadFile(installPage)
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(text), rightsTable+"\n")
	section, _, _ = strings.Cut(section, "\n#")
	var listed strings.Builder
	for line := range strings.Lines(section) {
		if columns := strings.Split(line, "|"); len(columns) > 2 {
			listed.WriteString(columns[1] + "\n")
		}
	}
	wanted := []string{"hostPID"}
	for _, volume := range pod.Volumes {
		if volume.HostPath != nil {
			// The page has the folder as it is on other nodes.
			wanted = append(wanted, strings.Replace(volume.HostPath.Path, node.RootDir(), "/var/lib/kubelet", 1))
		}
	}
	for _, capability := range pod.Containers[0].SecurityContext.Capabilities.Add {
		wanted = append(wanted, "CAP_"+string(capability))
	}
	for _, one := range wanted {
		if !strings.Contains(listed.String(), one) {
			t.Errorf("%s does not list %s below %q", installPage, one, rightsTable)
		}
	}
}
