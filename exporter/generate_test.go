package exporter

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/nodevitals/nodevitals/snapshot"
)

// generator makes random snapshots that a collector could publish: what a group does not hold is absent.
type generator struct {
	*rand.Rand
	s *snapshot.Snapshot
}

// randomSnapshot returns the snapshot of a seed.
func randomSnapshot(seed uint64) *snapshot.Snapshot {
	g := generator{Rand: rand.New(rand.NewPCG(seed, 1)), s: &snapshot.Snapshot{Sequence: seed + 1}}
	g.s.Groups = snapshot.All
	for g.s.Groups == snapshot.All && g.often(2) || g.s.Groups == 0 {
		g.s.Groups = snapshot.Groups(g.Uint32()) & snapshot.All
	}
	// A part alone is what /metrics/resource and the summary ask for; the fields here know whole groups.
	for _, whole := range []snapshot.Groups{snapshot.CPU, snapshot.Memory} {
		if g.s.Groups&whole != 0 {
			g.s.Groups |= whole
		}
	}
	g.readings()
	g.node()
	count := 1 + g.IntN(8)
	for i := range count {
		g.s.Cgroups = append(g.s.Cgroups, g.cgroup(i))
	}
	g.pods()
	return g.s
}

// pods makes pods of the cgroups: some without a cgroup of their own, some with containers that have none, some twice under
// one name.
func (g generator) pods() {
	cgroups := g.s.Cgroups[1:]
	next := func() *snapshot.Cgroup {
		if len(cgroups) == 0 || g.often(4) {
			return nil
		}
		c := &cgroups[0]
		cgroups = cgroups[1:]
		return c
	}
	name := ""
	for i := range g.IntN(4) {
		if i == 0 || !g.often(3) {
			name = fmt.Sprint(i, g.word())
		}
		pod := snapshot.Pod{Name: name, Namespace: "default", UID: fmt.Sprint(i), Cgroup: next()}
		if !g.often(3) {
			pod.Started = g.time()
		}
		for j := range g.IntN(4) {
			container := snapshot.Container{Name: fmt.Sprint(j, g.word()), Cgroup: next()}
			if !g.often(4) {
				container.Started = g.time()
			}
			if g.s.Groups.Has(snapshot.Storage) && !g.often(3) {
				container.WritableLayer = snapshot.Usage{
					Time: g.time(), Bytes: g.optional(), Inodes: g.optional(),
					MountPoint: []string{"", "/", "/mnt/1/x", "/mnt/2", "/mnt", "/mnt/22", "relative"}[g.IntN(7)],
				}
			}
			pod.Containers = append(pod.Containers, container)
		}
		g.s.Pods = append(g.s.Pods, pod)
	}
}

// often is true once in n.
func (g generator) often(n int) bool { return g.IntN(n) == 0 }

// number mixes zero, small numbers, those around 2^53 and 2^62, where floats round and limits end, and any.
func (g generator) number() uint64 {
	switch g.IntN(8) {
	case 0:
		return 0
	case 1:
		return g.Uint64N(1000)
	case 2:
		return 1<<53 + g.Uint64N(1000) - 500
	case 3:
		return 1<<62 + g.Uint64N(4) - 2
	case 4:
		return g.Uint64()
	case 5:
		return g.Uint64N(1e6) * 1e9
	default:
		return g.Uint64N(1e15)
	}
}

func (g generator) optional() snapshot.Optional {
	switch g.IntN(6) {
	case 0:
		return snapshot.Optional{}
	case 1:
		return snapshot.Some(snapshot.Unlimited)
	}
	return snapshot.Some(g.number())
}

