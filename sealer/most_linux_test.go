package sealer

import (
	"path/filepath"
	"testing"

	"github.com/sdr-engine/sdr/porep"
)

// How many sectors fit is what plans say.
func TestMost(t *testing.T) {
	o := Options{LockDir: filepath.Join(t.TempDir(), "locks"), Settings: Settings{Kernel: "generic/1", Hashers: 1}}
	one := openNoted(t, o)
	most := func(m noted, p porep.SealProof, limit, want int) {
		t.Helper()
		if n := m.Most(t.Context(), p, limit); n != want {
			t.Errorf("limit %d: %d, want %d", limit, n, want)
		}
	}
	most(one, proof, 0, 1) // it has one lane
	most(one, proof, 7, 7) // one after another
	o.Budget = one.forOneAndAHalf(t)
	o.Hashers = 0
	m := openNoted(t, o)
	most(m, porep.StackedDrg8MiBV1_1, 0, 1) // memory for one and a half
	all := allCores(t, m.Machine)
	most(m, proof, 0, 0)
	most(m, proof, 7, 0)
	if err := all.Release(); err != nil {
		t.Fatal(err)
	}
	most(m, proof, 1, 1)
	most(m, porep.StackedDrg64GiBV1_1, 3, 0)

	o.Policy = PolicyNone
	most(openNoted(t, o), proof, 7, 0)
}
