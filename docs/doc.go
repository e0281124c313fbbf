// Package docs holds what there is to read about nodevitals, and the tests that hold it to its word. It has no code of its own.
package docs
