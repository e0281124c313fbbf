package server

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

const (
	// socketMode lets in the agent's user and group.
	socketMode = 0o660
	// longestSocket is the longest path of a socket that the kernel takes, in bytes.
	longestSocket = 107
	// dialPatience is how long whoever holds a socket may take to accept.
	dialPatience = 5 * time.Second
)

// ListenUnix binds a unix socket for its owner and group alone. A socket that is there already is replaced if nobody listens on it. Its error
// is one line that names the path, the reason and the flag to change. The file goes when the listener is closed.
func ListenUnix(ctx context.Context, path, flag string) (net.Listener, error) {
	listener, err := listenUnix(ctx, path)
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w; change %s", path, err, flag)
	}
	return listener, nil
}

func listenUnix(ctx context.Context, path string) (net.Listener, error) {
	if len(path) > longestSocket {
		return nil, fmt.Errorf("a socket's path has at most %d bytes", longestSocket)
	}
	if err := vacant(ctx, path); err != nil {
		return nil, err
	}
	// Bound under another name, in a folder that is ours alone, and moved into place once its mode is right: at no moment can others
	// connect.
	folder, err := os.MkdirTemp(filepath.Dir(path), ".s")
	if err != nil {
		return nil, plainReason(err)
	}
	defer func() { _ = os.RemoveAll(folder) }() // an empty folder left behind does no harm
	// A relative way into the folder would be shorter than the kernel's limit, but the agent has no folder of its own.
	private := filepath.Join(folder, "s")
	if len(private) > longestSocket {
		return nil, fmt.Errorf("a socket's path has at most %d bytes, of which its folder may take %d", longestSocket, longestSocket-len(private)+len(filepath.Dir(path)))
	}
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "unix", private)
	if err != nil {
		return nil, plainReason(err)
	}
	listener.(*net.UnixListener).SetUnlinkOnClose(false)
	err = os.Chmod(private, socketMode)
	if err == nil {
		err = os.Rename(private, path)
	}
	if err != nil {
		_ = listener.Close() // the error before is the one to tell
		return nil, plainReason(err)
	}
	return newUnixListener(listener, path)
}

// vacant returns an error if something at the path is in use, or is no socket.
func vacant(ctx context.Context, path string) error {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return plainReason(err)
	}
	if info.Mode().Type() != fs.ModeSocket {
		return errors.New("there is something else, which is no socket")
	}
	dialer := net.Dialer{Timeout: dialPatience}
	conn, err := dialer.DialContext(ctx, "unix", path)
	if err == nil {
		conn.Close()
		return fmt.Errorf("%w: another nodevitals may hold it", syscall.EADDRINUSE)
	}
	// Only this says that nobody listens; a full queue does not.
	if errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return reason(err)
}

// plainReason strips the path and operation that errors of files have: the one who reports them says them already.
func plainReason(err error) error {
	if number, ok := errors.AsType[syscall.Errno](err); ok {
		return number
	}
	return err
}

// unixListener takes its file away when it is closed, unless it is another's by then.
type unixListener struct {
	net.Listener
	path string
	own  os.FileInfo
}

func newUnixListener(listener net.Listener, path string) (net.Listener, error) {
	own, err := os.Lstat(path)
	if err != nil {
		_ = listener.Close() // the error before is the one to tell
		return nil, plainReason(err)
	}
	return &unixListener{Listener: listener, path: path, own: own}, nil
}

// Addr is where clients connect.
func (l *unixListener) Addr() net.Addr { return &net.UnixAddr{Name: l.path, Net: "unix"} }

// Close implements [net.Listener].
func (l *unixListener) Close() error {
	err := l.Listener.Close()
	if err != nil {
		return err
	}
	if now, gone := os.Lstat(l.path); gone == nil && os.SameFile(now, l.own) {
		_ = os.Remove(l.path) // a socket nobody listens on does no harm: the next start replaces it
	}
	return nil
}
