package bpf

import (
	"fmt"
	"strings"

	"golang.org/x/sys/unix"
)

// needed are the capabilities without which the kernel refuses the program. CAP_SYS_ADMIN stands for each.
var needed = []struct {
	name   string
	number uint
}{{"CAP_BPF", unix.CAP_BPF}, {"CAP_PERFMON", unix.CAP_PERFMON}}

// checkCapabilities returns an error that names what this process lacks. It is asked first, since to look at the kernel's types is
// the dear part of opening.
func checkCapabilities() error {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&header, &data[0]); err != nil {
		return fmt.Errorf("ask for capabilities: %w", err)
	}
	has := func(number uint) bool { return data[number/32].Effective&(1<<(number%32)) != 0 }
	if has(unix.CAP_SYS_ADMIN) {
		return nil
	}
	var lacking []string
	for _, one := range needed {
		if !has(one.number) {
			lacking = append(lacking, one.name)
		}
	}
	if len(lacking) > 0 {
		return fmt.Errorf("this process lacks %s", strings.Join(lacking, " and "))
	}
	return nil
}
