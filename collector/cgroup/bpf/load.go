package bpf

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"unsafe"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"
	"golang.org/x/sys/unix"
)

// layout is what is learned of the kernel before the program is loaded.
type layout struct {
	// cache holds types for the library, which would look for them once more.
	cache *btf.Cache
	types *btf.Spec
	// state and event are the places of memory states and events in the kernel's arrays.
	state, event [16]uint8
	// noStat says why memory.stat cannot be taken from structures; nil: it can.
	noStat error
	// flushCSS: the kernel flushes the sums of one controller at a time.
	flushCSS bool
}

// load fits the program to the running kernel and loads it.
func (r *Reader) load(root string) error {
	cache := btf.NewCache()
	types, err := cache.Kernel()
	if err != nil {
		return fmt.Errorf("the kernel tells no types (BTF): %w", err)
	}
	known := &layout{cache: cache, types: types}
	if err := known.learn(root); err != nil {
		return err
	}
	loaded, inner, err := known.load()
	if err != nil {
		return err
	}
	defer loaded.Close()
	r.program, r.outer, r.inner = loaded.DetachProgram("walk"), loaded.DetachMap("records"), inner
	controls := loaded.DetachMap("control")
	defer func() { _ = controls.Close() }() // the program keeps it
	memory, err := unix.Mmap(controls.FD(), 0, os.Getpagesize(), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return fmt.Errorf("map the program's memory: %w", err)
	}
	r.controlMemory = memory
	r.control = (*control)(unsafe.Pointer(&memory[0]))
	r.control.state, r.control.event = known.state, known.event
	r.control.ahead = -1 << 62
	r.noStat = known.noStat
	return nil
}

// load fits the program to the kernel and loads it. It also returns what the inner map of records is like.
func (l *layout) load() (*ebpf.Collection, *ebpf.MapSpec, error) {
	spec, err := ebpf.LoadCollectionSpecFromReader(bytes.NewReader(object))
	if err != nil {
		return nil, nil, fmt.Errorf("read the program: %w", err)
	}
	if err := spec.Variables["flush_css"].Set(boolean(l.flushCSS)); err != nil {
		return nil, nil, fmt.Errorf("tell the program how to flush: %w", err)
	}
	delete(spec.Programs, "peek")
	loaded, err := ebpf.NewCollectionWithOptions(spec, ebpf.CollectionOptions{Programs: ebpf.ProgramOptions{KernelTypes: l.types}, Cache: l.cache})
	if err != nil {
		return nil, nil, refused(err)
	}
	return loaded, spec.Maps["records"].InnerMap, nil
}

// refused makes one line of what the kernel said to a program.
func refused(err error) error {
	if refusal, ok := errors.AsType[*ebpf.VerifierError](err); ok && len(refusal.Log) > 0 {
		last := refusal.Log[max(0, len(refusal.Log)-3):]
		return fmt.Errorf("the kernel refuses the program: %w: %s", refusal.Cause, strings.Join(last, "; "))
	}
	return fmt.Errorf("the kernel refuses the program: %w", err)
}

// learn looks for what the program needs.
func (l *layout) learn(root string) error {
	switch {
	case l.has("cgroup_rstat_flush"):
	case l.has("css_rstat_flush"):
		l.flushCSS = true
	default:
		return errors.New("the kernel lets no program flush cgroup statistics (no cgroup_rstat_flush, no css_rstat_flush)")
	}
	var iterator *btf.Func
	if err := l.types.TypeByName("bpf_iter_cgroup", &iterator); err != nil {
		return errors.New("the kernel has no iterator over cgroups (Linux 6.1)")
	}
	if err := l.learnStates(); err != nil {
		l.noStat = err
	} else if err := l.learnEvents(root); err != nil {
		l.noStat = err
	}
	return nil
}

// has reports whether the kernel has a function of this name that programs may call or that can be told apart by its name.
func (l *layout) has(name string) bool {
	var function *btf.Func
	return l.types.TypeByName(name, &function) == nil
}

// length returns the length of an array that is a member of a structure.
func (l *layout) length(structure, member string) (int, error) {
	var found *btf.Struct
	if err := l.types.TypeByName(structure, &found); err != nil {
		return 0, fmt.Errorf("struct %s: %w", structure, err)
	}
	for _, m := range found.Members {
		if array, ok := m.Type.(*btf.Array); ok && m.Name == member {
			return int(array.Nelems), nil
		}
	}
	return 0, fmt.Errorf("struct %s has no array %s", structure, member)
}

// number returns an enum's value.
func (l *layout) number(enum, name string) (int, error) {
	var found *btf.Enum
	if err := l.types.TypeByName(enum, &found); err != nil {
		return 0, fmt.Errorf("enum %s: %w", enum, err)
	}
	for _, value := range found.Values {
		if value.Name == name {
			return int(value.Value), nil
		}
	}
	return 0, fmt.Errorf("enum %s has no %s", enum, name)
}

