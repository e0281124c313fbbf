//go:build programs

// Package prometheusadapter names the program that this module builds, so that go mod tidy keeps all it needs.
package prometheusadapter

import _ "sigs.k8s.io/prometheus-adapter/cmd/adapter"
