package answer

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
)

// patience is how long a test waits for a condition that a healthy store meets at once.
const patience = time.Minute

// newStore makes a store that refuses and forgets nothing because a machine is slow, unless the options say otherwise.
func newStore(options Options) *Store {
	if options.Wait == 0 {
		options.Wait = patience
	}
	if options.Keep == 0 {
		options.Keep = time.Hour
	}
	return NewStore(options)
}

// await polls until condition holds.
func await(t *testing.T, s *Store, what string, condition func(Stats) bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !condition(s.Stats()); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited %s for %s; seen: %+v", patience, what, s.Stats())
		}
	}
}

// textOf is the body of a number: some text that no other number has.
func textOf(of uint64) []byte {
	return bytes.Repeat(fmt.Appendf(nil, "container_threads{id=\"/kubepods/pod%d\"} %d\n", of, of), 4000)
}

// numbered is an answer of a path, whose body is textOf(of).
func numbered(path string, of uint64) Answer {
	return Answer{
		Key: Key{Path: path, Of: of}, ContentType: "text/plain",
		Append: func(buffer []byte) ([]byte, error) { return append(buffer, textOf(of)...), nil },
	}
}

func request(ctx context.Context, method, encoding string) *http.Request {
	r := httptest.NewRequestWithContext(ctx, method, "/x", http.NoBody)
	if encoding != "" {
		r.Header.Set("Accept-Encoding", encoding)
	}
	return r
}

// serve has a store answer one request.
func serve(t testing.TB, s *Store, method, encoding string, a Answer) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	s.Serve(w, request(t.Context(), method, encoding), a)
	return w
}

// decode undoes the encoding of an answer.
func decode(t testing.TB, w *httptest.ResponseRecorder) []byte {
	t.Helper()
	reader, err := io.Reader(w.Body), error(nil)
	switch w.Header().Get("Content-Encoding") {
	case "gzip":
		reader, err = gzip.NewReader(reader)
	case "zstd":
		reader, err = zstd.NewReader(reader)
	}
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(reader)
	if err != nil {
		t.Fatal(err)
	}
	return body
}

// A body is made once for all who wait for it, and compressed once for each encoding.
func TestWaitingRequestsShareABody(t *testing.T) {
	s := newStore(Options{})
	release := make(chan struct{})
	a := numbered("/x", 7)
	inner := a.Append
	a.Append = func(buffer []byte) ([]byte, error) {
		<-release
		return inner(buffer)
	}
	encodings := []string{"", "gzip", "zstd", "identity"}
	const each = 50
	answers := make([]*httptest.ResponseRecorder, each*len(encodings))
	var group sync.WaitGroup
	for i := range answers {
		group.Go(func() { answers[i] = serve(t, s, http.MethodGet, encodings[i%len(encodings)], a) })
	}
	await(t, s, "all requests to wait", func(stats Stats) bool { return stats.Readers == len(answers) })
	close(release)
	group.Wait()
	for i, w := range answers {
		want := strings.Replace(encodings[i%len(encodings)], "identity", "", 1)
		if got := w.Header().Get("Content-Encoding"); w.Code != http.StatusOK || got != want {
			t.Fatalf("got %d in %q, want 200 in %q", w.Code, got, want)
		}
		if got := decode(t, w); !bytes.Equal(got, textOf(7)) {
			t.Fatalf("a body of %d bytes in %q is not what was rendered", len(got), want)
		}
	}
	// One request of each of the three encodings had its body made, and the text itself was shared by the compressed ones.
	if got := s.Stats(); got.Rendered != 1 || got.Compressed != 2 || got.Bytes != 0 || got.Readers != 0 {
		t.Errorf("got %+v, want 1 rendered, 2 compressed, and nothing held", got)
	}
}

