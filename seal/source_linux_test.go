package seal

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/sdr-engine/sdr/internal/durable"
	"github.com/sdr-engine/sdr/internal/testkit"
	"github.com/sdr-engine/sdr/porep"
)

// TestHolesAreNotReadAhead: what is asked for ahead is all data of the file, each byte once, and no
// hole, which would fill memory with zeros.
func TestHolesAreNotReadAhead(t *testing.T) {
	testkit.OnDisk(t) // in memory a hole may end with a huge page
	const large = 64 << 20
	f, err := os.Create(filepath.Join(t.TempDir(), "piece"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := f.Truncate(large); err != nil {
		t.Fatal(err)
	}
	data := bytes.Repeat([]byte("data"), 1<<18)                        // some file systems make holes of zeros
	offsets := []int64{0, 3 << 20, 41 << 20, large - int64(len(data))} // of the data
	for _, off := range offsets {
		if _, err := f.WriteAt(data, off); err != nil {
			t.Fatal(err)
		}
	}
	if err := f.Sync(); err != nil { // some file systems know of holes when they have given blocks
		t.Fatal(err)
	}
	holes := durable.HolesOf(f)
	defer holes.Close()
	if !holes.Has(8<<20, 1<<20) {
		t.Skip("this file system has no holes, or does not tell where")
	}
	const start = 4096
	block := int64(pieceBlock.Unpadded())
	for _, known := range []bool{true, false} {
		s := &fileSource{f: f, start: start, size: large - start, block: block}
		if known {
			s.holes = holes
		}
		next, sum := int64(start), int64(0)
		for done := int64(0); done < s.size; done += block {
			s.toAhead(done, func(off, n int64) {
				if off < next || n <= 0 || off+n > large {
					t.Errorf("known %v: %d bytes at %d, behind %d", known, n, off, next)
				}
				next = off + n
				sum += n
			})
			if s.ahead < min(s.size, done+block) {
				t.Errorf("known %v: at %d only what is before %d was asked for", known, done, s.ahead)
			}
		}
		want := int64(len(offsets)*len(data)) - start
		if !known {
			want = s.size
		}
		if sum != want {
			t.Errorf("known %v: %d bytes asked for, want %d", known, sum, want)
		}
	}
}

// atFirstWrite does something when a job first writes.
type atFirstWrite struct {
	once sync.Once
	do   func()
}

func (a *atFirstWrite) Before(op *durable.Op) error {
	if op.Kind == durable.OpWrite {
		a.once.Do(a.do)
	}
	return nil
}

func (a *atFirstWrite) After(*durable.Op) error { return nil }

// TestSourceCutMeanwhile: a source that is cut short while it is read, where it may be mapped, is a
// *SourceError that says where it ends, and staged is as it was.
func TestSourceCutMeanwhile(t *testing.T) {
	defer skipNoAddress(t)
	const before, cut = 128, 1000
	size := porep.PaddedSize(128 << 20).Unpadded() // more blocks than can be in hand at the first write
	dir := t.TempDir()
	source, err := os.Create(filepath.Join(dir, "piece"))
	if err != nil {
		t.Fatal(err)
	}
	defer source.Close()
	data := bytes.Repeat([]byte("data"), 1<<18)
	for left := int(size); left > 0; left -= len(data) {
		if _, err := source.Write(data[:min(left, len(data))]); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := source.Seek(0, 0); err != nil {
		t.Fatal(err)
	}
	staged := filepath.Join(dir, "staged")
	if err := os.WriteFile(staged, make([]byte, before), 0o666); err != nil {
		t.Fatal(err)
	}
	ctx := durable.WithInjector(t.Context(), &atFirstWrite{do: func() {
		if err := source.Truncate(cut); err != nil {
			t.Error(err)
		}
	}})
	a := Append{Proof: porep.StackedDrg512MiBV1_1, Staged: staged, Existing: []porep.UnpaddedSize{127}, NoSync: true}
	_, err = AppendPiece(ctx, a, source, size)
	wrong := (*SourceError)(nil)
	if !errors.As(err, &wrong) || wrong.Path != source.Name() || wrong.Want != size || wrong.Got < cut || wrong.Got >= size {
		t.Errorf("error %v", err)
	}
	if got, err := os.ReadFile(staged); err != nil || len(got) != before {
		t.Errorf("staged has %d bytes, %v, want the %d of before", len(got), err, before)
	}
}
