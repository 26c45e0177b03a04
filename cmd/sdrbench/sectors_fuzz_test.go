package main

import (
	"strings"
	"testing"
)

// FuzzSectorsFile: whatever lines of sectors are, there is no panic, and each is either read or has what is
// wrong with it said.
func FuzzSectorsFile(f *testing.F) {
	f.Add(`{"proof":"StackedDrg2KiBV1_1","cache-dir":"c","staged":"s","sealed":"t","miner":"f01000","sector":1,"ticket":"` + strings.Repeat("0", 64) + `","piece":["2032"]}`)
	f.Fuzz(func(t *testing.T, text string) {
		var lines []*pc1Line
		r := &sectorsReader{path: "-"}
		if err := r.lines(t.Context(), &app{in: strings.NewReader(text)}, func() *sectorLine {
			l := &pc1Line{}
			l.sector.Proof = noProof
			lines = append(lines, l)
			return l.fields()
		}); err != nil {
			t.Fatal(err)
		}
		for i, l := range lines {
			if !r.bad(i+1) && (l.sector.CacheDir == "" || l.sector.Proof.Check() != nil) {
				t.Errorf("line %d of %q is read as %+v", i+1, text, l.sector)
			}
		}
		if len(lines) == 0 && r.err() == nil {
			t.Errorf("%q has no sector, and nothing is wrong with it", text)
		}
	})
}
