package onelayer_test

import (
	"testing"

	"github.com/sdr-engine/sdr/engine/internal/onelayer"
	"github.com/sdr-engine/sdr/graph"
	"github.com/sdr-engine/sdr/internal/testkit"
	"github.com/sdr-engine/sdr/porep"
)

// TestAsides: what is put aside when the layer before is handed over has room, in all graphs
// but the two whose parents are not even, and is about as much as there is room for: less
// would have the hasher wait.
func TestAsides(t *testing.T) {
	proofs := []porep.SealProof{porep.StackedDrg2KiBV1, porep.StackedDrg2KiBV1_1, porep.StackedDrg8MiBV1, porep.StackedDrg8MiBV1_1, porep.StackedDrg512MiBV1, porep.StackedDrg512MiBV1_1}
	if testkit.Long() {
		proofs = append(proofs, porep.StackedDrg32GiBV1, porep.StackedDrg32GiBV1_1)
	}
	for _, proof := range proofs {
		g, err := graph.New(proof)
		if err != nil {
			t.Fatal(err)
		}
		aside, room, err := onelayer.Asides(onelayer.ShapeOf(proof.SectorSize().Nodes(), 128, part), g.Parents)
		uneven := proof == porep.StackedDrg32GiBV1 // and 64 GiB
		if err != nil || (aside > room) != uneven {
			t.Errorf("%v: %d are put aside, %v; there is room for %d", proof, aside, err, room)
		}
		if segment := int(proof.SectorSize().Nodes() / onelayer.Segments); proof.SectorSize() > 1<<20 && aside < segment*8/10 {
			t.Errorf("%v: %d are put aside, of segments of %d nodes", proof, aside, segment)
		}
	}
}
