package du

import (
	"encoding/binary"

	"golang.org/x/sys/unix"
)

// Offsets in struct linux_dirent64 of getdents64(2). The name follows the type and ends with a zero byte.
const (
	entryOffset = 8
	entryLength = 16
	entryName   = 19
)

// list takes some entries of a folder: each is counted, and the names of subfolders are kept to be entered later.
func (w *Walk) list(folder *level) (entries int) {
	n, err := w.kernel.list(folder.fd, w.buffer[:])
	if err != nil {
		w.leaveOut(err)
	}
	if err != nil || n == 0 {
		folder.listed = true
		return 1
	}
	for one, rest := next(w.buffer[:n]); one.name != nil; one, rest = next(rest) {
		folder.offset = one.offset
		if isSelfOrParent(one.name) {
			continue
		}
		entries++
		w.take(folder, one.name)
	}
	return entries
}

// entry is one of a folder's.
type entry struct {
	// name is ended by a zero byte, and may be followed by more of them.
	name []byte
	// offset is where the listing goes on after this entry.
	offset int64
}

// next splits the first entry off what getdents gave. At the end its name is nil.
func next(list []byte) (first entry, rest []byte) {
	if len(list) <= entryName {
		return entry{}, nil
	}
	length := int(binary.NativeEndian.Uint16(list[entryLength:]))
	if length <= entryName || length > len(list) {
		return entry{}, nil
	}
	return entry{list[entryName:length], int64(binary.NativeEndian.Uint64(list[entryOffset:]))}, list[length:]
}

// isSelfOrParent reports whether a name is "." or "..".
func isSelfOrParent(name []byte) bool {
	return name[0] == '.' && (name[1] == 0 || name[1] == '.' && name[2] == 0)
}

// take counts one entry.
func (w *Walk) take(folder *level, name []byte) {
	if err := w.kernel.stat(folder.fd, &name[0], &w.stat); err != nil {
		w.leaveOut(err)
		return
	}
	if !w.here() {
		return
	}
	isFolder := w.stat.Mode&unix.S_IFMT == unix.S_IFDIR
	// A folder's links are its own "." and its subfolders' "..": it has one name.
	if w.stat.Nlink > 1 && !isFolder && w.seen(w.stat.Ino) {
		return
	}
	w.usage.Bytes += w.stat.Blocks * 512
	w.usage.Inodes++
	if isFolder {
		w.names = append(w.names, name[:nextName(name, 0)]...)
	}
}

// seen reports whether a file of several names has been counted under another.
func (w *Walk) seen(inode uint64) bool {
	if w.links == nil {
		w.links = make(map[uint64]struct{})
	}
	if _, known := w.links[inode]; known {
		return true
	}
	if len(w.links) >= maxLinks {
		w.leaveOut(ErrTooManyLinks)
		return false
	}
	w.links[inode] = struct{}{}
	return false
}
