package exporter

import (
	"context"
	"io"
	"net/http"
	"net/url"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/nodevitals/nodevitals/answer"
	"github.com/nodevitals/nodevitals/snapshot"
)

// Source gives snapshots. It is safe for concurrent use.
type Source interface {
	// Snapshot returns a fresh snapshot that holds at least those groups of want that can be read.
	Snapshot(ctx context.Context, want snapshot.Groups) (*snapshot.Snapshot, error)
}

// HandlerOptions set up a handler.
type HandlerOptions struct {
	// Groups are the groups that are switched on; a request picks among them with ?collect[]=.
	Groups snapshot.Groups
	// Timestamps and NoContainerFilesystems are those of Options.
	Timestamps, NoContainerFilesystems bool
	// Series chooses what /metrics/cadvisor shows; nil is what a kubelet has. /metrics/resource shows all it has, whatever the
	// choice: for a container without one of its rows metrics-server drops the whole pod.
	Series *Series
	// Answers sends what is rendered; nil is a store of the handler's own.
	Answers *answer.Store
	// Now gives the time; nil is time.Now.
	Now func() time.Time
	// Log takes the errors of the source; nil drops them.
	Log *zap.Logger
}

// NewCadvisorHandler serves /metrics/cadvisor from source.
func NewCadvisorHandler(source Source, o HandlerOptions) http.Handler {
	if o.Series == nil {
		o.Series = newSeries(cadvisorFamilies)
	}
	h := newHandler("/metrics/cadvisor", source, o, nil)
	h.families = o.Series.families
	h.cgroups = snapshot.Everywhere
	if o.Series.slices == NoSlices {
		h.cgroups = snapshot.Sandboxes
	}
	h.render = func(r *Renderer, s *snapshot.Snapshot, shown Options) []byte {
		shown.Series = o.Series
		body := r.Cadvisor(s, shown)
		o.Series.account(&r.cut, h.options.Log)
		return body
	}
	h.write = func(r *Renderer, to io.Writer, s *snapshot.Snapshot, shown Options) error {
		shown.Series = o.Series
		defer o.Series.account(&r.cut, h.options.Log)
		return r.WriteCadvisor(to, s, shown)
	}
	return h
}

// NewResourceHandler serves /metrics/resource from source, which it asks for CPU and memory alone, of the root, pods and containers.
func NewResourceHandler(source Source, o HandlerOptions) http.Handler {
	h := newHandler("/metrics/resource", source, o, (*Renderer).Resource)
	h.serves, h.families = resourceGroups, resourceFamilies
	return h
}

type handler struct {
	path    string
	source  Source
	options HandlerOptions
	// serves are the groups that the endpoint can show.
	serves snapshot.Groups
	// cgroups say of which it shows them, beside the root, pods and containers.
	cgroups snapshot.Groups
	// families are those that it shows.
	families []family
	render   func(*Renderer, *snapshot.Snapshot, Options) []byte
	// write renders to a writer in pieces; nil: the answer is small.
	write func(*Renderer, io.Writer, *snapshot.Snapshot, Options) error

	// spare is a Renderer with its buffers, if none is in use. A sync.Pool would forget it with each collection of garbage, which comes every
	// few scrapes here, and much of the garbage would be such.
	spare atomic.Pointer[Renderer]
}

func newHandler(path string, source Source, o HandlerOptions,
	render func(*Renderer, *snapshot.Snapshot, Options) []byte,
) *handler {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = zap.NewNop()
	}
	if o.Answers == nil {
		o.Answers = answer.NewStore(answer.Options{Log: o.Log})
	}
	h := &handler{path: path, source: source, options: o, serves: snapshot.All, render: render}
	return h
}

func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		http.Error(w, "read the query: "+err.Error(), http.StatusBadRequest)
		return
	}
	groups, err := h.groups(query)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	s, err := h.source.Snapshot(r.Context(), h.needs(groups))
	if err != nil {
		h.options.Log.Warn("no snapshot for a scrape, answering with a scrape error",
			zap.String("path", h.path), zap.String("client", r.RemoteAddr), zap.Error(err))
		s = nil
	}
	defer s.Done()
	w.Header().Set("Vary", "Accept")
	h.options.Answers.Serve(w, r, h.answer(s, Options{
		Groups: groups, Format: Negotiate(r.Header.Get("Accept")), Timestamps: h.options.Timestamps,
		NoContainerFilesystems: h.options.NoContainerFilesystems,
	}))
}

// Options are part of a key: whatever is added to them must be comparable.
var _ map[Options]struct{}

// renderer returns the spare Renderer, or a new one.
func (h *handler) renderer() *Renderer {
	if spare := h.spare.Swap(nil); spare != nil {
		return spare
	}
	return &Renderer{}
}

// answer is the rendering of a snapshot with options. All who ask for the same share it, with the time of the first.
func (h *handler) answer(s *snapshot.Snapshot, o Options) answer.Answer {
	key := answer.Key{Path: h.path, Variant: o}
	if s != nil {
		key.Of = s.Sequence
	}
	made := answer.Answer{Key: key, From: s, ContentType: o.Format.ContentType(), Append: func(buffer []byte) ([]byte, error) {
		o.Now = h.options.Now()
		renderer := h.renderer()
		defer h.spare.Store(renderer)
		renderer.SetBuffer(buffer)
		defer renderer.SetBuffer(nil)
		return h.render(renderer, s, o), nil
	}}
	if h.write != nil {
		made.Write = func(to io.Writer) error {
			o.Now = h.options.Now()
			renderer := h.renderer()
			defer h.spare.Store(renderer)
			return h.write(renderer, to, s, o)
		}
	}
	return made
}
