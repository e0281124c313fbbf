// Command cadvisor runs cAdvisor's library as standalone cAdvisor does, and serves its /metrics: for measurements beside it.
//
// cAdvisor's own program is in a module that is not published under a version of its own. What it adds to the library (a web page,
// Docker and Podman, storage drivers) takes no part in reading or showing a node of containerd's. The settings are the program's
// defaults: a housekeeping of each container every second that slows down while nothing happens, and the metrics that it leaves out.
package main

import (
	"errors"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"

	"github.com/google/cadvisor/lib/cache/memory"
	"github.com/google/cadvisor/lib/container"
	_ "github.com/google/cadvisor/lib/container/containerd/install" // names and networks of containerd's containers
	_ "github.com/google/cadvisor/lib/container/systemd/install"    // leaves mounts out, as the program does
	_ "github.com/google/cadvisor/lib/fs/btrfs/install"             // the program's filesystems
	_ "github.com/google/cadvisor/lib/fs/nfs/install"
	_ "github.com/google/cadvisor/lib/fs/overlay/install"
	_ "github.com/google/cadvisor/lib/fs/tmpfs/install"
	_ "github.com/google/cadvisor/lib/fs/vfs/install"
	_ "github.com/google/cadvisor/lib/fs/zfs/install"
	"github.com/google/cadvisor/lib/manager"
	"github.com/google/cadvisor/lib/metrics"
	"github.com/google/cadvisor/lib/model"
	"github.com/google/cadvisor/lib/utils/sysfs"
)

// ignored are the metrics that standalone cAdvisor leaves out unless it is told otherwise.
var ignored = container.MetricSet{
	container.MemoryNumaMetrics: {}, container.NetworkTcpUsageMetrics: {}, container.NetworkUdpUsageMetrics: {},
	container.NetworkAdvancedTcpUsageMetrics: {}, container.ProcessSchedulerMetrics: {}, container.ProcessMetrics: {},
	container.HugetlbUsageMetrics: {}, container.ReferencedMemoryMetrics: {}, container.CPUTopologyMetrics: {},
	container.ResctrlMetrics: {}, container.CPUSetMetrics: {},
}

const (
	// kept is how long standalone cAdvisor keeps samples.
	kept = 2 * time.Minute
	// housekeeping is its period for a container in which something happens.
	housekeeping = time.Second
)

func main() {
	address := flag.String("listen", "127.0.0.1:8080", "`address` to serve /metrics at")
	flag.Parse()
	if err := run(*address); err != nil {
		fmt.Fprintln(os.Stderr, "cadvisor:", err)
		os.Exit(1)
	}
}

func run(address string) error {
	included := container.AllMetrics.Difference(ignored)
	interval := housekeeping
	config := manager.HousekeepingConfigFlags
	config.Interval = &interval
	m, err := manager.New(memory.New(kept, nil), sysfs.NewRealSysFs(), config, included, []string{""}, nil, "", 0)
	if err != nil {
		return fmt.Errorf("make a manager: %w", err)
	}
	if err := m.Start(); err != nil {
		return fmt.Errorf("start the manager: %w", err)
	}
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	klog.Infof("serving at %s", listener.Addr())
	mux := http.NewServeMux()
	mux.Handle("/metrics", handler(m, included))
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// handler registers anew for each request, as the program's does.
func handler(m manager.Manager, included container.MetricSet) http.Handler {
	own := prometheus.NewRegistry()
	own.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	options := model.RequestOptions{IdType: model.TypeName, Count: 1, Recursive: true}
	return http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		registry := prometheus.NewRegistry()
		registry.MustRegister(
			metrics.NewPrometheusCollector(m, metrics.DefaultContainerLabels, included, clock.RealClock{}, options),
			metrics.NewPrometheusMachineCollector(m, included),
		)
		gatherers := prometheus.Gatherers{registry, own}
		// One series that is there twice must not cost the answer.
		promhttp.HandlerFor(gatherers, promhttp.HandlerOpts{ErrorHandling: promhttp.ContinueOnError}).ServeHTTP(w, request)
	})
}
