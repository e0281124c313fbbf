package server

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"syscall"
)

// Address is a TCP address to listen on, with the flags that set it, so that an error can say what to change.
type Address struct {
	// Host is an IP address or a name of this host. Empty means every address.
	Host string
	// Port is a TCP port. 0 lets the kernel choose one, which tests use.
	Port int
	// HostFlag and PortFlag are the flags that set Host and Port, with their dashes.
	HostFlag, PortFlag string
}

// String returns host:port, with the brackets that IPv6 needs.
func (a Address) String() string { return net.JoinHostPort(a.Host, strconv.Itoa(a.Port)) }

// sendBuffer is what the kernel holds of an answer for a client that does not read it, in bytes; the kernel doubles it for its own needs.
// By itself it lets a buffer grow to megabytes (tcp_wmem), and charges them to the agent's cgroup.
const sendBuffer = 128 << 10

// limitBuffers sets on a listener what its connections inherit.
func limitBuffers(_, _ string, raw syscall.RawConn) error {
	var failure error
	err := raw.Control(func(descriptor uintptr) {
		failure = syscall.SetsockoptInt(int(descriptor), syscall.SOL_SOCKET, syscall.SO_SNDBUF, sendBuffer)
	})
	return errors.Join(err, failure)
}

// Listen binds the address. Its error is one line that names the address, the reason and the flag to change;
// it wraps the system's error.
func Listen(ctx context.Context, a Address) (net.Listener, error) {
	config := net.ListenConfig{Control: limitBuffers}
	listener, err := config.Listen(ctx, "tcp", a.String())
	if err == nil {
		return listener, nil
	}
	number, ok := errors.AsType[syscall.Errno](err)
	if !ok {
		return nil, fmt.Errorf("listen on %s: %w; change %s", a, reason(err), a.HostFlag)
	}
	switch number {
	case syscall.EADDRINUSE:
		return nil, fmt.Errorf("listen on %s: %w: a kubelet or another nodevitals may hold it; change %s", a, number, a.PortFlag)
	case syscall.EACCES:
		return nil, fmt.Errorf("listen on %s: %w: ports below 1024 need CAP_NET_BIND_SERVICE; change %s", a, number, a.PortFlag)
	case syscall.EADDRNOTAVAIL:
		return nil, fmt.Errorf("listen on %s: %w: no interface of this host has it; change %s", a, number, a.HostFlag)
	default:
		return nil, fmt.Errorf("listen on %s: %w; change %s or %s", a, number, a.HostFlag, a.PortFlag)
	}
}

// reason strips the operation and address that net puts before the cause: Listen says them already.
func reason(err error) error {
	if operation, ok := errors.AsType[*net.OpError](err); ok {
		return operation.Err
	}
	return err
}
