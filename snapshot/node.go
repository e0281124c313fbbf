package snapshot

import "time"

// Node is what belongs to the whole machine.
type Node struct {
	// Name is the node's name: --node-name, or the host's name in lower case.
	Name string
	// BootTime is btime of /proc/stat, to the second; zero where unreadable.
	BootTime time.Time
	// Machine describes the hardware; nil where it could not be read.
	Machine *Machine
	// Versions are the words of cadvisor_version_info.
	Versions Versions
	// MemoryTotal, SwapTotal and SwapFree are bytes from /proc/meminfo.
	MemoryTotal, SwapTotal, SwapFree Optional
	// HugePagesTotal is the bytes set aside for huge pages of every size: /sys/kernel/mm/hugepages/*/nr_hugepages.
	HugePagesTotal Optional
	// MaxPID is the lesser of /proc/sys/kernel/pid_max and threads-max.
	MaxPID Optional
	// Tasks is the number of threads that exist: the number after the slash in /proc/loadavg.
	Tasks Optional
	// TasksTime is when MaxPID and Tasks were read.
	TasksTime time.Time
	// Filesystems are the node's filesystems, sorted by Device.
	Filesystems []Filesystem
	// Images and Layers are where the runtime keeps images and containers' layers; nil without a runtime that tells.
	Images, Layers *ImageFilesystem
	// RootFilesystem is the index in Filesystems of the one that holds the kubelet's directory (--root-dir), or -1.
	RootFilesystem int
}

// RootFS returns the filesystem that holds the kubelet's directory, or nil.
func (n *Node) RootFS() *Filesystem {
	if n.RootFilesystem < 0 || n.RootFilesystem >= len(n.Filesystems) {
		return nil
	}
	return &n.Filesystems[n.RootFilesystem]
}

// Versions are the kernel's and the operating system's names.
type Versions struct {
	// Kernel is uname's release.
	Kernel string
	// OS is PRETTY_NAME of os-release.
	OS string
}

// Machine is what hardware and firmware say. It changes only with a reboot or a hotplug.
type Machine struct {
	// ID is /etc/machine-id, SystemUUID the firmware's, BootID /proc/sys/kernel/random/boot_id.
	ID, SystemUUID, BootID string
	// Cores are online logical CPUs; PhysicalCores distinct core ids; Sockets distinct physical ids. Books and Drawers are s390x's.
	Cores, PhysicalCores, Sockets, Books, Drawers int
	// MemoryBytes is MemTotal, SwapBytes SwapTotal of /proc/meminfo, in bytes.
	MemoryBytes, SwapBytes uint64
	// NVMMemoryMode and NVMAppDirect are bytes of persistent memory by mode; NVMPowerBudget is watts. Zero without such modules.
	NVMMemoryMode, NVMAppDirect, NVMPowerBudget uint64
	// DIMMs are memory modules by type, sorted by Type; empty where the kernel has no EDAC driver loaded.
	DIMMs []DIMM
}

// DIMM sums up the memory modules of one type.
type DIMM struct {
	// Type is the kernel's word, such as "Unbuffered-DDR4".
	Type string
	// Count is the number of modules, Bytes their capacity.
	Count, Bytes uint64
}

// Filesystem is one mounted filesystem of the node.
type Filesystem struct {
	// Device is the mount's source, or cAdvisor's stand-in for those that have none: the mount point of a tmpfs,
	// overlay_MAJOR-MINOR of an overlay.
	Device string
	// MountPoint is where it is mounted, as the host sees it.
	MountPoint string
	// Type is the kernel's name of the filesystem: ext4, xfs, tmpfs.
	Type string
	// Major and Minor are the device number of the mount.
	Major, Minor uint32
	// Time is when statfs answered; zero: it has not yet, and the sizes are absent.
	Time time.Time
	// Capacity, Free and Available are bytes: f_blocks, f_bfree and f_bavail times f_frsize.
	Capacity, Free, Available uint64
	// Inodes and InodesFree are f_files and f_ffree. HasInodes is false where the filesystem counts none.
	Inodes, InodesFree uint64
	// HasInodes tells whether Inodes means anything.
	HasInodes bool
	// Disk holds the block device's figures; nil where /proc/diskstats has no such device.
	Disk *Disk
}

// Disk is one line of /proc/diskstats. Times are in milliseconds, sectors have 512 bytes.
type Disk struct {
	Reads, ReadsMerged, SectorsRead, ReadTime       uint64
	Writes, WritesMerged, SectorsWritten, WriteTime uint64
	InProgress, IOTime, WeightedIOTime              uint64
}
