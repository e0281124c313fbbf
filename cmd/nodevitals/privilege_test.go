package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/nodevitals/nodevitals/collector/cgrouptest"
	"github.com/nodevitals/nodevitals/snapshot"
)

// set is the capabilities with these numbers.
func set(numbers ...uint) (c capabilities) {
	for _, number := range numbers {
		c.add(number)
	}
	return c
}

// statusOfThreads returns the lines of /proc/PID/task/*/status that tell of rights: what all threads have in common, by name, and a complaint
// for each that differs.
func statusOfThreads(t *testing.T, pid int) (lines map[string]string, differing []string) {
	t.Helper()
	files, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", pid))
	if err != nil || len(files) < 2 {
		t.Fatalf("threads of process %d: %v, %v; want some", pid, files, err)
	}
	lines = make(map[string]string)
	for _, file := range files {
		text, err := os.ReadFile(file)
		if errors.Is(err, os.ErrNotExist) || errors.Is(err, unix.ESRCH) {
			continue // it has ended
		}
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(text)) {
			name, value, _ := strings.Cut(line, ":")
			if !strings.HasPrefix(name, "Cap") && name != "NoNewPrivs" {
				continue
			}
			value = strings.TrimSpace(value)
			if before, met := lines[name]; met && before != value {
				differing = append(differing, fmt.Sprintf("%s: %s is %s, and %s of another thread", file, name, value, before))
			}
			lines[name] = value
		}
	}
	return lines, differing
}

