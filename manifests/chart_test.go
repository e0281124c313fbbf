package manifests

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/util/yaml"
)

const chart = "../charts/nodevitals"

func TestChartLints(t *testing.T) {
	helm := tool(t, "helm")
	for _, choice := range choices(t) {
		t.Run(choice, func(t *testing.T) {
			said, err := exec.Command(helm, "lint", "--strict", "--values", filepath.Join("testdata/choices", choice, "values.yaml"), chart).CombinedOutput()
			if err != nil {
				t.Errorf("helm lint: %v\n%s", err, said)
			}
		})
	}
}

// What cannot work is refused before it is installed, with the name of the value.
func TestChartRefusesBadValues(t *testing.T) {
	helm := tool(t, "helm")
	for set, want := range map[string]string{
		"acces=user":                  "acces",
		"access=root":                 "access",
		"network.mode=Host":           "mode",
		"network.port=0":              "port",
		"network.nodePort=70000":      "nodePort",
		"kubelet.rootDir=var/lib":     "rootDir",
		"image.digest=sha256:12":      "digest",
		"image.pullPolicy=Sometimes":  "pullPolicy",
		"monitor.kind=Service":        "kind",
		"monitor.interval=often":      "interval",
		"monitor.kind=ServiceMonitor": "insecureSkipVerify",
		"monitor.kind=PodMonitor,servingCertificate=kubelet,network.mode=hostPort": "insecureSkipVerify",
		"dashboards.labels.grafana_dashboard=1":                                    "grafana_dashboard",
		"extraArgs={secure-port=1}":                                                "extraArgs",
		"maxUnavailable=0%":                                                        "maxUnavailable",
		"readers[0].name=prometheus":                                               "namespace",
		"servingCertificate=kubelet,access=user":                                   "servingCertificate",
		"servingCertificate=kubelet,network.mode=pod":                              "mode",
		"monitor.kubeletJob=true,monitor.kind=none":                                "kind",
		"runtimeSocket.enabled=true,access=user":                                   "runtimeSocket",
		"kernelReader=true,access=user":                                            "kernelReader",
		"seccompProfile.type=Unconfined":                                           "type",
		"seccompProfile.localhostProfile=/etc/passwd":                              "localhostProfile",
		"servePods=sometimes":                                                      "servePods",
		"priorityQuota.enabled=true,priorityClassName=":                            "priorityClassName",
		"networkPolicy.namespaces=null,network.port=hello":                         "port",
	} {
		t.Run(set, func(t *testing.T) {
			said, err := exec.Command(helm, "template", "nodevitals", chart, "--set", set).CombinedOutput()
			if err == nil {
				t.Fatal("it is accepted")
			}
			if text := string(said); !strings.Contains(text, want) || !strings.Contains(text, "schema") {
				t.Errorf("the schema's refusal does not name %s:\n%s", want, text)
			}
		})
	}
}

// Every value has its place in the schema, and what no choice sets works as well.
func TestChartValuesBeyondChoices(t *testing.T) {
	helm := tool(t, "helm")
	for set, want := range map[string]string{
		"image.digest=sha256:" + strings.Repeat("a", 64): "image: \"ghcr.io/nodevitals/nodevitals@sha256:" + strings.Repeat("a", 64) + "\"",
		"image.tag=v9":                                      "nodevitals:v9\"",
		"imagePullSecrets[0].name=pull":                     "name: pull",
		"fullnameOverride=vitals":                           "name: vitals-reader",
		"kubelet.rootDir=/srv/kubelet":                      "mountPath: /host/srv/kubelet",
		"podLogsDir=/srv/logs":                              "--pod-logs-dir=/srv/logs",
		"extraArgs={--max-age=5s}":                          "- --max-age=5s",
		"extraVolumes[0].name=more":                         "- name: more",
		"extraEnv[0].name=GOGC":                             "- name: GOGC",
		"readers[0].name=p,readers[0].namespace=monitoring": "namespace: monitoring",
		"podLabels.team=node":                               "team: node",
		"podAnnotations.team=node":                          "team: node",
		"serviceAccount.annotations.team=no":                "team: \"no\"",
		"monitor.kind=PodMonitor,monitor.insecureSkipVerify=true,monitor.labels.release=prometheus": "release: prometheus",
		"monitor.kind=PodMonitor,servingCertificate=kubelet,network.mode=host":                      "name: kube-root-ca.crt",
		"prometheusRule.enabled=true,prometheusRule.labels.a=b":                                     "a: b",
		"dashboards.enabled=true,dashboards.annotations.folder=a":                                   "folder: a",
		"dashboards.enabled=true,dashboards.labels.mine=yes":                                        "mine: \"yes\"",
		"priorityClassName=node-agents":                                                             "priorityClassName: node-agents",
		"maxUnavailable=3":                                                                          "maxUnavailable: 3",
		"seccompProfile.type=Localhost,seccompProfile.localhostProfile=operator/a.json":             "localhostProfile: operator/a.json",
	} {
		t.Run(set, func(t *testing.T) {
			said, err := exec.Command(helm, "template", "nodevitals", chart, "--set", set).CombinedOutput()
			if err != nil {
				t.Fatalf("%v\n%s", err, said)
			}
			if !strings.Contains(string(said), want) {
				t.Errorf("%q is not there:\n%s", want, said)
			}
		})
	}
}

