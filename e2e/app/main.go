// Command app is the one program of the tests' containers. Its arguments say how it behaves:
//
//	(none)               waits
//	burn MILLICORES MIB  keeps a processor busy for that share of the time and holds that much memory
//	write PATH MIB       writes a file of that size, then waits
//	exit CODE            ends at once
//	oom                  takes memory until the kernel ends it
//	serve PORT           answers HTTP, and counts the requests at /metrics
//	load PORT            is as busy and as large as /load?millicores=N&mebibytes=N last said
package main

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/signal"
	"runtime/debug"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

func main() {
	behaviour, ok := behaviours[argument(1)]
	if !ok {
		fail(fmt.Errorf("unknown behaviour %q", argument(1)))
	}
	fmt.Printf("app: %q\n", os.Args[1:])
	if err := behaviour(); err != nil {
		fail(err)
	}
	// The first process of a PID namespace has no default for signals: without this, each pod would end by force only.
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM, syscall.SIGINT)
	<-stop
}

var behaviours = map[string]func() error{
	"":      func() error { return nil },
	"burn":  burn,
	"write": write,
	"exit":  func() error { os.Exit(number(2)); return nil },
	"oom":   exhaust,
	"serve": serve,
	"load":  load,
}

// held keeps memory that is written once from being collected.
var held [][]byte

// hold takes memory page by page, so that it is resident and not only promised.
func hold(mebibytes int) {
	for range mebibytes {
		held = append(held, bytes.Repeat([]byte{1}, 1<<20))
	}
}

func burn() error {
	const period = 100 * time.Millisecond
	busy := time.Duration(number(2)) * period / 1000
	hold(number(3))
	go func() {
		for tick := time.Tick(period); ; <-tick {
			for start := time.Now(); time.Since(start) < busy; {
				continue
			}
		}
	}()
	return nil
}

// load keeps what it is told to until it is told otherwise. At first that is nothing.
func load() error {
	var busy atomic.Int64 // per period
	const period = 100 * time.Millisecond
	go func() {
		for tick := time.Tick(period); ; <-tick {
			for start := time.Now(); time.Since(start) < time.Duration(busy.Load()); {
				continue
			}
		}
	}()
	var mutex sync.Mutex
	http.HandleFunc("/load", func(w http.ResponseWriter, r *http.Request) {
		millicores, err := strconv.Atoi(r.FormValue("millicores"))
		mebibytes, err2 := strconv.Atoi(r.FormValue("mebibytes"))
		if err := errors.Join(err, err2); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		mutex.Lock()
		defer mutex.Unlock()
		busy.Store(int64(time.Duration(millicores) * period / 1000))
		held = nil
		hold(mebibytes)
		debug.FreeOSMemory()
		fmt.Fprintln(w, "ok")
	})
	go listen(http.DefaultServeMux)
	return nil
}

func write() error {
	file, err := os.Create(argument(2))
	if err != nil {
		return err
	}
	defer file.Close()
	block := bytes.Repeat([]byte("nodevitals"), 1<<20/10)
	for range number(3) {
		if _, err := file.Write(block); err != nil {
			return err
		}
	}
	return file.Sync()
}

func exhaust() error {
	// Long enough to be seen running, and sampled, before the end.
	time.Sleep(5 * time.Second)
	hold(1 << 14)
	return nil
}

func serve() error {
	var requests atomic.Int64
	mux := http.NewServeMux()
	mux.HandleFunc("/metrics", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, "# TYPE http_requests_total counter\nhttp_requests_total %d\n", requests.Load())
	})
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		requests.Add(1)
		fmt.Fprintln(w, "ok")
	})
	go listen(mux)
	return nil
}

// listen serves at the port of the second argument.
func listen(handler http.Handler) {
	server := &http.Server{Addr: ":" + argument(2), Handler: handler, ReadHeaderTimeout: 10 * time.Second}
	fail(server.ListenAndServe())
}

func argument(i int) string {
	if i < len(os.Args) {
		return os.Args[i]
	}
	return ""
}

func number(i int) int {
	n, err := strconv.Atoi(argument(i))
	if err != nil {
		fail(fmt.Errorf("argument %d of %q: %w", i, os.Args, err))
	}
	return n
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, "app:", err)
	os.Exit(2)
}
