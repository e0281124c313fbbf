package summary

import (
	"bufio"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"k8s.io/kubelet/pkg/apis/stats/v1alpha1"

	"github.com/nodevitals/nodevitals/snapshot"
)

// Table prints a summary for people: what is known of the node, then a row for every cgroup of the snapshot that it was rendered
// from, with the names of pods and containers if any are known. What is absent is a dash. Its layout is not for programs. It returns the first error of w.
func Table(w io.Writer, summary *v1alpha1.Summary, s *snapshot.Snapshot) error {
	out := bufio.NewWriter(w)
	writeFacts(out, &summary.Node, s)
	fmt.Fprintln(out)
	figures := []string{"CPU", "WORKING SET", "RSS", "SWAP", "PIDS", "READ", "WRITTEN"}
	rows, left := [][]string{append([]string{"CGROUP"}, figures...)}, 1
	if slices.ContainsFunc(s.Cgroups, isNamed) {
		rows, left = [][]string{append([]string{"CGROUP", "POD"}, figures...)}, 2
	}
	for i := range s.Cgroups {
		cgroup := &s.Cgroups[i]
		row := []string{shortID(cgroup.Identity), podName(cgroup.Identity)}
		rows = append(rows, append(row[:left], cgroupFigures(cgroup)...))
	}
	writeAligned(out, rows, left)
	return out.Flush()
}

// writeFacts prints one line for each part of the node that is known.
func writeFacts(out io.Writer, stats *v1alpha1.NodeStats, s *snapshot.Snapshot) {
	fact := func(name, format string, values ...any) {
		fmt.Fprintf(out, "%-8s  %s\n", name, fmt.Sprintf(format, values...))
	}
	node := &s.Node
	fact("node", "%s", printable(node.Name))
	fact("system", "%s, Linux %s", orDash(printable(node.Versions.OS)), orDash(printable(node.Versions.Kernel)))
	if !node.BootTime.IsZero() {
		fact("booted", "%s, %s ago", node.BootTime.UTC().Format(time.DateTime+" UTC"), s.Taken.Sub(node.BootTime).Round(time.Second))
	}
	cores := "-"
	if node.Machine != nil && node.Machine.Cores > 0 {
		cores = strconv.Itoa(node.Machine.Cores)
	}
	if cpu := stats.CPU; cpu != nil {
		fact("cpu", "%s of %s in use", formatPointer(cpu.UsageNanoCores, formatCores), cores)
	}
	if memory := stats.Memory; memory != nil {
		fact("memory", "%s in use, %s available, %s in all", formatPointer(memory.WorkingSetBytes, formatBytes),
			formatPointer(memory.AvailableBytes, formatBytes), formatOptional(node.MemoryTotal, formatBytes))
	}
	if swap := stats.Swap; swap != nil {
		fact("swap", "%s in use, %s in all", formatPointer(swap.SwapUsageBytes, formatBytes), formatOptional(node.SwapTotal, formatBytes))
	}
	if node.Tasks.Present || node.MaxPID.Present {
		fact("threads", "%s of %s", formatOptional(node.Tasks, formatCount), formatOptional(node.MaxPID, formatCount))
	}
	if fs := stats.Fs; fs != nil {
		fact("disk", "%s in use, %s available, %s in all, at %s", formatPointer(fs.UsedBytes, formatBytes),
			formatPointer(fs.AvailableBytes, formatBytes), formatPointer(fs.CapacityBytes, formatBytes), printable(node.RootFS().MountPoint))
	}
	if network := stats.Network; network != nil {
		for _, one := range network.Interfaces {
			fact("network", "%s: %s received, %s sent", printable(one.Name), formatPointer(one.RxBytes, formatBytes), formatPointer(one.TxBytes, formatBytes))
		}
	}
}

func isNamed(cgroup snapshot.Cgroup) bool { return cgroup.Identity.Pod != "" }

