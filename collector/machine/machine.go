// Package machine reads what belongs to the whole machine: what hardware and firmware say, which hardly ever changes, and
// the few facts about memory and tasks that every pass needs.
//
// Of the host's files, those of /proc and /etc are read below a host root. cAdvisor's library, which knows the topology of
// many architectures, looks at /sys itself: that is the same kernel's in every container.
package machine

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	cadvisor "github.com/google/cadvisor/lib/machine"
	"github.com/google/cadvisor/lib/utils/sysfs"
	"github.com/google/cadvisor/lib/utils/sysinfo"

	"github.com/nodevitals/nodevitals/snapshot"
)

// Read returns what hardware and firmware say. Parts that fail are zero in the result, which is never nil, and in the
// returned error by name.
//
// It takes cAdvisor's functions one by one where machine.Info has them in a row: there one failure, such as a processor
// without a known frequency, takes everything with it, and disks and interfaces are searched that nobody asked for.
func Read(hostRoot string) (*snapshot.Machine, error) {
	var faults []error
	m := &snapshot.Machine{}
	cpuinfo, err := os.ReadFile(filepath.Join(hostRoot, "proc/cpuinfo"))
	faults = append(faults, err)
	m.PhysicalCores, m.Sockets = cadvisor.GetPhysicalCores(cpuinfo), cadvisor.GetSockets(cpuinfo)
	m.Books, m.Drawers = cadvisor.GetBooks(cpuinfo), cadvisor.GetDrawers(cpuinfo)
	system := sysfs.NewRealSysFs()
	if _, cores, err := cadvisor.GetTopology(system); err == nil {
		m.Cores = cores
	} else {
		faults = append(faults, fmt.Errorf("read the processors' topology: %w", err))
		m.Cores = countProcessors(cpuinfo)
	}
	var memory meminfo
	text, err := os.ReadFile(filepath.Join(hostRoot, "proc/meminfo"))
	if err == nil {
		err = memory.parse(text)
	}
	faults = append(faults, err)
	m.MemoryBytes, m.SwapBytes = memory.total.Or(0), memory.swapTotal.Or(0)
	m.DIMMs, err = readDIMMs(filepath.Join(hostRoot, "sys/devices/system/edac/mc"))
	faults = append(faults, err)
	m.ID, err = readID(hostRoot, "etc/machine-id", "var/lib/dbus/machine-id")
	faults = append(faults, err)
	m.BootID, err = readID(hostRoot, "proc/sys/kernel/random/boot_id")
	faults = append(faults, err)
	m.SystemUUID, err = readSystemUUID(system)
	faults = append(faults, err)
	return m, errors.Join(faults...)
}

// countProcessors counts the processors of /proc/cpuinfo on architectures that list them one by one.
func countProcessors(cpuinfo []byte) int {
	count := 0
	for line := range bytes.Lines(cpuinfo) {
		if key, _, found := bytes.Cut(line, []byte(":")); found && string(bytes.TrimSpace(key)) == "processor" {
			count++
		}
	}
	return count
}

// readDIMMs sums up memory modules by type from the kernel's EDAC folders; there are none without such a driver.
func readDIMMs(path string) ([]snapshot.DIMM, error) {
	found, err := cadvisor.GetMachineMemoryByType(path)
	if err != nil {
		return nil, fmt.Errorf("read memory modules: %w", err)
	}
	var modules []snapshot.DIMM
	for kind, memory := range found {
		modules = append(modules, snapshot.DIMM{Type: kind, Count: uint64(memory.DimmCount), Bytes: memory.Capacity})
	}
	slices.SortFunc(modules, func(a, b snapshot.DIMM) int { return strings.Compare(a.Type, b.Type) })
	return modules, nil
}

// readID returns the first of several files below hostRoot that can be read. A host may lack them all.
func readID(hostRoot string, names ...string) (string, error) {
	var faults []error
	for _, name := range names {
		text, err := readBelow(hostRoot, name)
		if err == nil {
			return strings.TrimSpace(string(text)), nil
		}
		if !errors.Is(err, os.ErrNotExist) {
			faults = append(faults, err)
		}
	}
	return "", errors.Join(faults...)
}

// readSystemUUID returns the firmware's UUID. Machines without such firmware have none; an ordinary user may not read it.
func readSystemUUID(system sysfs.SysFs) (string, error) {
	// The library looks for one in further places where it cannot read this one, /etc/machine-id among them: that is another ID, for machines
	// whose firmware has none.
	const firmware = "/sys/class/dmi/id/product_uuid"
	if _, err := os.ReadFile(firmware); err != nil && !errors.Is(err, os.ErrNotExist) {
		return "", err
	}
	uuid, err := sysinfo.GetSystemUUID(system)
	if err != nil {
		return "", nil // its error tells of the last place it looked in, and there is none to be had
	}
	return uuid, nil
}

// readVersions returns the names of kernel and operating system.
func readVersions(hostRoot string) (snapshot.Versions, error) {
	release, kernelErr := os.ReadFile(filepath.Join(hostRoot, "proc/sys/kernel/osrelease"))
	text, err := readBelow(hostRoot, "etc/os-release")
	if errors.Is(err, os.ErrNotExist) {
		text, err = readBelow(hostRoot, "usr/lib/os-release")
	}
	versions := snapshot.Versions{Kernel: strings.TrimSpace(string(release))}
	if err == nil {
		versions.OS = prettyName(text)
	}
	return versions, errors.Join(kernelErr, err)
}

// prettyName finds PRETTY_NAME in os-release(5), whose default is "Linux".
func prettyName(text []byte) string {
	for line := range bytes.Lines(text) {
		value, found := bytes.CutPrefix(bytes.TrimSpace(line), []byte("PRETTY_NAME="))
		if !found {
			continue
		}
		if n := len(value); n >= 2 && (value[0] == '"' || value[0] == '\'') && value[n-1] == value[0] {
			value = value[1 : n-1]
		}
		return string(value)
	}
	return "Linux"
}

// readBelow reads a file below hostRoot. A link that leads out of a mounted host root would name the container's own file:
// it is an error instead.
func readBelow(hostRoot, name string) ([]byte, error) {
	if filepath.Clean(hostRoot) == "/" {
		return os.ReadFile(filepath.Join("/", name))
	}
	root, err := os.OpenRoot(hostRoot)
	if err != nil {
		return nil, err
	}
	defer func() { _ = root.Close() }()
	return root.ReadFile(name)
}