func TestHeadHasTheHeadersOfGetAndSharesItsBody(t *testing.T) {
	for _, encoding := range []string{"", "gzip", "zstd"} {
		t.Run(encoding, func(t *testing.T) {
			s := newStore(Options{})
			get := serve(t, s, http.MethodGet, encoding, numbered("/x", 1))
			head := serve(t, s, http.MethodHead, encoding, numbered("/x", 1))
			if head.Body.Len() != 0 {
				t.Errorf("a body of %d bytes came with HEAD", head.Body.Len())
			}
			if fmt.Sprint(head.Header()) != fmt.Sprint(get.Header()) || head.Header().Get("Content-Length") != fmt.Sprint(get.Body.Len()) {
				t.Errorf("headers of HEAD: got %v, want %v and a length of %d", head.Header(), get.Header(), get.Body.Len())
			}
			if got := s.Stats(); got.Rendered != 1 {
				t.Errorf("rendered %d times, want once for both", got.Rendered)
			}
		})
	}
}

func TestOtherKeysHaveOtherBodies(t *testing.T) {
	s := newStore(Options{})
	text := func(word string) func([]byte) ([]byte, error) {
		return func(buffer []byte) ([]byte, error) { return append(buffer, word...), nil }
	}
	for _, a := range []Answer{
		{Key: Key{Path: "/x", Of: 1}, Append: text("first")},
		{Key: Key{Path: "/x", Of: 2}, Append: text("another number")},
		{Key: Key{Path: "/y", Of: 1}, Append: text("another path")},
		{Key: Key{Path: "/x", Of: 1, Variant: true}, Append: text("another variant")},
		// Without a number nothing is shared, not even with its equal.
		{Key: Key{Path: "/x"}, Append: text("no number")},
		{Key: Key{Path: "/x"}, Append: text("no number either")},
	} {
		want, _ := a.Append(nil)
		for _, encoding := range []string{"gzip", ""} {
			if got := decode(t, serve(t, s, http.MethodGet, encoding, a)); !bytes.Equal(got, want) {
				t.Errorf("%+v: got %q, want %q", a.Key, got, want)
			}
		}
	}
}

// blocked is a client that takes no byte before it is let.
type blocked struct {
	*httptest.ResponseRecorder
	writing, release chan struct{}
}

func newBlocked() *blocked {
	return &blocked{httptest.NewRecorder(), make(chan struct{}), make(chan struct{})}
}

func (b *blocked) Write(bytes []byte) (int, error) {
	close(b.writing)
	<-b.release
	return b.ResponseRecorder.Write(bytes)
}

func receive(t *testing.T, from <-chan struct{}, what string) {
	t.Helper()
	select {
	case <-from:
	case <-time.After(patience):
		t.Fatalf("waited %s for %s", patience, what)
	}
}

// What a slow client is being sent stays as it is while others come and go.
func TestBodyOfASlowClientIsNotOverwritten(t *testing.T) {
	s := newStore(Options{})
	slow := map[string]*blocked{"": newBlocked(), "gzip": newBlocked()}
	var group sync.WaitGroup
	for encoding, client := range slow {
		group.Go(func() { s.Serve(client, request(t.Context(), http.MethodGet, encoding), numbered("/x", 1)) })
		receive(t, client.writing, "the slow client's answer to begin")
	}
	for of := range uint64(50) {
		for encoding := range slow {
			if got := decode(t, serve(t, s, http.MethodGet, encoding, numbered("/x", of+2))); !bytes.Equal(got, textOf(of+2)) {
				t.Fatalf("number %d in %q: got another's body", of+2, encoding)
			}
		}
	}
	for _, client := range slow {
		close(client.release)
	}
	group.Wait()
	for encoding, client := range slow {
		if got := decode(t, client.ResponseRecorder); !bytes.Equal(got, textOf(1)) {
			t.Errorf("the slow client in %q got another's body, which begins with %.60q", encoding, got)
		}
	}
}