// learnStates finds the places of memory states. Up to Linux 6.9 they are the enum's; after that the kernel has a table of them.
func (l *layout) learnStates() error {
	length, err := l.length("memcg_vmstats", "state")
	if err != nil {
		return err
	}
	all, err := l.number(memoryItems, "MEMCG_NR_STAT")
	if err != nil {
		return err
	}
	var table []uint8
	if length != all {
		if table, err = l.peek("mem_cgroup_stats_index", all); err != nil {
			return err
		}
		// Its places count from 0, and 255 is none; or from 1, and 0 is none.
		if bytes.IndexByte(table, nowhere) < 0 {
			for i := range table {
				table[i]--
			}
		}
	}
	for i, row := range states {
		place, err := l.number(row.enum, row.name)
		if err != nil {
			return err
		}
		if table != nil {
			if place >= len(table) {
				return fmt.Errorf("%s is beyond the kernel's table", row.name)
			}
			place = int(table[place])
		}
		if place >= length || place >= 64 {
			return fmt.Errorf("%s has no place among the kernel's %d memory states", row.name, length)
		}
		l.state[i] = uint8(place)
	}
	return nil
}

// learnEvents finds the places of memory events. The kernel keeps them in the order in which it prints them, after the sums at the
// head of memory.stat, except that up to two which only cgroup v1 shows come first.
func (l *layout) learnEvents(root string) error {
	length, err := l.length("memcg_vmstats", "events")
	if err != nil {
		return err
	}
	text, err := os.ReadFile(root + "/memory.stat")
	if err != nil {
		return err
	}
	_, after, _ := strings.Cut(string(text), "\npgsteal ")
	lines := strings.Split(strings.TrimSpace(after), "\n")[1:] // without the rest of pgsteal's
	hidden := length - len(lines)
	if hidden != 0 && hidden != 2 || length > 64 {
		return fmt.Errorf("memory.stat has %d events and the kernel %d", len(lines), length)
	}
	for i := range l.event {
		l.event[i] = nowhere
	}
	scans, steals := eventScan, eventSteal
	for i, line := range lines {
		name, _, _ := strings.Cut(line, " ")
		at := -1
		switch {
		case name == "pgfault":
			at = eventFault
		case name == "pgmajfault":
			at = eventMajorFault
		case strings.HasPrefix(name, "pgscan_"):
			at = scans
			scans++
		case strings.HasPrefix(name, "pgsteal_"):
			at = steals
			steals++
		}
		if scans > eventScan+eventActors || steals > eventSteal+eventActors {
			return fmt.Errorf("memory.stat has more kinds of %s than are known", name)
		}
		if at >= 0 {
			l.event[at] = uint8(i + hidden)
		}
	}
	for _, must := range [...]int{eventFault, eventMajorFault, eventScan, eventSteal} {
		if l.event[must] == nowhere {
			return errors.New("memory.stat lacks an event")
		}
	}
	return nil
}

func boolean(is bool) uint32 {
	if is {
		return 1
	}
	return 0
}

// peek reads a table of the kernel's by its name. The kernel tells addresses only to those with CAP_SYSLOG.
func (l *layout) peek(symbol string, size int) ([]uint8, error) {
	address, err := addressOf(symbol)
	if err != nil {
		return nil, err
	}
	spec, err := ebpf.LoadCollectionSpecFromReader(bytes.NewReader(object))
	if err != nil {
		return nil, fmt.Errorf("read the program: %w", err)
	}
	program, err := ebpf.NewProgramWithOptions(spec.Programs["peek"], ebpf.ProgramOptions{KernelTypes: l.types})
	if err != nil {
		return nil, refused(err)
	}
	defer func() { _ = program.Close() }()
	context := peek{address: address, size: uint32(size)}
	if size > len(context.bytes) {
		return nil, fmt.Errorf("the kernel's table %s has %d entries", symbol, size)
	}
	raw := unsafe.Slice((*byte)(unsafe.Pointer(&context)), unsafe.Sizeof(context))
	status, err := program.Run(&ebpf.RunOptions{Context: raw, ContextOut: raw})
	if err != nil || status != 0 {
		return nil, fmt.Errorf("read the kernel's table %s: status %d: %w", symbol, status, err)
	}
	return context.bytes[:size], nil
}

// addressOf finds a symbol in /proc/kallsyms.
func addressOf(symbol string) (uint64, error) {
	text, err := os.ReadFile("/proc/kallsyms")
	if err != nil {
		return 0, fmt.Errorf("find the kernel's table %s: %w", symbol, err)
	}
	at := bytes.Index(text, []byte(" "+symbol+"\n"))
	if at < 0 {
		return 0, fmt.Errorf("the kernel does not tell where its table %s is (CONFIG_KALLSYMS_ALL)", symbol)
	}
	start := bytes.LastIndexByte(text[:at], '\n') + 1
	word, _, _ := bytes.Cut(text[start:at], []byte(" "))
	address, err := strconv.ParseUint(string(word), 16, 64)
	if err != nil || address == 0 {
		return 0, fmt.Errorf("the kernel does not tell this process where its table %s is (CAP_SYSLOG, kernel.kptr_restrict)", symbol)
	}
	return address, nil
}
