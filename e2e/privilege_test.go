package e2e

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"github.com/nodevitals/nodevitals/e2e/cluster"
)

// need is a row of the table "What needs which right" of docs/operations.md, of those that take pods: the others are measured by
// TestWhatEachGroupNeeds of cmd/nodevitals.
type need struct {
	// figures is the row's name in the documentation.
	figures string
	// rights are the capabilities that an ordinary user needs for them, or socketGroup.
	rights []string
	// source is what the agent asks for names.
	source string
	// path and there tell where the figures are and what they look like, whatever their value: absent is absent, and no 0.
	path, there string
	// refused is what /metrics says of an agent that has tried and may not.
	refused string
}

// socketGroup stands for membership in the group of the runtime's socket.
const socketGroup = "the socket's group"

// capabilityNumbers are those that the rows name.
var capabilityNumbers = map[string]uintptr{"CAP_DAC_READ_SEARCH": unix.CAP_DAC_READ_SEARCH, "CAP_SYS_PTRACE": unix.CAP_SYS_PTRACE}

// What an agent says that was kept from something.
const (
	processRefused = `^nodevitals_errors_total\{part="process",reason="not permitted"\} [1-9]`
	volumesRefused = `^nodevitals_errors_total\{part="volumes",reason="not permitted"\} [1-9]`
	runtimeRefused = `^nodevitals_pod_source_connected\{source="cri"\} 0$`
	ofLogs         = `(?s)"logs": ?\{[^}]*"usedBytes"`
)

var needs = []need{
	{figures: "names of pods, from the API server", source: "api", path: cadvisorPath, there: podMemory},
	{figures: "network of pods", source: "api", path: cadvisorPath, there: podNetwork},
	{figures: "counts of processes in pods", source: "api", path: cadvisorPath, there: podProcs},
	{
		figures: "counts of sockets in pods", rights: []string{"CAP_DAC_READ_SEARCH", "CAP_SYS_PTRACE"}, source: "api", path: cadvisorPath, there: podSockets,
		refused: processRefused,
	},
	{
		figures: "volumes", rights: []string{"CAP_DAC_READ_SEARCH"}, source: "api", path: summaryPath, there: ofVolume, refused: volumesRefused,
	},
	{
		figures: "logs of containers", rights: []string{"CAP_DAC_READ_SEARCH"}, source: "api", path: summaryPath, there: ofLogs, refused: volumesRefused,
	},
	{
		figures: "names of pods, from the runtime", rights: []string{socketGroup}, source: "cri", path: cadvisorPath, there: podMemory, refused: runtimeRefused,
	},
	{
		figures: "writable layers and images", rights: []string{socketGroup}, source: "cri", path: summaryPath, there: ofLayer, refused: runtimeRefused,
	},
}

// ordinary starts agents of an ordinary user, one for each set of rights, which stay until its test ends.
type ordinary struct {
	test                       *testing.T
	folder, binary, kubeconfig string
	urls                       map[string]string
}

// newOrdinary puts what an agent needs where everyone may have it.
func newOrdinary(t *testing.T) *ordinary {
	t.Helper()
	folder, err := os.MkdirTemp("", "nodevitals-e2e-user-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(folder) })
	o := &ordinary{
		test: t, folder: folder, binary: filepath.Join(folder, "nodevitals"), kubeconfig: filepath.Join(folder, "kubeconfig"), urls: make(map[string]string),
	}
	program, err := os.ReadFile(node.Process(bothSources.name).Path)
	if err != nil {
		t.Fatal(err)
	}
	config, err := clientcmd.LoadFromFile(node.Kubeconfig("nodevitals"))
	if err == nil {
		err = clientcmdapi.FlattenConfig(config)
	}
	if err == nil {
		err = clientcmd.WriteToFile(*config, o.kubeconfig)
	}
	if err := errors.Join(
		err, os.Chmod(folder, 0o755), os.WriteFile(o.binary, program, 0o755), os.Chmod(o.binary, 0o755), os.Chown(o.kubeconfig, nobody, nobody),
		// On a node /var/lib is open to everyone, and the kubelet's folder in it is what is closed.
		os.Chmod(node.StateDir(), 0o711),
	); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.Chmod(node.StateDir(), 0o700); err != nil {
			t.Error(err)
		}
	})
	return o
}