// notes are what helm tells who installs a release with these values.
func notes(t *testing.T, set ...string) string {
	t.Helper()
	arguments := []string{"install", "nodevitals", chart, "--namespace", "vitals", "--dry-run=client"}
	for _, one := range set {
		arguments = append(arguments, "--set", one)
	}
	said, err := exec.Command(tool(t, "helm"), arguments...).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, said)
	}
	_, text, ok := strings.Cut(string(said), "\nNOTES:\n")
	if !ok {
		t.Fatalf("helm shows no notes:\n%s", said)
	}
	return text
}

// What helm tells after an installation is about what was chosen.
func TestChartNotes(t *testing.T) {
	digest := "sha256:" + strings.Repeat("a", 64)
	for name, one := range map[string]struct{ set, has, hasNot []string }{
		"defaults": {
			has:    []string{"port 10250 of each pod", "create clusterrolebinding look ", "delete clusterrolebinding look\n", "namespace vitals pod-security"},
			hasNot: []string{"Secret", "NetworkPolicy", "metrics-server", `job="kubelet"`},
		},
		"host network": {
			set: []string{
				"network.mode=host", "image.tag=v9", "image.digest=" + digest, "servingCertificate=secret", "networkPolicy.enabled=true",
				"monitor.kind=PodMonitor", "monitor.kubeletJob=true", "monitor.insecureSkipVerify=true", "namespace.create=true",
			},
			has: []string{
				"nodevitals " + digest + " comes up", "port 20250 of each node", "Secret nodevitals-serving", "nodevitals.vitals.svc", "the NetworkPolicy has no effect",
				`job="kubelet"`,
			},
			hasNot: []string{"v9", "pod-security", "metrics-server"},
		},
		"the kubelet's certificate": {
			set: []string{"network.mode=hostPort", "servingCertificate=kubelet", "networkPolicy.enabled=true", "image.tag=v9"},
			has: []string{"nodevitals v9 comes up", "port 20250 of each node", "--kubelet-port=20250"}, hasNot: []string{"Secret", "NetworkPolicy"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			text := notes(t, one.set...)
			for _, want := range one.has {
				if !strings.Contains(text, want) {
					t.Errorf("the notes lack %q:\n%s", want, text)
				}
			}
			for _, no := range one.hasNot {
				if strings.Contains(text, no) {
					t.Errorf("the notes have %q:\n%s", no, text)
				}
			}
		})
	}
}

// Two releases side by side select their own pods only.
func TestChartSelectsItsOwnPods(t *testing.T) {
	helm := tool(t, "helm")
	folder := t.TempDir()
	for _, release := range []string{"one", "two"} {
		said, err := exec.Command(helm, "template", release, chart).Output()
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(folder, release)
		if err := os.WriteFile(path, said, 0o644); err != nil {
			t.Fatal(err)
		}
		for key, one := range objects(t, path) {
			if !strings.Contains(key, release+"-nodevitals") {
				t.Errorf("release %s has %s, whose name another release has too", release, key)
			}
			if one.GetKind() != "Service" {
				continue
			}
			if got := one.Object["spec"].(map[string]any)["selector"].(map[string]any)["app.kubernetes.io/instance"]; got != release {
				t.Errorf("the service of release %s selects instance %v", release, got)
			}
		}
	}
}

