package exporter

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"go.uber.org/zap"

	"github.com/nodevitals/nodevitals/answer"
)

// NewSelfHandler serves /metrics from a registry, through answers; nil is a store of its own. What cannot be gathered is logged, and the
// rest is served. All who ask while the registry is being gathered share what it gives.
func NewSelfHandler(registry prometheus.Gatherer, answers *answer.Store, log *zap.Logger) http.Handler {
	if log == nil {
		log = zap.NewNop()
	}
	if answers == nil {
		answers = answer.NewStore(answer.Options{Log: log})
	}
	return &selfHandler{registry: registry, answers: answers, log: log}
}

type selfHandler struct {
	registry prometheus.Gatherer
	answers  *answer.Store
	log      *zap.Logger

	mutex   sync.Mutex
	number  uint64
	current *gathering
}

// gathering is what a registry gave, once done is closed.
type gathering struct {
	number   uint64
	done     chan struct{}
	families []*dto.MetricFamily
	err      error
}

func (h *selfHandler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	// Before the answer's turn to be made: a collector may wait for a pass, and must not keep other answers waiting with it.
	g, err := h.gather(r.Context())
	if err != nil {
		http.Error(w, "gather metrics: "+err.Error(), http.StatusInternalServerError)
		return
	}
	format := Negotiate(r.Header.Get("Accept"))
	w.Header().Set("Vary", "Accept")
	h.answers.Serve(w, r, answer.Answer{
		Key: answer.Key{Path: "/metrics", Of: g.number, Variant: format}, ContentType: format.ContentType(),
		Append: func(buffer []byte) ([]byte, error) { return appendFamilies(buffer, g.families, format) },
	})
}

// gather joins the gathering under way, or starts one. The error is that of a registry which gave nothing, or ctx's.
func (h *selfHandler) gather(ctx context.Context) (*gathering, error) {
	h.mutex.Lock()
	g := h.current
	if g == nil {
		h.number++
		g = &gathering{number: h.number, done: make(chan struct{})}
		h.current = g
		go h.run(g)
	}
	h.mutex.Unlock()
	select {
	case <-g.done:
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	if len(g.families) == 0 && g.err != nil {
		return nil, g.err
	}
	return g, nil
}

func (h *selfHandler) run(g *gathering) {
	defer func() {
		if cause := recover(); cause != nil {
			h.log.Error("gathering the agent's own metrics panicked", zap.Any("cause", cause), zap.Stack("stack"))
			g.families, g.err = nil, fmt.Errorf("it panicked: %v", cause)
		}
		h.mutex.Lock()
		h.current = nil
		h.mutex.Unlock()
		close(g.done)
	}()
	if g.families, g.err = h.registry.Gather(); g.err != nil {
		h.log.Warn("some of the agent's own metrics could not be gathered; the others are served", zap.Error(g.err))
	}
}

// appendFamilies appends families in a text format.
func appendFamilies(buffer []byte, families []*dto.MetricFamily, format Format) ([]byte, error) {
	out := bytes.NewBuffer(buffer)
	encoder := expfmt.NewEncoder(out, expfmt.Format(format.ContentType()))
	for _, family := range families {
		if err := encoder.Encode(family); err != nil {
			return nil, fmt.Errorf("encode %s: %w", family.GetName(), err)
		}
	}
	if closer, ok := encoder.(expfmt.Closer); ok {
		if err := closer.Close(); err != nil {
			return nil, fmt.Errorf("end the answer: %w", err)
		}
	}
	return out.Bytes(), nil
}
