package plain_test

import (
	"strconv"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sdr-engine/sdr/internal/golden"
	"github.com/sdr-engine/sdr/internal/plain"
	"github.com/sdr-engine/sdr/porep"
)

// TestParents: they are the reference's.
func TestParents(t *testing.T) {
	for _, g := range golden.Graphs() {
		p, err := porep.ParseSealProof(g.RegisteredProof)
		if err != nil {
			t.Fatal(err)
		}
		for text, want := range g.Parents {
			node, err := strconv.ParseUint(text, 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, plain.Parents(p, node)); diff != "" {
				t.Errorf("%v, node %d (-reference +here):\n%s", p, node, diff)
			}
		}
	}
}

// TestLabel: layers of 2 KiB, made label by label, are the reference's.
func TestLabel(t *testing.T) {
	for _, s := range golden.Sectors() {
		if s.SectorSize != 2<<10 {
			continue
		}
		p, err := porep.ParseSealProof(s.RegisteredProof)
		if err != nil {
			t.Fatal(err)
		}
		id, err := porep.ParseReplicaID(s.ReplicaID)
		if err != nil {
			t.Fatal(err)
		}
		made := make([][][porep.NodeSize]byte, 1+p.Layers())
		for layer := 1; layer <= p.Layers(); layer++ {
			for node := range p.SectorSize().Nodes() {
				label, _ := plain.Label(p, id, layer, node, func(layer int, node uint64) ([porep.NodeSize]byte, error) {
					return made[layer][node], nil
				})
				made[layer] = append(made[layer], label)
			}
			last := porep.Commitment(made[layer][len(made[layer])-1])
			if want := s.Layers[layer-1].LastLabel; last.String() != want {
				t.Errorf("%s: layer %d ends in %v, want %s", s.Name, layer, last, want)
			}
		}
	}
}
