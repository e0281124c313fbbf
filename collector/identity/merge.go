package identity

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
)

// entry is what all sources together say of one pod.
type entry struct {
	facts
	// hidden: another pod has the name.
	hidden bool
	// elimination finds a sandbox that no source tells of.
	elimination
}

// facts follow from the reports alone.
type facts struct {
	pod Pod
	// containers are all that are known, the older ones of each name included; sandboxes likewise.
	containers []container
	sandboxes  []sandbox
	// alive: a container runs, or the sandbox is ready. made is when the newest source says the pod was made.
	alive     bool
	made      time.Time
	accounted bool
	crio      bool
}

// newEntry merges the reports of a pod; either may be nil. It returns nil if both are.
func newEntry(api, runtime *report) *entry {
	switch {
	case api == nil && runtime == nil:
		return nil
	case api == nil:
		api = &report{pod: Pod{
			Name: runtime.pod.Name, Namespace: runtime.pod.Namespace, UID: runtime.pod.UID, HostNetwork: runtime.pod.HostNetwork,
		}}
	case runtime == nil:
		runtime = &report{}
	}
	e := &entry{facts: facts{
		pod:       api.pod,
		sandboxes: runtime.sandboxes,
		accounted: api.accounted,
		crio:      api.crio || runtime.crio,
		made:      api.made,
	}}
	e.containers = mergeContainers(api.containers, runtime.containers)
	e.pod.Containers = newestOfEachName(e.containers)

	var created time.Time
	if newest := newestSandbox(e.sandboxes); newest != nil {
		e.pod.SandboxID, created, e.alive = newest.id, newest.created, newest.ready
		if created.After(e.made) {
			e.made = created
		}
	}
	for i := range e.pod.Containers {
		e.alive = e.alive || e.pod.Containers[i].Running
	}
	// The kubelet takes containerd's pods from the runtime, but CRI-O's from what it told the API server.
	e.pod.Started = created
	if created.IsZero() || e.crio && !api.acknowledged.IsZero() {
		e.pod.Started = api.acknowledged
	}
	return e
}

// mergeContainers puts together what both sources know of each container. The API server knows names and kinds, the runtime
// what is newer: between them lie a second or two.
func mergeContainers(api, runtime []container) []container {
	all := make([]container, 0, len(api)+len(runtime))
	all = append(all, api...)
	for _, told := range runtime {
		at := slices.IndexFunc(all, func(c container) bool { return c.ID == told.ID })
		if at < 0 {
			if named := slices.IndexFunc(api, func(c container) bool { return c.Name == told.Name }); named >= 0 {
				told.Kind, told.EphemeralStorageLimit = api[named].Kind, api[named].EphemeralStorageLimit
			}
			all = append(all, told)
			continue
		}
		c := &all[at]
		c.Created, c.exited = told.Created, told.exited
		// What the runtime has seen end has ended, whatever the API server has not heard yet.
		c.Running = c.Running && !told.exited
		c.Restarts = max(c.Restarts, told.Restarts)
		if c.Image == "" {
			c.Image = told.Image
		}
	}
	// Reports come in no certain order, and a change of order is no change.
	slices.SortFunc(all, func(a, b container) int {
		return cmp.Or(strings.Compare(a.Name, b.Name), strings.Compare(a.ID, b.ID))
	})
	return all
}

// newestOfEachName returns those containers that have their name, given all sorted by name.
func newestOfEachName(all []container) []Container {
	var chosen []Container
	for i := range all {
		c := &all[i].Container
		last := len(chosen) - 1
		switch {
		case last < 0 || chosen[last].Name != c.Name:
			chosen = append(chosen, *c)
		case c.compare(&chosen[last]) > 0:
			chosen[last] = *c
		}
	}
	return chosen
}

// compare tells which of two containers of one name has it: the one that runs, or else the newer one.
func (c *Container) compare(other *Container) int {
	return cmp.Or(
		compareBool(c.Running, other.Running),
		compareBool(c.ID != "", other.ID != ""),
		c.begun().Compare(other.begun()),
		cmp.Compare(c.Restarts, other.Restarts),
		strings.Compare(c.ID, other.ID),
	)
}

// compare tells which of two pods of one name has it: the one that lives, or else the newer one.
func (e *entry) compare(other *entry) int {
	return cmp.Or(
		compareBool(e.alive, other.alive),
		e.made.Compare(other.made),
		strings.Compare(e.pod.UID, other.pod.UID),
	)
}

// newestSandbox returns the newest ready sandbox, or else the newest; nil if there is none.
func newestSandbox(all []sandbox) *sandbox {
	var newest *sandbox
	for i := range all {
		s := &all[i]
		if newest == nil || cmp.Or(compareBool(s.ready, newest.ready), s.created.Compare(newest.created),
			cmp.Compare(s.attempt, newest.attempt), strings.Compare(s.id, newest.id)) > 0 {
			newest = s
		}
	}
	return newest
}

func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return 1
	}
	return -1
}

// container returns the container of this ID, or nil.
func (e *entry) container(id string) *Container {
	for i := range e.containers {
		if e.containers[i].ID == id {
			return &e.containers[i].Container
		}
	}
	return nil
}

// shows tells whether the container has its name.
func (e *entry) shows(c *Container) bool {
	return slices.ContainsFunc(e.pod.Containers, func(chosen Container) bool { return chosen.ID == c.ID })
}

// sandbox returns the sandbox of this ID, or nil.
func (e *entry) sandbox(id string) *sandbox {
	for i := range e.sandboxes {
		if e.sandboxes[i].id == id {
			return &e.sandboxes[i]
		}
	}
	return nil
}

// crioSandbox is what CRI-O calls a sandbox's container.
const crioSandbox = "POD"

// crioName is the name that CRI-O gives to a container.
func (e *entry) crioName(container string, attempt uint32) string {
	return fmt.Sprintf("k8s_%s_%s_%s_%s_%d", container, e.pod.Name, e.pod.Namespace, e.pod.UID, attempt)
}
