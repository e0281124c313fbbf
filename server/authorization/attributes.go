// Package authorization decides what a known user may ask of this node, as a kubelet does: by the right to a subresource of the node,
// which the API server reviews.
package authorization

import (
	"net/http"
	"strings"
)

// proxy is the subresource of everything that has none of its own.
const proxy = "proxy"

// subresources are those of paths and what is below them, as the kubelet has them: the first row that fits. Where there are two, either
// right will do, and the finer one is tried first.
var subresources = []struct {
	path string
	of   []string
}{
	{"/stats", []string{"stats"}},
	{"/metrics", []string{"metrics"}},
	{"/healthz", []string{"healthz", proxy}},
	// The kubelet has neither; they tell no more than /healthz.
	{"/livez", []string{"healthz", proxy}},
	{"/readyz", []string{"healthz", proxy}},
	{"/pods", []string{"pods", proxy}},
	// What the agent does not serve is still none of everybody's business, by the kubelet's rule for it.
	{"/runningpods", []string{"pods", proxy}},
	{"/allocatedPods", []string{"pods", proxy}},
	{"/configz", []string{"configz", proxy}},
	{"/flagz", []string{"configz"}},
	{"/statusz", []string{"statusz"}},
	{"/logs", []string{"log"}},
	{"/checkpoint", []string{"checkpoint"}},
}

// Subresources returns the subresources of "nodes" whose right lets a path be asked for; there is at least one. Not to be changed.
func Subresources(path string) []string {
	for _, row := range subresources {
		if rest, ok := strings.CutPrefix(path, row.path); ok && (rest == "" || rest[0] == '/') {
			return row.of
		}
	}
	return onlyProxy
}

var onlyProxy = []string{proxy}

// verbs are Kubernetes' for the methods of HTTP.
var verbs = map[string]string{
	http.MethodPost:   "create",
	http.MethodGet:    "get",
	http.MethodPut:    "update",
	http.MethodPatch:  "patch",
	http.MethodDelete: "delete",
}

// Verb returns the verb whose right a method needs. As in a kubelet, HEAD, OPTIONS and all others have the empty verb, which only "*" grants.
func Verb(method string) string { return verbs[method] }
