package sha256

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
)

// All lanes at once are what Unpack makes of each, and Pack's inverse; nothing else
// is written.
func TestUnpackLanes(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for _, k := range Kernels() {
		for _, n := range []int{1, 2, 63, 64, 65, 700} {
			for _, lanes := range []int{1, 7, 8, 9, 16, 31, 32} {
				if lanes > k.Lanes {
					continue
				}
				t.Run(fmt.Sprintf("%s/%d nodes/%d lanes", k.Name, n, lanes), func(t *testing.T) {
					nodes := make([]byte, n*k.Pitch())
					want := make([]byte, n*nodeSize*lanes)
					for i := range want {
						want[i] = byte(rng.Uint32())
					}
					for lane := range lanes {
						if err := k.Pack(nodes, want[lane*n*nodeSize:][:n*nodeSize], lane); err != nil {
							t.Fatal(err)
						}
					}
					const margin = 96
					memory := bytes.Repeat([]byte{0xa5}, margin+len(want)+margin)
					got := memory[margin:][:len(want):len(want)]
					if err := k.UnpackLanes(got, nodes); err != nil {
						t.Fatal(err)
					}
					if !bytes.Equal(got, want) {
						t.Error("the labels differ from those packed")
					}
					for lane := range lanes {
						one := make([]byte, n*nodeSize)
						if err := k.Unpack(one, nodes, lane); err != nil {
							t.Fatal(err)
						}
						if !bytes.Equal(got[lane*len(one):][:len(one)], one) {
							t.Errorf("lane %d differs from Unpack's", lane)
						}
					}
					for _, b := range [][]byte{memory[:margin], memory[margin+len(want):]} {
						if !bytes.Equal(b, bytes.Repeat([]byte{0xa5}, margin)) {
							t.Error("wrote outside of the destination")
						}
					}
				})
			}
		}
	}
}

func TestUnpackLanesRefuses(t *testing.T) {
	for _, k := range Kernels() {
		nodes := make([]byte, 4*k.Pitch())
		for name, c := range map[string]struct{ dst, nodes []byte }{
			"half a node":        {make([]byte, 4*nodeSize), nodes[:len(nodes)-1]},
			"half a lane":        {make([]byte, 2*nodeSize), nodes},
			"a lane too many":    {make([]byte, (k.Lanes+1)*4*nodeSize), nodes},
			"room without nodes": {make([]byte, nodeSize), nil},
		} {
			if err := k.UnpackLanes(c.dst, c.nodes); !errors.Is(err, ErrLanes) {
				t.Errorf("%s, %s: %v, want an ErrLanes", k.Name, name, err)
			}
		}
		if err := k.UnpackLanes(nil, nil); err != nil {
			t.Errorf("%s, nothing at all: %v", k.Name, err)
		}
	}
}
