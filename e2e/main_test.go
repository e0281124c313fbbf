// Package e2e runs nodevitals beside a real kubelet and compares what they say. scripts/e2e.sh runs its tests: on the emulated machine, and
// on this host where it allows that.
package e2e

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/nodevitals/nodevitals/e2e/cluster"
	"github.com/nodevitals/nodevitals/e2e/workload"
)

// The environment says what to use. What is not said is built, or put into temporary folders.
const (
	programsVariable = "NODEVITALS_E2E_PROGRAMS" // folder of the components' programs
	appVariable      = "NODEVITALS_E2E_APP"      // the containers' program
	logsVariable     = "NODEVITALS_E2E_LOGS"     // folder for logs
	binaryVariable   = "NODEVITALS_BINARY"       // the agent
	machineVariable  = "NODEVITALS_VM"           // not empty in the emulated machine, which is there for this run alone
	// Not empty if this run has had the tests of whole systems on the host already.
	elsewhereVariable = "NODEVITALS_E2E_ELSEWHERE"
	// Not empty if all that is wanted is why no cluster can be brought up here: a line, or nothing.
	unableVariable = "NODEVITALS_E2E_UNABLE"
)

// node is the cluster that all tests share, and unable the reason why there is none.
var (
	node   *cluster.Cluster
	unable string
	// logs is where each component's words are, and the answers that were compared.
	logs string
)

func TestMain(m *testing.M) {
	os.Exit(runTests(m))
}

func runTests(m *testing.M) (status int) {
	unable = cluster.Unable()
	if os.Getenv(unableVariable) != "" {
		fmt.Println(unable)
		return 0
	}
	if unable != "" {
		return m.Run()
	}
	ctx := context.Background()
	if err := bringUp(ctx); err != nil {
		fmt.Fprintf(os.Stderr, "e2e: bring the cluster up: %v\n", err)
		return 1
	}
	go downWhenInterrupted(ctx)
	defer func() {
		if err := node.Down(ctx); err != nil {
			fmt.Fprintf(os.Stderr, "e2e: %v\n", err)
			status = 1
		}
		if status != 0 {
			fmt.Fprintf(os.Stderr, "e2e: the components' logs, and the answers that were compared, are in %s\n", logs)
		}
	}()
	return m.Run()
}

// downWhenInterrupted takes the cluster down for who interrupts a run. Tests go on meanwhile: one that has taken the API server or a mount away can
// keep it from ending, and then the pods' processes, mounts and cgroups are left to be removed by hand.
func downWhenInterrupted(ctx context.Context) {
	interrupted := make(chan os.Signal, 1)
	signal.Notify(interrupted, os.Interrupt, syscall.SIGTERM)
	fmt.Fprintf(os.Stderr, "e2e: %v: the cluster goes down\n", <-interrupted)
	if err := node.Down(ctx); err != nil {
		fmt.Fprintf(os.Stderr, "e2e: %v\n", err)
	}
	os.Exit(1)
}

func bringUp(ctx context.Context) error {
	// Not below the checkout: the emulated machine's is an overlay, and that carries no second one.
	state, err := os.MkdirTemp("", "nodevitals-e2e-")
	if err != nil {
		return err
	}
	if logs = os.Getenv(logsVariable); logs == "" {
		if logs, err = os.MkdirTemp("", "nodevitals-e2e-logs-"); err != nil {
			return err
		}
	}
	programs, err := given(programsVariable, func() (string, error) {
		said, err := command("go", "run", "./build").Output()
		return strings.TrimSpace(string(said)), err
	})
	if err != nil {
		return fmt.Errorf("build the components: %w", err)
	}
	app, err := given(appVariable, func() (string, error) {
		path := filepath.Join(state, "app")
		return path, command("go", "build", "-o", path, "./app").Run()
	})
	if err != nil {
		return fmt.Errorf("build the containers' program: %w", err)
	}
	static, err := workload.StaticPods()
	if err != nil {
		return err
	}
	node, err = cluster.Up(ctx, cluster.Options{
		Programs: programs, App: app, State: state, Logs: logs, StaticPods: static,
		WholeMachine: os.Getenv(machineVariable) != "",
		Logf: func(format string, arguments ...any) {
			fmt.Fprintf(os.Stderr, "e2e: %s %s\n", time.Now().Format(time.TimeOnly), fmt.Sprintf(format, arguments...))
		},
	})
	if err != nil {
		return err
	}
	// Made at once, so that they come up while the first tests run.
	if err := workload.Create(ctx, node, filepath.Join(state, "local-volume")); err != nil {
		return fmt.Errorf("make the pods: %w", err)
	}
	return nil
}

// given returns an environment variable, or else what build makes.
func given(variable string, build func() (string, error)) (string, error) {
	if value := os.Getenv(variable); value != "" {
		return filepath.Abs(value)
	}
	return build()
}

func command(name string, arguments ...string) *exec.Cmd {
	cmd := exec.Command(name, arguments...)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	cmd.Stderr = os.Stderr
	return cmd
}

// needCluster skips a test where there is none.
func needCluster(t *testing.T) {
	t.Helper()
	if unable != "" {
		t.Skipf("no cluster can be brought up here: %s", unable)
	}
}

// ranElsewhere tells whether the host has had these tests already, with another version of cgroups.
func ranElsewhere() bool { return os.Getenv(elsewhereVariable) != "" }

// needOnlyOnce skips a test that this run has had on the host: it takes long, and does not see the version of cgroups.
func needOnlyOnce(t *testing.T) {
	t.Helper()
	if ranElsewhere() {
		t.Skip("runs on the host: it does not see the version of cgroups")
	}
}
