package verify

import (
	"testing"

	"pgregory.net/rapid"

	"github.com/sdr-engine/sdr/porep"
)

func planOf(t interface{ Fatal(...any) }, p porep.SealProof, memory uint64, s Subset) plan {
	f := &full{check: &check{Sector: Sector{Proof: p}, o: Options{Memory: memory}}, spans: s.spans(p.SectorSize().Nodes())}
	made, err := f.plan()
	if err != nil {
		t.Fatal(err)
	}
	return made
}

// TestPlan: whatever is checked of any sector, the memory that is taken is what was given, or less, and the
// passes go through all of it.
func TestPlan(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := rapid.SampledFrom([]porep.SealProof{porep.StackedDrg2KiBV1_1, porep.StackedDrg8MiBV1_1, porep.StackedDrg512MiBV1_1, porep.StackedDrg32GiBV1_1, porep.StackedDrg64GiBV1_1}).Draw(t, "proof")
		size := uint64(p.SectorSize())
		memory := rapid.Uint64Range(MinMemory, max(MinMemory, 3*size)).Draw(t, "memory")
		subset := Subset{}
		if of := rapid.Uint64Range(0, 64).Draw(t, "of"); of > 0 {
			subset = Subset{part: rapid.Uint64Range(1, of).Draw(t, "part"), of: of}
		}
		made := planOf(t, p, memory, subset)
		nodes := count(subset.spans(size / porep.NodeSize))
		if made.memory > memory {
			t.Errorf("%d bytes are taken, of %d", made.memory, memory)
		}
		if made.resident {
			if made.memory != 2*size {
				t.Errorf("%d bytes for two layers of %d", made.memory, size)
			}
			return
		}
		if made.nodes*uint64(made.passes) < nodes || made.nodes*uint64(made.passes-1) >= max(nodes, 1) {
			t.Errorf("%d passes of %d nodes, of %d in all", made.passes, made.nodes, nodes)
		}
		if size%made.window != 0 {
			t.Errorf("parts of %d bytes of a layer of %d", made.window, size)
		}
	})
	// What the manual says.
	if made := planOf(t, porep.StackedDrg32GiBV1_1, 8<<30, Subset{}); made.passes != 75 {
		t.Errorf("a sector of 32 GiB takes %d passes with 8 GiB", made.passes)
	}
}
