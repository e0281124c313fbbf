package identity

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// details are what lists do not tell and a call for each sandbox and image does. Neither changes, so each is asked for once and
// kept as long as the sandbox or image is listed.
type details struct {
	// patience is how long a detail may take the first time; a healthy runtime answers in a millisecond. retry is how long after a
	// failure it is asked for again the first time. Both double with each failure, as long as a list's time and longestRetry let them:
	// a runtime under load needs more time, and one that hangs is not to be asked all the time.
	patience, retry time.Duration

	sandboxes map[string]sandboxDetails
	// images has the name of each image by its ID.
	images map[string]string
	// later says when to ask again for what there was no answer to, so that one that hangs does not keep others waiting.
	later map[string]failure
}

// failure is how a detail that there was no answer to is asked for the next time.
type failure struct {
	patience, retry time.Duration
	next            time.Time
}

// longestRetry is the most between two questions for a detail that there was no answer to.
const longestRetry = 30 * time.Second

type sandboxDetails struct {
	image       string
	hostNetwork bool
}

// complete asks for what is missing until ctx ends. It returns false if there was no time for all.
func (d *details) complete(ctx context.Context, c *connection, sandboxes []*cri.PodSandbox, containers []*cri.Container) bool {
	kept := details{
		patience: d.patience, retry: d.retry,
		sandboxes: make(map[string]sandboxDetails, len(sandboxes)),
		images:    make(map[string]string),
		later:     make(map[string]failure),
	}
	for _, s := range sandboxes {
		id := s.GetId()
		known, ok := d.sandboxes[id]
		if !ok && s.GetState() == cri.PodSandboxState_SANDBOX_READY {
			ok = d.ask(ctx, &kept, id, func(ctx context.Context) (err error) {
				known, err = askSandbox(ctx, c, id)
				return err
			})
		}
		if ok {
			kept.sandboxes[id] = known
		}
	}
	for _, told := range containers {
		id := imageIDOf(told)
		if _, ok := kept.images[id]; ok || id == "" {
			continue
		}
		name, ok := d.images[id]
		if !ok && told.GetState() != cri.ContainerState_CONTAINER_EXITED {
			ok = d.ask(ctx, &kept, id, func(ctx context.Context) (err error) {
				name, err = askImage(ctx, c, id)
				return err
			})
		}
		if ok {
			kept.images[id] = name
		}
	}
	*d = kept
	return ctx.Err() == nil
}

// ask gets one detail, or notes in kept when to try again. It returns false if there is no answer; that the runtime does not know the
// question is one.
func (d *details) ask(ctx context.Context, kept *details, id string, do func(context.Context) error) bool {
	failed, again := d.later[id]
	if !again {
		failed = failure{patience: d.patience, retry: d.retry}
	}
	if _, ok := kept.later[id]; ok {
		return false
	}
	if ctx.Err() != nil || time.Now().Before(failed.next) {
		if again {
			kept.later[id] = failed
		}
		return false
	}
	single, cancel := context.WithTimeout(ctx, failed.patience)
	defer cancel()
	err := do(single)
	switch status.Code(err) {
	case codes.OK, codes.Unimplemented, codes.InvalidArgument:
		return true
	}
	// One that had less than its patience because a list ended is not to blame the first time.
	if ctx.Err() == nil || again {
		kept.later[id] = failure{
			patience: min(2*failed.patience, longestRetry), retry: max(failed.retry, min(2*failed.retry, longestRetry)),
			next: time.Now().Add(failed.retry),
		}
	}
	return false
}

// next returns when to ask again for the first of what there was no answer to, or the zero time.
func (d *details) next() time.Time {
	var first time.Time
	for _, failed := range d.later {
		if first.IsZero() || failed.next.Before(first) {
			first = failed.next
		}
	}
	return first
}

