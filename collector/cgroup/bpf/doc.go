// Package bpf reads cgroups (v2) inside the kernel: a BPF iterator walks over all of them and copies their figures out of the
// kernel's own structures into an array that this process has mapped. One system call reads the whole node, and there is no
// text to make or to parse.
//
// It is a [cgroup.Walker]: what it cannot take truthfully, the files still give. The kernel's types (BTF) are looked at once,
// when the program is loaded, and nothing of the package runs unless [Open] is called.
package bpf
