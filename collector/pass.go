package collector

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/nodevitals/nodevitals/collector/cgroup"
	"github.com/nodevitals/nodevitals/collector/network"
	"github.com/nodevitals/nodevitals/collector/process"
	"github.com/nodevitals/nodevitals/snapshot"
)

// processSample is what the process group last gave, by cgroup, and when.
type processSample struct {
	// at is when processes were last counted, detailed when what they have open last was.
	at, detailed time.Time
	took         time.Duration
	values       map[*cgroup.Cgroup]*processValues
	targets      []process.Target
	// round numbers the rounds.
	round uint64
}

// processValues are those of one cgroup, and the last round that met it.
type processValues struct {
	snapshot.Values
	round uint64
}

// storageSample is what the storage group last gave, and when.
type storageSample struct {
	at          time.Time
	took        time.Duration
	filesystems []snapshot.Filesystem
	root        int
}

// pass reads the wanted groups of the whole node into a new snapshot.
func (c *Collector) pass(want snapshot.Groups) *snapshot.Snapshot {
	now := c.now()
	c.sequence++
	s := &snapshot.Snapshot{Sequence: c.sequence, Groups: want, Taken: now}
	held := c.takeStore()
	c.held = held
	s.Lend(func() { c.keepStore(held) })
	c.readNode(s, now)
	c.readCgroups(s, now)
	if want&snapshot.Network != 0 {
		c.readNetwork(s)
		c.readPodNetworks(s, now)
	}
	if want&snapshot.Process != 0 {
		c.readProcesses(s, now)
	}
	if want&snapshot.Storage != 0 {
		c.readStorage(s, now)
	}
	c.assemble(s)
	if want.Has(snapshot.Layers) {
		c.readRuntime(s, now)
	}
	if want.Has(snapshot.Volumes) {
		c.readVolumes(s, now)
	}
	c.finish(s)
	return s
}

// readNode reads what belongs to the whole machine.
func (c *Collector) readNode(s *snapshot.Snapshot, now time.Time) {
	s.Node.Name = c.options.NodeName
	s.Node.RootFilesystem = -1
	if err := c.machine.ReadInto(&s.Node, now); err != nil {
		c.report("machine", err)
	}
}

// readCgroups reads every cgroup, with its limits and its rate of CPU use.
func (c *Collector) readCgroups(s *snapshot.Snapshot, now time.Time) {
	started := time.Now()
	c.tree.Update(now)
	c.identify()
	c.reader.Begin(now, s.Groups, c.held.devices)
	known := c.tree.Cgroups()
	s.Cgroups = roomFor(c.held.cgroups, len(known))
	complete := true
	for _, one := range known {
		complete = c.readCgroup(s, one, now) && complete
	}
	if !complete {
		c.readReplacements(s, now)
	}
	c.held.cgroups, c.held.devices = s.Cgroups, c.reader.Devices()
	took := time.Since(started)
	(s.Groups & (snapshot.Core | snapshot.Limits)).Each(func(i int, _ string) {
		s.Readings[i] = snapshot.Reading{Time: now, Took: took}
	})
	if s.Groups&snapshot.CPU != 0 && s.Groups.Has(snapshot.Slices) {
		c.lastCPU = now
	}
}

// readCgroup appends the record of one cgroup. It returns false if the cgroup is gone.
func (c *Collector) readCgroup(s *snapshot.Snapshot, known *cgroup.Cgroup, now time.Time) bool {
	if known.Gone() {
		return false
	}
	record := nextRecord(s)
	if !wanted(known.Identity, s.Groups) {
		record.Identity = known.Identity
		return true
	}
	if !c.reader.Read(known, record, s.Groups) {
		*record = snapshot.Cgroup{}
		s.Cgroups = s.Cgroups[:len(s.Cgroups)-1]
		return false
	}
	if usage, ok := record.Get(snapshot.CPUUsage); ok {
		if rate, _, ok := known.History.Rate(now, usage); ok {
			record.Set(snapshot.CPUNanoCores, rate)
		}
		known.History.Add(now, usage)
	}
	c.accountKills(known, record)
	if s.Groups&snapshot.Limits != 0 {
		record.Spec = c.reader.Spec(known, now, c.options.SpecMaxAge)
	}
	if known.Identity.ID == "/" {
		c.completeRoot(s, record)
	}
	return true
}

