package linux_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"

	"github.com/sdr-engine/sdr/internal/linux"
)

// A process of its own, since what is set stays set.
func TestWholeProcess(t *testing.T) {
	if os.Getenv("SDR_TEST_WHOLE_PROCESS") != "" {
		wholeProcess()
		return
	}
	allowed, err := linux.Affinity(0)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(os.Args[0], "-test.run=^TestWholeProcess$")
	cmd.Env = append(os.Environ(), fmt.Sprint("SDR_TEST_WHOLE_PROCESS=", allowed[len(allowed)-1]))
	out, err := cmd.CombinedOutput()
	if err != nil || !bytes.Contains(out, []byte("all is well")) {
		t.Errorf("%v: %s", err, out)
	}
}

func wholeProcess() {
	fail := func(format string, args ...any) {
		fmt.Printf(format+"\n", args...)
		os.Exit(1)
	}
	var cpu int
	fmt.Sscan(os.Getenv("SDR_TEST_WHOLE_PROCESS"), &cpu)
	if err := linux.SetProcessAffinity([]int{cpu}); err != nil {
		fail("%v", err)
	}
	threads, err := os.ReadDir("/proc/self/task")
	if err != nil || len(threads) < 2 {
		fail("%d threads, %v", len(threads), err)
	}
	for _, thread := range threads {
		var tid int
		fmt.Sscan(thread.Name(), &tid)
		if cpus, err := linux.Affinity(tid); err == nil && fmt.Sprint(cpus) != fmt.Sprint([]int{cpu}) {
			fail("thread %d may run on %v, want %d", tid, cpus, cpu)
		}
	}
	if err := linux.SetProcessAffinity([]int{8191}); err == nil {
		fail("a CPU that is not there is taken")
	}
	if err := linux.PreferNode(0); err != nil && !errors.Is(err, errors.ErrUnsupported) {
		fail("%v", err)
	} else if maps, mapsErr := os.ReadFile("/proc/self/numa_maps"); err == nil && mapsErr == nil && !bytes.Contains(maps, []byte(" prefer:0 ")) {
		fail("nothing prefers node 0: %.500s", maps)
	}
	for _, node := range []int{-1, 1 << 16} {
		if err := linux.PreferNode(node); err == nil {
			fail("node %d is taken", node)
		}
	}
	fmt.Println("all is well")
}

// It ends although its goroutine goes from one thread to another meanwhile.
func TestWholeProcessBusy(t *testing.T) {
	if os.Getenv("SDR_TEST_WHOLE_PROCESS") != "" {
		wholeProcessBusy()
		return
	}
	cmd := exec.Command(os.Args[0], "-test.run=^TestWholeProcessBusy$", "-test.timeout=1m")
	cmd.Env = append(os.Environ(), "SDR_TEST_WHOLE_PROCESS=busy")
	if out, err := cmd.CombinedOutput(); err != nil || !bytes.Contains(out, []byte("all is well")) {
		t.Errorf("%v: %.2000s", err, out)
	}
}

func wholeProcessBusy() {
	allowed, err := linux.Affinity(0)
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	for range 4 * runtime.GOMAXPROCS(0) {
		go func() {
			for {
				_, _ = os.Stat("/")
				runtime.Gosched()
			}
		}()
	}
	for range 1000 {
		for _, cpus := range [][]int{allowed[:1], allowed} {
			if err := linux.SetProcessAffinity(cpus); err != nil {
				fmt.Println(err)
				os.Exit(1)
			}
		}
	}
	fmt.Println("all is well")
}

// What is written to the file afterwards goes elsewhere, and what it was is kept.
func TestTakeDescriptor(t *testing.T) {
	r1, w1, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	r2, w2, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	kept, err := linux.TakeDescriptor(w1, w2)
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprint(w1, "elsewhere")
	fmt.Fprint(kept, "kept")
	for _, f := range []*os.File{w1, w2, kept} {
		f.Close()
	}
	first, _ := io.ReadAll(r1)
	second, _ := io.ReadAll(r2)
	if got := string(first) + ", " + string(second); got != "kept, elsewhere" {
		t.Errorf("%q", got)
	}
	if _, err := linux.TakeDescriptor(w1, w2); err == nil || strings.Contains(err.Error(), "panic") {
		t.Errorf("of a closed file: %v", err)
	}
}
