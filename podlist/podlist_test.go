package podlist

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/types"

	"github.com/nodevitals/nodevitals/answer"
)

// patience is a deadline that no test reaches.
const patience = time.Minute

// pods are n of them, with what is not plain text in JSON.
func pods(n int) *corev1.PodList {
	list := &corev1.PodList{}
	for i := range n {
		list.Items = append(list.Items, corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{
				Name: fmt.Sprintf("web-%d", i), Namespace: "default", UID: types.UID(fmt.Sprint(i)),
				Annotations: map[string]string{"note": "a <b> & \"c\" \u2028"}, CreationTimestamp: metav1.Unix(1700000000, 0),
			},
			Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "app", Resources: corev1.ResourceRequirements{
				Limits: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("1500m")},
			}}}},
		})
	}
	return list
}

// source answers once it is let, and counts.
type source struct {
	let  chan struct{}
	list *corev1.PodList
	err  error

	mutex   sync.Mutex
	lists   int
	gaveUp  int
	panicks bool
}

func (s *source) ListPods(ctx context.Context) (*corev1.PodList, error) {
	s.mutex.Lock()
	s.lists++
	s.mutex.Unlock()
	select {
	case <-s.let:
	case <-ctx.Done():
		s.mutex.Lock()
		s.gaveUp++
		s.mutex.Unlock()
		return nil, ctx.Err()
	}
	if s.panicks {
		panic("as told")
	}
	return s.list, s.err
}

func (s *source) counts() (lists, gaveUp int) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	return s.lists, s.gaveUp
}

// ready is a source that answers at once.
func ready(list *corev1.PodList, err error) *source {
	s := &source{let: make(chan struct{}), list: list, err: err}
	close(s.let)
	return s
}

func ask(handler http.Handler) *httptest.ResponseRecorder {
	recorder := httptest.NewRecorder()
	handler.ServeHTTP(recorder, httptest.NewRequest(http.MethodGet, Path, http.NoBody))
	return recorder
}

// A kubelet encodes its list by this codec.
func TestAppendWritesAsAKubelet(t *testing.T) {
	scheme := runtime.NewScheme()
	scheme.AddKnownTypes(corev1.SchemeGroupVersion, &corev1.Pod{}, &corev1.PodList{})
	codec := serializer.NewCodecFactory(scheme).LegacyCodec(corev1.SchemeGroupVersion)
	for _, n := range []int{1, 2, 30} {
		want, err := runtime.Encode(codec, pods(n))
		if err != nil {
			t.Fatal(err)
		}
		got, err := appendList([]byte("before"), pods(n))
		if err != nil {
			t.Fatal(err)
		}
		if string(got) != "before"+string(want) {
			t.Errorf("%d pods: got\n%s\nwant\n%s", n, got, want)
		}
	}
	got, err := appendList(nil, &corev1.PodList{})
	if err != nil {
		t.Fatal(err)
	}
	var none corev1.PodList
	if err := json.Unmarshal(got, &none); err != nil || none.Kind != "PodList" || none.APIVersion != "v1" || len(none.Items) != 0 {
		t.Errorf("no pods: got %s, %v", got, err)
	}
}

func TestHandlerAnswers(t *testing.T) {
	from := ready(pods(3), nil)
	handler := Handler(answer.NewStore(answer.Options{}), from)
	for range 2 {
		recorder := ask(handler)
		var got corev1.PodList
		if err := json.Unmarshal(recorder.Body.Bytes(), &got); recorder.Code != http.StatusOK || err != nil || len(got.Items) != 3 {
			t.Fatalf("got %d and %d pods, %v: %.300s", recorder.Code, len(got.Items), err, recorder.Body)
		}
		if kind := recorder.Header().Get("Content-Type"); kind != "application/json" {
			t.Errorf("got Content-Type %q", kind)
		}
	}
	if lists, _ := from.counts(); lists != 2 {
		t.Errorf("two requests one after the other: got %d lists, want one for each", lists)
	}
}

func TestHandlerSaysWhyThereAreNone(t *testing.T) {
	broken := ready(nil, nil)
	broken.panicks = true
	for want, from := range map[string]*source{
		"503: no pods: the API server is away\n":    ready(nil, errors.New("the API server is away")),
		"503: no pods: listing panicked: as told\n": broken,
	} {
		handler := Handler(answer.NewStore(answer.Options{}), from)
		for range 2 {
			if got := ask(handler); got.Code != http.StatusServiceUnavailable || got.Body.String() != want {
				t.Errorf("got %d %q, want 503 %q", got.Code, got.Body, want)
			}
		}
		if lists, _ := from.counts(); lists != 2 {
			t.Errorf("got %d lists, want that the second request has it asked again", lists)
		}
	}
}