// wanted tells whether a request for such groups is for those of this cgroup.
func wanted(who *snapshot.Identity, groups snapshot.Groups) bool {
	switch who.Kind {
	case snapshot.PlainCgroup:
		return groups.Has(snapshot.Slices) || who.ID == "/"
	case snapshot.SandboxCgroup:
		return groups.Has(snapshot.Sandboxes)
	}
	return true
}

// nextRecord appends an empty record. What lies beyond the length of the slice is empty already: to write that
// once more is a good part of what a cgroup costs where a walk fills the record.
func nextRecord(s *snapshot.Snapshot) *snapshot.Cgroup {
	if at := len(s.Cgroups); at < cap(s.Cgroups) {
		s.Cgroups = s.Cgroups[:at+1]
	} else {
		s.Cgroups = append(s.Cgroups, snapshot.Cgroup{})
	}
	return &s.Cgroups[len(s.Cgroups)-1]
}

// completeRoot gives the root the machine's memory and swap, for which it has no files of its own.
func (c *Collector) completeRoot(s *snapshot.Snapshot, record *snapshot.Cgroup) {
	node := &s.Node
	if record.Spec != nil {
		spec := *record.Spec
		spec.HasMemory = node.MemoryTotal.Present
		spec.MemoryLimit, spec.SwapLimit = node.MemoryTotal, node.SwapTotal
		record.Spec = &spec
	}
	if _, ok := record.Get(snapshot.MemorySwap); !ok && s.Groups&snapshot.Memory != 0 && node.SwapTotal.Present && node.SwapFree.Present {
		record.Set(snapshot.MemorySwap, node.SwapTotal.Value-min(node.SwapTotal.Value, node.SwapFree.Value))
	}
}

// readReplacements looks again at the tree after a cgroup went away during the pass: one of the same name may have taken its
// place, or one made at the same moment hidden behind its going.
func (c *Collector) readReplacements(s *snapshot.Snapshot, now time.Time) {
	// By ID: names may have changed meanwhile, and identities with them.
	read := make(map[string]bool, len(s.Cgroups))
	for i := range s.Cgroups {
		read[s.Cgroups[i].Identity.ID] = true
	}
	c.tree.Update(now)
	c.identify()
	for _, one := range c.tree.Cgroups() {
		if !read[one.Identity.ID] {
			c.readCgroup(s, one, now)
		}
	}
	slices.SortFunc(s.Cgroups, func(a, b snapshot.Cgroup) int { return strings.Compare(a.Identity.ID, b.Identity.ID) })
}

// readNetwork reads the interfaces of the host, which are the root's.
func (c *Collector) readNetwork(s *snapshot.Snapshot) {
	root := s.Find("/")
	if root == nil {
		return
	}
	started := time.Now()
	interfaces, err := c.network.Append(make([]snapshot.Interface, 0, c.interfaces))
	if err != nil {
		c.report("network", err)
	}
	// A line that is no interface costs itself, and no other.
	if err == nil || errors.Is(err, network.ErrMalformed) {
		root.Interfaces, root.HasNetwork = interfaces, true
		c.interfaces = len(interfaces)
	}
	setReading(s, snapshot.Network, s.Taken, time.Since(started))
}

// readProcesses fills in numbers of processes, and if they are wanted of descriptors and sockets, read anew when they are due.
func (c *Collector) readProcesses(s *snapshot.Snapshot, now time.Time) {
	sample := &c.processes
	last, detail := &sample.at, s.Groups.Has(snapshot.ProcessDetail)
	if detail {
		last = &sample.detailed
	}
	if now.Sub(*last) >= c.options.ProcessMaxAge {
		started := time.Now()
		c.sampleProcesses(now, detail)
		sample.at, *last, sample.took = now, now, time.Since(started)
	}
	at := 0
	for _, known := range c.tree.Cgroups() {
		values := sample.values[known]
		if values == nil {
			continue
		}
		for at < len(s.Cgroups) && s.Cgroups[at].Identity.ID < known.Identity.ID {
			at++
		}
		if at < len(s.Cgroups) && s.Cgroups[at].Identity.ID == known.Identity.ID {
			s.Cgroups[at].Take(&values.Values, s.Groups&snapshot.Process)
		}
	}
	setReading(s, snapshot.Process, *last, sample.took)
}

