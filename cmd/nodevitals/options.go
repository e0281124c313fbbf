package main

import (
	"fmt"
	"os"
	"path"
	"slices"
	"strings"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/nodevitals/nodevitals/collector"
	"github.com/nodevitals/nodevitals/collector/identity"
	"github.com/nodevitals/nodevitals/server"
	"github.com/nodevitals/nodevitals/snapshot"
)

// options are the values of all flags.
type options struct {
	// healthz and readOnly are where to listen; port 0 is off.
	healthz, readOnly server.Address
	// readOnlySocket is a unix socket that serves what the read-only port does; empty is off.
	readOnlySocket string
	secure         secureOptions
	// servePods serves /pods on the secure port.
	servePods bool

	// reader is who reads cgroups: readAuto, readFiles or readBPF. walks tells, once the collector is made, that it is a program in the kernel.
	reader string
	walks  bool

	// See collector.Options for these.
	maxAge, tick, specMaxAge, processMaxAge, storageMaxAge time.Duration
	hostRoot, rootDir, nodeName, podLogsDir                string

	// disabledNames are the words of --disable-group, disabled what they mean once validated.
	disabledNames []string
	disabled      snapshot.Groups
	timestamps    bool
	series        seriesOptions
	// kubeletSeries says whether /metrics has the kubelet's series: on or off.
	kubeletSeries string
	// maxConnections is how many connections a port keeps at a time.
	maxConnections int

	// kubeletCgroups, runtimeCgroups, systemCgroups and cgroupRoot are cgroup IDs, as of the kubelet's flags.
	kubeletCgroups, runtimeCgroups, systemCgroups, cgroupRoot string

	// See identity.Options for these.
	podSource, kubeconfig, runtimeEndpoint string
	// hostNetworkPods says what is shown of the network of pods that use the host's: "repeat" or "omit".
	hostNetworkPods string

	logFormat, logLevel string
}

func defaultOptions() *options {
	return &options{
		healthz:  server.Address{Host: "127.0.0.1", Port: 10248, HostFlag: "--healthz-bind-address", PortFlag: "--healthz-port"},
		readOnly: server.Address{Host: "127.0.0.1", Port: 10255, HostFlag: "--read-only-bind-address", PortFlag: "--read-only-port"},
		secure:   defaultSecureOptions(),
		maxAge:   time.Second, tick: 10 * time.Second,
		// The kubelet's own ages: limits 5 s; descriptors and filesystems once in each of its housekeepings, every 10 s and more.
		specMaxAge: 5 * time.Second, processMaxAge: 10 * time.Second, storageMaxAge: 10 * time.Second,
		hostRoot: "/", rootDir: "/var/lib/kubelet", podLogsDir: "/var/log/pods",
		podSource: string(identity.Auto), hostNetworkPods: "repeat", kubeletSeries: off,
		maxConnections: server.DefaultLimits().Connections,
		logLevel:       "info",
		series:         defaultSeriesOptions(),
	}
}

func (o *options) servingFlags() flagGroup {
	group := newGroup("Serving")
	group.flags.StringVar(&o.readOnly.Host, "read-only-bind-address", o.readOnly.Host, "`IP` to serve statistics and metrics on, in plain HTTP and for everyone who reaches it")
	group.flags.IntVar(&o.readOnly.Port, "read-only-port", o.readOnly.Port, "port to serve statistics and metrics on; 0 is off")
	group.flags.StringVar(&o.readOnlySocket, "read-only-socket", "", "`path` of a unix socket to serve statistics and metrics on, for the agent's user and group")
	group.flags.StringVar(&o.healthz.Host, "healthz-bind-address", o.healthz.Host, "`IP` to serve health on")
	group.flags.IntVar(&o.healthz.Port, "healthz-port", o.healthz.Port, "port to serve health on; 0 is off; with the address and port of --read-only-port it is served there")
	group.flags.BoolVar(&o.timestamps, "timestamps", o.timestamps, "put the time of sampling on every line of /metrics/cadvisor, as a kubelet does")
	o.kubeletSeriesFlag(group)
	o.limitFlags(group)
	return group
}

func (o *options) samplingFlags() flagGroup {
	group := newGroup("Sampling")
	o.readerFlag(group)
	group.flags.DurationVar(&o.maxAge, "max-age", o.maxAge, "greatest age of a sample that answers a request; an older one is taken anew")
	group.flags.DurationVar(&o.tick, "tick", o.tick, "period of reading CPU counters while nobody asks, so that rates have a base; 0 is off")
	group.flags.DurationVar(&o.specMaxAge, "spec-max-age", o.specMaxAge, "greatest age of limits")
	group.flags.DurationVar(&o.processMaxAge, "process-max-age", o.processMaxAge, "greatest age of counts of processes, file descriptors and sockets")
	group.flags.DurationVar(&o.storageMaxAge, "storage-max-age", o.storageMaxAge, "greatest age of figures of filesystems")
	group.flags.StringSliceVar(&o.disabledNames, "disable-group", nil, "`groups` of figures never to read: "+strings.Join(snapshot.GroupNames(), ", "))
	return group
}

