// Command build makes the programs of a one-node Kubernetes from their Go modules, and prints the folder that holds them.
//
//	go run ./build
//
// It keeps those of each module in $XDG_CACHE_HOME/nodevitals/e2e/MODULE-HASH, where HASH stands for its versions, and links to all of them in
// one folder: a second run finds them there. A folder appears whole or not at all, and runs that start at once wait for the first.
package main

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
)

// unfinished begins the names of folders that are being filled.
const unfinished = "unfinished-"

func main() {
	bin, err := run()
	if err != nil {
		fmt.Fprintln(os.Stderr, "e2e/build:", err)
		os.Exit(1)
	}
	fmt.Println(bin)
}

func run() (string, error) {
	root, err := sources()
	if err != nil {
		return "", err
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("find a cache folder: %w", err)
	}
	cache = filepath.Join(cache, "nodevitals", "e2e")
	if err := os.MkdirAll(cache, 0o755); err != nil {
		return "", fmt.Errorf("make the cache folder: %w", err)
	}
	unlock, err := lock(filepath.Join(cache, "lock"))
	if err != nil {
		return "", err
	}
	defer unlock()

	if err := tidy(cache); err != nil {
		return "", err
	}
	var folders []string
	for _, r := range recipes {
		folder, err := r.cached(root, cache)
		if err != nil {
			return "", err
		}
		folders = append(folders, folder)
	}
	return together(cache, folders)
}

// tidy removes what runs that were killed left: whoever has the lock is the only one at work.
func tidy(cache string) error {
	leftovers, err := filepath.Glob(filepath.Join(cache, unfinished+"*"))
	if err != nil {
		return err
	}
	for _, folder := range leftovers {
		if err := os.RemoveAll(folder); err != nil {
			return fmt.Errorf("remove what a killed run left: %w", err)
		}
	}
	return nil
}

// whole makes the folder final by fill, or not at all.
func whole(cache, final string, fill func(folder string) error) error {
	work, err := os.MkdirTemp(cache, unfinished)
	if err != nil {
		return fmt.Errorf("make a folder to build in: %w", err)
	}
	defer func() { _ = os.RemoveAll(work) }() // gone by then, if all went well
	if err := fill(work); err != nil {
		return err
	}
	if err := os.Chmod(work, 0o755); err != nil {
		return err
	}
	if err := os.Rename(work, final); err != nil {
		return fmt.Errorf("keep the programs: %w", err)
	}
	return nil
}

// together returns a folder with the programs of all folders in one place, as links, since a search path is one setting and the
// emulated machine sees one folder.
func together(cache string, folders []string) (string, error) {
	hash := sha256.New()
	for _, folder := range folders {
		fmt.Fprintln(hash, filepath.Base(folder))
	}
	final := filepath.Join(cache, "all-"+hex.EncodeToString(hash.Sum(nil))[:16])
	if _, err := os.Stat(final); err == nil {
		return final, nil
	}
	return final, whole(cache, final, func(work string) error {
		for _, folder := range folders {
			entries, err := os.ReadDir(folder)
			if err != nil {
				return fmt.Errorf("list built programs: %w", err)
			}
			for _, entry := range entries {
				if err := os.Link(filepath.Join(folder, entry.Name()), filepath.Join(work, entry.Name())); err != nil {
					return fmt.Errorf("link a built program: %w", err)
				}
			}
		}
		return nil
	})
}

// sources is the folder of this file, below which the recipes' modules are.
func sources() (string, error) {
	_, file, _, ok := runtime.Caller(0)
	if !ok || !filepath.IsAbs(file) {
		return "", errors.New("this program does not know where its sources are: use go run, without -trimpath")
	}
	return filepath.Dir(file), nil
}

// lock waits until no other run holds path. The kernel lets it go if the holder dies.
func lock(path string) (unlock func(), err error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open the lock: %w", err)
	}
	err = syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		fmt.Fprintf(os.Stderr, "e2e: another run builds: waiting for %s\n", path)
		err = syscall.Flock(int(file.Fd()), syscall.LOCK_EX)
	}
	if err != nil {
		file.Close()
		return nil, fmt.Errorf("lock %s: %w", path, err)
	}
	return func() { file.Close() }, nil
}