// Whoever comes while a list is on its way has that one, and one body is made of it.
func TestRequestsAtOnceShareOneList(t *testing.T) {
	from := &source{let: make(chan struct{}), list: pods(3)}
	answers := answer.NewStore(answer.Options{})
	lists := &lists{source: from}
	handler := handlerOf(answers, lists)
	const askers = 20
	var asking sync.WaitGroup
	for range askers {
		asking.Go(func() {
			if got := ask(handler); got.Code != http.StatusOK || strings.Count(got.Body.String(), `"name":"web-`) != 3 {
				t.Errorf("got %d %.300s", got.Code, got.Body)
			}
		})
	}
	eventually(t, "all of them wait", func() bool { return lists.waiting() == askers })
	close(from.let)
	asking.Wait()
	if n, _ := from.counts(); n != 1 {
		t.Errorf("%d requests at once: got %d lists, want one", askers, n)
	}
	if stats := answers.Stats(); stats.Rendered != 1 {
		t.Errorf("%d requests at once: got %d bodies, want one", askers, stats.Rendered)
	}
	if lists.waiting() != 0 {
		t.Errorf("the list can still be joined")
	}
}

// A list that nobody waits for any more is given up, and the next request has one of its own.
func TestAListIsGivenUpWithTheLastWhoWaits(t *testing.T) {
	from := &source{let: make(chan struct{}), list: pods(1)}
	lists := &lists{source: from}
	handler := handlerOf(answer.NewStore(answer.Options{}), lists)
	ctx, cancel := context.WithCancel(t.Context())
	recorder := httptest.NewRecorder()
	left := make(chan struct{})
	go func() {
		defer close(left)
		handler.ServeHTTP(recorder, httptest.NewRequest(http.MethodGet, Path, http.NoBody).WithContext(ctx))
	}()
	eventually(t, "it waits", func() bool { return lists.waiting() == 1 })
	cancel()
	<-left
	if recorder.Code != http.StatusServiceUnavailable {
		t.Errorf("got %d %s", recorder.Code, recorder.Body)
	}
	eventually(t, "the list is given up", func() bool { _, gaveUp := from.counts(); return gaveUp == 1 })
	close(from.let)
	if got := ask(handler); got.Code != http.StatusOK {
		t.Errorf("the next request: got %d %s", got.Code, got.Body)
	}
}

// While lists wait for their turn to be written, only one does: those who come join it.
func TestAListThatWaitsIsShared(t *testing.T) {
	from := ready(pods(1), nil)
	answers := answer.NewStore(answer.Options{Makers: 1})
	lists := &lists{source: from}
	handler := handlerOf(answers, lists)
	// Another body has the one turn there is.
	busy, ended := make(chan struct{}), make(chan struct{})
	began := make(chan struct{})
	go func() {
		defer close(ended)
		answers.Serve(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/other", http.NoBody), answer.Answer{
			Key: answer.Key{Path: "/other"}, Append: func(b []byte) ([]byte, error) { close(began); <-busy; return b, nil },
		})
	}()
	<-began
	var asking sync.WaitGroup
	for i := range 5 {
		asking.Go(func() {
			if got := ask(handler); got.Code != http.StatusOK {
				t.Errorf("got %d %s", got.Code, got.Body)
			}
		})
		eventually(t, "it waits", func() bool { return lists.waiting() == i+1 })
	}
	close(busy)
	asking.Wait()
	<-ended
	if n, _ := from.counts(); n != 1 {
		t.Errorf("five requests that came while the first waited: got %d lists, want one", n)
	}
}

// stuck is a client that takes nothing until it is let.
type stuck struct {
	*httptest.ResponseRecorder
	began, let chan struct{}
}

func (s *stuck) Write(b []byte) (int, error) {
	close(s.began)
	<-s.let
	return s.ResponseRecorder.Write(b)
}

// A client that reads slowly keeps nobody to the pods that there were when it asked.
func TestAListThatIsWrittenIsNotJoined(t *testing.T) {
	from := ready(pods(1), nil)
	handler := Handler(answer.NewStore(answer.Options{}), from)
	slow := &stuck{httptest.NewRecorder(), make(chan struct{}), make(chan struct{})}
	left := make(chan struct{})
	go func() {
		defer close(left)
		handler.ServeHTTP(slow, httptest.NewRequest(http.MethodGet, Path, http.NoBody))
	}()
	<-slow.began
	if got := ask(handler); got.Code != http.StatusOK {
		t.Errorf("got %d %s", got.Code, got.Body)
	}
	if n, _ := from.counts(); n != 2 {
		t.Errorf("got %d lists, want that the second request has its own", n)
	}
	close(slow.let)
	<-left
}

// waiting is how many requests share the list that may be joined.
func (s *lists) waiting() int {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	if s.open == nil {
		return 0
	}
	return s.open.askers
}

func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !is(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited %s until %s", patience, what)
		}
	}
}
