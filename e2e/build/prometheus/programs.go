//go:build programs

// Package prometheus names the program that this module builds, so that go mod tidy keeps all it needs.
package prometheus

import _ "github.com/prometheus/prometheus/cmd/prometheus"
