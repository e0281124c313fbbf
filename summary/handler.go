package summary

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/nodevitals/nodevitals/answer"
	"github.com/nodevitals/nodevitals/snapshot"
)

// Source takes snapshots. It must be safe for concurrent use.
type Source interface {
	// Snapshot returns one that holds at least the wanted groups, as far as they can be read at all. An error means that there
	// is no snapshot, not that a part of it is missing.
	Snapshot(ctx context.Context, want snapshot.Groups) (*snapshot.Snapshot, error)
}

// maxForm is the most bytes of a posted form that are read. Its one parameter needs 24.
const maxForm = 64 << 10

// Handler answers GET and POST with the summary of a new snapshot. The parameter only_cpu_and_memory, in the query or in a posted
// form, is heeded if it is there once and is "true".
//
// Other methods get 405, an Accept header without JSON 406, a form that cannot be read 400, and if there is no snapshot at all the
// answer is 503 with one line that says why. What the snapshot lacks leaves the rest served with 200.
func Handler(source Source, options Options) http.Handler {
	return HandlerThrough(answer.NewStore(answer.Options{}), source, options)
}

// HandlerThrough is Handler with a store that others share, so that its bounds are for all together.
func HandlerThrough(answers *answer.Store, source Source, options Options) http.Handler {
	made := &streams{}
	return http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		if request.Method != http.MethodGet && request.Method != http.MethodPost {
			w.Header().Set("Allow", "GET, POST")
			http.Error(w, "405: Method Not Allowed", http.StatusMethodNotAllowed)
			return
		}
		if !acceptsJSON(request.Header.Values("Accept")) {
			http.Error(w, "406: Not Acceptable: there is only application/json", http.StatusNotAcceptable)
			return
		}
		request.Body = http.MaxBytesReader(w, request.Body, maxForm)
		if err := request.ParseForm(); err != nil {
			http.Error(w, fmt.Sprintf("400: read the form: %v", err), http.StatusBadRequest)
			return
		}
		serve(w, request, source, answers, made, options)
	})
}

func serve(w http.ResponseWriter, request *http.Request, source Source, answers *answer.Store, made *streams, options Options) {
	values := request.Form["only_cpu_and_memory"]
	only := len(values) == 1 && values[0] == "true"
	want := Full
	if only {
		want = CPUAndMemory
	}
	taken, err := source.Snapshot(request.Context(), want)
	if taken == nil {
		http.Error(w, fmt.Sprintf("503: no sample of this node: %v", err), http.StatusServiceUnavailable)
		return
	}
	defer taken.Done()
	answers.Serve(w, request, answer.Answer{
		Key: answer.Key{Path: "/stats/summary", Of: taken.Sequence, Variant: only}, ContentType: "application/json",
		From:   taken,
		Append: func(buffer []byte) ([]byte, error) { return made.append(buffer, taken, options, only) },
		Write:  func(to io.Writer) error { return made.write(to, taken, options, only) },
	})
}

// acceptsJSON looks for JSON, or a range that holds it, in Accept headers; none accept everything. Weights are not looked at, as
// there is nothing to choose from.
func acceptsJSON(headers []string) bool {
	accepts := len(headers) == 0
	for _, header := range headers {
		for one := range strings.SplitSeq(header, ",") {
			kind, _, _ := strings.Cut(one, ";")
			switch strings.ToLower(strings.TrimSpace(kind)) {
			case "*/*", "application/*", "application/json":
				return true
			}
		}
		accepts = accepts || strings.TrimSpace(header) == ""
	}
	return accepts
}
