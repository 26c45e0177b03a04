//go:build linux

package reserve_test

import (
	"errors"
	"os"
	"slices"
	"testing"

	"github.com/sdr-engine/sdr/internal/linux"
	"github.com/sdr-engine/sdr/reserve"
	"github.com/sdr-engine/sdr/topology"
)

// guest is the machine, if it is the guest with two NUMA nodes that `make
// test-numa` boots, and the numbers of the cores on each node.
func guest(t *testing.T) (m *topology.Machine, coresOn [][]topology.CPU) {
	t.Helper()
	if os.Getenv("SDR_NUMA_GUEST") != "1" {
		t.Skip("needs the guest of `make test-numa`")
	}
	m, err := topology.Read()
	if err != nil {
		t.Fatal(err)
	}
	coresOn = make([][]topology.CPU, len(m.NUMANodes()))
	for _, c := range m.Cores() {
		if len(c.CPUs) != 2 {
			t.Fatalf("core of CPUs %v, want two of them", c.CPUs)
		}
		coresOn[c.NUMANode] = append(coresOn[c.NUMANode], c.CPUs[0])
	}
	if len(coresOn) != 2 || len(coresOn[0]) != 2 || len(coresOn[1]) != 2 {
		t.Fatalf("cores %v, want two on each of two nodes", coresOn)
	}
	return m, coresOn
}

// room is what the pre-flight says could be had of a pool.
func room(t *testing.T, d *reserve.Dir, free topology.CPU, pool topology.MemoryPool) uint64 {
	t.Helper()
	_, err := d.Acquire(t.Context(), reserve.Request{Cores: cores(free), Memory: map[topology.MemoryPool]uint64{pool: 1 << 60}})
	var e *reserve.RoomError
	if !errors.As(err, &e) {
		t.Fatalf("2^60 bytes: %v", err)
	}
	return e.Room()
}

// TestNUMAGuestLocks: two processes on a machine with two NUMA nodes, each with
// cores and memory of its own; then one of them is killed.
func TestNUMAGuestLocks(t *testing.T) {
	m, coresOn := guest(t)
	t.Cleanup(func() { os.RemoveAll(reserve.DefaultDir) })
	d := open(t, reserve.DefaultDir, "/")
	node0, node1 := topology.MemoryPool{NUMANode: m.NUMANodes()[0].ID}, topology.MemoryPool{NUMANode: m.NUMANodes()[1].ID}
	before := room(t, d, coresOn[0][0], node1)
	half := before / 2
	other := startHolder(t, order{Dir: reserve.DefaultDir, Root: "/", Cores: coresOn[1], Job: "node 1", Memory: []reserve.Memory{{Node: node1.NUMANode, Planned: half}}})

	sibling, ok := m.CoreNumber(m.Cores()[slices.IndexFunc(m.Cores(), func(c topology.Core) bool { return c.CPUs[0] == coresOn[1][1] })].CPUs[1])
	if !ok || sibling != coresOn[1][1] {
		t.Fatalf("a sibling's core is %d, want %d", sibling, coresOn[1][1])
	}
	_, err := d.Acquire(t.Context(), reserve.Request{Cores: cores(coresOn[0][0], sibling)})
	var e *reserve.HeldError
	if !errors.As(err, &e) || len(e.Holders) != 1 || e.Holders[0].PID != other.pid || !slices.Equal(e.Holders[0].Cores, cores(sibling)) {
		t.Fatalf("a core that the other process holds: %v", err)
	}
	acquire(t, d, reserve.Request{Cores: coresOn[0], Memory: map[topology.MemoryPool]uint64{node0: room(t, d, coresOn[0][0], node0) / 2}}).Release()
	if got := room(t, d, coresOn[0][0], node1); got > before-half+noise {
		t.Errorf("room on node 1 is %d, with %d of %d planned by another process", got, half, before)
	}

	other.kill()
	r := acquire(t, d, reserve.Request{Cores: coresOn[1], Memory: map[topology.MemoryPool]uint64{node1: half + 2*noise}})
	if got := held(t, reserve.DefaultDir); len(got) != 1 || got[0].PID != os.Getpid() {
		t.Errorf("after SIGKILL: %+v", got)
	}
	r.Release()
}

// noise is how much memory a guest that does nothing else takes and gives back.
const noise = 48 << 20

// TestNUMAGuestTouched: memory that was planned is not counted twice once it is
// touched and told.
func TestNUMAGuestTouched(t *testing.T) {
	m, coresOn := guest(t)
	dir := t.TempDir()
	d := open(t, dir, "/")
	pool := topology.MemoryPool{NUMANode: m.NUMANodes()[1].ID}
	const planned, touched = 512 << 20, 256 << 20
	is := func(when string, want uint64) {
		t.Helper()
		if got := room(t, d, coresOn[0][0], pool); got > want+noise || got < want-noise {
			t.Errorf("%s: room for %d MiB, want %d", when, got>>20, want>>20)
		}
	}
	before := room(t, d, coresOn[0][0], pool)
	r := acquire(t, d, reserve.Request{Cores: coresOn[1], Memory: map[topology.MemoryPool]uint64{pool: planned}})
	is("planned", before-planned)

	mem, err := linux.Map(touched)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error)
	go func() { // a page is on the node of the CPU that first touches it
		pinned, err := topology.Pin(m, coresOn[1][0])
		if err == nil {
			for i := 0; i < len(mem); i += 4096 {
				mem[i] = 1
			}
			err = pinned.Release()
		}
		done <- err
	}()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	is("touched, not told", before-planned-touched)
	if err := r.Touched(t.Context(), pool, touched); err != nil {
		t.Fatal(err)
	}
	is("touched and told", before-planned)
	if err := r.Touched(t.Context(), pool, 0); err != nil {
		t.Fatal(err)
	}
	if err := linux.Unmap(mem); err != nil {
		t.Fatal(err)
	}
	is("given back", before-planned)
	r.Release()
	is("released", before)
}