// podName names a pod, one of its containers, or the sandbox, which has no name of its own; empty for all else.
func podName(identity *snapshot.Identity) string {
	if identity.Pod == "" {
		return ""
	}
	name := identity.Namespace + "/" + identity.Pod
	switch {
	case identity.Container != "":
		name += "/" + identity.Container
	case identity.Kind == snapshot.SandboxCgroup:
		name += " (sandbox)"
	}
	return printable(name)
}

// shownID is how many digits of a container's ID are shown, as the runtimes' own tools do.
const shownID = 12

// shortID shortens a container's ID in its cgroup's path where its pod is named beside it: 64 digits leave no room for figures.
func shortID(identity *snapshot.Identity) string {
	path := identity.ID
	if id := identity.ContainerID; identity.Pod != "" && len(id) > shownID {
		path = strings.Replace(path, id, id[:shownID]+"…", 1)
	}
	return printable(path)
}

// cgroupFigures are a row's numbers, in the order of the header.
func cgroupFigures(cgroup *snapshot.Cgroup) []string {
	field := func(field snapshot.Field, format func(uint64) string) string {
		value, ok := cgroup.Get(field)
		return formatOptional(snapshot.Optional{Value: value, Present: ok}, format)
	}
	return []string{
		field(snapshot.CPUNanoCores, formatCores),
		field(snapshot.MemoryWorkingSet, formatBytes), field(snapshot.MemoryRSS, formatBytes), field(snapshot.MemorySwap, formatBytes),
		field(snapshot.PidsCurrent, formatCount),
		formatOptional(transferred(cgroup, snapshot.OpRead), formatBytes), formatOptional(transferred(cgroup, snapshot.OpWrite), formatBytes),
	}
}

// transferred sums up the bytes of all devices; absent where none has any.
func transferred(cgroup *snapshot.Cgroup, op snapshot.Op) snapshot.Optional {
	var sum snapshot.Optional
	for i := range cgroup.Devices {
		if bytes, ok := cgroup.Devices[i].Get(snapshot.ServiceBytes, op); ok {
			sum = snapshot.Some(sum.Value + bytes)
		}
	}
	return sum
}

// writeAligned prints rows in columns: the first ones to the left, all others to the right.
func writeAligned(out io.Writer, rows [][]string, left int) {
	widths := make([]int, len(rows[0]))
	for _, row := range rows {
		for column, cell := range row {
			widths[column] = max(widths[column], utf8.RuneCountInString(cell))
		}
	}
	for _, row := range rows {
		var line strings.Builder
		for column, cell := range row {
			blanks := strings.Repeat(" ", widths[column]-utf8.RuneCountInString(cell))
			if column > 0 {
				line.WriteString("  ")
			}
			if column < left {
				line.WriteString(cell + blanks)
			} else {
				line.WriteString(blanks + cell)
			}
		}
		fmt.Fprintln(out, strings.TrimRight(line.String(), " "))
	}
}

func formatPointer(value *uint64, format func(uint64) string) string {
	if value == nil {
		return "-"
	}
	return format(*value)
}

func formatOptional(value snapshot.Optional, format func(uint64) string) string {
	if !value.Present {
		return "-"
	}
	return format(value.Value)
}

// formatCores prints billionths of a core as cores.
func formatCores(nanoCores uint64) string {
	return strconv.FormatFloat(float64(nanoCores)/1e9, 'f', 3, 64)
}

func formatCount(count uint64) string { return strconv.FormatUint(count, 10) }

// formatBytes prints three digits or so in the greatest binary unit that leaves one before the point.
func formatBytes(bytes uint64) string {
	if bytes < 1<<10 {
		return strconv.FormatUint(bytes, 10) + " B"
	}
	value, unit := float64(bytes)/(1<<10), 0
	const units = "KMGTPE"
	for ; value >= 1023.5 && unit < len(units)-1; unit++ {
		value /= 1 << 10
	}
	digits := 0
	if value < 99.95 {
		digits = 1
	}
	return strconv.FormatFloat(value, 'f', digits, 64) + " " + units[unit:unit+1] + "iB"
}

func orDash(text string) string {
	if text == "" {
		return "-"
	}
	return text
}

// printable keeps names from moving the terminal's cursor: anybody who may make a cgroup may name it.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return '?'
	}, text)
}
