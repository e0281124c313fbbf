// Package manifests holds what puts nodevitals on a cluster, and the tests that hold it to its word. It has no code of its own.
package manifests
