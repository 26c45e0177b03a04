package sha256

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"testing"
)

// TestSpread: each kernel that spreads labels nodes of two layers again as the generic one made
// them, however many there are and wherever they begin.
func TestSpread(t *testing.T) {
	const nodes = 300
	rng := rand.New(rand.NewPCG(5, 6))
	id := [32]byte{1, 2, 3, 31: 4}
	parents := make([]uint32, nodes*degree)
	for node := 1; node < nodes; node++ {
		for slot := range degree {
			parents[node*degree+slot] = rng.Uint32N(uint32(node))
			if slot >= baseDegree {
				parents[node*degree+slot] = rng.Uint32N(nodes)
			}
		}
	}
	var made [3]Layer
	for number := uint32(1); number <= 2; number++ {
		made[number] = Layer{ReplicaIDs: [][32]byte{id}, Number: number, Before: made[number-1].Labels, Labels: make([]byte, nodes*nodeSize)}
		if err := generic.Label(&made[number], 0, nodes, parents); err != nil {
			t.Fatal(err)
		}
	}
	for _, k := range Kernels() {
		if !k.Usable() || !k.Spreads() {
			continue
		}
		s, err := k.NewSpread(id)
		if err != nil {
			t.Fatal(err)
		}
		for number := 1; number <= 2; number++ {
			l := &made[number]
			for _, span := range [][2]int{{0, nodes}, {0, 1}, {0, 64}, {1, 64}, {17, 65}, {100, 128}, {nodes - 1, 1}, {5, 3}, {64, 0}} {
				first, n := span[0], span[1]
				t.Run(fmt.Sprintf("%s/layer %d/%d from %d", k.Name, number, n, first), func(t *testing.T) {
					rows, soon := NewRows(n), Rows{}
					if n%2 == 0 {
						soon = s.Rows()
					}
					if err := rows.Locate(generic, l, parents[first*degree:][:n*degree]); err != nil {
						t.Fatal(err)
					}
					got := make([]byte, n*nodeSize)
					if err := s.Label(got, l.Number, uint64(first), rows, soon); err != nil {
						t.Fatal(err)
					}
					for i := range n {
						if !bytes.Equal(got[i*nodeSize:][:nodeSize], l.Labels[(first+i)*nodeSize:][:nodeSize]) {
							t.Fatalf("node %d is wrong", first+i)
						}
					}
				})
			}
		}
		runtime.KeepAlive(made)
	}
}

// What does not fit is an error, and nothing is written.
func TestSpreadRefuses(t *testing.T) {
	for _, k := range Kernels() {
		s, err := k.NewSpread([32]byte{})
		if k.Spreads() != (err == nil) {
			t.Errorf("%s spreads: %v, but %v", k.Name, k.Spreads(), err)
		}
		if err != nil {
			continue
		}
		dst := make([]byte, 2*nodeSize)
		for name, err := range map[string]error{
			"length":  s.Label(dst[:nodeSize], 1, 0, NewRows(2), Rows{}),
			"layer":   s.Label(dst, 0, 0, NewRows(2), Rows{}),
			"nodes":   s.Label(dst, 1, maxNodes-1, NewRows(2), Rows{}),
			"further": s.Label(dst, 1, maxNodes+1, NewRows(2), Rows{}),
		} {
			if wrong := (*SpanError)(nil); !errors.As(err, &wrong) {
				t.Errorf("%s: %s: %v, want a *SpanError", k.Name, name, err)
			}
		}
		if !bytes.Equal(dst, make([]byte, len(dst))) {
			t.Errorf("%s wrote", k.Name)
		}
	}
	if k := BestSpread(); !k.Spreads() || !k.Usable() {
		t.Errorf("the best is %s", k.Name)
	}
}
