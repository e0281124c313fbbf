package logging

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	stdlog "log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sirupsen/logrus"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"google.golang.org/grpc/grpclog"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	"k8s.io/client-go/rest"
	"k8s.io/klog/v2"
)

// output is a writer that can be read meanwhile.
type output struct {
	mutex sync.Mutex
	text  bytes.Buffer
}

func (o *output) Write(b []byte) (int, error) {
	o.mutex.Lock()
	defer o.mutex.Unlock()
	return o.text.Write(b)
}

func (o *output) String() string {
	o.mutex.Lock()
	defer o.mutex.Unlock()
	return o.text.String()
}

// lines returns what was written, one object a line.
func (o *output) lines(t *testing.T) (all []map[string]any) {
	t.Helper()
	for line := range strings.Lines(o.String()) {
		var one map[string]any
		if err := json.Unmarshal([]byte(line), &one); err != nil {
			t.Fatalf("a line is not JSON: %v: %q", err, line)
		}
		all = append(all, one)
	}
	return all
}

func open(t *testing.T, level zapcore.Level) (*Log, *output) {
	t.Helper()
	out := &output{}
	return New(Options{Level: level, Out: out}), out
}

const secret = "s3cret-0f-jane"

// libraries have each way into a library's log that is used here or by what is linked. complain says text at the level that is wanted.
var libraries = []struct {
	name, logger, level string
	complain            func(text string)
	// has is where the text is; "msg" if it is empty.
	has string
}{
	{"klog, a warning", "klog", "warn", func(text string) { klog.Warning(text) }, ""},
	{"klog, a formatted warning", "klog", "warn", func(text string) { klog.Warningf("%s", text) }, ""},
	{"klog, an error", "klog", "error", func(text string) { klog.Errorf("%s", text) }, ""},
	{"klog, an info", "klog", "debug", func(text string) { klog.Infof("%s", text) }, ""},
	{"klog, structured", "klog", "debug", func(text string) { klog.InfoS("structured", "about", text) }, "about"},
	{"klog, a structured error", "klog", "error", func(text string) { klog.ErrorS(errors.New(text), "structured") }, "error"},
	{"klog, of a context", "klog", "error", func(text string) { klog.FromContext(context.Background()).Error(errors.New(text), "of a context") }, "error"},
	{"client-go, a warning of the API server", "klog", "debug", func(text string) { rest.WarningLogger{}.HandleWarningHeader(299, "agent", text) }, ""},
	{"apimachinery, an error", "klog.UnhandledError", "error", func(text string) { utilruntime.HandleError(errors.New(text)) }, "error"},
	{"logrus, a warning", "logrus", "warn", func(text string) { logrus.Warn(text) }, ""},
	{"logrus, an error with a field", "logrus", "error", func(text string) { logrus.WithField("path", text).Error("with a field") }, "path"},
	{"logrus, an info", "logrus", "debug", func(text string) { logrus.Info(text) }, ""},
	{"gRPC, an error", "grpc", "error", func(text string) { grpclog.Errorf("%s", text) }, ""},
	{"gRPC, of a component", "grpc", "error", func(text string) { grpclog.Component("core").Error(text) }, ""},
	{"gRPC, a warning", "grpc", "debug", func(text string) { grpclog.Warningln(text) }, ""},
	{"gRPC, an info", "grpc", "debug", func(text string) { grpclog.Info(text) }, ""},
	{"Go's own", "log", "warn", func(text string) { stdlog.Print(text) }, ""},
}

// TestLibrariesLogThroughZap: each library's line comes as JSON at its level, and not at a higher one.
func TestLibrariesLogThroughZap(t *testing.T) {
	for _, one := range libraries {
		t.Run(one.name, func(t *testing.T) {
			_, out := open(t, zap.DebugLevel)
			one.complain("hello from the library")
			key := one.has
			if key == "" {
				key = "msg"
			}
			lines := out.lines(t)
			if len(lines) != 1 {
				t.Fatalf("got %d lines, want one:\n%s", len(lines), out)
			}
			text, _ := lines[0][key].(string)
			if !strings.Contains(text, "hello from the library") || lines[0]["level"] != one.level || lines[0]["logger"] != one.logger {
				t.Errorf("got %v, want logger %q at level %q with the text in %q", lines[0], one.logger, one.level, key)
			}
			level, _ := zapcore.ParseLevel(one.level)
			_, out = open(t, level+1)
			one.complain("hello again")
			if out.String() != "" {
				t.Errorf("at level %s: got %q, want nothing", level+1, out)
			}
		})
	}
}

// TestLibrariesAreQuietByDefault: at info level there are complaints alone.
func TestLibrariesAreQuietByDefault(t *testing.T) {
	_, out := open(t, zap.InfoLevel)
	for _, one := range libraries {
		if one.level == "debug" {
			one.complain("inner life")
		}
	}
	klog.V(0).Info("verbose")
	if out.String() != "" {
		t.Errorf("got %q, want nothing", out)
	}
}

// TestVerboseLinesNeverCome: klog's verbose lines have headers and bodies from V(6) on.
func TestVerboseLinesNeverCome(t *testing.T) {
	_, out := open(t, zap.DebugLevel)
	klog.V(1).Info("one")
	klog.FromContext(t.Context()).V(1).Info("one of a context")
	klog.FromContext(t.Context()).V(8).Info("Request Body", "body", secret)
	if klog.FromContext(t.Context()).V(1).Enabled() {
		t.Error("verbose lines are made, in vain")
	}
	logrus.Debug("one of logrus")
	if grpclog.V(1) {
		t.Error("gRPC takes verbose lines to be wanted")
	}
	if out.String() != "" {
		t.Errorf("got %q, want nothing", out)
	}
}

