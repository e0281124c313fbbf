package exporter

import (
	"errors"
	"fmt"
	"net/url"

	"github.com/nodevitals/nodevitals/snapshot"
)

// The parameters of a request that choose groups. Both can be repeated, and take the words of --disable-group.
const (
	collectParameter = "collect[]"
	excludeParameter = "exclude[]"
)

// groups turns a query into the groups to show: those that ?collect[]= names, or else all that are switched on, less those that
// ?exclude[]= names. An error is the client's fault, and one line for them.
func (h *handler) groups(query url.Values) (snapshot.Groups, error) {
	asked := h.options.Groups &^ snapshot.Everywhere
	if words := query[collectParameter]; len(words) > 0 {
		named, err := snapshot.ParseGroups(words)
		if err != nil {
			return 0, fmt.Errorf("%s: %w", collectParameter, err)
		}
		if off := named &^ h.options.Groups; off != 0 {
			return 0, fmt.Errorf("%s: switched off on this node: %s", collectParameter, off)
		}
		asked = named
		if series := h.options.Series; h.serves == snapshot.All && series != nil && asked&series.groups == 0 {
			return 0, fmt.Errorf("%s: this node shows no series of %s: its profile and lists of families leave them out", collectParameter, asked)
		}
	}
	excluded, err := snapshot.ParseGroups(query[excludeParameter])
	if err != nil {
		return 0, fmt.Errorf("%s: %w", excludeParameter, err)
	}
	if asked != 0 && asked&^excluded == 0 {
		return 0, errors.New(excludeParameter + ": nothing is left to show; leave out fewer groups")
	}
	return asked &^ excluded & h.serves, nil
}

// needs returns what must be read for the families that show the groups: what they show, and what decides whether they do. What is
// switched off is not read, and no more than somebody sees: neither in groups nor in cgroups.
func (h *handler) needs(groups snapshot.Groups) snapshot.Groups {
	var needed, unshown snapshot.Groups
	if h.options.NoContainerFilesystems {
		unshown = snapshot.Layers
	}
	for i := range h.families {
		f := &h.families[i]
		if shown := f.groups & groups; shown != 0 {
			needed |= shown | f.needs&^unshown
		}
	}
	return needed&h.options.Groups | h.cgroups
}
