package snapshot

import (
	"testing"
	"time"

	"github.com/google/cadvisor/lib/model"
	"github.com/google/go-cmp/cmp"
)

func TestContainerInfoOfAnUnreadCgroupHasOnlyItsNames(t *testing.T) {
	s := &Snapshot{}
	got := s.ContainerInfo(&Cgroup{Identity: &Identity{ID: "/a", Name: "n", Image: "i", Pod: "p"}})
	want := &model.ContainerInfo{
		ContainerReference: model.ContainerReference{Name: "/a", Aliases: []string{"n"}},
		Spec:               model.ContainerSpec{Image: "i", Labels: map[string]string{LabelPod: "p"}},
		Stats:              []*model.ContainerStats{{}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("ContainerInfo (-want +got):\n%s", diff)
	}
}

func TestContainerInfoPartsFollowGroups(t *testing.T) {
	at := time.Unix(1, 0)
	tests := []struct {
		name                       string
		groups                     Groups
		cpu, memory, disk, process bool
	}{
		{"cpu", CPU, true, false, false, false},
		{"memory", Memory, false, true, false, false},
		{"io", IO, false, false, true, false},
		{"pressure needs all three", Pressure, true, true, true, false},
		{"pids", Pids, false, false, false, true},
		{"storage", Storage, false, false, true, false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			s := &Snapshot{Groups: test.groups}
			test.groups.Each(func(i int, _ string) { s.Readings[i].Time = at })
			stats := s.ContainerInfo(&Cgroup{Identity: &Identity{ID: "/"}}).Stats[0]
			got := [...]bool{stats.Cpu != nil, stats.Memory != nil, stats.DiskIo != nil, stats.Processes != nil}
			if want := [...]bool{test.cpu, test.memory, test.disk, test.process}; got != want {
				t.Errorf("cpu, memory, disk, process of / = %v, want %v", got, want)
			}
			if !stats.Timestamp.Equal(at) {
				t.Errorf("timestamp = %v, want %v", stats.Timestamp, at)
			}
		})
	}
}

func TestContainerInfoLimits(t *testing.T) {
	c := &Cgroup{Identity: &Identity{ID: "/a"}, Spec: &Spec{PidsLimit: Some(Unlimited)}}
	c.Set(ProcessNoFileSoft, Unlimited)
	s := &Snapshot{Groups: All}
	got := s.ContainerInfo(c).Stats[0].Processes
	want := &model.ProcessStats{Ulimits: []model.UlimitSpec{{Name: "max_open_files", SoftLimit: -1}}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("unlimited processes (-want +got):\n%s", diff)
	}
	c.Spec.PidsLimit = Some(7)
	c.Set(ProcessNoFileSoft, 1024)
	got = s.ContainerInfo(c).Stats[0].Processes
	want = &model.ProcessStats{ThreadsMax: 7, Ulimits: []model.UlimitSpec{{Name: "max_open_files", SoftLimit: 1024}}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("limited processes (-want +got):\n%s", diff)
	}
}

func TestFilesystemsBelongToTheRoot(t *testing.T) {
	s := &Snapshot{Groups: All, Node: Node{Filesystems: []Filesystem{
		{Device: "/dev/a", Time: time.Unix(1, 0), Capacity: 10, Free: 4},
		{Device: "/dev/odd", Time: time.Unix(1, 0), Capacity: 1, Free: 2},
	}}}
	if got := s.ContainerInfo(&Cgroup{Identity: &Identity{ID: "/a"}}).Stats[0].Filesystem; got != nil {
		t.Errorf("filesystems of /a = %v, want none", got)
	}
	got := s.ContainerInfo(&Cgroup{Identity: &Identity{ID: "/"}}).Stats[0].Filesystem
	if len(got) != 2 || got[0].Usage != 6 || got[1].Usage != 0 {
		t.Errorf("filesystems of / = %+v, want usage 6 and 0", got)
	}
}

func TestMachineInfo(t *testing.T) {
	if got := new(Node).MachineInfo(); got != nil {
		t.Errorf("MachineInfo without a machine = %+v, want nil", got)
	}
	n := &Node{Machine: &Machine{Cores: 4, DIMMs: []DIMM{{Type: "DDR4", Count: 2, Bytes: 1 << 30}}}}
	got := n.MachineInfo()
	if got.NumCores != 4 || !got.Timestamp.IsZero() {
		t.Errorf("cores %d at %v, want 4 at no time", got.NumCores, got.Timestamp)
	}
	want := map[string]*model.MemoryInfo{"DDR4": {Capacity: 1 << 30, DimmCount: 2}}
	if diff := cmp.Diff(want, got.MemoryByType); diff != "" {
		t.Errorf("modules (-want +got):\n%s", diff)
	}
}
