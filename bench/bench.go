// Package bench holds the measurement that make bench ends with: see its test.
package bench
