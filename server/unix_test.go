package server

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"go.uber.org/zap"
)

func TestUnixSocketServes(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	listener, err := ListenUnix(t.Context(), path, "--socket")
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Lstat(path)
	if err != nil || info.Mode() != os.ModeSocket|0o660 {
		t.Errorf("want a socket with mode 0660, got %v, %v", info, err)
	}
	if entries, _ := os.ReadDir(filepath.Dir(path)); len(entries) != 1 {
		t.Errorf("left beside it: %v", entries)
	}
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	s := New(zap.NewNop(), patientLimits())
	s.Add(Endpoint{Name: "socket", Listener: listener, Handler: fixed("text/plain", "hello")})
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	client := http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", path)
	}}}
	answer, err := client.Get("http://socket/")
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if body, _ := io.ReadAll(answer.Body); string(body) != "hello" {
		t.Errorf("got %q", body)
	}
	stop()
	if err := receive(t, done, "the server to stop"); err != nil {
		t.Error(err)
	}
	if _, err := os.Lstat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the socket is still there: %v", err)
	}
}

func TestUnixSocketIsReplacedOnlyIfNobodyListens(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	first, err := ListenUnix(t.Context(), path, "--socket")
	if err != nil {
		t.Fatal(err)
	}
	_, err = ListenUnix(t.Context(), path, "--socket")
	want := "listen on " + path + ": address already in use: another nodevitals may hold it; change --socket"
	if err == nil || err.Error() != want || !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("a second listener: got %v, want %s", err, want)
	}
	// As if the process had been killed: the file stays.
	if err := first.(*unixListener).Listener.Close(); err != nil {
		t.Fatal(err)
	}
	second, err := ListenUnix(t.Context(), path, "--socket")
	if err != nil {
		t.Fatalf("a stale socket: %v", err)
	}
	// Somebody takes the file away, and a third takes the place: the second then knows that it is another's.
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	third, err := ListenUnix(t.Context(), path, "--socket")
	if err != nil {
		t.Fatal(err)
	}
	defer third.Close()
	if err := second.Close(); err != nil {
		t.Error(err)
	}
	if _, err := os.Lstat(path); err != nil {
		t.Errorf("the third's socket: %v", err)
	}
}

func TestUnixSocketsThatCannotBe(t *testing.T) {
	folder := t.TempDir()
	file := filepath.Join(folder, "file")
	if err := os.WriteFile(file, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		file:                                "which is no socket",
		filepath.Join(folder, "no", "s"):    "no such file or directory",
		filepath.Join(file, "s"):            "not a directory",
		"/tmp/" + strings.Repeat("x", 200):  "at most 107 bytes",
		"/tmp/" + strings.Repeat("/x", 200): "at most 107 bytes",
	} {
		_, err := ListenUnix(t.Context(), path, "--socket")
		if err == nil || !strings.Contains(err.Error(), want) || !strings.HasSuffix(err.Error(), "; change --socket") {
			t.Errorf("%s: got %v, want %q", path, err, want)
		}
	}
	if text, err := os.ReadFile(file); err != nil || string(text) != "precious" {
		t.Errorf("the file: %q, %v", text, err)
	}
}
