package e2e

import (
	"context"
	"fmt"
	"net"
	"testing"
	"time"

	autoscaling "k8s.io/api/autoscaling/v2"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/nodevitals/nodevitals/e2e/cluster"
)

// Deployments scale out and in on figures that came through metrics-server, by the real controller.
func TestAutoscaling(t *testing.T) {
	needMetricsServer(t)
	t.Parallel()
	appliedForTest(t, "autoscaling.yaml", map[string]string{"APP_IMAGE": cluster.AppImage})
	// Both at once: most of the time goes into waiting for metrics-server.
	t.Run("both", func(t *testing.T) {
		for name, busy := range map[string]load{"scales-on-cpu": {millicores: 200}, "scales-on-memory": {mebibytes: 120}} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				awaitReplicas(t, "default", name, 1)
				setLoad(t, name, busy)
				awaitReplicas(t, "default", name, 2)
				setLoad(t, name, load{})
				awaitReplicas(t, "default", name, 1)
			})
		}
	})
}

// load is what each pod of a deployment is told to use.
type load struct{ millicores, mebibytes int }

// setLoad tells the pods of a deployment, the oldest of which has all of it, what to use.
func setLoad(t *testing.T, name string, l load) {
	t.Helper()
	err := cluster.Await(t.Context(), 2*time.Minute, "the pods of "+name+" to take their load", func(ctx context.Context) error {
		pods, err := node.Client().CoreV1().Pods("default").List(ctx, meta.ListOptions{LabelSelector: "app=" + name})
		if err != nil {
			return err
		}
		for _, pod := range pods.Items {
			if pod.DeletionTimestamp != nil {
				continue
			}
			address := net.JoinHostPort(pod.Status.PodIP, "8080")
			url := fmt.Sprintf("http://%s/load?millicores=%d&mebibytes=%d", address, l.millicores, l.mebibytes)
			if _, err := node.Get(ctx, url); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// awaitReplicas waits until the autoscaler has figures and wants so many, and that many run.
func awaitReplicas(t *testing.T, namespace, name string, want int32) {
	t.Helper()
	err := cluster.Await(t.Context(), 6*time.Minute, fmt.Sprintf("%s to have %d replicas", name, want), func(ctx context.Context) error {
		scaler, err := node.Client().AutoscalingV2().HorizontalPodAutoscalers(namespace).Get(ctx, name, meta.GetOptions{})
		if err != nil {
			return err
		}
		deployment, err := node.Client().AppsV1().Deployments(namespace).Get(ctx, name, meta.GetOptions{})
		if err != nil {
			return err
		}
		if status := scaler.Status; status.DesiredReplicas != want || len(status.CurrentMetrics) == 0 || deployment.Status.ReadyReplicas != want {
			return fmt.Errorf("it wants %d of %d, %d are ready; figures: %s; it says: %s", status.DesiredReplicas, status.CurrentReplicas,
				deployment.Status.ReadyReplicas, figures(status.CurrentMetrics), conditions(status.Conditions))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func figures(metrics []autoscaling.MetricStatus) (words string) {
	for _, metric := range metrics {
		switch {
		case metric.Resource != nil && metric.Resource.Current.AverageValue != nil:
			words += string(metric.Resource.Name) + " " + metric.Resource.Current.AverageValue.String() + " "
		case metric.Pods != nil && metric.Pods.Current.AverageValue != nil:
			words += metric.Pods.Metric.Name + " " + metric.Pods.Current.AverageValue.String() + " "
		}
	}
	return words
}

func conditions(all []autoscaling.HorizontalPodAutoscalerCondition) (words string) {
	for _, condition := range all {
		words += fmt.Sprintf("%s=%s (%s) ", condition.Type, condition.Status, condition.Message)
	}
	return words
}
