package sha256

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
)

// Rows point to where parents' labels lie, and rows of none are left as they are.
func TestLocate(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	const nodes, most = 1 << 12, 67
	for _, k := range Kernels() {
		labels := make([]byte, 2*nodes*k.Stride()+k.Align)
		labels = labels[-address(&labels[0])%uintptr(k.Align):]
		key := labels[nodes*k.Stride():][:nodes*k.Stride()]
		labels = labels[:nodes*k.Stride()]
		for _, n := range []int{0, 1, 2, 3, 16, most} {
			for _, layer := range []uint32{1, 2} {
				parents := make([]uint32, n*degree)
				for i := range parents {
					parents[i] = rng.Uint32N(nodes)
				}
				rows := NewRows(most + 1)
				l := Layer{Number: layer, Labels: labels}
				if layer > 1 {
					l.Key = key
				}
				if err := rows.Locate(k, &l, parents); err != nil {
					t.Fatalf("%s, layer %d, %d nodes: %v", k.Name, layer, n, err)
				}
				for i, got := range rows.addrs {
					want := address(&unset[0])
					switch row, slot := i/degree, i%degree; {
					case row < n && slot < baseDegree:
						want = address(&labels[int(parents[i])*k.Stride()])
					case row < n && layer > 1:
						want = address(&key[int(parents[i])*k.Stride()])
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
	labels := make([]byte, 64*k.Stride())
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
						l.Key = labels
					}
					err := rows.Locate(k, &l, parents)
					if layer == 1 && i%degree >= baseDegree {
						if err != nil {
							t.Error(err)
						}
						return
					}
					if e := new(RunError); !errors.As(err, &e) {
						t.Errorf("%v, want a *RunError", err)
					}
					if !slices.Equal(before, rows.addrs) {
						t.Error("rows have changed")
					}
				})
			}
		}
	}
}
