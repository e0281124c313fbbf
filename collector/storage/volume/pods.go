package volume

import (
	"iter"
	"path/filepath"
	"slices"
	"strings"

	"github.com/nodevitals/nodevitals/snapshot"
)

// pod is what is known of a pod, and what measures it.
type pod struct {
	Pod
	logs, hosts *task
	volumes     map[string]*volume
	// placed: volumes are as the last survey found them.
	placed bool
	// result holds all but the volumes.
	result Result
	// volumesChanged: result.Volumes is out of date.
	volumesChanged bool
}

// volume is one that is there.
type volume struct {
	pod   *pod
	spec  Spec
	place place
	task  *task
	found figures
}

// adopt takes over the list of pods, and reports whether there are new ones or other volumes.
func (r *Reader) adopt(pods []Pod) (changed bool) {
	wanted := make(map[string]bool, len(pods))
	for i := range pods {
		given := &pods[i]
		if wanted[given.UID] {
			continue
		}
		wanted[given.UID] = true
		old := r.pods[given.UID]
		if old != nil && old.equal(given) {
			continue
		}
		changed = true
		if old == nil || old.LogUID != given.LogUID || old.Namespace != given.Namespace || old.Name != given.Name {
			if old != nil {
				r.dropPod(old)
			}
			old = r.newPod()
			r.pods[given.UID] = old
		}
		old.Pod = Pod{
			UID: given.UID, LogUID: given.LogUID, Namespace: given.Namespace, Name: given.Name,
			Volumes: slices.Clone(given.Volumes), Containers: slices.Clone(given.Containers),
		}
		old.placed = false
		// A container that is new has logs that nobody measured.
		old.logs.asked = old.logs.asked.Add(-r.options.LogMaxAge)
	}
	forgotten := changed
	for uid, pod := range r.pods {
		if !wanted[uid] {
			r.dropPod(pod)
			delete(r.pods, uid)
			forgotten = true
		}
	}
	if forgotten {
		r.sweep()
	}
	return changed
}

func (r *Reader) newPod() *pod {
	p := &pod{volumes: make(map[string]*volume)}
	p.logs = &task{lane: r.quick, device: logDevice, what: r.options.LogDir, make: func() job {
		folder := p.Namespace + "_" + p.Name + "_" + p.LogUID
		return &logsJob{kernel: &r.kernel, pod: p, path: below(r.survey.logDir, folder), names: p.Containers}
	}}
	p.hosts = &task{lane: r.quick, device: rootDevice, what: r.options.RootDir, make: func() job {
		return &hostsJob{kernel: &r.kernel, pod: p, path: below(r.survey.rootDir, "pods", p.UID, "etc-hosts")}
	}}
	return p
}

// below is a path in a folder; "" where there is no such folder.
func below(folder string, names ...string) string {
	if folder == "" {
		return ""
	}
	return filepath.Join(folder, filepath.Join(names...))
}

func (r *Reader) dropPod(p *pod) {
	r.drop(p.logs)
	r.drop(p.hosts)
	for _, v := range p.volumes {
		r.drop(v.task)
	}
}

func (r *Reader) sweep() {
	for _, l := range []*lane{r.quick, r.sizes, r.walks} {
		l.sweep()
	}
}

// plan asks for all that is due, with things where the last survey found them.
func (r *Reader) plan() {
	for _, p := range r.pods {
		if r.survey.logDir == "" {
			p.result.Logs, p.result.ContainerLogs = snapshot.Usage{}, nil
		} else if isElement(p.Namespace) && isElement(p.Name) && isElement(p.LogUID) && r.due(p.logs, r.options.LogMaxAge) {
			r.ask(p.logs)
		}
		if r.survey.rootDir == "" {
			p.result.EtcHosts = snapshot.Usage{}
		} else if isElement(p.UID) && r.due(p.hosts, r.options.LogMaxAge) {
			r.ask(p.hosts)
		}
		if !p.placed {
			r.placeVolumes(p)
		}
		for _, v := range p.volumes {
			if r.due(v.task, r.options.VolumeMaxAge) {
				r.ask(v.task)
			}
		}
	}
}

// placeVolumes has a volume for each that is there, old ones with what they know.
func (r *Reader) placeVolumes(p *pod) {
	p.placed = true
	places := r.survey.places(&p.Pod, r.options.HostPath)
	there := make(map[string]bool, len(places))
	for i, place := range places {
		spec := p.Volumes[i]
		if place.method == absent || there[spec.Name] {
			continue
		}
		there[spec.Name] = true
		v := p.volumes[spec.Name]
		if v == nil || v.place != place {
			r.dropVolume(p, spec.Name)
			v = r.newVolume(p, place)
			p.volumes[spec.Name] = v
		}
		if v.spec != spec {
			v.spec, p.volumesChanged = spec, true
		}
	}
	for name := range p.volumes {
		if !there[name] {
			r.dropVolume(p, name)
		}
	}
}

func (r *Reader) newVolume(p *pod, place place) *volume {
	v := &volume{pod: p, place: place}
	v.task = &task{device: place.device, what: place.path}
	if place.method == walked {
		v.task.lane = r.walks
		v.task.make = func() job { return &walkJob{kernel: &r.kernel, volume: v, place: place} }
	} else {
		v.task.lane = r.sizes
		v.task.make = func() job {
			return &sizeJob{kernel: &r.kernel, hostRoot: r.options.HostRoot, volume: v, place: place}
		}
	}
	return v
}

func (r *Reader) dropVolume(p *pod, name string) {
	v := p.volumes[name]
	if v == nil {
		return
	}
	r.drop(v.task)
	delete(p.volumes, name)
	p.volumesChanged = true
	v.task.lane.sweep()
}

// keep takes over what a measurement found.
func (v *volume) keep(found *figures) {
	v.found, v.task.err, v.pod.volumesChanged = *found, found.err, true
}

// newest returns the pod's figures. Slices and maps in it are not changed later, but replaced.
func (p *pod) newest() Result {
	if p.volumesChanged {
		p.volumesChanged = false
		p.result.Volumes = make([]snapshot.Volume, 0, len(p.volumes))
		for _, v := range p.volumes {
			if v.found.time.IsZero() {
				continue
			}
			volume := v.spec.describe(&p.Pod)
			v.found.fill(&volume)
			p.result.Volumes = append(p.result.Volumes, volume)
		}
		slices.SortFunc(p.result.Volumes, func(a, b snapshot.Volume) int { return strings.Compare(a.Name, b.Name) })
	}
	return p.result
}

// tasks are all that there are.
func (r *Reader) tasks() iter.Seq[*task] {
	return func(yield func(*task) bool) {
		if !yield(r.surveyTask) {
			return
		}
		for _, p := range r.pods {
			if !yield(p.logs) || !yield(p.hosts) {
				return
			}
			for _, v := range p.volumes {
				if !yield(v.task) {
					return
				}
			}
		}
	}
}