// Buffers serve again: a hundred bodies, one after another, take the memory of few.
func TestBuffersServeAgain(t *testing.T) {
	for _, encoding := range []string{"", "gzip", "zstd"} {
		t.Run(encoding, func(t *testing.T) {
			s := newStore(Options{})
			buffers := map[*byte]bool{}
			for of := range uint64(100) {
				a := numbered("/x", of+100)
				inner := a.Append
				a.Append = func(buffer []byte) ([]byte, error) {
					body, err := inner(buffer)
					buffers[&body[0]] = true
					return body, err
				}
				serve(t, s, http.MethodGet, encoding, a)
			}
			// The first grows while its size is not known.
			if len(buffers) > 2 {
				t.Errorf("100 bodies took %d buffers, want no more than 2", len(buffers))
			}
		})
	}
}

// brokenPipe is a client that went away.
type brokenPipe struct{ *httptest.ResponseRecorder }

func (brokenPipe) Write([]byte) (int, error) { return 0, errors.New("broken pipe") }

// HTTP/2 may still read a buffer after a write has failed.
func TestBufferOfAFailedWriteDoesNotServeAgain(t *testing.T) {
	s := newStore(Options{})
	buffers := map[*byte]bool{}
	body := func(of uint64) Answer {
		a := numbered("/x", of)
		inner := a.Append
		a.Append = func(buffer []byte) ([]byte, error) {
			body, err := inner(buffer)
			buffers[&body[0]] = true
			return body, err
		}
		return a
	}
	// The first buffer grows, the second has room for what comes.
	for of := range uint64(3) {
		serve(t, s, http.MethodGet, "", body(of+1))
	}
	before := len(buffers)
	s.Serve(brokenPipe{httptest.NewRecorder()}, request(t.Context(), http.MethodGet, ""), body(4))
	if len(buffers) != before {
		t.Fatalf("%d buffers for bodies one after another, want %d", len(buffers), before)
	}
	serve(t, s, http.MethodGet, "", body(5))
	if len(buffers) != before+1 {
		t.Error("the buffer of the failed write serves again")
	}
	if held := s.Stats().Bytes; held != 0 {
		t.Errorf("%d bytes are held, want 0", held)
	}
}

// Two that were sent at the same time leave one buffer, and the last of them is the one that can still be had.
func TestOneIdleBufferOfEachKind(t *testing.T) {
	s := newStore(Options{})
	var bodies []*body
	for of := range uint64(2) {
		a := numbered("/x", of+1)
		b := s.acquire(bodyKey{Key: a.Key}, a)
		<-b.done
		bodies = append(bodies, b)
	}
	for _, b := range bodies {
		s.release(b, true)
	}
	serve(t, s, http.MethodGet, "", numbered("/y", 1))
	s.mutex.Lock()
	defer s.mutex.Unlock()
	var kept []Key
	bytes := 0
	for _, b := range s.idle.bodies {
		kept = append(kept, b.key.Key)
		bytes += cap(b.bytes)
	}
	if len(kept) != 2 || kept[0] != numbered("/x", 2).Key || kept[1] != numbered("/y", 1).Key || bytes != s.idle.bytes {
		t.Errorf("kept: %v, %d bytes, counted as %d; want the second of /x and that of /y", kept, bytes, s.idle.bytes)
	}
}

func TestUnusedBuffersAreLetGo(t *testing.T) {
	s := newStore(Options{Keep: 10 * time.Millisecond})
	for _, path := range []string{"/x", "/y"} {
		serve(t, s, http.MethodGet, "gzip", numbered(path, 1))
	}
	await(t, s, "idle buffers and compressors to be let go", func(Stats) bool {
		s.mutex.Lock()
		defer s.mutex.Unlock()
		return len(s.idle.bodies) == 0 && s.idle.bytes == 0 && s.compressors.gzip[0].Load() == nil
	})
}

