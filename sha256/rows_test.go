package sha256

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"testing"
	"unsafe"
)

// Rows point to where parents' labels lie, and rows of none are left as they are.
func TestLocate(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	const nodes, most = 1 << 12, 67
	for _, k := range Kernels() {
		labels := make([]byte, 2*nodes*k.Pitch()+k.Align)
		labels = labels[-address(&labels[0])%uintptr(k.Align):]
		before := labels[nodes*k.Pitch():][:nodes*k.Pitch()]
		labels = labels[:nodes*k.Pitch()]
		for _, n := range []int{0, 1, 2, 3, 16, most} {
			for _, layer := range []uint32{1, 2} {
				parents := make([]uint32, n*degree)
				for i := range parents {
					parents[i] = rng.Uint32N(nodes)
				}
				rows := NewRows(most + 1)
				l := Layer{Number: layer, Labels: labels}
				if layer > 1 {
					l.Before = before
				}
				if err := rows.Locate(k, &l, parents); err != nil {
					t.Fatalf("%s, layer %d, %d nodes: %v", k.Name, layer, n, err)
				}
				for i, got := range rows.addrs {
					want := address(&unset[0])
					switch row, slot := i/degree, i%degree; {
					case row < n && slot < baseDegree:
						want = address(&labels[int(parents[i])*k.Pitch()])
					case row < n && layer > 1:
						want = address(&before[int(parents[i])*k.Pitch()])
					}
					if got != want {
						t.Fatalf("%s, layer %d, %d nodes: row %d, slot %d is at %#x, want %#x", k.Name, layer, n, i/degree, i%degree, got, want)
					}
				}
			}
		}
	}
}

// A parent outside of the layer is found wherever it stands, and nothing is changed;
// in layer 1 expander parents may be anything.
func TestLocateRefuses(t *testing.T) {
	k := generic
	labels := make([]byte, 64*k.Pitch())
	for _, n := range []int{1, 2, 3, 7} {
		for i := range n * degree {
			for layer := uint32(1); layer <= 2; layer++ {
				t.Run(fmt.Sprintf("%d nodes/slot %d/layer %d", n, i, layer), func(t *testing.T) {
					parents := make([]uint32, n*degree)
					parents[i] = 64
					rows := NewRows(n)
					before := slices.Clone(rows.addrs)
					l := Layer{Number: layer, Labels: labels}
					if layer > 1 {
						l.Before = labels
					}
					err := rows.Locate(k, &l, parents)
					if layer == 1 && i%degree >= baseDegree {
						if err != nil {
							t.Error(err)
						}
						return
					}
					if e := new(SpanError); !errors.As(err, &e) {
						t.Errorf("%v, want a *SpanError", err)
					}
					if !slices.Equal(before, rows.addrs) {
						t.Error("rows have changed")
					}
				})
			}
		}
	}
}

// Labels are copied to where they belong, rows point there, and nothing else is changed.
func TestStage(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	const nodes, most = 1 << 10, 90
	for _, k := range Kernels() {
		pitch := k.Pitch()
		labels := make([]byte, nodes*pitch)
		for i := range labels {
			labels[i] = byte(rng.Uint32())
		}
		for _, n := range []int{0, 1, 2, 23, 24, 25, 300, most * degree} {
			rows := NewRows(most)
			for row := range most {
				for slot := range degree {
					rows.Set(k, row, slot, labels[rng.IntN(nodes)*pitch:])
				}
			}
			before := slices.Clone(rows.addrs)
			listed := map[int]bool{}
			var which []int32
			for _, i := range rng.Perm(most * degree)[:n] {
				which = append(which, int32(i))
				listed[i] = true
			}
			memory := make([]byte, most*degree*pitch)
			rows.Stage(k, which, memory)
			for i, got := range rows.addrs {
				copied, want := memory[i*pitch:][:pitch], make([]byte, pitch)
				if listed[i] {
					want = unsafe.Slice((*byte)(pointer(before[i])), pitch)
					before[i] = address(&copied[0])
				}
				if got != before[i] || !bytes.Equal(copied, want) {
					t.Fatalf("%s, %d labels: number %d is at %#x, want %#x, and %x there, want %x", k.Name, n, i, got, before[i], copied, want)
				}
			}
		}
		runtime.KeepAlive(labels)
	}
}