// Each folder of components is part of a choice, so that the other tests see it.
func TestEveryComponentIsChosen(t *testing.T) {
	folders, err := filepath.Glob("components/*")
	if err != nil || len(folders) == 0 {
		t.Fatalf("no components: %v", err)
	}
	var chosen strings.Builder
	for _, pattern := range []string{"testdata/choices/*/kustomization.yaml", "overlays/*/kustomization.yaml", "components/*/kustomization.yaml"} {
		files, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			chosen.Write(text)
		}
	}
	for _, folder := range folders {
		if name := filepath.Base(folder); !regexp.MustCompile(`(?m)/` + name + `$`).MatchString(chosen.String()) {
			t.Errorf("component %s is in no choice", name)
		}
	}
}

// metrics-server, as its own manifests have it, is pointed at the agent.
func TestMetricsServerIsPatched(t *testing.T) {
	said, err := exec.Command(tool(t, "kustomize"), "build", "testdata/metrics-server").CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, said)
	}
	path := filepath.Join(t.TempDir(), "all.yaml")
	if err := os.WriteFile(path, said, 0o644); err != nil {
		t.Fatal(err)
	}
	deployment := objects(t, path)["Deployment kube-system metrics-server"]
	if deployment == nil {
		t.Fatal("metrics-server is not among the objects any more")
	}
	arguments := argumentsOf(t, deployment)
	for _, want := range []string{"--kubelet-port=20250", "--kubelet-certificate-authority=/var/run/secrets/kubernetes.io/serviceaccount/ca.crt"} {
		if !slices.Contains(arguments, want) {
			t.Errorf("arguments %v lack %s", arguments, want)
		}
	}
	for _, one := range arguments {
		if one == "--kubelet-use-node-status-port" || one == "--kubelet-insecure-tls" {
			t.Errorf("arguments %v have %s, which undoes the patch", arguments, one)
		}
	}
}

// argumentsOf are those of the first container of an object with a pod template.
func argumentsOf(t *testing.T, one *object) []string {
	t.Helper()
	pod := one.Object["spec"].(map[string]any)["template"].(map[string]any)["spec"].(map[string]any)
	var arguments []string
	for _, argument := range pod["containers"].([]any)[0].(map[string]any)["args"].([]any) {
		arguments = append(arguments, argument.(string))
	}
	return arguments
}

// The program knows each flag that it is given.
func TestFlagsAreKnown(t *testing.T) {
	folder := needRendered(t)
	help, err := exec.Command("go", "run", "../cmd/nodevitals", "--help").Output()
	if err != nil {
		t.Fatal(err)
	}
	for _, choice := range choices(t) {
		daemonSet := objects(t, filepath.Join(folder, choice+".kustomize.yaml"))["DaemonSet nodevitals nodevitals"]
		if daemonSet == nil {
			t.Errorf("%s has no DaemonSet", choice)
			continue
		}
		for _, argument := range argumentsOf(t, daemonSet) {
			flag, _, _ := strings.Cut(argument, "=")
			if !regexp.MustCompile(`(?m)^ +` + flag + `\b`).Match(help) {
				t.Errorf("%s gives %s, and nodevitals --help does not list it", choice, flag)
			}
		}
	}
}

// What is released together says the same version.
func TestOneVersion(t *testing.T) {
	var released struct{ Version, AppVersion string }
	var base struct {
		Images []struct{ Name, NewTag string }
	}
	for path, into := range map[string]any{chart + "/Chart.yaml": &released, "base/kustomization.yaml": &base} {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := yaml.Unmarshal(text, into); err != nil {
			t.Fatalf("%s: %v", path, err)
		}
	}
	changes, err := os.ReadFile("../CHANGELOG.md")
	if err != nil {
		t.Fatal(err)
	}
	latest := regexp.MustCompile(`(?m)^## (v[0-9]\S*)`).FindSubmatch(changes)
	if latest == nil {
		t.Fatal("CHANGELOG.md has no release")
	}
	if tag := base.Images[0].NewTag; released.AppVersion != tag || "v"+released.Version != tag || string(latest[1]) != tag {
		t.Errorf("the chart is of %s and installs %s, kustomize installs %s, and CHANGELOG.md ends with %s; want one version",
			released.Version, released.AppVersion, tag, latest[1])
	}
}