// hold has clients, each of another number, that are sent an answer and do not read it. The function ends them.
func hold(t *testing.T, s *Store, clients int) (end func()) {
	t.Helper()
	var group sync.WaitGroup
	var all []*blocked
	for i := range clients {
		client := newBlocked()
		all = append(all, client)
		group.Go(func() {
			s.Serve(client, request(context.Background(), http.MethodGet, ""), numbered("/x", uint64(1000+i)))
		})
		receive(t, client.writing, "a held answer to begin")
	}
	return func() {
		for _, client := range all {
			close(client.release)
		}
		group.Wait()
	}
}

func TestRequestsBeyondTheBytesAreRefusedInTheEnd(t *testing.T) {
	core, logs := observer.New(zap.WarnLevel)
	size := len(textOf(1000))
	s := newStore(Options{Bytes: 4 * size, Log: zap.New(core)})
	end := hold(t, s, 3)
	// Whoever has or gets room has all the time that it takes; only those who cannot get any are refused soon.
	s.options.Wait = 50 * time.Millisecond
	for range 2 {
		w := serve(t, s, http.MethodGet, "", numbered("/x", 1))
		if w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") == "" {
			t.Errorf("beyond the limit: got %d, Retry-After %q, want 503 with it", w.Code, w.Header().Get("Retry-After"))
		}
		if body := w.Body.String(); strings.Count(body, "\n") != 1 || !strings.HasPrefix(body, "503: no room for another answer within 50ms: ") {
			t.Errorf("got %q, want one line that says why", body)
		}
	}
	s.options.Wait = patience
	// What is held already can be shared by any number.
	shared := serve(t, s, http.MethodGet, "gzip", numbered("/x", 1000))
	if shared.Code != http.StatusOK {
		t.Errorf("a body that is there: got %d %s, want 200", shared.Code, shared.Body)
	}
	if got := s.Stats(); got.Refused != 2 || got.Bytes > 4*size {
		t.Errorf("got %+v, want 2 refused and no more than %d bytes", got, 4*size)
	}
	if logs.FilterMessageSnippet("see who connects").Len() != 2 {
		t.Errorf("logged %v, want a line for each", logs.All())
	}
	end()
	if w := serve(t, s, http.MethodGet, "", numbered("/x", 1)); w.Code != http.StatusOK {
		t.Errorf("once there is room: got %d %s, want 200", w.Code, w.Body)
	}
}

func TestRequestsWaitForRoom(t *testing.T) {
	s := newStore(Options{Bytes: 4 * len(textOf(1000)), Wait: time.Hour})
	end := hold(t, s, 3)
	done := make(chan struct{})
	var w *httptest.ResponseRecorder
	go func() {
		defer close(done)
		w = serve(t, s, http.MethodGet, "gzip", numbered("/x", 1))
	}()
	await(t, s, "the request to wait", func(stats Stats) bool { return stats.Readers == 4 })
	select {
	case <-done:
		t.Fatalf("got %d beyond the limit", w.Code)
	default:
	}
	end()
	receive(t, done, "the request to be answered")
	if !bytes.Equal(decode(t, w), textOf(1)) {
		t.Errorf("got %d and another's body", w.Code)
	}
}

// A node whose answers are larger than the limit is served all the same, one at a time.
func TestSingleBodyMayBeOfAnySize(t *testing.T) {
	s := newStore(Options{Bytes: 1})
	for of := range uint64(3) {
		for _, encoding := range []string{"", "gzip"} {
			if w := serve(t, s, http.MethodGet, encoding, numbered("/x", of+1)); !bytes.Equal(decode(t, w), textOf(of+1)) {
				t.Errorf("got %d", w.Code)
			}
		}
	}
}

