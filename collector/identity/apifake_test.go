package identity

import (
	"fmt"
	"mime"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/rest"
)

// fakeAPI is an HTTP server that speaks the API server's list and watch of pods, in protobuf or JSON as the client asks.
type fakeAPI struct {
	t      *testing.T
	codecs serializer.CodecFactory
	server *http.Server
	addr   string

	mutex sync.Mutex
	pods  map[string]*corev1.Pod
	// version is that of the last event; events are those after compacted.
	version, compacted int
	events             []fakeEvent
	// changed is closed at each event.
	changed chan struct{}
	// trouble answers in place of the server; it returns false to leave that to the server.
	trouble func(w http.ResponseWriter, r *http.Request) bool
	// jsonOnly: it has no protobuf, like a proxy or a stand-in.
	jsonOnly bool
	lists    int
	watches  int
}

type fakeEvent struct {
	kind    watch.EventType
	pod     *corev1.Pod
	version int
}

// newFakeAPI makes a server and reserves its address; start starts it.
func newFakeAPI(t *testing.T) *fakeAPI {
	t.Helper()
	scheme := runtime.NewScheme()
	scheme.AddKnownTypes(corev1.SchemeGroupVersion, &corev1.Pod{}, &corev1.PodList{})
	metav1.AddToGroupVersion(scheme, corev1.SchemeGroupVersion)
	f := &fakeAPI{
		t: t, codecs: serializer.NewCodecFactory(scheme), addr: reserve(t),
		pods: make(map[string]*corev1.Pod), version: 100, changed: make(chan struct{}),
	}
	t.Cleanup(f.stop)
	return f
}

// reserve returns an address of loopback at which nobody listens, and which nobody else is given before the test ends: a socket is bound
// to it. Of sockets that may share an address, as Go's do, one may listen beside those that do not.
func reserve(t *testing.T) string {
	t.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Close(fd) })
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1); err != nil {
		t.Fatal(err)
	}
	if err := unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	name, err := unix.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("127.0.0.1:%d", name.(*unix.SockaddrInet4).Port)
}

func (f *fakeAPI) start() {
	f.t.Helper()
	var listener net.Listener
	eventually(f.t, "the server's port is free", func() (ok bool) {
		var err error
		listener, err = net.Listen("tcp", f.addr)
		return err == nil
	})
	f.server = &http.Server{Handler: f}
	go f.server.Serve(listener)
}

// stop ends the server and breaks its connections.
func (f *fakeAPI) stop() {
	if f.server != nil {
		f.server.Close()
	}
}

// breakConnections ends the server's connections and lets it live.
func (f *fakeAPI) breakConnections() {
	f.stop()
	f.start()
}

func (f *fakeAPI) config() *rest.Config { return &rest.Config{Host: "http://" + f.addr} }

// set makes or changes a pod; remove removes one.
func (f *fakeAPI) set(pod *corev1.Pod) {
	f.mutex.Lock()
	defer f.mutex.Unlock()
	kind := watch.Added
	if f.pods[string(pod.UID)] != nil {
		kind = watch.Modified
	}
	f.event(kind, pod.DeepCopy())
	f.pods[string(pod.UID)] = f.events[len(f.events)-1].pod
}

func (f *fakeAPI) remove(pod *corev1.Pod) {
	f.mutex.Lock()
	defer f.mutex.Unlock()
	delete(f.pods, string(pod.UID))
	f.event(watch.Deleted, pod.DeepCopy())
}

func (f *fakeAPI) bookmark() {
	f.mutex.Lock()
	defer f.mutex.Unlock()
	f.event(watch.Bookmark, &corev1.Pod{})
}

func (f *fakeAPI) event(kind watch.EventType, pod *corev1.Pod) {
	f.version++
	pod.ResourceVersion = strconv.Itoa(f.version)
	f.events = append(f.events, fakeEvent{kind, pod, f.version})
	close(f.changed)
	f.changed = make(chan struct{})
}

// compact forgets all events, so that a watch from before is told 410.
func (f *fakeAPI) compact() {
	f.mutex.Lock()
	defer f.mutex.Unlock()
	f.version++
	f.compacted, f.events = f.version, nil
}

// troubled sets what answers in place of the server; nil ends that.
func (f *fakeAPI) troubled(trouble func(http.ResponseWriter, *http.Request) bool) {
	f.mutex.Lock()
	defer f.mutex.Unlock()
	f.trouble = trouble
}