// sampleProcesses reads the process group of every known cgroup, or only how many there are.
func (c *Collector) sampleProcesses(now time.Time, detail bool) {
	sample := &c.processes
	if sample.values == nil {
		sample.values = make(map[*cgroup.Cgroup]*processValues)
	}
	sample.round++
	sample.targets = sample.targets[:0]
	for _, known := range c.tree.Cgroups() {
		path := c.reader.ProcsPath(known)
		if path == "" {
			continue
		}
		kept := sample.values[known]
		if kept == nil {
			kept = &processValues{}
			sample.values[known] = kept
		}
		kept.round = sample.round
		target := process.Target{Procs: path, Kept: c.reader.KeptProcs(known) + 1, Values: &kept.Values}
		switch {
		case known.Identity.ID == "/":
			// cAdvisor takes the machine's first process for the root's.
			target.LimitsPID = 1
		case known.Identity.Kind == snapshot.ContainerCgroup || known.Identity.Kind == snapshot.SandboxCgroup:
			target.LimitsPID = process.FirstPID
		}
		sample.targets = append(sample.targets, target)
	}
	if len(sample.values) > len(sample.targets) {
		maps.DeleteFunc(sample.values, func(_ *cgroup.Cgroup, kept *processValues) bool { return kept.round != sample.round })
	}
	read := c.process.Count
	if detail {
		read = c.process.Read
	}
	if err := read(sample.targets, now); err != nil {
		c.report("process", err)
	}
}

// readStorage fills in the node's filesystems if they are wanted, asked anew when they are due.
func (c *Collector) readStorage(s *snapshot.Snapshot, now time.Time) {
	if !s.Groups.Has(snapshot.Filesystems) {
		// Layers and volumes have times of their own.
		setReading(s, snapshot.Storage, now, 0)
		return
	}
	sample := &c.disks
	if now.Sub(sample.at) >= c.options.StorageMaxAge {
		started := time.Now()
		// It has a deadline of its own: a hung filesystem keeps its last figures, with their age.
		filesystems, root, err := c.storage.Read(context.Background())
		c.waited(StoragePart, err)
		sample.filesystems, sample.root = filesystems, root
		sample.at, sample.took = now, time.Since(started)
	}
	s.Node.Filesystems, s.Node.RootFilesystem = sample.filesystems, sample.root
	setReading(s, snapshot.Storage, sample.at, sample.took)
}

func setReading(s *snapshot.Snapshot, group snapshot.Groups, at time.Time, took time.Duration) {
	group.Each(func(i int, _ string) { s.Readings[i] = snapshot.Reading{Time: at, Took: took} })
}

// finish keeps the figures that the agent tells of itself.
func (c *Collector) finish(s *snapshot.Snapshot) {
	stats := c.reader.Stats()
	expected := c.tree.Expected()
	watches, exhausted := c.tree.Watches()
	pods, containers := c.sight(s)
	c.mutex.Lock()
	defer c.mutex.Unlock()
	c.status.Passes++
	c.status.Cgroups = len(s.Cgroups)
	c.status.CgroupsExpected = expected
	c.status.Reader = stats
	c.status.Watches = watches
	c.status.Pods, c.status.Containers = pods, containers
	s.Groups.Each(func(i int, _ string) { c.status.Readings[i] = s.Readings[i] })
	c.reportOnce(exhausted, "watches", "no more inotify watches to be had, so folders without one are checked on every pass; raise fs.inotify.max_user_watches",
		zap.Int("watches", watches))
	c.reportOnce(stats.Unkept > 0, "descriptors", "not all cgroup files can be kept open, so some are opened on every pass; raise the limit of open files (RLIMIT_NOFILE)",
		zap.Int("kept", stats.Descriptors), zap.Int("budget", stats.Budget))
	c.reportOnce(stats.WalkError != nil, "walk", "the reader in the kernel failed; files are read from now on", zap.Error(stats.WalkError))
	for _, fault := range stats.Faults {
		c.reportOnce(true, "read "+fault.File+" "+fault.Reason, "a cgroup file could not be read; its values are absent and the rest is served",
			zap.String("file", fault.File), zap.String("reason", fault.Reason))
	}
}
