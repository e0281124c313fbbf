package snapshot

// DeviceStat is one kind of figure that the io controller keeps for a block device.
type DeviceStat uint8

// The figures of a block device. Where a scheduler or a cgroup version keeps none, it is absent.
const (
	// ServiceBytes are bytes transferred: io.stat rbytes and wbytes, blkio.*.io_service_bytes.
	ServiceBytes DeviceStat = iota
	// Serviced are operations done: io.stat rios and wios, blkio.*.io_serviced.
	Serviced
	// Queued are operations waiting: blkio.bfq.io_queued_recursive, blkio.io_queued_recursive.
	Queued
	// Merged are operations merged: blkio.bfq.io_merged_recursive, blkio.io_merged_recursive.
	Merged
	// ServiceTime is nanoseconds from dispatch to completion: blkio.*io_service_time_recursive.
	ServiceTime
	// WaitTime is nanoseconds in the scheduler's queue: blkio.*io_wait_time_recursive.
	WaitTime
	// DeviceTime is milliseconds of device time: blkio.*time_recursive.
	DeviceTime
	// Sectors are 512-byte sectors: blkio.*sectors_recursive.
	Sectors
	// CostUsage is microseconds of device occupation by the io cost model: io.stat cost.usage.
	CostUsage
	// CostWait is microseconds spent throttled by the io cost model: io.stat cost.wait.
	CostWait
	// CostIndebt is microseconds in debt by the io cost model: io.stat cost.indebt.
	CostIndebt
	// CostIndelay is microseconds delayed because of debt: io.stat cost.indelay.
	CostIndelay

	// DeviceStatCount is the number of kinds of figures.
	DeviceStatCount
)

// Op tells which operations a figure counts.
type Op uint8

// The operations, by the words of the blkio files. OpCount is for lines that carry no such word.
const (
	OpRead Op = iota
	OpWrite
	OpSync
	OpAsync
	OpDiscard
	OpTotal
	OpCount

	// Ops is the number of operations.
	Ops
)

// OpNames are the words of the blkio files, which are also the values of the operation label.
var OpNames = [Ops]string{"Read", "Write", "Sync", "Async", "Discard", "Total", "Count"}

// Device is what one cgroup, with all below it, did to one block device.
type Device struct {
	// Major and Minor are the kernel's device number.
	Major, Minor uint32
	// Name is the device's node, such as /dev/nvme0n1. Empty: the kernel has no such device any more.
	Name string

	numbers [DeviceStatCount][Ops]uint64
	present [DeviceStatCount]uint8
}

// Get returns a figure and whether the kernel gave it.
func (d *Device) Get(stat DeviceStat, op Op) (uint64, bool) {
	return d.numbers[stat][op], d.present[stat]&(1<<op) != 0
}

// Set stores a figure.
func (d *Device) Set(stat DeviceStat, op Op, number uint64) {
	d.numbers[stat][op] = number
	d.present[stat] |= 1 << op
}

// Has reports whether the device has any figure of this kind.
func (d *Device) Has(stat DeviceStat) bool { return d.present[stat] != 0 }
