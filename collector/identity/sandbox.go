package identity

import "slices"

// elimination finds a pod's sandbox where only the API server tells of the pod, which knows nothing of sandboxes: it is the
// container's cgroup in the pod's that is none of the pod's containers.
//
// That is not enough by itself, because the API server hears of a container a second or two after its cgroup appears. So it is
// concluded only while every container of the pod is accounted for: it runs and its ID is told, or it has ended for good. Then
// nothing else than the sandbox can be there, save a container whose predecessor is not known to have ended. So the conclusion,
// once made, stands: another cgroup without a name is not the sandbox while the containers run that ran when the first was last
// met. If they do not, kubelet may have made everything anew, the sandbox too; then the next takes its place.
//
// What is wrongly concluded in between is put right when the container's ID is told. Until then the container's numbers
// stand in a row without the container's name.
type elimination struct {
	// assumed is the ID of the concluded sandbox.
	assumed string
	// epoch counts changes of the set of containers that run; met is the epoch when the assumed sandbox was last asked for.
	epoch, met uint64
}

// assume tells whether a cgroup that is no known container's or sandbox's is the pod's sandbox.
func (e *entry) assume(id string) bool {
	if len(e.sandboxes) > 0 {
		// The runtime tells of sandboxes, and this is none.
		return false
	}
	if id == e.assumed {
		e.met = e.epoch
		return true
	}
	if !e.accounted || e.assumed != "" && e.met == e.epoch {
		return false
	}
	e.assumed, e.met = id, e.epoch
	return true
}

// inherit takes over what was concluded from the entry's former state.
func (e *entry) inherit(before *entry) {
	e.elimination = before.elimination
	if e.assumed != "" && (e.container(e.assumed) != nil || len(e.sandboxes) > 0) {
		e.assumed = ""
	}
	if !slices.Equal(e.running(), before.running()) {
		e.epoch++
	}
}

// running returns the IDs of the containers that run.
func (e *entry) running() []string {
	var ids []string
	for i := range e.containers {
		if c := &e.containers[i]; c.Running {
			ids = append(ids, c.ID)
		}
	}
	return ids
}
