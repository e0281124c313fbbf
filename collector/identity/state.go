package identity

import (
	"slices"
	"time"
)

// SourceState is how a source of names fares.
type SourceState struct {
	// Name is "api" or "cri".
	Name string
	// Connected tells that the last exchange with the source went well.
	Connected bool
	// LastSync is when the source last told anything; zero: never.
	LastSync time.Time
	// Stale tells that names are in use whose source is not connected.
	Stale bool
	// Err is what the last exchange failed of; empty where it did not.
	Err string
}

// Sources returns the state of each source, in order of preference; empty where there is none.
func (x *Index) Sources() []SourceState {
	x.mutex.Lock()
	defer x.mutex.Unlock()
	return slices.Clone(x.states)
}

// expect makes a source known before it has answered.
func (x *Index) expect(name string) {
	x.mutex.Lock()
	defer x.mutex.Unlock()
	x.state(name)
}

// expects tells whether there is a source of this name. The mutex is held.
func (x *Index) expects(name string) bool {
	return slices.ContainsFunc(x.states, func(s SourceState) bool { return s.Name == name })
}

// heard notes that a source answered; it returns true if it did not before.
func (x *Index) heard(name string) bool {
	x.mutex.Lock()
	defer x.mutex.Unlock()
	state := x.state(name)
	changed := !state.Connected
	*state = SourceState{Name: name, Connected: true, LastSync: time.Now()}
	return changed
}

// lost notes that a source failed; it returns true if it did not so before.
func (x *Index) lost(name string, err error) bool {
	x.mutex.Lock()
	defer x.mutex.Unlock()
	state := x.state(name)
	changed := state.Connected || state.Err == ""
	state.Connected, state.Stale, state.Err = false, !state.LastSync.IsZero(), err.Error()
	return changed
}

// state returns the state of this name, and makes it if there is none. The mutex is held.
func (x *Index) state(name string) *SourceState {
	at := slices.IndexFunc(x.states, func(s SourceState) bool { return s.Name == name })
	if at < 0 {
		// "api" sorts before "cri", which is the order of preference.
		at, _ = slices.BinarySearchFunc(x.states, name, func(s SourceState, name string) int {
			if s.Name < name {
				return -1
			}
			return 1
		})
		x.states = slices.Insert(x.states, at, SourceState{Name: name})
	}
	return &x.states[at]
}