func (f *fakeAPI) counts() (lists, watches int) {
	f.mutex.Lock()
	defer f.mutex.Unlock()
	return f.lists, f.watches
}

// ServeHTTP answers a list or a watch.
func (f *fakeAPI) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mutex.Lock()
	trouble := f.trouble
	f.mutex.Unlock()
	if trouble != nil && trouble(w, r) {
		return
	}
	query := r.URL.Query()
	if r.URL.Path != "/api/v1/pods" || query.Get("fieldSelector") != "spec.nodeName=lab-node" {
		f.t.Errorf("got a request for %s, want the pods of lab-node", r.URL)
		http.NotFound(w, r)
		return
	}
	if query.Get("watch") != "" {
		if query.Get("allowWatchBookmarks") != "true" {
			f.t.Errorf("got a watch without bookmarks: %s", r.URL)
		}
		f.watch(w, r, query.Get("resourceVersion"))
		return
	}
	f.mutex.Lock()
	f.lists++
	list := &corev1.PodList{ListMeta: metav1.ListMeta{ResourceVersion: strconv.Itoa(f.version)}}
	for _, pod := range f.pods {
		// Encoding writes into what it encodes, and others encode the same pod at the same time.
		list.Items = append(list.Items, *pod.DeepCopy())
	}
	f.mutex.Unlock()
	info := f.negotiate(r)
	w.Header().Set("Content-Type", info.MediaType)
	if err := f.codecs.EncoderForVersion(info.Serializer, corev1.SchemeGroupVersion).Encode(list, w); err != nil {
		f.t.Error(err)
	}
}

// negotiate returns the serializer of the first type that the client accepts.
func (f *fakeAPI) negotiate(r *http.Request) runtime.SerializerInfo {
	for accept := range strings.SplitSeq(r.Header.Get("Accept"), ",") {
		mediaType, _, _ := mime.ParseMediaType(accept)
		info, ok := runtime.SerializerInfoForMediaType(f.codecs.SupportedMediaTypes(), mediaType)
		if ok && (!f.jsonOnly || mediaType == runtime.ContentTypeJSON) {
			return info
		}
	}
	f.t.Errorf("got Accept %q, which none can serve", r.Header.Get("Accept"))
	return f.codecs.SupportedMediaTypes()[0]
}

func (f *fakeAPI) watch(w http.ResponseWriter, r *http.Request, from string) {
	info := f.negotiate(r)
	w.Header().Set("Content-Type", info.MediaType+";stream=watch")
	version, err := strconv.Atoi(from)
	if err != nil {
		f.t.Errorf("got a watch from version %q", from)
	}
	objects := f.codecs.EncoderForVersion(info.Serializer, corev1.SchemeGroupVersion)
	frames := info.StreamSerializer.NewFrameWriter(w)
	events := f.codecs.EncoderForVersion(info.StreamSerializer.Serializer, corev1.SchemeGroupVersion)
	send := func(kind watch.EventType, object runtime.Object) error {
		raw, err := runtime.Encode(objects, object)
		if err != nil {
			return fmt.Errorf("encode: %w", err)
		}
		event := &metav1.WatchEvent{Type: string(kind), Object: runtime.RawExtension{Raw: raw}}
		if err := events.Encode(event, frames); err != nil {
			return err
		}
		return http.NewResponseController(w).Flush()
	}
	http.NewResponseController(w).Flush()
	f.mutex.Lock()
	f.watches++
	f.mutex.Unlock()
	for {
		f.mutex.Lock()
		var due []fakeEvent
		gone := version < f.compacted
		for _, event := range f.events {
			if event.version > version {
				due = append(due, event)
			}
		}
		changed := f.changed
		f.mutex.Unlock()
		if gone {
			_ = send(watch.Error, &metav1.Status{
				TypeMeta: metav1.TypeMeta{Kind: "Status", APIVersion: "v1"},
				Status:   metav1.StatusFailure, Code: http.StatusGone, Reason: metav1.StatusReasonExpired, Message: "too old resource version",
			})
			return
		}
		for _, event := range due {
			if err := send(event.kind, event.pod.DeepCopy()); err != nil {
				return
			}
			version = event.version
		}
		select {
		case <-changed:
		case <-r.Context().Done():
			return
		case <-time.After(5 * time.Minute):
			return
		}
	}
}