var oddWords = []string{
	"", "plain", "/dev/vda", `quo"te`, "new\nline", `back\slash`, `trailing\`, "ünïcödé", "日本", "tab\tand\rreturn", "\uFFFD",
	"{}", "a=\"b\",c=\"d\"", "#", " leading", "\x00nul", "bad\xffbyte", "\xc3", "\xe2\x82end", "e\u0301",
}

func (g generator) word() string {
	return oddWords[g.IntN(len(oddWords))] + oddWords[g.IntN(len(oddWords))]
}

func (g generator) time() time.Time {
	return time.Unix(1795480000+g.Int64N(10000), g.Int64N(1e9))
}

func (g generator) readings() {
	at, same := g.time(), g.often(2)
	g.s.Groups.Each(func(i int, _ string) {
		if !same {
			at = g.time()
		}
		g.s.Readings[i].Time = at
	})
}

func (g generator) node() {
	n := &g.s.Node
	n.RootFilesystem = g.IntN(5) - 1
	n.Versions = snapshot.Versions{Kernel: g.word(), OS: g.word()}
	if !g.often(4) {
		n.Machine = &snapshot.Machine{
			ID: g.word(), SystemUUID: g.word(), BootID: g.word(),
			Cores: g.IntN(256), PhysicalCores: g.IntN(128), Sockets: g.IntN(4), Books: g.IntN(2), Drawers: g.IntN(2),
			MemoryBytes: g.number(), SwapBytes: g.number(),
			NVMMemoryMode: g.number(), NVMAppDirect: g.number(), NVMPowerBudget: g.Uint64N(100),
		}
		for i := range g.IntN(3) {
			n.Machine.DIMMs = append(n.Machine.DIMMs, snapshot.DIMM{
				Type: fmt.Sprint(i, strings.ToValidUTF8(g.word(), "?")), Count: g.Uint64N(32), Bytes: g.number(),
			})
		}
	}
	if !g.s.Groups.Has(snapshot.Storage) {
		return
	}
	for i := range g.IntN(5) {
		f := snapshot.Filesystem{
			Device: g.device(i), MountPoint: []string{"/mnt", "/mnt/1", "/", "/mnt/2", "/mnt/1/x/y"}[i], Type: "ext4", HasInodes: !g.often(3),
			Capacity: g.number(), Free: g.number(), Available: g.number(), Inodes: g.number(), InodesFree: g.number(),
		}
		if !g.often(4) {
			f.Time = g.time()
		}
		if !g.often(3) {
			f.Disk = &snapshot.Disk{
				Reads: g.number(), ReadsMerged: g.number(), SectorsRead: g.number(), ReadTime: g.number(),
				Writes: g.number(), WritesMerged: g.number(), SectorsWritten: g.number(), WriteTime: g.number(),
				InProgress: g.number(), IOTime: g.number(), WeightedIOTime: g.number(),
			}
		}
		n.Filesystems = append(n.Filesystems, f)
	}
}

// device names the i-th device: cgroups and filesystems share these names.
func (g generator) device(i int) string {
	return []string{"/dev/vda", "/dev/nvme0n1", `/dev/mapper/o"d\d`, "/dev/bad\xff", "/dev/sdé", "/dev/sdb", "/dev/sdc"}[i]
}

func (g generator) cgroup(i int) snapshot.Cgroup {
	id := "/"
	if i > 0 {
		id = fmt.Sprintf("/%03d%s", i, g.word())
	}
	c := snapshot.Cgroup{Identity: &snapshot.Identity{
		ID: id, Name: g.word(), Image: g.word(), Pod: g.word(), Namespace: g.word(), Container: g.word(),
	}}
	if g.often(3) {
		c.Identity.Created = g.time()
	}
	if g.s.Groups.Has(snapshot.Limits) && !g.often(5) {
		c.Spec = &snapshot.Spec{
			HasCPU: !g.often(4), HasMemory: !g.often(4), HasIO: !g.often(4), HasPids: !g.often(4),
			CPUShares: g.optional(), CPUQuota: g.optional(), CPUPeriod: g.optional(), MemoryLimit: g.optional(),
			MemoryReservation: g.optional(), SwapLimit: g.optional(), PidsLimit: g.optional(),
		}
		if !g.often(5) {
			c.Spec.Created = g.time()
		}
	}
	for f := range snapshot.FieldCount {
		if g.s.Groups.Has(snapshot.Fields[f].Group) && !g.often(5) {
			c.Set(f, g.number())
		}
	}
	if g.s.Groups.Has(snapshot.Process) && g.often(3) {
		c.Set(snapshot.ProcessNoFileSoft, snapshot.Unlimited)
	}
	if g.s.Groups.Has(snapshot.IO) {
		for i := range g.IntN(7) {
			c.Devices = append(c.Devices, g.deviceRow(i))
		}
	}
	if g.s.Groups.Has(snapshot.Network) && !g.often(3) {
		c.HasNetwork = true
		for i := range g.IntN(4) {
			c.Interfaces = append(c.Interfaces, snapshot.Interface{
				Name:    fmt.Sprint(i, g.word()),
				RxBytes: g.number(), RxPackets: g.number(), RxErrors: g.number(), RxDropped: g.number(),
				TxBytes: g.number(), TxPackets: g.number(), TxErrors: g.number(), TxDropped: g.number(),
			})
		}
	}
	return c
}

// deviceRow makes a device with a name of its own, none, or one that an earlier device may have.
func (g generator) deviceRow(i int) snapshot.Device {
	d := snapshot.Device{Major: uint32(i), Minor: g.Uint32(), Name: g.device(i)}
	switch g.IntN(4) {
	case 0:
		d.Name = ""
	case 1:
		d.Name = g.device(g.IntN(7))
	}
	for stat := range snapshot.DeviceStatCount {
		for op := range snapshot.Ops {
			if g.often(2) {
				d.Set(stat, op, g.number())
			}
		}
	}
	return d
}
