package compare

import (
	"os"
	"path/filepath"
)

// Kernel is what a node's kernel keeps. It decides what may be absent.
type Kernel struct {
	// Unified says that cgroups are of version 2.
	Unified bool
	// Pressure says that cgroups have PSI, Swap that their swap is accounted for, Peak that the most memory they ever had is known.
	Pressure, Swap, Peak bool
}

// KernelHere is this machine's. The cgroups are those at /sys/fs/cgroup, with the pods' in the usual place.
func KernelHere() Kernel { return kernelAt("/sys/fs/cgroup") }

func kernelAt(mount string) Kernel {
	has := func(pattern string) bool {
		files, err := filepath.Glob(filepath.Join(mount, pattern))
		return err == nil && len(files) > 0
	}
	if _, err := os.Stat(filepath.Join(mount, "cgroup.controllers")); err != nil {
		return Kernel{Swap: has("memory/memory.memsw.usage_in_bytes"), Peak: true}
	}
	return Kernel{
		Unified: true, Pressure: has("*/cpu.pressure"), Swap: has("*/memory.swap.current"), Peak: has("*/memory.peak"),
	}
}
