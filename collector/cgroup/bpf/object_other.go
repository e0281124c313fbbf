//go:build !linux || !(amd64 || arm64)

package bpf

// object is empty where the program's arithmetic was not held against the kernel's: other processors account for time otherwise
// (CONFIG_VIRT_CPU_ACCOUNTING_NATIVE), and some are big-endian.
var object []byte
