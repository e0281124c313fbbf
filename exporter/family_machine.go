package exporter

import "github.com/nodevitals/nodevitals/snapshot"

var (
	labelMode = newLabelKey("mode", machineLabels[:])
	labelType = newLabelKey("type", machineLabels[:])

	labelCadvisorRevision = newLabelKey("cadvisorRevision", nil)
	labelCadvisorVersion  = newLabelKey("cadvisorVersion", nil)
	labelDockerVersion    = newLabelKey("dockerVersion", nil)
	labelKernelVersion    = newLabelKey("kernelVersion", nil)
	labelOSVersion        = newLabelKey("osVersion", nil)
)

// versionFamilies tell what runs here, and whether the snapshot could be taken.
var versionFamilies = []family{
	{
		name: "cadvisor_version_info", kind: gauge,
		help:  "A metric with a constant '1' value labeled by kernel version, OS version, docker version, cadvisor version & cadvisor revision.",
		stamp: stampNone,
		node: func(e *encoder) {
			if e.snapshot == nil {
				return
			}
			versions := &e.snapshot.Node.Versions
			// A kubelet, too, leaves the three empty that name Docker and cAdvisor.
			e.sample(1, 0, labelCadvisorRevision.of(""), labelCadvisorVersion.of(""), labelDockerVersion.of(""),
				labelKernelVersion.of(versions.Kernel), labelOSVersion.of(versions.OS))
		},
	},
	{
		name: "container_scrape_error", kind: gauge,
		help:  "1 if there was an error while getting container metrics, 0 otherwise",
		stamp: stampNone,
		node:  func(e *encoder) { e.failed(e.snapshot == nil) },
	},
}

// machineFamilies are about hardware. A kubelet gives them no timestamp: they hold until a reboot.
var machineFamilies = []family{
	{
		name: "machine_scrape_error", kind: gauge,
		help:  "1 if there was an error while getting machine metrics, 0 otherwise.",
		stamp: stampNone,
		node:  func(e *encoder) { e.failed(e.snapshot == nil || e.snapshot.Node.Machine == nil) },
	},
	{
		name: "machine_cpu_books", kind: gauge,
		help:  "Number of CPU books.",
		stamp: stampNone,
		node:  machine(func(e *encoder, m *snapshot.Machine) { e.signed(int64(m.Books)) }),
	},
	{
		name: "machine_cpu_cores", kind: gauge,
		help:  "Number of logical CPU cores.",
		stamp: stampNone,
		node:  machine(func(e *encoder, m *snapshot.Machine) { e.signed(int64(m.Cores)) }),
	},
	{
		name: "machine_cpu_drawers", kind: gauge,
		help:  "Number of CPU drawers.",
		stamp: stampNone,
		node:  machine(func(e *encoder, m *snapshot.Machine) { e.signed(int64(m.Drawers)) }),
	},
	{
		name: "machine_cpu_physical_cores", kind: gauge,
		help:  "Number of physical CPU cores.",
		stamp: stampNone,
		node:  machine(func(e *encoder, m *snapshot.Machine) { e.signed(int64(m.PhysicalCores)) }),
	},
	{
		name: "machine_cpu_sockets", kind: gauge,
		help:  "Number of CPU sockets.",
		stamp: stampNone,
		node:  machine(func(e *encoder, m *snapshot.Machine) { e.signed(int64(m.Sockets)) }),
	},
	{
		name: "machine_memory_bytes", kind: gauge,
		help:  "Amount of memory installed on the machine.",
		stamp: stampNone,
		node:  machine(func(e *encoder, m *snapshot.Machine) { e.sample(m.MemoryBytes, 0) }),
	},
	{
		name: "machine_swap_bytes", kind: gauge,
		help:  "Amount of swap memory available on the machine.",
		stamp: stampNone,
		node:  machine(func(e *encoder, m *snapshot.Machine) { e.sample(m.SwapBytes, 0) }),
	},
	{
		name: "machine_nvm_avg_power_budget_watts", kind: gauge,
		help:  "NVM power budget.",
		stamp: stampNone,
		node:  machine(func(e *encoder, m *snapshot.Machine) { e.sample(m.NVMPowerBudget, 0) }),
	},
	{
		name: "machine_nvm_capacity", kind: gauge,
		help:  "NVM capacity value labeled by NVM mode (memory mode or app direct mode).",
		stamp: stampNone,
		node: machine(func(e *encoder, m *snapshot.Machine) {
			e.sample(m.NVMAppDirect, 0, labelMode.of("app_direct_mode"))
			e.sample(m.NVMMemoryMode, 0, labelMode.of("memory_mode"))
		}),
	},
	{
		name: "machine_dimm_count", kind: gauge,
		help:  "Number of RAM DIMM (all types memory modules) value labeled by dimm type.",
		stamp: stampNone,
		node:  dimms(func(d *snapshot.DIMM) uint64 { return d.Count }),
	},
	{
		name: "machine_dimm_capacity_bytes", kind: gauge,
		help:  "Total RAM DIMM capacity (all types memory modules) value labeled by dimm type.",
		stamp: stampNone,
		node:  dimms(func(d *snapshot.DIMM) uint64 { return d.Bytes }),
	},
}

// failed emits 1 or 0.
func (e *encoder) failed(failed bool) {
	if failed {
		e.sample(1, 0)
	} else {
		e.sample(0, 0)
	}
}

// machine makes an emitter of rows with the machine's labels.
func machine(emit func(*encoder, *snapshot.Machine)) func(*encoder) {
	return func(e *encoder) {
		if e.snapshot == nil || e.snapshot.Node.Machine == nil {
			return
		}
		e.block = e.machine
		emit(e, e.snapshot.Node.Machine)
	}
}

func dimms(get func(*snapshot.DIMM) uint64) func(*encoder) {
	return machine(func(e *encoder, m *snapshot.Machine) {
		for i := range m.DIMMs {
			e.sample(get(&m.DIMMs[i]), 0, labelType.of(m.DIMMs[i].Type))
		}
	})
}