func TestFewBodiesAreMadeAtATime(t *testing.T) {
	s := newStore(Options{Makers: 3})
	var now, most atomic.Int64
	var group sync.WaitGroup
	for of := range uint64(60) {
		a := numbered("/x", of+1)
		inner := a.Append
		a.Append = func(buffer []byte) ([]byte, error) {
			defer now.Add(-1)
			for n := now.Add(1); ; {
				if old := most.Load(); n <= old || most.CompareAndSwap(old, n) {
					break
				}
			}
			time.Sleep(time.Millisecond)
			return inner(buffer)
		}
		group.Go(func() { serve(t, s, http.MethodGet, "", a) })
	}
	group.Wait()
	if got := most.Load(); got > 3 {
		t.Errorf("%d bodies were made at a time, want no more than 3", got)
	}
}

// Whoever leaves while waiting costs nothing more.
func TestAbandonedBodyIsNotMade(t *testing.T) {
	for _, encoding := range []string{"", "gzip"} {
		t.Run(encoding, func(t *testing.T) {
			s := newStore(Options{Makers: 1})
			s.makers <- struct{}{} // somebody's turn, which lasts
			ctx, leave := context.WithCancel(t.Context())
			a := numbered("/x", 1)
			a.Append = func([]byte) ([]byte, error) {
				t.Error("made for nobody")
				return nil, nil
			}
			done := make(chan struct{})
			go func() {
				defer close(done)
				s.Serve(httptest.NewRecorder(), request(ctx, http.MethodGet, encoding), a)
			}()
			// A compressed one waits for the text, which must have been asked for: afterwards nothing holds it up.
			waiting := 1
			if encoding != "" {
				waiting = 2
			}
			await(t, s, "the request to wait", func(stats Stats) bool {
				s.mutex.Lock()
				defer s.mutex.Unlock()
				return stats.Readers == 1 && stats.Bytes == 0 && len(s.bodies) == waiting
			})
			leave()
			receive(t, done, "the request to end")
			await(t, s, "everything to be given back", func(Stats) bool {
				s.mutex.Lock()
				defer s.mutex.Unlock()
				return len(s.bodies) == 0 && s.stats.Bytes == 0
			})
			<-s.makers
			// The next who wants it is not told of the one who left.
			if w := serve(t, s, http.MethodGet, encoding, numbered("/x", 1)); w.Code != http.StatusOK {
				t.Errorf("got %d %s, want 200", w.Code, w.Body)
			}
		})
	}
}

func TestFailuresAreAnsweredAndTriedAnew(t *testing.T) {
	core, logs := observer.New(zap.ErrorLevel)
	s := newStore(Options{Log: zap.New(core)})
	for _, test := range []struct {
		name, want string
		fail       func([]byte) ([]byte, error)
	}{
		{"error", "500: no pods\n", func([]byte) ([]byte, error) { return nil, errors.New("no pods") }},
		{"panic", "500: internal server error\n", func([]byte) ([]byte, error) { panic("lost") }},
	} {
		for _, encoding := range []string{"", "gzip"} {
			t.Run(test.name+encoding, func(t *testing.T) {
				a := numbered("/x", 1)
				a.Append = test.fail
				w := serve(t, s, http.MethodGet, encoding, a)
				if w.Code != http.StatusInternalServerError || w.Body.String() != test.want || w.Header().Get("Content-Encoding") != "" {
					t.Errorf("got %d %q %v, want 500 %q", w.Code, w.Body, w.Header(), test.want)
				}
				if got := s.Stats(); got.Bytes != 0 || got.Readers != 0 {
					t.Errorf("%+v is held after a failure", got)
				}
			})
		}
	}
	if got := logs.FilterMessage("making an answer panicked").Len(); got != 2 {
		t.Errorf("logged %d panics, want 2", got)
	}
	// Somebody reads slowly that it failed. That is not kept for others.
	slow := newBlocked()
	a := numbered("/x", 1)
	a.Append = func([]byte) ([]byte, error) { return nil, errors.New("no pods") }
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.Serve(slow, request(t.Context(), http.MethodGet, ""), a)
	}()
	receive(t, slow.writing, "the slow client's answer to begin")
	defer func() {
		close(slow.release)
		<-done
	}()
	if w := serve(t, s, http.MethodGet, "", numbered("/x", 1)); w.Code != http.StatusOK {
		t.Errorf("after failures: got %d, want 200", w.Code)
	}
}

