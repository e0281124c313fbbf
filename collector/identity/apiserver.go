package identity

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"go.uber.org/zap"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
	"k8s.io/klog/v2"

	"github.com/nodevitals/nodevitals/logging"
)

// apiName is the name of the API server in SourceState.
const apiName = "api"

// errNoAnswer is what a request ends with that the API server took and did not answer in time.
var errNoAnswer = errors.New("API server does not answer")

// APIServer tells an Index of the pods that the API server has for one node. It lists them once and then watches.
//
// A pod is turned into plain data as it arrives and nothing else of it is kept, so its size does not matter. Beside
// the Index's there is no other copy.
type APIServer struct {
	client   rest.Interface
	nodeName string
	index    *Index
	log      *zap.Logger
	// patience is how long a list, or the first answer to a watch, may take.
	patience time.Duration
	backoff  wait.Backoff
	// claimRetry is how long a claim that is not bound, or could not be had, waits for the next question, which claimPatience bounds.
	claimRetry, claimPatience time.Duration
	// claims has a message when there may be claims to ask for; claimsRefused, that it was said that they cannot be had.
	claims        chan struct{}
	claimsRefused bool
}

// NewAPIServer makes a source of the API server's pods with this spec.nodeName. It asks for nothing yet. It returns an error if the
// configuration is not valid.
func NewAPIServer(config *rest.Config, nodeName string, index *Index, log *zap.Logger) (*APIServer, error) {
	if nodeName == "" {
		return nil, errors.New("make a client of the API server: the node's name is not known")
	}
	// A scheme of pods and claims alone: that of the whole clientset costs megabytes of binary and of memory.
	scheme := runtime.NewScheme()
	scheme.AddKnownTypes(corev1.SchemeGroupVersion, &corev1.Pod{}, &corev1.PodList{}, &corev1.PersistentVolumeClaim{})
	metav1.AddToGroupVersion(scheme, corev1.SchemeGroupVersion)

	config = rest.CopyConfig(config)
	config.APIPath = "/api"
	config.GroupVersion = &corev1.SchemeGroupVersion
	config.NegotiatedSerializer = serializer.NewCodecFactory(scheme).WithoutConversion()
	config.ContentType = runtime.ContentTypeProtobuf
	config.AcceptContentTypes = runtime.ContentTypeProtobuf + "," + runtime.ContentTypeJSON
	// One list and one watch at a time, and the backoff between them: there is nothing for a limiter to hold back.
	config.QPS = -1
	client, err := rest.RESTClientFor(config)
	if err != nil {
		return nil, fmt.Errorf("make a client of the API server %s: %w", config.Host, err)
	}
	return &APIServer{
		client: client, nodeName: nodeName, index: index, log: log, claims: make(chan struct{}, 1),
		patience: 15 * time.Second, claimRetry: 30 * time.Second, claimPatience: 5 * time.Second,
		// An API server that comes back is asked again by all nodes at once, hence the jitter.
		backoff: wait.Backoff{Duration: 500 * time.Millisecond, Factor: 2, Jitter: 0.5, Steps: 6, Cap: 15 * time.Second},
	}, nil
}

// Run lists and watches until ctx ends, whatever happens to the API server. It returns the error of ctx.
func (a *APIServer) Run(ctx context.Context) error {
	// The reflector's own log tells in its words what failed tells in ours.
	ctx = klog.NewContext(ctx, klog.Logger{})
	reflector := cache.NewReflectorWithOptions(plainList{a}, &corev1.Pod{}, a, cache.ReflectorOptions{
		Name: "pods", Logger: &klog.Logger{}, Backoff: &a.backoff,
	})
	var binding sync.WaitGroup
	binding.Go(func() { a.bindClaims(ctx) })
	reflector.RunWithContext(ctx)
	binding.Wait()
	return ctx.Err()
}

// plainList keeps the reflector to lists: one node's pods are few and come from the API server's cache, and an API server that
// does not know streamed lists would leave it waiting for their end.
type plainList struct{ *APIServer }

// IsWatchListSemanticsUnSupported is what the reflector looks for.
func (plainList) IsWatchListSemanticsUnSupported() bool { return true }

// List lists without a context, which the reflector does not do.
func (p plainList) List(options metav1.ListOptions) (runtime.Object, error) {
	return p.ListWithContext(context.Background(), options)
}

