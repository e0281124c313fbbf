package process

import (
	"fmt"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/nodevitals/nodevitals/snapshot"
)

// mistaken is a number of sockets that no process here has.
const mistaken = 1000

// mistake makes the reader believe that each process had so many sockets, as if files had made way for them or they for files.
func mistake(r *Reader) {
	for pid, known := range r.sockets {
		known.sockets = mistaken
		r.sockets[pid] = known
	}
}

// A process with as many descriptors as before may have other ones: all have their turn, and a cgroup that has gone does not stop the turns.
func TestSameNumberOfDescriptorsTakesTurns(t *testing.T) {
	const cgroups = 5
	targets := make([]Target, cgroups)
	values := make([]snapshot.Values, cgroups)
	for i := range targets {
		targets[i] = Target{Procs: procsFile(t, child(t, 2)), Values: &values[i]}
	}
	descriptors := 5 + inherited(t)
	r := NewReader(Options{HostRoot: "/", Budget: Budget{Again: 2*descriptors - 1}}) // two processes a round
	defer r.Close()
	read := func() (right string) {
		if err := r.Read(targets, time.Now()); err != nil {
			t.Fatal(err)
		}
		for _, target := range targets {
			switch got := get(target.Values, snapshot.ProcessSockets); got {
			case "2":
				right += "+"
			case fmt.Sprint(mistaken):
				right += "-"
			default:
				t.Fatalf("%s sockets, want 2 or what the reader was made to believe", got)
			}
		}
		return right
	}
	if got := read(); got != "+++++" {
		t.Fatalf("new ones: %s, want all", got)
	}
	mistake(r)
	for _, want := range []string{"++---", "++++-", "+++++"} {
		if got := read(); got != want {
			t.Errorf("looked at anew: %s, want %s", got, want)
		}
	}
	// The last round looked at 4 and 0; the next one begins with 1, which has gone.
	mistake(r)
	targets = append(targets[:1], targets[2:]...)
	if got := read(); got != "-++-" {
		t.Errorf("after a cgroup has gone: %s, want -++-", got)
	}
}

// What has changed does not wait for its turn.
func TestAnotherNumberOfDescriptorsIsSeenAtOnce(t *testing.T) {
	var first, own snapshot.Values
	targets := []Target{{Procs: procsFile(t, child(t, 1)), Values: &first}, {Procs: procsFile(t, os.Getpid()), Values: &own}}
	r := NewReader(Options{HostRoot: "/", Budget: Budget{Again: 1}}) // the first one alone
	defer r.Close()
	for range 2 {
		if err := r.Read(targets, time.Now()); err != nil {
			t.Fatal(err)
		}
	}
	before, _ := own.Get(snapshot.ProcessSockets)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Skipf("no socket can be opened here: %v", err)
	}
	defer listener.Close()
	if err := r.Read(targets, time.Now()); err != nil {
		t.Fatal(err)
	}
	if after, _ := own.Get(snapshot.ProcessSockets); after != before+1 {
		t.Errorf("%d sockets after one was opened and %d before, want one more", after, before)
	}
}

// The agent's own descriptors are asked another way, and are as many.
func TestOwnSockets(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Skipf("no socket can be opened here: %v", err)
	}
	defer listener.Close()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	want := 0
	for _, entry := range entries {
		if link, err := os.Readlink("/proc/self/fd/" + entry.Name()); err == nil && strings.HasPrefix(link, "socket:") {
			want++
		}
	}
	var values snapshot.Values
	r := NewReader(Options{HostRoot: "/"})
	defer r.Close()
	if err := r.Read([]Target{{Procs: procsFile(t, os.Getpid()), Values: &values}}, time.Now()); err != nil {
		t.Fatal(err)
	}
	if got := get(&values, snapshot.ProcessSockets); got != fmt.Sprint(want) || want == 0 {
		t.Errorf("got %s sockets, want %d and one at least", got, want)
	}
}

// Whoever is gone is not remembered for ever.
func TestProcessesAreForgotten(t *testing.T) {
	var values snapshot.Values
	targets := []Target{{Procs: procsFile(t, child(t, 1)), Values: &values}}
	r := NewReader(Options{HostRoot: "/"})
	defer r.Close()
	for round := range keptRounds + 2 {
		if err := r.Read(targets, time.Now()); err != nil {
			t.Fatal(err)
		}
		if round == 0 && len(r.sockets) != 1 {
			t.Fatalf("%d processes are remembered, want one", len(r.sockets))
		}
		targets[0].Procs = procsFile(t)
	}
	if len(r.sockets) != 0 {
		t.Errorf("%d processes are remembered, want none", len(r.sockets))
	}
}
