package server

import (
	"fmt"
	"html"
	"net/http"
	"slices"
	"strings"
)

// Route is one path of an endpoint.
type Route struct {
	// Path matches exactly: "/metrics" does not answer for "/metrics/". A path that should, is a row of its own.
	Path string
	// Methods are those answered; others get 405 and an Allow header. Empty: any.
	Methods []string
	// Handler answers.
	Handler http.Handler
	// Title is the line on the index page. Empty: served, but not listed.
	Title string
}

// Index is the head of the page at "/".
type Index struct {
	// Name is the program; empty: there is no such page. Lines say more about it: version, node.
	Name  string
	Lines []string
}

// Mux answers for a table of routes, and at "/" with a page that lists them if it was given an Index. Unknown paths get 404.
// It redirects nothing: clients of metrics endpoints seldom follow.
type Mux struct {
	routes map[string]Route
	text   []byte
	page   []byte
}

// NewMux makes a Mux of a table. A path given twice is a mistake of the program and panics.
func NewMux(index Index, routes []Route) *Mux {
	m := &Mux{routes: make(map[string]Route, len(routes)+1), text: index.text(routes), page: index.html(routes)}
	if index.Name != "" {
		page := Route{Path: "/", Methods: []string{http.MethodGet, http.MethodHead}, Handler: http.HandlerFunc(m.index)}
		routes = append(slices.Clone(routes), page)
	}
	for _, route := range routes {
		if _, twice := m.routes[route.Path]; twice {
			panic(fmt.Sprintf("server: two routes for %s", route.Path))
		}
		m.routes[route.Path] = route
	}
	return m
}

// ServeHTTP implements [http.Handler].
func (m *Mux) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	route, ok := m.routes[r.URL.Path]
	if !ok {
		http.NotFound(w, r)
		return
	}
	if len(route.Methods) > 0 && !slices.Contains(route.Methods, r.Method) {
		w.Header().Set("Allow", strings.Join(route.Methods, ", "))
		http.Error(w, http.StatusText(http.StatusMethodNotAllowed), http.StatusMethodNotAllowed)
		return
	}
	route.Handler.ServeHTTP(w, r)
}

// index answers browsers, which name text/html in Accept, with links, and everything else with plain text.
func (m *Mux) index(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Vary", "Accept")
	body, kind := m.text, "text/plain; charset=utf-8"
	if strings.Contains(r.Header.Get("Accept"), "text/html") {
		body, kind = m.page, "text/html; charset=utf-8"
	}
	w.Header().Set("Content-Type", kind)
	_, _ = w.Write(body) // a client that left is no concern of ours
}

func (i Index) text(routes []Route) []byte {
	width := 0
	for _, route := range routes {
		if route.Title != "" {
			width = max(width, len(route.Path))
		}
	}
	var b strings.Builder
	b.WriteString(i.Name + "\n")
	for _, line := range i.Lines {
		b.WriteString(line + "\n")
	}
	b.WriteString("\n")
	for _, route := range routes {
		if route.Title != "" {
			fmt.Fprintf(&b, "%-*s  %s\n", width, route.Path, route.Title)
		}
	}
	return []byte(b.String())
}

func (i Index) html(routes []Route) []byte {
	var b strings.Builder
	name := html.EscapeString(i.Name)
	fmt.Fprintf(&b, "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>%s</title></head><body>\n<h1>%s</h1>\n", name, name)
	for _, line := range i.Lines {
		fmt.Fprintf(&b, "<p>%s</p>\n", html.EscapeString(line))
	}
	b.WriteString("<ul>\n")
	for _, route := range routes {
		if route.Title != "" {
			path := html.EscapeString(route.Path)
			fmt.Fprintf(&b, "<li><a href=\"%s\">%s</a> %s</li>\n", path, path, html.EscapeString(route.Title))
		}
	}
	b.WriteString("</ul>\n</body></html>\n")
	return []byte(b.String())
}
