// Package podlist answers as a kubelet's /pods does: with the pods of this node, as the API server has them at the moment.
package podlist

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"

	corev1 "k8s.io/api/core/v1"

	"github.com/nodevitals/nodevitals/answer"
)

// Path is the endpoint's, on the kubelet and here.
const Path = "/pods"

// Source lists the pods of this node. It must be safe for concurrent use.
type Source interface {
	// ListPods returns them as they are now, more or less, and gives up with ctx. The list is not changed afterwards.
	ListPods(ctx context.Context) (*corev1.PodList, error)
}

// Handler answers with a v1.PodList in JSON. Requests that come together share one list and one body of the store. If there is no list,
// the answer is 503 with one line that says why.
func Handler(answers *answer.Store, source Source) http.Handler {
	return handlerOf(answers, &lists{source: source})
}

func handlerOf(answers *answer.Store, lists *lists) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		l := lists.join()
		defer lists.leave(l)
		select {
		case <-l.done:
		case <-r.Context().Done():
			http.Error(w, fmt.Sprintf("503: the request ended first: %v", context.Cause(r.Context())), http.StatusServiceUnavailable)
			return
		}
		if l.err != nil {
			http.Error(w, fmt.Sprintf("503: no pods: %v", l.err), http.StatusServiceUnavailable)
			return
		}
		answers.Serve(w, r, answer.Answer{
			Key: answer.Key{Path: Path, Of: l.sequence}, ContentType: "application/json",
			Append: func(buffer []byte) ([]byte, error) {
				lists.close(l)
				return appendList(buffer, l.pods)
			},
		})
	})
}

// appendList appends the list to buffer as a kubelet writes it: without indentation, and with a newline at its end. It writes pod by pod, so
// that no second copy of the whole is made on the way.
func appendList(buffer []byte, list *corev1.PodList) ([]byte, error) {
	buffer = append(buffer, `{"kind":"PodList","apiVersion":"v1","metadata":{},"items":[`...)
	for i := range list.Items {
		if i > 0 {
			buffer = append(buffer, ',')
		}
		text, err := json.Marshal(&list.Items[i])
		if err != nil {
			return nil, fmt.Errorf("encode pod %s/%s: %w", list.Items[i].Namespace, list.Items[i].Name, err)
		}
		buffer = append(buffer, text...)
	}
	return append(buffer, "]}\n"...), nil
}
