package machine

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/nodevitals/nodevitals/collector/machine/hostfile"
	"github.com/nodevitals/nodevitals/snapshot"
)

// hugePages reads how much memory is set aside for huge pages. The kernel's sizes are known once it runs, so the folder is
// listed once.
type hugePages struct {
	path  string
	sizes []hugePageSize
}

// hugePageSize is one folder, such as hugepages-2048kB.
type hugePageSize struct {
	bytes uint64
	count *hostfile.File
}

func newHugePages(path string) *hugePages { return &hugePages{path: path} }

// read returns the bytes set aside for pages of every size. It is absent, without an error, where the kernel has no huge pages.
func (h *hugePages) read() (snapshot.Optional, error) {
	if h.sizes == nil {
		if err := h.list(); errors.Is(err, os.ErrNotExist) {
			return snapshot.Optional{}, nil
		} else if err != nil {
			return snapshot.Optional{}, err
		}
	}
	var total uint64
	for i := range h.sizes {
		size := &h.sizes[i]
		text, err := size.count.Read()
		if err != nil {
			return snapshot.Optional{}, err
		}
		count, ok := parseSingle(text)
		if !ok || count > (^uint64(0)-total)/size.bytes {
			return snapshot.Optional{}, fmt.Errorf("parse %s: %w", size.count.Path(), errMalformed)
		}
		total += count * size.bytes
	}
	return snapshot.Some(total), nil
}

func (h *hugePages) list() error {
	entries, err := os.ReadDir(h.path)
	if err != nil {
		return err
	}
	h.sizes = make([]hugePageSize, 0, len(entries))
	for _, entry := range entries {
		kilobytes, ok := pageKilobytes(entry.Name())
		if !ok {
			continue
		}
		h.sizes = append(h.sizes, hugePageSize{
			bytes: kilobytes << 10,
			count: hostfile.New(filepath.Join(h.path, entry.Name(), "nr_hugepages")),
		})
	}
	return nil
}

// pageKilobytes reads the size in a folder's name.
func pageKilobytes(name string) (uint64, bool) {
	digits, found := strings.CutPrefix(name, "hugepages-")
	if !found {
		return 0, false
	}
	if digits, found = strings.CutSuffix(digits, "kB"); !found {
		return 0, false
	}
	kilobytes, ok := hostfile.Uint([]byte(digits))
	return kilobytes, ok && kilobytes > 0 && kilobytes < 1<<50
}

func (h *hugePages) close() {
	for i := range h.sizes {
		h.sizes[i].count.Close()
	}
}