// nobody is the user and group that Debian gives no rights.
const nobody = 65534

// url is where an agent with exactly these rights answers. It starts one unless it runs.
func (o *ordinary) url(t *testing.T, source string, rights []string) string {
	t.Helper()
	key := source + " " + strings.Join(rights, " ")
	if url := o.urls[key]; url != "" {
		return url
	}
	who := &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	for _, right := range rights {
		if right != socketGroup {
			who.AmbientCaps = append(who.AmbientCaps, capabilityNumbers[right])
			continue
		}
		info, err := os.Stat(node.RuntimeSocket())
		if err != nil {
			t.Fatal(err)
		}
		who.Credential.Groups = append(who.Credential.Groups, info.Sys().(*syscall.Stat_t).Gid)
	}
	url := fmt.Sprintf("http://127.0.0.1:%d", 20300+len(o.urls))
	arguments := []string{
		"--read-only-port=" + url[strings.LastIndexByte(url, ':')+1:], "--secure-port=0", "--healthz-port=0", "--node-name=" + cluster.NodeName,
		"--root-dir=" + node.RootDir(), "--pod-source=" + source, "--storage-max-age=1s", "--process-max-age=1s",
	}
	if source == "api" {
		arguments = append(arguments, "--kubeconfig="+o.kubeconfig)
	}
	// The test's own and not a part's, which others come after.
	process, err := node.Start(o.test.Context(), cluster.Component{
		Name: fmt.Sprintf("nodevitals-user-%d", len(o.urls)), Path: o.binary, Args: arguments, As: who, Cgroup: node.Cgroup("nodevitals-user.service"),
		Until: "its health at " + url + "/healthz", Limit: 2 * time.Minute,
		Ready: func(ctx context.Context) error {
			_, err := node.Get(ctx, url+"/healthz")
			return err
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	o.test.Cleanup(func() {
		if err := node.End(process); err != nil {
			o.test.Error(err)
		}
	})
	o.urls[key] = url
	return url
}

// await waits until an answer at a path has what an expression says.
func (o *ordinary) await(t *testing.T, what, url, expression string) {
	t.Helper()
	pattern := regexp.MustCompile("(?m)" + expression)
	err := cluster.Await(t.Context(), 3*time.Minute, what, func(ctx context.Context) error {
		text, err := node.Get(ctx, url)
		if err != nil {
			return err
		}
		// Something must ask for what is to be refused.
		if agent, ok := strings.CutSuffix(url, "/metrics"); ok {
			if _, err := node.Get(ctx, agent+summaryPath); err != nil {
				return err
			}
		}
		if !pattern.Match(text) {
			return fmt.Errorf("%d bytes of %s without %s", len(text), url, expression)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

// On a node with pods, an agent of an ordinary user has each group's figures with the rights that are listed, and without any one of them they
// are absent, and not 0.
func TestWhatPodsNeed(t *testing.T) {
	needAgent(t)
	awaitPods(t)
	o := newOrdinary(t)
	for i := range needs {
		row := &needs[i]
		t.Run(row.figures, func(t *testing.T) {
			o.await(t, row.figures+" with "+strings.Join(row.rights, " and "), o.url(t, row.source, row.rights)+row.path, row.there)
			for at, one := range row.rights {
				url := o.url(t, row.source, slices.Delete(slices.Clone(row.rights), at, at+1))
				o.await(t, "a word on what is refused without "+one, url+"/metrics", row.refused)
				text, err := node.Get(t.Context(), url+row.path)
				if err != nil {
					t.Fatal(err)
				}
				if found := regexp.MustCompile("(?m)" + row.there).Find(text); found != nil {
					t.Errorf("without %s there is %s", one, found)
				}
			}
		})
	}
}

// The documentation has each row as it was measured.
func TestWhatPodsNeedIsDocumented(t *testing.T) {
	page, err := os.ReadFile("../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	for i := range needs {
		rights := strings.Join(needs[i].rights, ", ")
		if rights == "" {
			rights = "none"
		}
		if row := "\n| " + needs[i].figures + " | " + rights + " | "; !strings.Contains(string(page), row) {
			t.Errorf("docs/operations.md has no row %q", row)
		}
	}
}
