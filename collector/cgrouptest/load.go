package cgrouptest

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"syscall"
	"testing"
	"time"
	"unsafe"
)

const loadVariable = "NODEVITALS_TEST_LOAD"

// loads are what a cgroup can be given to do. Each begins, says so, and goes on until it is killed.
var loads = map[string]func(arguments []string){
	// sleep does nothing.
	"sleep": func([]string) {},
	// cpu keeps one thread busy.
	"cpu": func([]string) {
		go func() {
			for {
				runtime.Gosched()
			}
		}()
	},
	// memory touches and keeps so many MiB.
	"memory": func(arguments []string) {
		held := make([]byte, number(arguments, 0)<<20)
		for i := 0; i < len(held); i += os.Getpagesize() {
			held[i] = 1
		}
		hoard = append(hoard, held)
	},
	// hungry takes memory without end, after it has begun.
	"hungry": func([]string) {
		go func() {
			<-begun
			for {
				more := make([]byte, 4<<20)
				for i := 0; i < len(more); i += os.Getpagesize() {
					more[i] = 1
				}
				hoard = append(hoard, more)
			}
		}()
	},
	// write writes so many MiB to a file or device, past the page cache, and reads them again.
	"write": func(arguments []string) { write(arguments[0], number(arguments, 1)) },
	// fork keeps so many child processes.
	"fork": func(arguments []string) {
		for range number(arguments, 0) {
			child := exec.Command("/proc/self/exe")
			child.Env = append(os.Environ(), loadVariable+"=sleep")
			child.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
			input, err := child.StdinPipe()
			check(err)
			check(child.Start())
			check(input.Close())
		}
	},
}

// begun is closed once the load has said that it began: who is killed before that was never heard of.
var begun = make(chan struct{})

// hoard holds what loads have taken.
var hoard [][]byte

// Main runs the tests, or the load that this process was started for.
func Main(m *testing.M) {
	load := os.Getenv(loadVariable)
	if load == "" {
		os.Exit(m.Run())
	}
	// Pdeathsig is about the thread that started the child.
	runtime.LockOSThread()
	fmt.Print("-")
	_, err := io.Copy(io.Discard, os.Stdin)
	check(err)
	loads[load](os.Args[1:])
	fmt.Print(".")
	close(begun)
	for {
		time.Sleep(time.Hour)
	}
}

func write(path string, mebibytes int) {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|syscall.O_DIRECT, 0o600)
	check(err)
	// Direct transfers want memory that begins at a block's border.
	const block = 1 << 20
	space := make([]byte, 2*block)
	shift := block - int(uintptr(unsafe.Pointer(&space[0]))%block)
	buffer := space[shift : shift+block]
	for i := range mebibytes {
		_, err := file.WriteAt(buffer, int64(i)*block)
		check(err)
	}
	check(file.Sync())
	for i := range mebibytes {
		_, err := file.ReadAt(buffer, int64(i)*block)
		check(err)
	}
}

func number(arguments []string, at int) int {
	n, err := strconv.Atoi(arguments[at])
	check(err)
	return n
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "load:", err)
		os.Exit(1)
	}
}
