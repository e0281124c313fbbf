package exporter

import "github.com/nodevitals/nodevitals/snapshot"

var labelInterface = newLabelKey("interface", containerLabels[:])

// networkFamilies count what the interfaces of a cgroup's network namespace carried.
var networkFamilies = []family{
	{
		name: "container_network_receive_bytes_total", kind: counter, groups: snapshot.Network,
		help:   "Cumulative count of bytes received",
		cgroup: interfaces(func(i *snapshot.Interface) uint64 { return i.RxBytes }),
	},
	{
		name: "container_network_receive_packets_total", kind: counter, groups: snapshot.Network,
		help:   "Cumulative count of packets received",
		cgroup: interfaces(func(i *snapshot.Interface) uint64 { return i.RxPackets }),
	},
	{
		name: "container_network_receive_packets_dropped_total", kind: counter, groups: snapshot.Network,
		help:   "Cumulative count of packets dropped while receiving",
		cgroup: interfaces(func(i *snapshot.Interface) uint64 { return i.RxDropped }),
	},
	{
		name: "container_network_receive_errors_total", kind: counter, groups: snapshot.Network,
		help:   "Cumulative count of errors encountered while receiving",
		cgroup: interfaces(func(i *snapshot.Interface) uint64 { return i.RxErrors }),
	},
	{
		name: "container_network_transmit_bytes_total", kind: counter, groups: snapshot.Network,
		help:   "Cumulative count of bytes transmitted",
		cgroup: interfaces(func(i *snapshot.Interface) uint64 { return i.TxBytes }),
	},
	{
		name: "container_network_transmit_packets_total", kind: counter, groups: snapshot.Network,
		help:   "Cumulative count of packets transmitted",
		cgroup: interfaces(func(i *snapshot.Interface) uint64 { return i.TxPackets }),
	},
	{
		name: "container_network_transmit_packets_dropped_total", kind: counter, groups: snapshot.Network,
		help:   "Cumulative count of packets dropped while transmitting",
		cgroup: interfaces(func(i *snapshot.Interface) uint64 { return i.TxDropped }),
	},
	{
		name: "container_network_transmit_errors_total", kind: counter, groups: snapshot.Network,
		help:   "Cumulative count of errors encountered while transmitting",
		cgroup: interfaces(func(i *snapshot.Interface) uint64 { return i.TxErrors }),
	},
}

// interfaces emits one number of each interface. A cgroup that shares another's namespace has none.
func interfaces(get func(*snapshot.Interface) uint64) func(*encoder, *snapshot.Cgroup) {
	return func(e *encoder, c *snapshot.Cgroup) {
		for i := range c.Interfaces {
			e.sample(get(&c.Interfaces[i]), 0, labelInterface.of(c.Interfaces[i].Name))
		}
	}
}
