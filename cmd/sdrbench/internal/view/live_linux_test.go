package view

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/sdr-engine/sdr/topology"
)

// TestNeverOnAHashingCore: what reads, draws or writes is bound to other cores, if
// there are any.
func TestNeverOnAHashingCore(t *testing.T) {
	m, err := topology.Read()
	if err != nil {
		t.Fatal(err)
	}
	hashing := m.Cores()[0].CPUs[0]
	want := m.Allowed().Minus(topology.NewCPUSet(m.Cores()[0].CPUs...))
	if want.Len() == 0 || !m.Allowed().Contains(hashing) {
		t.Skipf("CPUs %v are not two cores", m.Allowed())
	}
	keepOff := func() {
		if _, err := topology.KeepOff(m, hashing); err != nil {
			t.Error(err)
		}
	}
	terminal, err := os.Create(filepath.Join(t.TempDir(), "terminal"))
	if err != nil {
		t.Fatal(err)
	}
	defer terminal.Close()
	masks := make(chan string, 1000)
	read := func() Sample {
		masks <- threadMask(t)
		return Sample{Stage: "labels"}
	}
	check := func(what string) {
		t.Helper()
		if got := <-masks; got != want.String() {
			t.Errorf("%s: the thread may run on %s, want %s", what, got, want)
		}
	}

	stop := Progress{Read: read, Lines: io.Discard, Machine: m, Hashing: []topology.CPU{hashing}}.Show()
	check("lines")
	stop()

	var wg sync.WaitGroup
	done := make(chan struct{})
	wg.Go(func() {
		keepOff()
		drawLive(terminal, keepOff, newLive(&gauge{}, read, true), done)
	})
	for len(masks) > 0 {
		<-masks
	}
	check("view")
	close(done)
	wg.Wait()

	s := &screen{File: terminal, keepOff: keepOff}
	written := make(chan string)
	go func() {
		if _, err := s.Write([]byte("x")); err != nil {
			t.Error(err)
		}
		written <- threadMask(t)
	}()
	if got := <-written; got != want.String() {
		t.Errorf("writing: the thread may run on %s, want %s", got, want)
	}
	// The threads ended with their goroutines: none of the others is bound.
	if got := threadMask(t); got != m.Allowed().String() {
		t.Errorf("afterwards another thread may run on %s, want %s", got, m.Allowed())
	}
}

// threadMask is the CPUs that the calling thread may run on.
func threadMask(t *testing.T) string {
	status, err := os.ReadFile("/proc/thread-self/status")
	if err != nil {
		t.Error(err)
	}
	_, after, _ := strings.Cut(string(status), "Cpus_allowed_list:")
	mask, _, _ := strings.Cut(after, "\n")
	return strings.TrimSpace(mask)
}

// What is over before the first tick shows nothing, on a terminal as well.
func TestLiveOfAnInstant(t *testing.T) {
	f, err := os.Create(filepath.Join(t.TempDir(), "terminal"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	done := make(chan struct{})
	close(done)
	drawLive(f, func() {}, newLive(&gauge{}, func() Sample { return Sample{Stage: "labels"} }, true), done)
	if info, err := f.Stat(); err != nil || info.Size() > 0 {
		t.Errorf("%d bytes are written (%v)", info.Size(), err)
	}
}
