package du

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// Files adds up what is directly in a folder and is no folder itself. A symbolic link counts as the link, and what has several
// names with each of them. Inodes of 0 says that there is nothing. Errors carry the path; [os.ErrNotExist] says that there is no
// such folder. A file that vanishes is no error.
func Files(path string) (Usage, error) {
	var files Usage
	var stat unix.Statx_t
	name := append([]byte(path), 0)
	fd, err := system{}.open(unix.AT_FDCWD, &name[0])
	if err != nil {
		return files, fmt.Errorf("open %s: %w", path, err)
	}
	defer unix.Close(fd)
	buffer := buffers.Get().(*listBuffer)
	defer buffers.Put(buffer)
	for {
		n, err := system{}.list(fd, buffer[:])
		if err != nil && !errors.Is(err, unix.ENOENT) {
			return Usage{}, fmt.Errorf("list %s: %w", path, err)
		}
		if err != nil || n == 0 {
			return files, nil
		}
		for one, rest := next(buffer[:n]); one.name != nil; one, rest = next(rest) {
			switch err := (system{}).stat(fd, &one.name[0], &stat); {
			case errors.Is(err, unix.ENOENT):
			case err != nil:
				return Usage{}, fmt.Errorf("stat %s/%s: %w", path, unix.ByteSliceToString(one.name), err)
			case stat.Mode&unix.S_IFMT != unix.S_IFDIR:
				files.Bytes += stat.Blocks * 512
				files.Inodes++
			}
		}
	}
}