func (o *options) hostFlags() flagGroup {
	group := newGroup("Host")
	o.rootFlags(group)
	group.flags.StringVar(&o.kubeletCgroups, "kubelet-cgroups", "", "`cgroup` that is shown as the system container \"kubelet\"")
	group.flags.StringVar(&o.runtimeCgroups, "runtime-cgroups", "", "`cgroup` that is shown as the system container \"runtime\"")
	group.flags.StringVar(&o.systemCgroups, "system-cgroups", "", "`cgroup` that is shown as the system container \"misc\"")
	group.flags.StringVar(&o.cgroupRoot, "cgroup-root", "", "`cgroup` above all pods (default: /kubepods.slice or /kubepods)")
	return group
}

// rootFlags are those that every command needs which takes a sample.
func (o *options) rootFlags(group flagGroup) {
	group.flags.StringVar(&o.hostRoot, "host-root", o.hostRoot, "`folder` where the host's root is mounted, with its /proc and /sys")
	group.flags.StringVar(&o.rootDir, "root-dir", o.rootDir, "the kubelet's `folder`, whose filesystem is the node's")
	group.flags.StringVar(&o.podLogsDir, "pod-logs-dir", o.podLogsDir, "`folder` of the logs of pods")
	group.flags.StringVar(&o.nodeName, "node-name", "", "the node's `name` (default: the host's name in lower case)")
}

func (o *options) kubernetesFlags() flagGroup {
	group := newGroup("Kubernetes")
	group.flags.StringVar(&o.podSource, "pod-source", o.podSource, "`source` of the names of pods and containers: auto (what there is), api (API server), cri (container runtime) or none")
	group.flags.StringVar(&o.kubeconfig, "kubeconfig", "", "`file` with the way to the API server (default: the account of the pod that the agent runs in)")
	group.flags.StringVar(&o.runtimeEndpoint, "container-runtime-endpoint", "", "`socket` of the container runtime (default: the usual ones of containerd, CRI-O and cri-dockerd are tried)")
	group.flags.StringVar(&o.hostNetworkPods, "host-network-pods", o.hostNetworkPods, "`what` is shown as the network of pods that use the host's: repeat (the host's interfaces, as a kubelet does) or omit")
	return group
}

func (o *options) loggingFlags() flagGroup {
	group := newGroup("Logging")
	group.flags.StringVar(&o.logFormat, "log-format", "", "`format` of logs: json or console (default: console on a terminal, else json)")
	group.flags.StringVar(&o.logLevel, "log-level", o.logLevel, "least `level` to log: debug, info, warn or error")
	return group
}

// validate checks every value. Its error names one flag, its value and what would be right.
func (o *options) validate() error {
	return firstOf(
		o.validateServing, o.validateSecure, o.validateSampling, o.validateSeries, o.validateHost, o.validateKubernetes, o.validateLogging,
	)
}

// firstOf returns the first error, because an error is one line.
func firstOf(checks ...func() error) error {
	for _, check := range checks {
		if err := check(); err != nil {
			return err
		}
	}
	return nil
}

func bad(flag string, value any, want string) error {
	return fmt.Errorf("bad value %q for %s: want %s", fmt.Sprint(value), flag, want)
}

// sharesHealthz tells whether health is served on the read-only port, and on none of its own.
func (o *options) sharesHealthz() bool {
	return o.healthz.Port != 0 && o.healthz.Port == o.readOnly.Port && o.healthz.Host == o.readOnly.Host
}

func (o *options) validateServing() error {
	for _, address := range []server.Address{o.healthz, o.readOnly} {
		if err := validAddress(address); err != nil {
			return err
		}
	}
	if o.readOnlySocket != "" && !path.IsAbs(o.readOnlySocket) {
		return bad("--read-only-socket", o.readOnlySocket, "an absolute path")
	}
	if overlap(o.healthz, o.readOnly) && !o.sharesHealthz() {
		return fmt.Errorf("--healthz-port and --read-only-port are both %d, on %s and %s, which overlap: with one address they share the port; else change one port",
			o.healthz.Port, o.healthz.Host, o.readOnly.Host)
	}
	return firstOf(o.validateKubeletSeries, o.validateLimits)
}