// Many clients of all kinds, for the race detector and for what is left at the end.
func TestManyClientsOfAllKinds(t *testing.T) {
	s := newStore(Options{Bytes: 1 << 20, Wait: patience, Keep: time.Millisecond})
	var group sync.WaitGroup
	for client := range 32 {
		group.Go(func() {
			for round := range 40 {
				of := uint64(round/4 + client%3 + 1)
				ctx, cancel := context.WithCancel(t.Context())
				switch (client + round) % 5 {
				case 0:
					cancel()
					s.Serve(httptest.NewRecorder(), request(ctx, http.MethodGet, "gzip"), numbered("/x", of))
				case 1:
					s.Serve(brokenPipe{httptest.NewRecorder()}, request(ctx, http.MethodGet, ""), numbered("/x", of))
				default:
					w := httptest.NewRecorder()
					s.Serve(w, request(ctx, http.MethodGet, []string{"", "gzip", "zstd"}[client%3]), numbered("/x", of))
					if got := decode(t, w); !bytes.Equal(got, textOf(of)) {
						t.Errorf("number %d: got %d and another's body", of, w.Code)
					}
				}
				cancel()
			}
		})
	}
	group.Wait()
	await(t, s, "everything to be given back", func(stats Stats) bool {
		s.mutex.Lock()
		defer s.mutex.Unlock()
		return stats.Bytes == 0 && stats.Readers == 0 && len(s.bodies) == 0 && len(s.makers) == 0
	})
}

// origin counts its users, and is over when there are none.
type origin struct {
	mutex sync.Mutex
	users int
}

func (o *origin) Use() bool {
	o.mutex.Lock()
	defer o.mutex.Unlock()
	if o.users == 0 {
		return false
	}
	o.users++
	return true
}

func (o *origin) Done() {
	o.mutex.Lock()
	defer o.mutex.Unlock()
	o.users--
}

func (o *origin) count() int {
	o.mutex.Lock()
	defer o.mutex.Unlock()
	return o.users
}

// What a body is made of is in use while it is made, in each encoding, whole or in pieces, and afterwards not. Of one that is over none is made.
func TestOriginIsInUseWhileABodyIsMade(t *testing.T) {
	for _, inPieces := range []bool{false, true} {
		for _, encoding := range []string{"identity", "gzip", "zstd"} {
			t.Run(fmt.Sprintf("%s %t", encoding, inPieces), func(t *testing.T) {
				of := &origin{users: 1}
				a := Answer{Key: Key{Path: "/", Of: 1}, ContentType: "text/plain", From: of, Append: func(buffer []byte) ([]byte, error) {
					if of.count() < 2 {
						t.Error("made while only the request used it")
					}
					return append(buffer, "text"...), nil
				}}
				if inPieces {
					a.Write = func(to io.Writer) error {
						text, err := a.Append(nil)
						if err != nil {
							return err
						}
						_, err = to.Write(text)
						return err
					}
				}
				ask := func() int {
					request := httptest.NewRequest(http.MethodGet, "/", nil)
					request.Header.Set("Accept-Encoding", encoding)
					recorder := httptest.NewRecorder()
					NewStore(Options{}).Serve(recorder, request, a)
					return recorder.Code
				}
				if code := ask(); code != http.StatusOK {
					t.Errorf("got %d, want 200", code)
				}
				deadline := time.Now().Add(time.Minute)
				for of.count() != 1 && time.Now().Before(deadline) {
					time.Sleep(time.Millisecond)
				}
				if users := of.count(); users != 1 {
					t.Errorf("%d users are left, want the request's alone", users)
				}
				of.Done()
				if code := ask(); code == http.StatusOK {
					t.Error("a body was made of what is over")
				}
			})
		}
	}
}
