//go:build race

package main

// These tests run with the race detector, so there is a C compiler, which a program that has it as well needs.
func init() { raceDetector = true }