func (o *options) validateSampling() error {
	for _, d := range []struct {
		flag  string
		value time.Duration
	}{
		{"--max-age", o.maxAge},
		{"--tick", o.tick},
		{"--spec-max-age", o.specMaxAge},
		{"--process-max-age", o.processMaxAge},
		{"--storage-max-age", o.storageMaxAge},
	} {
		if d.value < 0 {
			return bad(d.flag, d.value, "no less than 0")
		}
	}
	// A light tick more often than this would cost more than it can ever give: rates look back ten seconds.
	if o.tick > 0 && o.tick < 100*time.Millisecond {
		return bad("--tick", o.tick, "at least 100ms, or 0 for off")
	}
	disabled, err := snapshot.ParseGroups(o.disabledNames)
	if err != nil {
		return bad("--disable-group", strings.Join(o.disabledNames, ","), "some of "+strings.Join(snapshot.GroupNames(), ", "))
	}
	o.disabled = disabled
	return o.validateReader()
}

func (o *options) validateHost() error {
	if err := o.validateRoots(); err != nil {
		return err
	}
	for _, id := range []struct{ flag, value string }{
		{"--kubelet-cgroups", o.kubeletCgroups},
		{"--runtime-cgroups", o.runtimeCgroups},
		{"--system-cgroups", o.systemCgroups},
		{"--cgroup-root", o.cgroupRoot},
	} {
		if id.value != "" && (!path.IsAbs(id.value) || path.Clean(id.value) != id.value) {
			return bad(id.flag, id.value, "a cgroup's path from the root of the hierarchy, such as /system.slice")
		}
	}
	return nil
}

func (o *options) validateRoots() error {
	for _, folder := range []struct{ flag, value string }{{"--host-root", o.hostRoot}, {"--root-dir", o.rootDir}, {"--pod-logs-dir", o.podLogsDir}} {
		if !path.IsAbs(folder.value) {
			return bad(folder.flag, folder.value, "an absolute path")
		}
	}
	return nil
}

func (o *options) validateKubernetes() error {
	if !slices.Contains([]string{"auto", "api", "cri", "none"}, o.podSource) {
		return bad("--pod-source", o.podSource, "auto, api, cri or none")
	}
	if !slices.Contains([]string{"repeat", "omit"}, o.hostNetworkPods) {
		return bad("--host-network-pods", o.hostNetworkPods, "repeat or omit")
	}
	return nil
}

// openSources finds who can tell the names of pods. An error names the flag to change.
func (o *options) openSources(log *zap.Logger) (*identity.Sources, error) {
	sources, err := identity.Open(identity.Options{
		Mode: identity.Mode(o.podSource), Kubeconfig: o.kubeconfig, NodeName: o.nodeName,
		Endpoint: o.runtimeEndpoint, HostRoot: o.hostRoot, Log: log.Named("identity"),
	})
	if err != nil {
		return nil, fmt.Errorf("names of pods: %w; change --pod-source or --kubeconfig", err)
	}
	return sources, nil
}

func (o *options) validateLogging() error {
	if !slices.Contains([]string{"", "json", "console"}, o.logFormat) {
		return bad("--log-format", o.logFormat, "json or console")
	}
	level, err := zapcore.ParseLevel(o.logLevel)
	if err != nil || level < zapcore.DebugLevel || level > zapcore.ErrorLevel {
		return bad("--log-level", o.logLevel, "debug, info, warn or error")
	}
	return nil
}

// newCollector opens the host. An error names the flag to change.
func (o *options) newCollector(log *zap.Logger, sources *identity.Sources) (*collector.Collector, error) {
	if _, err := os.ReadDir(o.hostRoot); err != nil {
		return nil, fmt.Errorf("host root: %w; change --host-root", err)
	}
	options := collector.Options{
		HostRoot: o.hostRoot, NodeName: o.nodeName, RootDir: o.rootDir, LogDir: o.podLogsDir,
		MaxAge: o.maxAge, Tick: o.tick, SpecMaxAge: o.specMaxAge,
		ProcessMaxAge: o.processMaxAge, StorageMaxAge: o.storageMaxAge,
		Disabled: o.disabled, Log: log,
		Names: sources.Index(), OmitHostNetwork: o.hostNetworkPods == "omit",
	}
	// A nil *Runtime in the interface would not be nil.
	if runtime := sources.Runtime(); runtime != nil {
		options.Runtime = runtime
	}
	if err := o.chooseReader(&options); err != nil {
		return nil, err
	}
	c, err := collector.New(options)
	if err != nil {
		return nil, fmt.Errorf("open host root %s: %w", o.hostRoot, err)
	}
	return c, nil
}
