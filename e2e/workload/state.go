package workload

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	core "k8s.io/api/core/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/nodevitals/nodevitals/e2e/cluster"
)

// AwaitStates waits until every pod is in the state that it is there for.
func AwaitStates(ctx context.Context, c *cluster.Cluster, limit time.Duration) error {
	return cluster.Await(ctx, limit, "the pods' states", func(ctx context.Context) error {
		var missing []string
		for _, p := range Pods() {
			namespace, name, _ := strings.Cut(p.Key(), "/")
			got, err := c.Client().CoreV1().Pods(namespace).Get(ctx, name, meta.GetOptions{})
			if err == nil {
				err = p.Reached(got)
			}
			if err != nil {
				missing = append(missing, p.Key()+": "+err.Error())
			}
		}
		if len(missing) > 0 {
			return fmt.Errorf("%d are not there yet:\n%s", len(missing), strings.Join(missing, "\n"))
		}
		return nil
	})
}

// running wants all containers to run, and the pod to have the QoS class that it stands for.
func running(class core.PodQOSClass) func(*core.Pod) error {
	return func(p *core.Pod) error {
		if p.Status.QOSClass != class {
			return fmt.Errorf("its QoS class is %s, want %s", p.Status.QOSClass, class)
		}
		ready := slices.ContainsFunc(p.Status.Conditions, func(c core.PodCondition) bool {
			return c.Type == core.PodReady && c.Status == core.ConditionTrue
		})
		if p.Status.Phase != core.PodRunning || !ready {
			return fmt.Errorf("it does not run: %s", describe(p))
		}
		return nil
	}
}

// restarted wants the container to have ended as told and begun again, and the others to run.
func restarted(name string, as func(core.ContainerStateTerminated) bool) func(*core.Pod) error {
	return func(p *core.Pod) error {
		for _, status := range p.Status.ContainerStatuses {
			if status.Name != name {
				if status.State.Running == nil {
					return fmt.Errorf("container %s does not run: %s", status.Name, describe(p))
				}
				continue
			}
			if ended := status.LastTerminationState.Terminated; status.RestartCount == 0 || ended == nil || !as(*ended) {
				return fmt.Errorf("container %s has not ended and begun again as it should: %s", name, describe(p))
			}
		}
		if len(p.Status.ContainerStatuses) == 0 {
			return fmt.Errorf("its containers have no status: %s", describe(p))
		}
		return nil
	}
}

// describe tells a pod's state in one line.
func describe(p *core.Pod) string {
	parts := []string{"phase " + string(p.Status.Phase)}
	for _, status := range slices.Concat(p.Status.InitContainerStatuses, p.Status.ContainerStatuses) {
		state := "running"
		switch {
		case status.State.Waiting != nil:
			state = "waiting: " + status.State.Waiting.Reason + " " + status.State.Waiting.Message
		case status.State.Terminated != nil:
			state = fmt.Sprintf("ended with %d: %s", status.State.Terminated.ExitCode, status.State.Terminated.Reason)
		}
		parts = append(parts, fmt.Sprintf("%s %s, %d restarts", status.Name, strings.TrimSpace(state), status.RestartCount))
	}
	for _, condition := range p.Status.Conditions {
		if condition.Message != "" && condition.Status != core.ConditionTrue {
			parts = append(parts, condition.Message)
		}
	}
	return strings.Join(parts, "; ")
}