// TestLibrariesAreLimited: who writes the same all over again, with other numbers, gets a few lines.
func TestLibrariesAreLimited(t *testing.T) {
	for _, one := range libraries {
		if one.level == "debug" {
			continue
		}
		t.Run(one.name, func(t *testing.T) {
			log, out := open(t, zap.InfoLevel)
			const many = 1000
			for i := range many {
				one.complain(fmt.Sprintf("cannot read /sys/fs/cgroup/pod%d: error %d", i, i))
			}
			if got := len(out.lines(t)); got != burst {
				t.Fatalf("%d lines at once: got %d, want %d:\n%.2000s", many, got, burst, out)
			}
			log.Close()
			lines := out.lines(t)
			last := lines[len(lines)-1]
			if len(lines) != burst+1 || last["msg"] != heldBack || last["held_back"] != float64(many-burst) || last["level"] != one.level || last["logger"] != one.logger {
				t.Errorf("got %v, want a line that tells of %d more", last, many-burst)
			}
			for _, lines := range log.Lines() {
				want := Lines{Level: lines.Level}
				if lines.Level == one.level {
					want.Written, want.HeldBack = burst, many-burst
				}
				if lines != want {
					t.Errorf("got %+v, want %+v", lines, want)
				}
			}
		})
	}
}

// TestLibrariesTellNoSecrets: in whatever form a library has a token in its hands, the log does not have it.
func TestLibrariesTellNoSecrets(t *testing.T) {
	for _, form := range secretForms {
		for _, one := range libraries {
			_, out := open(t, zap.DebugLevel)
			one.complain(form)
			if text := out.String(); strings.Contains(text, secret) || !strings.Contains(text, redacted) {
				t.Errorf("%s: %q came as %s", one.name, form, text)
			}
			out.lines(t)
		}
	}
}

// TestClientOfHTTPTellsNoBodies: a server that sends what nobody asked for does not get it into the log, and neither does who fails.
func TestClientOfHTTPTellsNoBodies(t *testing.T) {
	_, out := open(t, zap.DebugLevel)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	go func() {
		for {
			connection, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer connection.Close()
				_, _ = connection.Read(make([]byte, 4096))
				_, _ = io.WriteString(connection, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
				_, _ = io.WriteString(connection, "{\"data\": \"body of "+secret+"\"}; err=")
				_, _ = connection.Read(make([]byte, 1)) // until the client has enough of it
			}()
		}
	}()
	client := &http.Client{Transport: &http.Transport{}, Timeout: 30 * time.Second}
	for deadline := time.Now().Add(time.Minute); !strings.Contains(out.String(), "idle HTTP channel"); {
		if time.Now().After(deadline) {
			t.Fatalf("waited a minute for net/http to complain; seen: %q", out)
		}
		if answer, err := client.Get("http://" + listener.Addr().String()); err == nil {
			_, _ = io.ReadAll(answer.Body)
			answer.Body.Close()
		}
	}
	if strings.Contains(out.String(), secret) {
		t.Errorf("a body is in the log: %s", out)
	}
}

// TestClientOfTheAPIServerTellsNoSecrets: client-go with a token in header, query and body, against a server that says all of them back, as its reason
// and as a page; and a library that logs the error.
func TestClientOfTheAPIServerTellsNoSecrets(t *testing.T) {
	for name, one := range map[string]struct {
		kind string
		body func(text string) string
		// warned: client-go heeds the header Warning of answers alone that it can read.
		warned bool
	}{
		"reason": {"application/json", func(text string) string {
			return fmt.Sprintf(`{"kind":"Status","apiVersion":"v1","status":"Failure","code":500,"message":%q}`, text)
		}, true},
		"page": {"text/html", func(text string) string { return "<p>" + text }, false},
	} {
		t.Run(name, func(t *testing.T) {
			_, out := open(t, zap.DebugLevel)
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				body, _ := io.ReadAll(r.Body)
				w.Header().Set("Warning", `299 - "seen `+r.Header.Get("Authorization")+`"`)
				w.Header().Set("Content-Type", one.kind)
				w.WriteHeader(http.StatusInternalServerError)
				_, _ = io.WriteString(w, one.body(fmt.Sprintf("you sent %s with %s to %s", body, r.Header.Get("Authorization"), r.URL)))
			}))
			defer server.Close()
			config := &rest.Config{Host: server.URL, BearerToken: secret}
			config.ContentConfig = rest.ContentConfig{GroupVersion: &metaVersion, NegotiatedSerializer: codecs}
			client, err := rest.UnversionedRESTClientFor(config)
			if err != nil {
				t.Fatal(err)
			}
			err = client.Post().AbsPath("/x").Param("token", secret).Body([]byte(`{"spec":{"token":"` + secret + `"}}`)).Do(t.Context()).Error()
			if err == nil || strings.Count(err.Error(), secret) != 3 {
				t.Fatalf("got %v, want an error that has the token in three places", err)
			}
			klog.ErrorS(err, "no answer")
			text := out.String()
			if !strings.Contains(text, "no answer") || strings.Contains(text, "seen Bearer "+redacted) != one.warned || strings.Contains(text, secret) {
				t.Errorf("got %s, want the error, a warning: %t, and no token", text, one.warned)
			}
			out.lines(t)
		})
	}
}