// askSandbox returns what a sandbox's status tells.
func askSandbox(ctx context.Context, c *connection, id string) (sandboxDetails, error) {
	answer, err := c.runtime.PodSandboxStatus(ctx, &cri.PodSandboxStatusRequest{PodSandboxId: id, Verbose: true})
	if err != nil {
		return sandboxDetails{}, err
	}
	// Verbose information is the runtime's own; containerd and CRI-O both have the image in it.
	var info struct {
		Image string `json:"image"`
	}
	_ = json.Unmarshal([]byte(answer.GetInfo()["info"]), &info)
	return sandboxDetails{
		image:       info.Image,
		hostNetwork: answer.GetStatus().GetLinux().GetNamespaces().GetOptions().GetNetwork() == cri.NamespaceMode_NODE,
	}, nil
}

// askImage returns the name of an image: its first tag, or else its digest, "" where it has neither or was removed.
func askImage(ctx context.Context, c *connection, id string) (string, error) {
	answer, err := c.images.ImageStatus(ctx, &cri.ImageStatusRequest{Image: &cri.ImageSpec{Image: id}})
	if status.Code(err) == codes.NotFound {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	image := answer.GetImage()
	for _, names := range [...][]string{image.GetRepoTags(), image.GetRepoDigests()} {
		if len(names) > 0 {
			return names[0], nil
		}
	}
	return "", nil
}

// imageIDOf returns by what the runtime finds the image of a container.
func imageIDOf(told *cri.Container) string {
	if id := told.GetImageId(); id != "" {
		return id
	}
	return told.GetImageRef()
}

// reports turns lists of the runtime into reports, one for each pod.
func (d *details) reports(c *connection, sandboxes []*cri.PodSandbox, containers []*cri.Container) []*report {
	var all []*report
	pods := make(map[string]*report, len(sandboxes))
	bySandbox := make(map[string]*report, len(sandboxes))
	for _, s := range sandboxes {
		metadata := s.GetMetadata()
		if metadata.GetUid() == "" {
			continue
		}
		r := pods[metadata.GetUid()]
		if r == nil {
			r = &report{crio: c.crio, pod: Pod{
				Name: metadata.GetName(), Namespace: metadata.GetNamespace(), UID: metadata.GetUid(),
			}}
			pods[metadata.GetUid()] = r
			all = append(all, r)
		}
		bySandbox[s.GetId()] = r
		known := d.sandboxes[s.GetId()]
		ready := s.GetState() == cri.PodSandboxState_SANDBOX_READY
		if ready {
			r.pod.HostNetwork = known.hostNetwork
		}
		r.sandboxes = append(r.sandboxes, sandbox{
			id: s.GetId(), image: known.image, created: fromNanoseconds(s.GetCreatedAt()), attempt: metadata.GetAttempt(), ready: ready,
		})
	}
	for _, told := range containers {
		if r := bySandbox[told.GetPodSandboxId()]; r != nil {
			r.containers = append(r.containers, d.container(told))
		}
	}
	for _, r := range all {
		// Lists come in no certain order, and a change of order is no change.
		slices.SortFunc(r.sandboxes, func(a, b sandbox) int { return strings.Compare(a.id, b.id) })
	}
	return all
}

func (d *details) container(told *cri.Container) container {
	image := d.images[imageIDOf(told)]
	if image == "" {
		// What the pod's spec says is nearer to the name than an ID. Runtimes before Kubernetes 1.29's interface do not have it.
		image = told.GetImage().GetUserSpecifiedImage()
	}
	if image == "" {
		image = imageName(told.GetImage().GetImage(), told.GetImageRef())
	}
	return container{
		Container: Container{
			Name:     told.GetMetadata().GetName(),
			ID:       told.GetId(),
			Image:    image,
			Created:  fromNanoseconds(told.GetCreatedAt()),
			Restarts: int32(min(told.GetMetadata().GetAttempt(), 1<<31-1)),
			Running:  told.GetState() == cri.ContainerState_CONTAINER_RUNNING,
		},
		exited: told.GetState() == cri.ContainerState_CONTAINER_EXITED,
	}
}

// fromNanoseconds returns the time of the interface's nanoseconds since 1970; 0 is none.
func fromNanoseconds(n int64) time.Time {
	if n == 0 {
		return time.Time{}
	}
	return time.Unix(0, n)
}