// A root agent keeps what its options need and no more, in every thread, and says so once; and all that it serves is still there.
func TestAgentGivesUpRights(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
	held, err := heldCapabilities()
	if err != nil {
		t.Fatal(err)
	}
	foreign := t.TempDir()
	for _, folder := range []string{foreign, filepath.Dir(foreign)} {
		if err := os.Chmod(folder, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chown(foreign, nobody, nobody); err != nil {
		t.Fatal(err)
	}
	socket := filepath.Join(foreign, "socket")
	const files, reads, looks = "--reader=files", unix.CAP_DAC_READ_SEARCH, unix.CAP_SYS_PTRACE
	for _, test := range []struct {
		name string
		args []string
		want capabilities
	}{
		{"everything from files", []string{files}, set(reads, looks)},
		{"no processes", []string{files, "--pod-source=cri", "--disable-group=process"}, set(reads)},
		{"neither processes nor storage", []string{files, "--disable-group=process,storage"}, 0},
		{"core groups alone", []string{files, "--disable-group=process,storage,network", "--read-only-socket=" + socket}, set(unix.CAP_DAC_OVERRIDE)},
	} {
		t.Run(test.name, func(t *testing.T) {
			a := startAgent(t, 0, test.args...)
			checkRights(t, a, test.want&held)
			if status := a.terminate(t); status != 0 {
				t.Errorf("exit status after SIGTERM: got %d, want 0; stderr:\n%s", status, &a.stderr)
			}
			// In another user's folder, too, it takes its socket away.
			if _, err := os.Lstat(socket); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("the socket is still there: %v", err)
			}
		})
	}
	t.Run("what is served", func(t *testing.T) {
		id := twoUsers(t)
		a := startAgent(t, 0)
		for _, e := range endpoints {
			if _, body := get(t, a.readOnly+e.path, nil); !strings.Contains(body, e.has) {
				t.Errorf("%s lacks %q:\n%.300s", e.path, e.has, body)
			}
		}
		if _, body := get(t, a.readOnly+"/metrics/cadvisor", nil); held.has(reads) && held.has(looks) &&
			!matches(body, `^container_sockets\{[^}]*id="`+id+`"[^}]*\} 4$`) {
			t.Errorf("the sockets of %s are absent", id)
		}
	})
	t.Run("port below 1024", func(t *testing.T) {
		port := lowPort(t)
		a := startAgent(t, 0, files, "--read-only-socket="+socket, "--secure-port="+strconv.Itoa(port), "--anonymous-auth", "--authorization-mode=AlwaysAllow",
			"--tls-cert-dir="+filepath.Join(foreign, "certificates"))
		checkRights(t, a, set(reads, looks, unix.CAP_DAC_OVERRIDE)&held)
	})
}

// checkRights holds every thread of an agent to a set of capabilities, and its log to one line.
func checkRights(t *testing.T, a *running, want capabilities) {
	t.Helper()
	lines, differing := statusOfThreads(t, a.command.Process.Pid)
	for _, one := range differing {
		t.Error(one)
	}
	for name, value := range map[string]string{
		"CapEff": fmt.Sprintf("%016x", uint64(want)), "CapPrm": fmt.Sprintf("%016x", uint64(want)), "CapBnd": fmt.Sprintf("%016x", uint64(want)),
		"CapInh": strings.Repeat("0", 16), "CapAmb": strings.Repeat("0", 16), "NoNewPrivs": "1",
	} {
		if lines[name] != value {
			t.Errorf("%s is %s, want %s", name, lines[name], value)
		}
	}
	var kept []string
	told := 0
	for line := range strings.Lines(a.stderr.String()) {
		var entry struct {
			Logger, Level string
			Kept          []string
			NoNewPrivs    bool `json:"no_new_privs"`
		}
		if err := json.Unmarshal([]byte(line), &entry); err != nil || entry.Logger != "privilege" {
			continue
		}
		told++
		kept = entry.Kept
		if entry.Level != "info" || !entry.NoNewPrivs {
			t.Errorf("it says: %s", line)
		}
	}
	if told != 1 {
		t.Errorf("it tells %d times what it kept, want once:\n%s", told, &a.stderr)
	}
	for _, one := range rights {
		said := slices.ContainsFunc(kept, func(line string) bool { return strings.HasPrefix(line, one.name+": ") })
		if said != want.has(one.number) {
			t.Errorf("it says that it kept %q; %s is kept: %t", kept, one.name, want.has(one.number))
		}
	}
}

func matches(text, expression string) bool {
	return regexp.MustCompile("(?m)" + expression).MatchString(text)
}

// lowPort is one that an ordinary user may not bind, and that nobody holds.
func lowPort(t *testing.T) int {
	t.Helper()
	text, err := os.ReadFile("/proc/sys/net/ipv4/ip_unprivileged_port_start")
	if err != nil {
		t.Fatal(err)
	}
	first, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil || first <= 1 {
		t.Skipf("every port is free to every user here: ip_unprivileged_port_start is %q", text)
	}
	for port := first - 1; port > 0; port-- {
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		err = unix.Bind(fd, &unix.SockaddrInet4{Port: port})
		_ = unix.Close(fd)
		if err == nil {
			return port
		}
	}
	t.Skip("no port below 1024 is free")
	return 0
}

// With the reader in the kernel CAP_BPF stays, which it needs when there are more cgroups than before, and what reads the kernel's memory goes.
func TestReaderInTheKernelGivesUpRights(t *testing.T) {
	cgrouptest.OpenWalker(t).Close()
	a := startAgent(t, 0, "--reader=bpf", "--disable-group=process,storage,network", "--max-age=0")
	checkRights(t, a, set(unix.CAP_BPF))
	before, err := filepath.Glob("/sys/fs/cgroup/*")
	if err != nil {
		t.Fatal(err)
	}
	// More than it has made room for, so that it must make a larger map.
	parent := filepath.Join("/sys/fs/cgroup", "nodevitals-test-grow-"+strconv.Itoa(os.Getpid()))
	folders := []string{parent}
	for i := range 100 + 2*len(before) {
		folders = append(folders, filepath.Join(parent, strconv.Itoa(i)))
	}
	t.Cleanup(func() {
		for _, folder := range slices.Backward(folders) {
			_ = os.Remove(folder)
		}
	})
	for _, folder := range folders {
		if err := os.Mkdir(folder, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	_, body := get(t, a.readOnly+"/metrics/cadvisor", nil)
	if last := folders[len(folders)-1]; !strings.Contains(body, `id="`+strings.TrimPrefix(last, "/sys/fs/cgroup")+`"`) {
		t.Errorf("the last of %d new cgroups is not there", len(folders))
	}
	if _, body := get(t, a.readOnly+"/metrics", nil); !strings.Contains(body, `nodevitals_reader{reader="bpf"} 1`) {
		t.Errorf("files are read after %d cgroups more; stderr:\n%s", len(folders), &a.stderr)
	}
}

func TestRightsFollowTheOptions(t *testing.T) {
	folder := t.TempDir()
	file := filepath.Join(folder, "key")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	nothing := snapshot.All
	for _, test := range []struct {
		name    string
		options func(*options)
		want    capabilities
	}{
		{"nothing", func(*options) {}, 0},
		{"storage", func(o *options) { o.disabled &^= snapshot.Storage }, set(unix.CAP_DAC_READ_SEARCH)},
		{"process", func(o *options) { o.disabled &^= snapshot.Process }, set(unix.CAP_DAC_READ_SEARCH, unix.CAP_SYS_PTRACE)},
		{"network of a host alone", func(o *options) { o.disabled &^= snapshot.Network }, 0},
		{
			"network of pods",
			func(o *options) { o.disabled, o.podSource = o.disabled&^snapshot.Network, "api" },
			0,
		},
		{"reader in the kernel", func(o *options) { o.walks = true }, set(unix.CAP_BPF)},
		{"key of this user", func(o *options) { o.secure.keyFile = file }, 0},
		{"what is not there", func(o *options) { o.secure.certDir, o.kubeconfig = "/nowhere/at/all", "/nowhere/at/all" }, 0},
	} {
		o := defaultOptions()
		o.disabled, o.podSource = nothing, "none"
		test.options(o)
		var got capabilities
		for _, one := range rights {
			if one.purpose(o, got) != "" {
				got.add(one.number)
			}
		}
		if got != test.want {
			t.Errorf("%s: got %016x, want %016x", test.name, uint64(got), uint64(test.want))
		}
	}
	// Where CAP_BPF was not given, what stands for it.
	o := &options{walks: true}
	if got := rights[len(rights)-1]; got.number != unix.CAP_SYS_ADMIN || got.purpose(o, 0) == "" {
		t.Errorf("CAP_SYS_ADMIN does not stand for CAP_BPF: %+v", got)
	}
}

// The token that a kubeconfig names is read again when it changes: where its mode keeps it from this user, the right to read it stays.
func TestRightsFollowTheKubeconfig(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root, who alone reads such a token to begin with")
	}
	folder := t.TempDir()
	token, kubeconfig := filepath.Join(folder, "token"), filepath.Join(folder, "kubeconfig")
	writeFile(t, token, []byte("secret"))
	writeFile(t, kubeconfig, fmt.Appendf(nil, `apiVersion: v1
kind: Config
current-context: test
clusters: [{name: test, cluster: {server: "https://127.0.0.1:1"}}]
users: [{name: test, user: {tokenFile: %q}}]
contexts: [{name: test, context: {cluster: test, user: test}}]
`, token))
	o := &options{disabled: snapshot.All, kubeconfig: kubeconfig}
	if got := o.readsOfOthers(0); got != "" {
		t.Errorf("a token of this user is read with a right for %s", got)
	}
	if err := os.Chmod(token, 0); err != nil {
		t.Fatal(err)
	}
	if got := o.readsOfOthers(0); got != token {
		t.Errorf("a token that this user may not read is read with a right for %q, want %s", got, token)
	}
}

func TestModesAllow(t *testing.T) {
	u := user{uid: 5, groups: []uint32{6, 7}}
	for _, test := range []struct {
		owner, group, mode, want uint32
		allowed                  bool
	}{
		{5, 1, 0o400, mayRead, true},
		{5, 6, 0o077, mayRead, false}, // the owner's bits are the owner's alone
		{1, 7, 0o060, mayWrite, true},
		{1, 7, 0o606, mayWrite, false},
		{1, 2, 0o775, maySearch, true},
		{1, 2, 0o770, maySearch, false},
		{1, 2, 0o002, mayWrite | maySearch, false},
	} {
		if got := u.allowed(test.owner, test.group, test.mode, test.want); got != test.allowed {
			t.Errorf("owner %d, group %d, mode %o, want %o: got %t", test.owner, test.group, test.mode, test.want, got)
		}
	}
	folder := filepath.Join(t.TempDir(), "closed")
	if err := errors.Join(os.Mkdir(folder, 0o700), os.WriteFile(filepath.Join(folder, "file"), nil, 0o666)); err != nil {
		t.Fatal(err)
	}
	if !present().allows(filepath.Join(folder, "file"), mayWrite) {
		t.Error("the owner of a folder may not write to a file in it")
	}
	if stranger := (user{uid: uint32(os.Geteuid()) + 1}); stranger.allows(filepath.Join(folder, "file"), mayRead) {
		t.Error("a stranger may read what is in a closed folder")
	}
}
