package summary

import (
	"fmt"
	"io"
	"reflect"
	"sync/atomic"

	"k8s.io/kubelet/pkg/apis/stats/v1alpha1"

	"github.com/nodevitals/nodevitals/snapshot"
)

// stream renders a summary and prints it, pod by pod: what it is made of is never there as a whole, and serves anew for the next pod. What it prints
// is what [Encode] makes of [Render].
type stream struct {
	renderer renderer
	printer  printer
	node     v1alpha1.NodeStats
	pod      v1alpha1.PodStats
	// piece is the printer's buffer where the text goes to a writer.
	piece []byte
}

// streams keeps a stream for the next who needs one.
type streams struct{ spare atomic.Pointer[stream] }

func (s *streams) take() *stream {
	if spare := s.spare.Swap(nil); spare != nil {
		return spare
	}
	return &stream{}
}

// append appends the summary of a snapshot to buffer. It errs as [Append] does.
func (s *streams) append(buffer []byte, of *snapshot.Snapshot, options Options, onlyCPUAndMemory bool) ([]byte, error) {
	one := s.take()
	defer s.keep(one)
	one.printer = printer{buffer: buffer}
	one.print(of, options, onlyCPUAndMemory)
	if err := one.printer.err; err != nil {
		return nil, fmt.Errorf("encode the summary: %w", err)
	}
	return one.printer.buffer, nil
}

// write writes the summary of a snapshot in pieces of some [pieceSize]. It errs as [Append] does, and with the writer's own error.
func (s *streams) write(to io.Writer, of *snapshot.Snapshot, options Options, onlyCPUAndMemory bool) error {
	one := s.take()
	defer s.keep(one)
	if one.piece == nil {
		one.piece = make([]byte, 0, pieceSize+pieceSize/4)
	}
	one.printer = printer{to: to, buffer: one.piece[:0]}
	one.print(of, options, onlyCPUAndMemory)
	one.printer.handOn()
	one.piece = one.printer.buffer
	if err := one.printer.err; err != nil {
		return fmt.Errorf("encode the summary: %w", err)
	}
	return nil
}

// keep keeps the memory of a stream, and nothing of what it printed.
func (s *streams) keep(one *stream) {
	one.renderer.parts.empty()
	one.renderer.snapshot, one.renderer.held = nil, held{}
	one.printer, one.node, one.pod = printer{}, v1alpha1.NodeStats{}, v1alpha1.PodStats{}
	s.spare.Store(one)
}

var (
	summaryMembers = membersOf(reflect.TypeFor[v1alpha1.Summary](), nil)
	podsType       = reflect.TypeFor[[]v1alpha1.PodStats]()
	nodeType       = reflect.TypeFor[v1alpha1.NodeStats]()
	printPod       = printingOf(reflect.TypeFor[v1alpha1.PodStats]())
)

func (s *stream) print(of *snapshot.Snapshot, options Options, onlyCPUAndMemory bool) {
	s.renderer.snapshot, s.renderer.full = of, !onlyCPUAndMemory
	p := &s.printer
	for i := range summaryMembers {
		m := &summaryMembers[i]
		p.next('{', i == 0)
		p.buffer = append(p.buffer, m.key...)
		switch m.of {
		case nodeType:
			s.node = s.renderer.node(options)
			m.print(p, reflect.ValueOf(&s.node).Elem())
		case podsType:
			s.printPods()
		}
	}
	p.end('{', '}', false)
}

// printPods stops at the first error: the rest would be of no use.
func (s *stream) printPods() {
	pods := s.renderer.snapshot.Pods
	for i := range pods {
		if s.printer.err != nil {
			return
		}
		s.renderer.parts.empty()
		s.pod = s.renderer.pod(&pods[i])
		s.printer.next('[', i == 0)
		printPod(&s.printer, reflect.ValueOf(&s.pod).Elem())
	}
	s.printer.end('[', ']', len(pods) == 0)
}
