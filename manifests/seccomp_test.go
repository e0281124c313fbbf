package manifests

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// profile is a seccomp profile, as a runtime reads one.
type profile struct {
	DefaultAction   string
	DefaultErrnoRet int
	Architectures   []string
	Syscalls        []struct {
		Names  []string
		Action string
		Args   []struct {
			Index           uint
			Value, ValueTwo uint64
			Op              string
		}
	}
}

func readProfile(t *testing.T) *profile {
	t.Helper()
	text, err := os.ReadFile("components/seccomp/nodevitals.json")
	if err != nil {
		t.Fatal(err)
	}
	p := new(profile)
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(p); err != nil {
		t.Fatal(err)
	}
	return p
}

// names are the calls that the profile allows, those with certain arguments alone included.
func (p *profile) names() (all []string) {
	for _, row := range p.Syscalls {
		all = append(all, row.Names...)
	}
	return all
}

// What is not listed is refused, on both architectures of the image.
func TestProfileIsAListOfWhatIsAllowed(t *testing.T) {
	p := readProfile(t)
	if p.DefaultAction != "SCMP_ACT_ERRNO" || p.DefaultErrnoRet != 1 {
		t.Errorf("what is not listed gets %s %d, want SCMP_ACT_ERRNO 1 (EPERM)", p.DefaultAction, p.DefaultErrnoRet)
	}
	if got := strings.Join(p.Architectures, " "); got != "SCMP_ARCH_X86_64 SCMP_ARCH_AARCH64" {
		t.Errorf("architectures: %s", got)
	}
	for _, row := range p.Syscalls {
		if row.Action != "SCMP_ACT_ALLOW" {
			t.Errorf("%v: %s, want nothing but SCMP_ACT_ALLOW", row.Names, row.Action)
		}
	}
	if first := p.Syscalls[0].Names; !slices.IsSorted(first) || len(slices.Compact(slices.Clone(first))) != len(first) {
		t.Error("the names are not sorted, or one is there twice")
	}
	names := p.names()
	// Those by which a process leaves its place, looks into others or loads something into the kernel. clone, socket and ioctl are there for
	// certain arguments alone.
	for _, never := range []string{
		"add_key", "chroot", "clone3", "delete_module", "finit_module", "fsopen", "init_module", "io_uring_setup", "kexec_load", "keyctl",
		"mknodat", "mount", "move_mount", "open_by_handle_at", "open_tree", "perf_event_open", "personality", "pidfd_getfd", "pivot_root", "process_vm_readv",
		"process_vm_writev", "ptrace", "quotactl", "reboot", "request_key", "seccomp", "sethostname", "setns", "setuid", "setgid", "setgroups", "settimeofday",
		"swapon", "syslog", "umount2", "unshare", "userfaultfd",
	} {
		if slices.Contains(names, never) {
			t.Errorf("%s is allowed", never)
		}
	}
	for _, name := range []string{"clone", "socket", "ioctl"} {
		for _, row := range p.Syscalls {
			if slices.Contains(row.Names, name) && len(row.Args) == 0 {
				t.Errorf("%s is allowed whatever its arguments", name)
			}
		}
	}
}

// numbersOf are the names of an architecture's system calls, from the tables of golang.org/x/sys.
func numbersOf(t *testing.T, architecture string) []string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(moduleFolder(t, "..", "golang.org/x/sys"), "unix/zsysnum_linux_"+architecture+".go"))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, match := range regexp.MustCompile(`(?m)^\tSYS_([A-Z0-9_]+)\s+=`).FindAllSubmatch(text, -1) {
		name := strings.ToLower(string(match[1]))
		// Those tables have the kernel's own name for what everybody else calls newfstatat.
		if architecture == "arm64" && name == "fstatat" {
			name = "newfstatat"
		}
		names = append(names, name)
	}
	return names
}

// Each name is one of a system call, and of both architectures but for those that one of them lacks.
func TestProfileNamesAreSystemCalls(t *testing.T) {
	amd64, arm64 := numbersOf(t, "amd64"), numbersOf(t, "arm64")
	of := map[string]string{"arch_prctl": "amd64"}
	for _, name := range readProfile(t).names() {
		for architecture, names := range map[string][]string{"amd64": amd64, "arm64": arm64} {
			if only := of[name]; only != "" && only != architecture {
				continue
			}
			if !slices.Contains(names, name) {
				t.Errorf("%s is no system call of %s", name, architecture)
			}
		}
	}
}

// unused are calls of Go's runtime that this program does not make.
var unused = map[string]string{
	"setitimer": "profiling", "setittimer": "profiling, misspelt on amd64", "timer_create": "profiling", "timer_settime": "profiling",
	"timer_delete": "profiling",
}

// All that Go's runtime may call on either architecture is allowed, whether or not a test has met it.
func TestProfileHasGosRuntime(t *testing.T) {
	out, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		t.Fatal(err)
	}
	root, names := strings.TrimSpace(string(out)), readProfile(t).names()
	for _, architecture := range []string{"amd64", "arm64"} {
		found := 0
		for _, file := range []string{
			"src/runtime/sys_linux_" + architecture + ".s", "src/internal/runtime/syscall/linux/defs_linux_" + architecture + ".go",
		} {
			text, err := os.ReadFile(filepath.Join(root, file))
			if err != nil {
				t.Fatal(err)
			}
			for _, match := range regexp.MustCompile(`\bSYS_([A-Za-z0-9_]+)`).FindAllSubmatch(text, -1) {
				name := strings.ToLower(string(match[1]))
				found++
				if unused[name] == "" && !slices.Contains(names, name) {
					t.Errorf("%s: Go's runtime calls %s, which the profile refuses", architecture, name)
				}
			}
		}
		if found < 30 {
			t.Errorf("%s: %d calls were found in Go's runtime, want more", architecture, found)
		}
	}
}

// The calls that the program's own source names are allowed: where one is refused, something slower is done, and nobody sees it.
func TestProfileHasWhatTheSourceNames(t *testing.T) {
	names, found := readProfile(t).names(), 0
	called := regexp.MustCompile(`\b(?:unix|syscall)\.SYS_([A-Z0-9_]+)`)
	// Other modules, whose programs the profile is not for, and what is made.
	others := []string{"../.git", "../bench/cadvisor", "../bin", "../build", "../deps", "../e2e", "../tools"}
	err := filepath.WalkDir("..", func(path string, entry os.DirEntry, err error) error {
		if err == nil && entry.IsDir() && slices.Contains(others, path) {
			return filepath.SkipDir
		}
		if err != nil || entry.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		text, err := os.ReadFile(path)
		for _, match := range called.FindAllSubmatch(text, -1) {
			found++
			if name := strings.ToLower(string(match[1])); !slices.Contains(names, name) {
				t.Errorf("%s calls %s, which the profile refuses", path, name)
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if found == 0 {
		t.Error("no call was found in the source")
	}
}
