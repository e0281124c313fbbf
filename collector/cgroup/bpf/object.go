//go:build linux && (amd64 || arm64)

package bpf

import _ "embed" // the program is part of the binary

// object is made by scripts/bpf.sh of walk.bpf.c.
//
//go:embed walk.bpf.o
var object []byte
