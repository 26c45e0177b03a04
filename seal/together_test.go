package seal_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sdr-engine/sdr/engine"
	"github.com/sdr-engine/sdr/internal/durable"
	"github.com/sdr-engine/sdr/seal"
)

// Of several sectors each is told once, as it ends, and one that fails, before labels or while
// they are made, leaves the others alone.
func TestTogetherOneFails(t *testing.T) {
	g := small(t)
	for _, lanes := range []string{"generic/1", ""} { // batches one after another, and in one
		sectors := []seal.Sector{newSector(t, g), newSector(t, g), newSector(t, g), newSector(t, g)}
		sectors[1].Staged = filepath.Join(t.TempDir(), "other")
		if err := os.WriteFile(sectors[1].Staged, []byte("not what the pieces say"), 0o666); err != nil {
			t.Fatal(err)
		}
		told := map[int]seal.Outcome{}
		var other *durable.Dir
		outs, err := seal.PreCommit1Together(t.Context(), sectors, seal.Options{
			Engine: engine.Config{Kernel: lanes, Hashers: 1},
			Begin: func() (err error) { // another job takes a cache dir
				if other, err = durable.OpenDir(t.Context(), sectors[2].CacheDir); err == nil {
					err = other.Lock()
				}
				return err
			},
			Done: func(i int, o seal.Outcome) {
				if _, twice := told[i]; twice {
					t.Errorf("sector %d is told twice", i)
				}
				told[i] = o
				if layer, early := (*engine.SectorError)(nil), i == 1; errors.As(o.Err, &layer) == early && o.Err != nil {
					t.Errorf("sector %d: %v", i, o.Err)
				}
			},
		})
		other.Close()
		data := (*seal.DataError)(nil)
		if !errors.As(err, &data) || len(outs) != 4 || len(told) != 4 {
			t.Fatalf("%q: %v, %d outcomes, %d told", lanes, err, len(outs), len(told))
		}
		for i, out := range outs {
			if bad := i == 1 || i == 2; (out.Err != nil) != bad || (out.Output == nil) != bad || (told[i].Err == nil) != (out.Err == nil) {
				t.Errorf("%q: sector %d: %+v, told %+v", lanes, i, out, told[i])
			}
			if out.Err == nil {
				if diff := cmp.Diff(wantFiles(g), files(t, sectors[i])); diff != "" {
					t.Errorf("%q: sector %d (-want +got):\n%s", lanes, i, diff)
				}
				if len(out.Output.Timings.Labels.Layers) == 0 || len(told[i].Output.Timings.Labels.Layers) != 0 {
					t.Errorf("%q: sector %d: timings are not where they are said to be", lanes, i)
				}
			}
			if label := (*engine.SectorError)(nil); errors.As(out.Err, &label) && label.Sector != i {
				t.Errorf("%q: the error of sector %d says %d", lanes, i, label.Sector)
			}
		}
	}
	// If none is left, nothing begins, and its layers stay.
	s := newSector(t, g)
	s.Staged = seal.DevZero
	told := 0
	outs, err := seal.PreCommit1Together(t.Context(), []seal.Sector{s}, seal.Options{
		Begin: func() error { t.Error("it began"); return nil },
		Done:  func(_ int, o seal.Outcome) { told++ },
	})
	if err == nil || len(outs) != 1 || outs[0].Err == nil || told != 1 {
		t.Errorf("%v, %v, told %d times", outs, err, told)
	}
}
