package certificate

import (
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
)

// NodeNames returns what clients may call this node: its host name, whole and up to the first dot, the node's name, localhost, and the
// addresses of all interfaces, of both families. more adds names and addresses. Sorted, each once.
//
// Link-local IPv6 addresses are left out: each needs the client's own interface with it, and each pod brings one.
func NodeNames(nodeName string, more []string) ([]string, []net.IP, error) {
	host, err := os.Hostname()
	if err != nil {
		return nil, nil, err
	}
	interfaces, err := net.InterfaceAddrs()
	if err != nil {
		return nil, nil, err
	}
	all := append([]string{host, strings.ToLower(host), nodeName, "localhost", "127.0.0.1", "::1"}, more...)
	short, _, _ := strings.Cut(host, ".")
	all = append(all, short, strings.ToLower(short))
	for _, address := range interfaces {
		if network, ok := address.(*net.IPNet); ok && (network.IP.To4() != nil || !network.IP.IsLinkLocalUnicast()) {
			all = append(all, network.IP.String())
		}
	}
	slices.Sort(all)
	var hosts []string
	var addresses []net.IP
	for _, name := range slices.Compact(all) {
		if address, err := netip.ParseAddr(name); err == nil {
			addresses = append(addresses, address.Unmap().AsSlice())
		} else if IsHostName(name) {
			hosts = append(hosts, name)
		}
	}
	return hosts, addresses, nil
}

// IsHostName tells whether a certificate can have a name: letters, digits, dashes, underscores and dots, and no empty part.
func IsHostName(name string) bool {
	if len(name) > 253 {
		return false
	}
	for label := range strings.SplitSeq(name, ".") {
		if label == "" || len(label) > 63 || strings.Trim(label, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_") != "" {
			return false
		}
	}
	return true
}