// Watch watches without a context, which the reflector does not do.
func (p plainList) Watch(options metav1.ListOptions) (watch.Interface, error) {
	return p.WatchWithContext(context.Background(), options)
}

// ListWithContext lists the node's pods.
func (p plainList) ListWithContext(ctx context.Context, options metav1.ListOptions) (runtime.Object, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, p.patience, errNoAnswer)
	defer cancel()
	list := &corev1.PodList{}
	err := p.request(options).Do(ctx).Into(list)
	if err != nil {
		p.failed(ctx, "list", err)
	}
	return list, err
}

// WatchWithContext begins to watch the node's pods.
func (p plainList) WatchWithContext(ctx context.Context, options metav1.ListOptions) (watch.Interface, error) {
	options.Watch = true
	ctx, cancel := context.WithCancelCause(ctx)
	// The deadline is for the answer's head alone; a watch itself lasts for minutes.
	timer := time.AfterFunc(p.patience, func() { cancel(errNoAnswer) })
	w, err := p.request(options).Watch(ctx)
	if !timer.Stop() && err == nil {
		w.Stop()
		err = errNoAnswer
	}
	if err != nil {
		p.failed(ctx, "watch", err)
		cancel(nil)
		return nil, err
	}
	p.answered()
	return &cancelledWatch{Interface: w, cancel: func() { cancel(nil) }}, nil
}

func (p plainList) request(options metav1.ListOptions) *rest.Request {
	options.FieldSelector = fields.OneTermEqualSelector("spec.nodeName", p.nodeName).String()
	return p.client.Get().Resource("pods").VersionedParams(&options, metav1.ParameterCodec)
}

// cancelledWatch frees a watch's context when it is stopped.
type cancelledWatch struct {
	watch.Interface
	cancel func()
	once   sync.Once
}

// Stop ends the watch.
func (w *cancelledWatch) Stop() {
	w.Interface.Stop()
	w.once.Do(w.cancel)
}

// answered notes that the API server answered, once the Index has what it said.
func (a *APIServer) answered() {
	if a.index.heard(apiName) {
		a.log.Info("the API server answers; names of pods are current", zap.String("node", a.nodeName))
	}
}

// failed notes that a request failed, and logs the first of several.
func (a *APIServer) failed(ctx context.Context, what string, err error) {
	if cause := context.Cause(ctx); errors.Is(cause, errNoAnswer) {
		err = cause
	} else if ctx.Err() != nil {
		// We are ending; that tells nothing of the API server.
		return
	}
	err = logging.WithoutBody(err)
	if a.index.lost(apiName, fmt.Errorf("%s pods of node %s: %w", what, a.nodeName, err)) {
		a.log.Warn("the API server gives no pods; the last known names stay, and it is asked again",
			zap.String("request", what), zap.String("node", a.nodeName), zap.Error(err))
	}
}

// Add takes a pod that is new; it is called by the reflector, as all below.
func (a *APIServer) Add(object any) error { return a.Update(object) }

// Update takes a pod that changed.
func (a *APIServer) Update(object any) error {
	pod, ok := object.(*corev1.Pod)
	if !ok {
		return fmt.Errorf("watch pods: got a %T", object)
	}
	a.index.put(fromAPI, fromPod(pod))
	a.wantClaims()
	a.answered()
	return nil
}

// Delete takes that a pod is no more.
func (a *APIServer) Delete(object any) error {
	pod, ok := object.(*corev1.Pod)
	if !ok {
		return fmt.Errorf("watch pods: got a %T", object)
	}
	a.index.removeFromAPI(uidOf(pod), string(pod.UID))
	a.answered()
	return nil
}

// Replace takes all pods.
func (a *APIServer) Replace(objects []any, _ string) error {
	reports := make([]*report, 0, len(objects))
	for _, object := range objects {
		pod, ok := object.(*corev1.Pod)
		if !ok {
			return fmt.Errorf("list pods: got a %T", object)
		}
		reports = append(reports, fromPod(pod))
	}
	a.index.replace(fromAPI, reports)
	a.wantClaims()
	a.answered()
	return nil
}

// Resync is of no use here.
func (a *APIServer) Resync() error { return nil }

// Bookmark takes that nothing has changed.
func (a *APIServer) Bookmark(string) error {
	a.answered()
	return nil
}
